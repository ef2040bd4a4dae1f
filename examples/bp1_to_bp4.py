"""The four equations of backpropagation, each by hand beside what automatic differentiation finds.

    python examples/bp1_to_bp4.py
"""

import numpy as np

import microgradnet as mg
from microgradnet import nn
from microgradnet.backprop import bp1, bp2, bp3, bp4
from microgradnet.backprop.activations import sigmoid

mg.manual_seed(0)
hidden, output = nn.Linear(4, 3).double(), nn.Linear(3, 2).double()
x, y = mg.rand(4, dtype=mg.float64), mg.tensor([0.0, 1.0], dtype=mg.float64)

# By autodiff. The error of a layer, delta = dC/dz, is the gradient that arrives at its weighted input z.
z2 = hidden(x)
a2 = mg.sigmoid(z2)
z3 = output(a2)
a3 = mg.sigmoid(z3)
C = nn.functional.quadratic_loss(a3, y)
z2.retain_grad()
z3.retain_grad()
C.backward()

# By the book, on arrays. The gradient of the quadratic cost with respect to a is a - y.
delta3 = bp1((a3 - y).array, sigmoid.prime(z3.array))
delta2 = bp2(output.weight.array, delta3, sigmoid.prime(z2.array))

for equation, name, by_book, by_autodiff in (
    ("BP1", "delta^3", delta3, z3.grad),
    ("BP2", "delta^2", delta2, z2.grad),
    ("BP3", "dC/db^3", bp3(delta3), output.bias.grad),
    ("BP3", "dC/db^2", bp3(delta2), hidden.bias.grad),
    ("BP4", "dC/dw^3", bp4(a2.array, delta3), output.weight.grad),
    ("BP4", "dC/dw^2", bp4(x.array, delta2), hidden.weight.grad),
):
    difference = np.abs(by_book - by_autodiff.array).max()
    print(f"{equation}  {name}  shape {by_book.shape!s:7} largest difference {difference:.1e}")

# The same for a whole network and a batch, with central differences as referee, in one call.
print()
model = nn.Sequential(hidden, nn.Sigmoid(), output, nn.Sigmoid())
mg.compare(model, mg.rand(8, 4), mg.tensor([[0.0, 1.0]] * 8), nn.QuadraticLoss())

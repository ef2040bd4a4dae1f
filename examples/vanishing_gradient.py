"""The vanishing gradient in a deep network of sigmoids, as a picture: vanishing_gradient.svg.

By BP2 an error that goes back through a layer is multiplied by the transposed weights and by sigma'(z), which for a
sigmoid is at most 1/4. With weights of the usual size each layer thus leaves a fraction of it, and the first layers,
whose gradients are made of what is left (BP4), hardly learn.

    python examples/vanishing_gradient.py
"""

import argparse

import numpy as np

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import Digits
from microgradnet.viz import Panel, panels_svg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="few steps, to see that it runs")
steps = 5 if parser.parse_args().fast else 300

mg.manual_seed(0)
# In float64: float32 would round away the little that the first layers learn.
x, y = map(mg.tensor, Digits(train=True).arrays(dtype=np.float64))
sizes = [64] + [30] * 8 + [10]
layers = [nn.Linear(n_in, n_out, dtype=mg.float64) for n_in, n_out in zip(sizes, sizes[1:])]
for layer in layers:
    nn.init.normal_(layer.weight, std=layer.in_features**-0.5)  # so that z is of order 1
L = len(sizes)
optimizer = optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.5)


def backpropagate():
    """One pass forwards and backwards: the norms of the errors delta^l and of dC/dw^l, for l = 2 ... L."""
    a, zs = x, []
    for layer in layers:
        zs.append(layer(a))
        zs[-1].retain_grad()  # the gradient that arrives at z^l is delta^l
        a = mg.sigmoid(zs[-1])
    optimizer.zero_grad()
    nn.functional.cross_entropy(zs[-1], y).backward()
    return [np.linalg.norm(z.grad.array) for z in zs], [np.linalg.norm(layer.weight.grad.array) for layer in layers]


delta, gradient = backpropagate()
before = [layer.weight.detach().clone().array for layer in layers]
for _ in range(steps):
    optimizer.step()
    backpropagate()
moved = [np.linalg.norm(layer.weight.array - w) / np.linalg.norm(w) for layer, w in zip(layers, before)]

ls = range(2, L + 1)
# BP2 with sigma' = 1/4 and weights that leave the length as it is: a factor of 4 per layer.
bound = [delta[-1] / 4 ** (L - l) for l in ls]
errors = {"error": delta, "1/4 per layer": bound}
panels_svg([
    Panel("Norm of the error δ, at the start", "layer", ls, errors, log=True, values=False),
    Panel("Norm of the gradient ∂C/∂w, at the start", "layer", ls, {"gradient": gradient}, log=True, values=False),
    Panel(f"What {steps} steps changed in w, relatively", "layer", ls, {"change of w": moved}, log=True, values=False),
], "vanishing_gradient.svg")  # fmt: skip

for l, norm, change in zip(ls, delta, moved):
    print(f"layer {l:2}: norm of the error {norm:.1e}; {steps} steps changed the weights by {change:.1e} of their norm")
print(f"From layer {L} back to layer 2 the error shrinks {delta[-1] / delta[0]:,.0f} times.")
print("vanishing_gradient.svg: the errors, the gradients and what they changed, by layer")

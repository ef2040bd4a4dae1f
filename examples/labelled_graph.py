"""The forward and the backward pass, with BP1 to BP4 where they hold: labelled_graph.svg, and labelled_deep.svg.

The backward pass is recorded as a graph of its own and stands beside the forward pass. Each gradient has the rule by
which it was made, with the names of what the rule was applied to, and the book's equation where it is one. These are
found in the graph, so that a layer may be an nn.Linear or, as the first one here, written out as x @ w.T + b. The other
picture is of a network with 50 layers: what repeats itself is folded.

    python examples/labelled_graph.py
"""

import microgradnet as mg
from microgradnet import nn

mg.manual_seed(0)
x, y = mg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), mg.tensor([[0.0], [1.0], [1.0], [0.0]])

w, b = mg.randn(3, 2, requires_grad=True), mg.zeros(3, requires_grad=True)
output = nn.Linear(3, 1)
cost = nn.functional.mse_loss(mg.sigmoid(output(mg.tanh(x @ w.T + b))), y)
print(mg.draw(cost, backward=True, params={"x": x, "y": y}, values="summary").save("labelled_graph.svg"))

layers = [part for _ in range(50) for part in (nn.Linear(4, 4), nn.Sigmoid())]
cost = nn.functional.mse_loss(nn.Sequential(*layers)(mg.rand(5, 4)), mg.rand(5, 4))
print(mg.draw(cost, backward=True, theme="dark").save("labelled_deep.svg"))

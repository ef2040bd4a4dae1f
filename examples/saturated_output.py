"""A saturated output neuron learns slowly under the quadratic cost and not under cross-entropy: saturated_output.svg.

One sigmoid neuron with the input 1 is to learn the output 0. It starts at w = b = 2, where its output is 0.98: badly
wrong, and saturated. By BP1 its error is delta = (a - y) sigma'(z) under the quadratic cost, next to nothing as long as
sigma'(z) is; under cross-entropy sigma'(z) cancels, and delta = a - y: the more it is wrong, the faster it learns.

    python examples/saturated_output.py
"""

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.viz import Panel, panels_svg

EPOCHS = 300
STARTS = {"w = 0.6, b = 0.9": (0.6, 0.9), "w = b = 2": (2.0, 2.0)}
COSTS = {"quadratic cost": nn.QuadraticLoss(), "cross-entropy": nn.BCELoss()}
x, y = mg.tensor([[1.0]]), mg.tensor([[0.0]])


def learn(cost, w, b):
    """The neuron's output a, its slope sigma'(z) and its error delta, epoch by epoch."""
    neuron = nn.Linear(1, 1)
    nn.init.constant_(neuron.weight, w)
    nn.init.constant_(neuron.bias, b)
    optimizer = optim.SGD(neuron.parameters(), lr=0.15)
    outputs, slopes, errors = [], [], []
    for _ in range(EPOCHS + 1):
        z = neuron(x)
        a = mg.sigmoid(z)
        optimizer.zero_grad()
        z.retain_grad()
        cost(a, y).backward()
        outputs.append(a.item())
        slopes.append(a.item() * (1 - a.item()))
        errors.append(z.grad.item())
        optimizer.step()
    return outputs, slopes, errors


found = {(cost, start): learn(COSTS[cost], *STARTS[start]) for cost in COSTS for start in STARTS}
epochs = range(EPOCHS + 1)
panels = [Panel(f"Output a, {cost}", "epoch", epochs, {start: found[cost, start][0] for start in STARTS}, values=False)
          for cost in COSTS]
errors = {cost: found[cost, "w = b = 2"][2] for cost in COSTS}
panels.append(Panel("Error δ, starting at w = b = 2", "epoch", epochs, errors, values=False))
panels_svg(panels, "saturated_output.svg")

for (cost, start), (outputs, slopes, errors) in found.items():
    half = next((str(epoch) for epoch, a in enumerate(outputs) if a < 0.5), f"not in {EPOCHS}")
    print(f"{cost:14}  from {start:16}: σ'(z) = {slopes[0]:.3f} and δ = {errors[0]:.3f} at first; "
          f"epochs until the output is below 0.5: {half}")
print("saturated_output.svg: the outputs and the errors, epoch by epoch")

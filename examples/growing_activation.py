"""Another activation cures the vanishing gradient, as a picture: growing_activation.svg.

None of the four equations asks for a particular sigma. BP2 multiplies the error by sigma'(z) in every layer, so take a
sigma whose derivative is always positive and never near 0: sigma(z) = (z + tanh z) / 2 bends as tanh does, and its
derivative lies between 1/2 and 1. Here it is beside sigmoid, tanh and relu, in a network with eight hidden layers.

    python examples/growing_activation.py
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


def growing(z):
    return (z + mg.tanh(z)) / 2


ACTIVATIONS = {"sigmoid": mg.sigmoid, "tanh": mg.tanh, "relu": mg.relu, "(z + tanh z)/2": growing}
x, y = (mg.tensor(array[:500]) for array in Digits(train=True).arrays(dtype=np.float64))
sizes = [64] + [30] * 8 + [10]
L = len(sizes)


def train(sigma):
    """The costs of a training, and the norms of delta^l at its beginning, for l = 2 ... L."""
    mg.manual_seed(0)
    layers = [nn.Linear(n_in, n_out, dtype=mg.float64) for n_in, n_out in zip(sizes, sizes[1:])]
    for layer in layers:
        gain = 2**0.5 if sigma is mg.relu else 1.0  # half of its units are 0
        nn.init.normal_(layer.weight, std=gain * layer.in_features**-0.5)
    optimizer = optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.01)
    costs, deltas = [], []
    for step in range(steps + 1):
        zs = [layers[0](x)]
        for layer in layers[1:]:
            zs.append(layer(sigma(zs[-1])))
        loss = nn.functional.cross_entropy(zs[-1], y)
        if step == 0:
            deltas = [np.linalg.norm(g.array) for g in mg.autograd.grad(loss, zs, retain_graph=True)]
        costs.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return costs, deltas


def derivative(sigma):
    """sigma'(z), from the rules of the operations that sigma is made of."""
    z = mg.tensor(zs, requires_grad=True)
    return mg.autograd.grad(sigma(z).sum(), z)[0].tolist()


zs = np.linspace(-6, 6, 120)  # an even number: relu has no derivative at 0
primes = {name: derivative(sigma) for name, sigma in ACTIVATIONS.items()}
costs, deltas = {}, {}
for name, sigma in ACTIVATIONS.items():
    costs[name], deltas[name] = train(sigma)
    print(f"{name:14}  σ' from {min(primes[name]):.2g} to {max(primes[name]):.2g} for |z| ≤ 6; from layer {L} back to "
          f"layer 2 the error becomes {deltas[name][0] / deltas[name][-1]:.1e} of what it was; "
          f"cost {costs[name][0]:.3f} → {costs[name][-1]:.3f}")

panels_svg([
    Panel("Derivative σ'(z)", "z", zs, primes, values=False),
    Panel("Norm of the error δ, at the start", "layer", range(2, L + 1), deltas, log=True, values=False),
    Panel("Cost", "step", range(steps + 1), costs, values=False),
], "growing_activation.svg")  # fmt: skip
print("growing_activation.svg: the derivatives, the errors by layer, the costs")

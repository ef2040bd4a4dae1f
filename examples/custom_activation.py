"""An activation of one's own, and why one would want it.

By BP2 the error shrinks by a factor of sigma'(z) in every layer that it goes back through. A sigmoid's derivative is
at most 1/4, and next to nothing where the neuron is saturated. The inverse of sinh has one that is 1 at 0, falls off
slowly and never vanishes. None of the four equations asks for a particular sigma.

    python examples/custom_activation.py
"""

import argparse

import numpy as np

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.backprop import Activation
from microgradnet.datasets import Digits

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="few steps, to see that it runs")
steps = 5 if parser.parse_args().fast else 300


class Asinh(nn.Module):
    """asinh(z); anything composed of operations would do, and its derivative comes by itself."""

    def forward(self, z):
        return mg.asinh(z)


x, y = map(mg.tensor, Digits(train=True).arrays())
for sigma in (nn.Sigmoid, Asinh):
    mg.manual_seed(0)
    linear = [nn.Linear(64, 30), nn.Linear(30, 30), nn.Linear(30, 30), nn.Linear(30, 10)]
    model = nn.Sequential(linear[0], sigma(), linear[1], sigma(), linear[2], sigma(), linear[3])
    optimizer = optim.SGD(model.parameters(), lr=0.3)
    for step in range(steps + 1):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        if step in (0, steps):
            sizes = "  ".join(f"{layer.weight.grad.array.std():.1e}" for layer in linear)
            print(f"{sigma.__name__:7} step {step:3}: cost {loss.item():.3f}, size of the gradients by layer {sizes}")
        optimizer.step()

# Autodiff needs to be told nothing about it. The closed form needs the activation and its derivative.
closed_form = Activation("asinh", np.arcsinh, lambda z: 1 / np.sqrt(z * z + 1))
print()
mg.compare(model, x[:10], y[:10], nn.CrossEntropyLoss(), activations={Asinh: closed_form})

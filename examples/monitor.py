"""A monitor tells why a network learns slowly: monitor.html and, its curves alone, monitor.svg.

The book's first networks have weights from N(0, 1). The weighted input of a neuron is then a sum of many terms of order
1, far from 0, where tanh is saturated: the monitor finds it, names the equation by which it matters, and has
nothing to say once the weights are from N(0, 1/n), with n the number of inputs.

    python examples/monitor.py
"""

import argparse

import numpy as np

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import Digits

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="few steps, to see that it runs")
steps = 40 if parser.parse_args().fast else 1000

x, y = map(mg.tensor, Digits(train=True).arrays(dtype=np.float64))
for start in ("N(0, 1)", "N(0, 1/n)"):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 10)).double()
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=1.0 if start == "N(0, 1)" else layer.in_features**-0.5)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    monitor = mg.Monitor(model, optimizer, every=20)
    for _ in range(steps):
        batch = mg.randint(0, len(x), (32,))
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Weights from {start}, after {steps} steps:")
    print("\n".join(f"- {finding}" for finding in monitor.findings()) or "- nothing beyond the limits of the findings")
    if start == "N(0, 1)":
        monitor.save("monitor.html")
        monitor.save("monitor.svg")
print("monitor.svg, monitor.html: the first of them, layer by layer")

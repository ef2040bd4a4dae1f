"""XOR: the smallest problem that a single layer cannot solve, and two layers can.

    python examples/xor.py
"""

import argparse

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import xor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="few steps, to see that it runs")
steps = 20 if parser.parse_args().fast else 2_000

mg.manual_seed(0)
x, labels = xor()
y = labels.to(x.dtype).unsqueeze(1)


def train(model):
    cost, optimizer = nn.BCEWithLogitsLoss(), optim.SGD(model.parameters(), lr=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        cost(model(x), y).backward()
        optimizer.step()
    with mg.no_grad():
        return mg.sigmoid(model(x))


one_layer = train(nn.Linear(2, 1))
two_layers = train(nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)))
print("  x1    x2   xor   one layer   two layers")
for (x1, x2), target, a, b in zip(x.tolist(), labels.tolist(), one_layer.tolist(), two_layers.tolist()):
    print(f"{x1:4.0f}  {x2:4.0f}  {target:4}   {a[0]:9.3f}   {b[0]:10.3f}")

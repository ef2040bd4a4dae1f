"""A network that reads handwritten digits, with the training loop written out.

    python examples/digits.py
"""

import argparse

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import Digits
from microgradnet.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="one epoch, to see that it runs")
epochs = 1 if parser.parse_args().fast else 20

mg.manual_seed(0)
train, test = (TensorDataset(*map(mg.tensor, Digits(train).arrays())) for train in (True, False))
model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
cost = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(1, epochs + 1):
    total = 0.0
    for x, y in DataLoader(train, batch_size=32, shuffle=True):
        loss = cost(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += len(x) * loss.item()  # the last batch is shorter, and counts for less
    with mg.no_grad():
        x, y = test[:]
        accuracy = (model(x).argmax(1) == y).to(mg.float32).mean().item()
    print(f"epoch {epoch:2}: cost {total / len(train):.4f}, {accuracy:.2%} of the test images")

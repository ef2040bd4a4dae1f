"""A training step as the program that a person would write from the book.

mg.compile runs the step once and writes down what it does: forward, backward by the same rules, and the update. From
then on it runs the program below, which has the four equations in it, and comes to the same weights, bit for bit.

    python examples/compiled_step.py
"""

import argparse
from time import perf_counter

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import Digits
from microgradnet.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="one epoch, to see that it runs")
epochs = 1 if parser.parse_args().fast else 20
data = TensorDataset(*map(mg.tensor, Digits(train=True).arrays()))


def train(how):
    """(seconds, the step, the weights it comes to); `how` turns a step into the one that is used."""
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 30), nn.Sigmoid(), nn.Linear(30, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.5)

    @how
    def step(x, y):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    start = perf_counter()
    for _ in range(epochs):
        for x, y in DataLoader(data, batch_size=10, shuffle=True):
            step(x, y)
    return perf_counter() - start, step, model.state_dict()


eager_seconds, _, eager = train(lambda step: step)
seconds, step, weights = train(mg.compile)
print(step.program())
print(f"eager {eager_seconds:.2f} s, compiled {seconds:.2f} s; both with the loader of the data")
print("the same weights:", all((eager[name] == weights[name]).all() for name in weights))

"""The two networks for MNIST of the book "Neural Networks and Deep Learning", with its data, its start and its descent.

30:  784-30-10, sigmoid, quadratic cost, eta = 3, m = 10 (chapter 1; the book's best: 95.42 %).
100: 784-100-10, sigmoid, cross-entropy, eta = 0.5, lambda = 5, m = 10 (chapter 3; the book's best: 97.92 %).

    python examples/book_mnist.py --network 100 --root FOLDER
"""

import argparse
import os
import sys

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import MNIST
from microgradnet.trainer import Trainer
from microgradnet.utils.data import TensorDataset

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--network", type=int, choices=[30, 100], help="(default: one after the other)")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--seed", type=int, default=2)
parser.add_argument("--root", default=os.environ.get("MICROGRADNET_MNIST"), help="(default: $MICROGRADNET_MNIST)")
parser.add_argument("--fast", action="store_true", help="one epoch over 2,000 images, to see that it runs")
options = parser.parse_args()
if options.root is None:
    sys.exit("book_mnist.py: give the folder of MNIST's files by --root, or set MICROGRADNET_MNIST")

train, test = (MNIST(options.root, train).arrays(dtype=mg.float64) for train in (True, False))
n = 2_000 if options.fast else 50_000  # the book keeps the last 10,000 for choosing its hyper-parameters
epochs = 1 if options.fast else options.epochs


def dataset(images, labels):
    y = nn.functional.one_hot(mg.tensor(labels), 10)
    return TensorDataset(mg.tensor(images), y.to(mg.float64))


def start(layer, divide):
    """Weights and biases from N(0, 1); weights of N(0, 1/n_in) where the sum over n_in inputs shall stay of order 1."""
    nn.init.normal_(layer.weight, std=layer.in_features**-0.5 if divide else 1.0)
    nn.init.normal_(layer.bias)


cross_entropy = nn.BCEWithLogitsLoss(reduction="sum")  # the output layer's sigmoid is within


def network_30():
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    return model, nn.QuadraticLoss(), 3.0, 0.0


def network_100():
    model = nn.Sequential(nn.Linear(784, 100), nn.Sigmoid(), nn.Linear(100, 10))
    return model, lambda z, y: cross_entropy(z, y) / len(y), 0.5, 5.0


for hidden in [options.network] if options.network else [30, 100]:
    generator = mg.manual_seed(options.seed)
    model, cost, eta, lmbda = {30: network_30, 100: network_100}[hidden]()
    layers = [layer for layer in model.double() if isinstance(layer, nn.Linear)]
    for layer in layers:
        start(layer, divide=hidden == 100)
    # w <- (1 - eta lambda / n) w - eta dC/dw: the regularisation is of the weights, not of the biases.
    optimizer = optim.SGD([{"params": [layer.weight for layer in layers], "weight_decay": lmbda / n},
                           {"params": [layer.bias for layer in layers]}], lr=eta)
    trainer = Trainer(model, cost, optimizer, dataset(train[0][:n], train[1][:n]), dataset(*test), 10, generator)
    print(f"784-{hidden}-10, eta = {eta}, lambda = {lmbda}, seed {options.seed}")
    trainer.fit(epochs, lambda epoch: print(f"epoch {epoch.epoch:2}: {epoch.test_accuracy:.2%} of the test images, "
                                            f"{epoch.seconds:.1f} s", flush=True))
    print(f"best: {trainer.best.test_accuracy:.2%} in epoch {trainer.best.epoch}\n")

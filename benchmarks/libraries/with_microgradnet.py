"""The workloads as users of microgradnet write them."""

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.utils.data import DataLoader, TensorDataset

from .shared import copy_into


def nndl(weights, biases, x, y, lr):
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    copy_into(model, weights, biases, mg)
    loss_fn = nn.QuadraticLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    x, y = mg.from_numpy(x), mg.from_numpy(y)

    def step():
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [p.detach().numpy() for p in model.parameters()]


def classifier(weights, biases, x, labels, optimizer, lr):
    layers = []
    for w in weights:
        layers += [nn.Linear(w.shape[1], w.shape[0]), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    copy_into(model, weights, biases, mg)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[optimizer](model.parameters(), lr=lr)
    x, labels = mg.from_numpy(x), mg.from_numpy(labels)

    def step():
        optimizer.zero_grad()
        loss = loss_fn(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [p.detach().numpy() for p in model.parameters()]


def chain(x, w, b):
    x, w, b = (mg.tensor(value, requires_grad=True) for value in (x, w, b))

    def step():
        x.grad = w.grad = b.grad = None
        a = x
        for _ in range(333):
            a = mg.tanh(a * w + b)
        loss = a * w
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in (x, w, b)]


def elem(x, y, z):
    x, y, z = (mg.tensor(value, requires_grad=True) for value in (x, y, z))

    def step():
        x.grad = y.grad = z.grad = None
        loss = mg.tanh(x * y + z).sum()
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in (x, y, z)]


def conv(w1, b1, w2, b2, x):
    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3))
    copy_into(model, (w1, w2), (b1, b2), mg)
    x = mg.from_numpy(x)

    def step():
        model.zero_grad()
        y = model(x)
        loss = (y * y).mean()
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in model.parameters()]


def epoch(weights, biases, x, y, lr, compiled=lambda step: step):
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    copy_into(model, weights, biases, mg)
    loss_fn = nn.QuadraticLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    loader = DataLoader(TensorDataset(mg.from_numpy(x), mg.from_numpy(y)), batch_size=10, shuffle=True)

    @compiled
    def train(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def step():
        for x, y in loader:
            loss = train(x, y)
        return loss

    return step, lambda: [p.detach().numpy() for p in model.parameters()]


def op(x, y):
    x, y = (mg.tensor(value, requires_grad=True) for value in (x, y))
    product = []

    def step():
        product[:] = [x * y]
        return product[0]

    return step, lambda: [product[0].detach().numpy()]

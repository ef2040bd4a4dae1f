"""The workloads in HIPS autograd: the cost in its NumPy, the update by hand."""

import autograd.numpy as np
import numpy
from autograd import value_and_grad

from . import by_hand


def training(cost, weights, biases, optimizer, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    params = [p for layer in zip(weights, biases) for p in layer]
    m, v = ([numpy.zeros_like(p) for p in params] for _ in range(2))
    cost_and_grads, t = value_and_grad(cost), 0

    def step():
        nonlocal t
        t += 1
        loss, grads = cost_and_grads(params)
        for i, (p, g) in enumerate(zip(params, grads)):
            if optimizer == "sgd":
                p -= lr * g
                continue
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            p -= lr * (m[i] / (1 - beta1**t)) / (numpy.sqrt(v[i] / (1 - beta2**t)) + eps)
        return loss

    return step, lambda: params


def nndl(weights, biases, x, y, lr):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def cost(params):
        w1, b1, w2, b2 = params
        a = sigmoid(np.dot(sigmoid(np.dot(x, w1.T) + b1), w2.T) + b2)
        return 0.5 * np.sum((a - y) ** 2) / len(x)

    return training(cost, weights, biases, "sgd", lr)


def classifier(weights, biases, x, labels, optimizer, lr):
    rows = numpy.arange(len(x))

    def cost(params):
        a = x
        for w, b in zip(params[:-2:2], params[1:-2:2]):
            a = np.maximum(np.dot(a, w.T) + b, 0)
        z = np.dot(a, params[-2].T) + params[-1]
        z = z - np.max(z, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[rows, labels])

    return training(cost, weights, biases, optimizer, lr)


def gradients(function, *arguments):
    value_and_gradients = value_and_grad(function, argnum=tuple(range(len(arguments))))
    found = []

    def step():
        loss, found[:] = value_and_gradients(*arguments)
        return loss

    return step, lambda: found


def chain(x, w, b):
    def value(x, w, b):
        a = x
        for _ in range(333):
            a = np.tanh(a * w + b)
        return a * w

    return gradients(value, x, w, b)


def elem(x, y, z):
    return gradients(lambda x, y, z: np.sum(np.tanh(x * y + z)), x, y, z)


def epoch(*arguments):
    return by_hand.epoch(*arguments, nndl=nndl)

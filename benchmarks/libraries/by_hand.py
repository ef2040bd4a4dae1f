"""The workloads by hand in NumPy, as in a tutorial: an expression for each formula, without buffers."""

import numpy as np


def nndl(weights, biases, x, y, lr):
    (w1, w2), (b1, b2) = weights, biases
    n = len(x)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def step():
        nonlocal w1, b1, w2, b2
        a1 = sigmoid(x @ w1.T + b1)
        a2 = sigmoid(a1 @ w2.T + b2)
        loss = 0.5 * np.sum((a2 - y) ** 2) / n

        delta2 = (a2 - y) / n * a2 * (1 - a2)
        dw2 = delta2.T @ a1
        db2 = delta2.sum(axis=0)
        delta1 = (delta2 @ w2) * a1 * (1 - a1)
        dw1 = delta1.T @ x
        db1 = delta1.sum(axis=0)

        w1 -= lr * dw1
        b1 -= lr * db1
        w2 -= lr * dw2
        b2 -= lr * db2
        return loss

    return step, lambda: [w1, b1, w2, b2]


def classifier(weights, biases, x, labels, optimizer, lr):
    params = [p for layer in zip(weights, biases) for p in layer]
    n, rows = len(x), np.arange(len(x))
    m = [np.zeros_like(p) for p in params]
    v = [np.zeros_like(p) for p in params]
    t = 0

    def sgd(grads):
        for p, g in zip(params, grads):
            p -= lr * g

    def adam(grads, beta1=0.9, beta2=0.999, eps=1e-8):
        nonlocal t
        t += 1
        for i, (p, g) in enumerate(zip(params, grads)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            p -= lr * m_hat / (np.sqrt(v_hat) + eps)

    update = {"sgd": sgd, "adam": adam}[optimizer]

    def step():
        activations = [x]
        for w, b in zip(weights[:-1], biases[:-1]):
            activations.append(np.maximum(activations[-1] @ w.T + b, 0))
        logits = activations[-1] @ weights[-1].T + biases[-1]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(probabilities[rows, labels]).mean()

        delta = probabilities
        delta[rows, labels] -= 1
        delta /= n
        grads = []
        for layer in reversed(range(len(weights))):
            grads = [delta.T @ activations[layer], delta.sum(axis=0), *grads]
            if layer > 0:
                delta = (delta @ weights[layer]) * (activations[layer] > 0)
        update(grads)
        return loss

    return step, lambda: params


def chain(x, w, b):
    gradients = []

    def step():
        a, inputs = x, []
        for _ in range(333):
            inputs.append(a)
            a = np.tanh(a * w + b)
        loss = a * w

        da, dw, db = w, a, np.float32(0)
        for a_in in reversed(inputs):
            dz = da * (1 - a * a)
            dw += dz * a_in
            db += dz
            da = dz * w
            a = a_in
        gradients[:] = da, dw, db
        return loss

    return step, lambda: gradients


def elem(x, y, z):
    gradients = []

    def step():
        t = np.tanh(x * y + z)
        loss = t.sum()
        dz = 1 - t * t
        gradients[:] = dz * y, dz * x, dz
        return loss

    return step, lambda: gradients


def conv(w1, b1, w2, b2, x):
    n, gradients = len(x), []
    rows1, rows2 = w1.reshape(32, 9), w2.reshape(64, 32 * 9)

    def columns(x):
        """Every 3 × 3 window of each image as a column: im2col."""
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, 9 * x.shape[1], -1)

    def step():
        columns1 = columns(x)
        z = rows1 @ columns1 + b1[:, None]
        columns2 = columns(np.maximum(z, 0).reshape(n, 32, 26, 26))
        y = rows2 @ columns2 + b2[:, None]
        loss = (y * y).mean()

        dy = 2 * y / y.size
        dw2 = (dy @ columns2.transpose(0, 2, 1)).sum(axis=0)
        db2 = dy.sum(axis=(0, 2))
        dcolumns = (rows2.T @ dy).reshape(n, 32, 3, 3, 24, 24)
        da = np.zeros((n, 32, 26, 26), np.float32)
        for i in range(3):
            for j in range(3):
                da[:, :, i : i + 24, j : j + 24] += dcolumns[:, :, i, j]
        dz = da.reshape(z.shape) * (z > 0)
        dw1 = (dz @ columns1.transpose(0, 2, 1)).sum(axis=0)
        db1 = dz.sum(axis=(0, 2))
        gradients[:] = dw1.reshape(w1.shape), db1, dw2.reshape(w2.shape), db2
        return loss

    return step, lambda: gradients


def epoch(weights, biases, x, y, lr, nndl=nndl):
    data, labels, rng, losses = x, y, np.random.default_rng(0), []
    x, y = np.empty((10, 784), np.float32), np.empty((10, 10), np.float32)
    train, results = nndl(weights, biases, x, y, lr)

    def step():
        order = rng.permutation(len(data))
        for start in range(0, len(data), 10):
            batch = order[start : start + 10]
            np.take(data, batch, axis=0, out=x)
            np.take(labels, batch, axis=0, out=y)
            losses[:] = [train()]
        return losses[0]

    return step, results


def op(x, y):
    product = []

    def step():
        product[:] = [x * y]
        return product[0]

    return step, lambda: product

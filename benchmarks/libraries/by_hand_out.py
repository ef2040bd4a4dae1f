"""The workloads by hand in NumPy with every array made beforehand, and written into by `out=`."""

import numpy as np

from . import by_hand


def nndl(weights, biases, x, y, lr):
    (w1, w2), (b1, b2) = weights, biases
    n, like = len(x), np.empty_like
    a1, a2, error, delta1, slope1, slope2 = (np.empty((n, b.size), x.dtype) for b in (b1, b2, b2, b1, b1, b2))
    dw1, dw2, db1, db2 = like(w1), like(w2), like(b1), like(b2)

    def layer(a, w, b, out):
        np.dot(a, w.T, out=out)
        out += b
        np.negative(out, out=out)
        np.exp(out, out=out)
        out += 1
        np.reciprocal(out, out=out)

    def times_slope(delta, a, slope):
        np.subtract(1, a, out=slope)
        slope *= a
        delta *= slope

    def step():
        layer(x, w1, b1, a1)
        layer(a1, w2, b2, a2)
        np.subtract(a2, y, out=error)
        loss = 0.5 * np.vdot(error, error) / n

        np.divide(error, n, out=error)
        times_slope(error, a2, slope2)
        np.dot(error.T, a1, out=dw2)
        np.sum(error, axis=0, out=db2)
        np.dot(error, w2, out=delta1)
        times_slope(delta1, a1, slope1)
        np.dot(delta1.T, x, out=dw1)
        np.sum(delta1, axis=0, out=db1)

        for p, g in (w1, dw1), (b1, db1), (w2, dw2), (b2, db2):
            np.multiply(g, lr, out=g)
            p -= g
        return loss

    return step, lambda: [w1, b1, w2, b2]


def classifier(weights, biases, x, labels, optimizer, lr):
    params = [p for layer in zip(weights, biases) for p in layer]
    n, rows = len(x), np.arange(len(x))
    activations = [x, *(np.empty((n, len(w)), x.dtype) for w in weights)]
    deltas = [np.empty_like(a) for a in activations[1:]]
    masks = [np.empty(a.shape, bool) for a in activations[1:-1]]
    largest, total = np.empty((n, 1), x.dtype), np.empty((n, 1), x.dtype)
    grads, scratch = [np.empty_like(p) for p in params], [np.empty_like(p) for p in params]
    m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    t = 0

    def sgd():
        for p, g in zip(params, grads):
            g *= lr
            p -= g

    def adam(beta1=0.9, beta2=0.999, eps=1e-8):
        nonlocal t
        t += 1
        correction = (1 - beta2**t) ** 0.5
        for p, g, s, m_p, v_p in zip(params, grads, scratch, m, v):
            m_p *= beta1
            m_p += np.multiply(g, 1 - beta1, out=s)
            v_p *= beta2
            g *= g
            v_p += np.multiply(g, 1 - beta2, out=s)
            np.sqrt(v_p, out=s)
            s += eps * correction
            np.divide(m_p, s, out=s)
            s *= lr * correction / (1 - beta1**t)
            p -= s

    update = {"sgd": sgd, "adam": adam}[optimizer]

    def step():
        for layer, (w, b) in enumerate(zip(weights, biases)):
            z = np.dot(activations[layer], w.T, out=activations[layer + 1])
            z += b
            if layer < len(weights) - 1:
                np.maximum(z, 0, out=z)
        p = activations[-1]
        np.max(p, axis=1, keepdims=True, out=largest)
        p -= largest
        np.exp(p, out=p)
        np.sum(p, axis=1, keepdims=True, out=total)
        p /= total
        loss = -np.log(p[rows, labels]).mean()

        p[rows, labels] -= 1
        delta = np.divide(p, n, out=deltas[-1])
        for layer in reversed(range(len(weights))):
            np.dot(delta.T, activations[layer], out=grads[2 * layer])
            np.sum(delta, axis=0, out=grads[2 * layer + 1])
            if layer > 0:
                delta = np.dot(delta, weights[layer], out=deltas[layer - 1])
                delta *= np.greater(activations[layer], 0, out=masks[layer - 1])
        update()
        return loss

    return step, lambda: params


def chain(x, w, b):
    inputs, gradients = np.empty(334, x.dtype), np.zeros(3, x.dtype)
    cells = [inputs[i : i + 1].reshape(()) for i in range(334)]
    da, dz, s = (np.empty((), x.dtype) for _ in range(3))
    dx, dw, db = (gradients[i : i + 1].reshape(()) for i in range(3))

    def step():
        cells[0][...] = x
        for a, z in zip(cells, cells[1:]):
            np.multiply(a, w, out=z)
            np.add(z, b, out=z)
            np.tanh(z, out=z)
        loss = cells[-1] * w

        da[...], dw[...], db[...] = w, cells[-1], 0
        for a_in, a in zip(cells[-2::-1], cells[:0:-1]):
            np.multiply(a, a, out=s)
            np.subtract(1, s, out=s)
            np.multiply(da, s, out=dz)
            np.multiply(dz, a_in, out=s)
            np.add(dw, s, out=dw)
            np.add(db, dz, out=db)
            np.multiply(dz, w, out=da)
        dx[...] = da
        return loss

    return step, lambda: [dx, dw, db]


def elem(x, y, z):
    t, dx, dy, dz = (np.empty_like(x) for _ in range(4))

    def step():
        np.multiply(x, y, out=t)
        np.add(t, z, out=t)
        np.tanh(t, out=t)
        loss = t.sum()
        np.multiply(t, t, out=dz)
        np.subtract(1, dz, out=dz)
        np.multiply(dz, y, out=dx)
        np.multiply(dz, x, out=dy)
        return loss

    return step, lambda: [dx, dy, dz]


def epoch(*arguments):
    return by_hand.epoch(*arguments, nndl=nndl)

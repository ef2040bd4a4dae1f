"""The nine workloads, written once for every library.

A function `<program>_<library>` gets the arrays to start from and returns `step, results`: `step()` makes one training
step and returns the loss, `results()` the arrays in which the libraries must agree: the parameters of a network, the
gradients of the others. Every library starts from the same seeded arrays, float32 throughout, and is written as its
users write it; NumPy as in a tutorial, without buffers. Weights have shape (out, in).
"""

from __future__ import annotations

import itertools

import numpy as np

LIBRARIES = ("numpy", "microgradnet", "torch", "jax")

CLASSIFIERS = {  # name: (sizes, batch, optimizer); ReLU and cross-entropy
    "small": ((784, 100, 10), 32, "sgd"),
    "medium": ((784, 512, 512, 10), 128, "sgd"),
    "wide": ((2048,) * 5, 256, "sgd"),
    "deep": ((32,) * 21, 16, "sgd"),
    "adam-small": ((784, 100, 10), 32, "adam"),
}
WORKLOADS = ("nndl", *CLASSIFIERS, "chain", "elem", "conv")


def build(workload, library, lr):
    """`step, results` of one workload in one library."""
    nndl, classifier, chain, elem, conv = PROGRAMS[library]
    rng = np.random.default_rng(0)
    if workload == "chain":  # values for which 1,000 operations neither lose nor blow up the gradient
        return chain(*(np.array(value, np.float32) for value in (0.5, 1.0, 1e-4)))
    if workload == "elem":
        return elem(*rng.standard_normal((3, 1_000_000), dtype=np.float32))
    if workload == "conv":
        shapes = (32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (32, 1, 28, 28)
        return conv(*(rng.uniform(-1, 1, shape).astype(np.float32) / 9 for shape in shapes))
    sizes, batch, optimizer = CLASSIFIERS.get(workload, ((784, 30, 10), 10, "sgd"))
    weights, biases = [], []
    for n_in, n_out in itertools.pairwise(sizes):
        weights.append(rng.standard_normal((n_out, n_in), dtype=np.float32) * np.float32((2 / n_in) ** 0.5))
        biases.append(rng.standard_normal(n_out, dtype=np.float32) * np.float32(0.1))
    x = rng.random((batch, sizes[0]), dtype=np.float32)
    labels = rng.integers(sizes[-1], size=batch)
    if workload == "nndl":
        return nndl(weights, biases, x, np.eye(10, dtype=np.float32)[labels], lr)
    return classifier(weights, biases, x, labels, optimizer, lr)


# nndl: 784-30-10, sigmoid, the quadratic cost ½‖a − y‖² averaged over the batch, SGD


def nndl_numpy(weights, biases, x, y, lr):
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


def nndl_microgradnet(weights, biases, x, y, lr):
    import microgradnet as mg
    from microgradnet import nn, optim

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


def nndl_torch(weights, biases, x, y, lr):
    import torch
    from torch import nn, optim

    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    copy_into(model, weights, biases, torch)
    loss_fn = nn.MSELoss(reduction="sum")
    optimizer = optim.SGD(model.parameters(), lr=lr)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    n = len(x)

    def step():
        optimizer.zero_grad()
        loss = loss_fn(model(x), y) / (2 * n)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [p.detach().numpy() for p in model.parameters()]


def nndl_jax(weights, biases, x, y, lr):
    import jax

    def cost(params):
        (w1, b1), (w2, b2) = params
        a = jax.nn.sigmoid(x @ w1.T + b1)
        a = jax.nn.sigmoid(a @ w2.T + b2)
        return 0.5 * ((a - y) ** 2).sum() / len(x)

    return training_jax(cost, weights, biases, "sgd", lr)


# small, medium, wide, deep, adam-small: ReLU, cross-entropy, SGD or Adam


def classifier_numpy(weights, biases, x, labels, optimizer, lr):
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


def classifier_microgradnet(weights, biases, x, labels, optimizer, lr):
    import microgradnet as mg
    from microgradnet import nn, optim

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


def classifier_torch(weights, biases, x, labels, optimizer, lr):
    import torch
    from torch import nn, optim

    layers = []
    for w in weights:
        layers += [nn.Linear(w.shape[1], w.shape[0]), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    copy_into(model, weights, biases, torch)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[optimizer](model.parameters(), lr=lr)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)

    def step():
        optimizer.zero_grad()
        loss = loss_fn(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, lambda: [p.detach().numpy() for p in model.parameters()]


def classifier_jax(weights, biases, x, labels, optimizer, lr):
    import jax
    import jax.numpy as jnp

    def cost(params):
        a = x
        for w, b in params[:-1]:
            a = jax.nn.relu(a @ w.T + b)
        w, b = params[-1]
        log_probabilities = jax.nn.log_softmax(a @ w.T + b)
        return -log_probabilities[jnp.arange(len(x)), labels].mean()

    return training_jax(cost, weights, biases, optimizer, lr)


# chain: 333 times multiply, add, tanh, and one more multiplication on scalars, with the gradients of x, w and b


def chain_numpy(x, w, b):
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


def chain_microgradnet(x, w, b):
    import microgradnet as mg

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


def chain_torch(x, w, b):
    import torch

    x, w, b = (torch.tensor(value, requires_grad=True) for value in (x, w, b))

    def step():
        x.grad = w.grad = b.grad = None
        a = x
        for _ in range(333):
            a = torch.tanh(a * w + b)
        loss = a * w
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in (x, w, b)]


def chain_jax(x, w, b):
    import jax
    import jax.numpy as jnp

    def value(x, w, b):
        a = x
        for _ in range(333):
            a = jnp.tanh(a * w + b)
        return a * w

    return gradients_jax(jax, value, x, w, b)


# elem: tanh(x·y + z).sum() on a million elements, with its three gradients


def elem_numpy(x, y, z):
    gradients = []

    def step():
        t = np.tanh(x * y + z)
        loss = t.sum()
        dz = 1 - t * t
        gradients[:] = dz * y, dz * x, dz
        return loss

    return step, lambda: gradients


def elem_microgradnet(x, y, z):
    import microgradnet as mg

    x, y, z = (mg.tensor(value, requires_grad=True) for value in (x, y, z))

    def step():
        x.grad = y.grad = z.grad = None
        loss = mg.tanh(x * y + z).sum()
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in (x, y, z)]


def elem_torch(x, y, z):
    import torch

    x, y, z = (torch.tensor(value, requires_grad=True) for value in (x, y, z))

    def step():
        x.grad = y.grad = z.grad = None
        loss = torch.tanh(x * y + z).sum()
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in (x, y, z)]


def elem_jax(x, y, z):
    import jax
    import jax.numpy as jnp

    return gradients_jax(jax, lambda x, y, z: jnp.tanh(x * y + z).sum(), x, y, z)


# conv: 32 images of 28 × 28 through 3 × 3 convolutions to 32 and 64 channels with a ReLU between, the mean square of
# the result, and its gradients by weights and biases: the convolutions of PyTorch's MNIST example


def conv_numpy(w1, b1, w2, b2, x):
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


def conv_microgradnet(w1, b1, w2, b2, x):
    import microgradnet as mg
    from microgradnet import nn

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


def conv_torch(w1, b1, w2, b2, x):
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3))
    copy_into(model, (w1, w2), (b1, b2), torch)
    x = torch.from_numpy(x)

    def step():
        model.zero_grad()
        y = model(x)
        loss = (y * y).mean()
        loss.backward()
        return loss

    return step, lambda: [p.grad.numpy() for p in model.parameters()]


def conv_jax(w1, b1, w2, b2, x):
    import jax

    def value(w1, b1, w2, b2):
        z = jax.lax.conv(x, w1, (1, 1), "VALID") + b1[:, None, None]
        y = jax.lax.conv(jax.nn.relu(z), w2, (1, 1), "VALID") + b2[:, None, None]
        return (y * y).mean()

    return gradients_jax(jax, value, w1, b1, w2, b2)


# what several of the above need


def copy_into(model, weights, biases, torch):
    """Start a model of PyTorch or of microgradnet from the given arrays."""
    arrays = [array for layer in zip(weights, biases) for array in layer]
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), arrays):
            parameter.copy_(torch.from_numpy(array))


def training_jax(cost, weights, biases, optimizer, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    import jax
    import jax.numpy as jnp

    params = [(jnp.array(w), jnp.array(b)) for w, b in zip(weights, biases)]
    m = v = jax.tree.map(jnp.zeros_like, params)
    t = 0

    @jax.jit
    def sgd(params, m, v, t):
        loss, grads = jax.value_and_grad(cost)(params)
        return loss, jax.tree.map(lambda p, g: p - lr * g, params, grads), m, v

    @jax.jit
    def adam(params, m, v, t):
        loss, grads = jax.value_and_grad(cost)(params)
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, grads)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g**2, v, grads)
        m_hat = jax.tree.map(lambda m: m / (1 - beta1**t), m)
        v_hat = jax.tree.map(lambda v: v / (1 - beta2**t), v)
        return loss, jax.tree.map(lambda p, m, v: p - lr * m / (jnp.sqrt(v) + eps), params, m_hat, v_hat), m, v

    update = {"sgd": sgd, "adam": adam}[optimizer]

    def step():
        nonlocal params, m, v, t
        t += 1
        loss, params, m, v = update(params, m, v, t)
        return jax.block_until_ready(loss)

    return step, lambda: [np.asarray(p) for p in jax.tree.leaves(params)]


def gradients_jax(jax, function, *arguments):
    arguments = [jax.numpy.array(argument) for argument in arguments]
    value_and_grad = jax.jit(jax.value_and_grad(function, argnums=tuple(range(len(arguments)))))
    gradients = []

    def step():
        loss, gradients[:] = value_and_grad(*arguments)
        return jax.block_until_ready(loss)

    return step, lambda: [np.asarray(gradient) for gradient in gradients]


PROGRAMS = {
    "numpy": (nndl_numpy, classifier_numpy, chain_numpy, elem_numpy, conv_numpy),
    "microgradnet": (
        nndl_microgradnet, classifier_microgradnet, chain_microgradnet, elem_microgradnet, conv_microgradnet,
    ),
    "torch": (nndl_torch, classifier_torch, chain_torch, elem_torch, conv_torch),
    "jax": (nndl_jax, classifier_jax, chain_jax, elem_jax, conv_jax),
}  # fmt: skip

"""The workloads in JAX, under jit."""

import jax
import jax.numpy as jnp
import numpy as np


def nndl(weights, biases, x, y, lr):
    def cost(params):
        (w1, b1), (w2, b2) = params
        a = jax.nn.sigmoid(x @ w1.T + b1)
        a = jax.nn.sigmoid(a @ w2.T + b2)
        return 0.5 * ((a - y) ** 2).sum() / len(x)

    return training(cost, weights, biases, "sgd", lr)


def classifier(weights, biases, x, labels, optimizer, lr):
    def cost(params):
        a = x
        for w, b in params[:-1]:
            a = jax.nn.relu(a @ w.T + b)
        w, b = params[-1]
        log_probabilities = jax.nn.log_softmax(a @ w.T + b)
        return -log_probabilities[jnp.arange(len(x)), labels].mean()

    return training(cost, weights, biases, optimizer, lr)


def chain(x, w, b):
    def value(x, w, b):
        a = x
        for _ in range(333):
            a = jnp.tanh(a * w + b)
        return a * w

    return gradients(value, x, w, b)


def elem(x, y, z):
    return gradients(lambda x, y, z: jnp.tanh(x * y + z).sum(), x, y, z)


def conv(w1, b1, w2, b2, x):
    def value(w1, b1, w2, b2):
        z = jax.lax.conv(x, w1, (1, 1), "VALID") + b1[:, None, None]
        y = jax.lax.conv(jax.nn.relu(z), w2, (1, 1), "VALID") + b2[:, None, None]
        return (y * y).mean()

    return gradients(value, w1, b1, w2, b2)


def training(cost, weights, biases, optimizer, lr, beta1=0.9, beta2=0.999, eps=1e-8):
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


def gradients(function, *arguments):
    arguments = [jax.numpy.array(argument) for argument in arguments]
    value_and_grad = jax.jit(jax.value_and_grad(function, argnums=tuple(range(len(arguments)))))
    gradients = []

    def step():
        loss, gradients[:] = value_and_grad(*arguments)
        return jax.block_until_ready(loss)

    return step, lambda: [np.asarray(gradient) for gradient in gradients]

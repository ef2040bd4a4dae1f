"""The book in closed form: each equation, activation and cost against a referee that knows nothing of it."""

import ast
import copy
import math
from pathlib import Path

import numpy as np
import pytest

from microgradnet import backprop
from microgradnet.backprop import (
    Activation,
    Cost,
    Network,
    bp1,
    bp1_jacobian,
    bp2,
    bp3,
    bp4,
    central_differences,
    default_weights,
    large_weights,
    one_hot,
)
from microgradnet.backprop import (
    network as network_module,
)
from microgradnet.backprop.activations import (
    elu,
    elu_with,
    gelu,
    gelu_tanh,
    identity,
    leaky_relu,
    leaky_relu_with,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softplus_with,
    tanh,
)
from microgradnet.backprop.costs import (
    binary_cross_entropy,
    cross_entropy,
    log_likelihood,
    mean_squared_error,
    quadratic,
)

ELEMENTWISE = [sigmoid, tanh, identity, relu, leaky_relu, leaky_relu_with(0.3), elu, elu_with(0.7), silu, gelu,
               gelu_tanh, softplus, softplus_with(2.0)]
COSTS = [quadratic, mean_squared_error, cross_entropy, binary_cross_entropy, log_likelihood]
PAIRS = [(sigma, cost) for sigma in [*ELEMENTWISE, softmax] for cost in (quadratic, mean_squared_error)] + [
    (sigma, cost) for sigma in (sigmoid, softmax) for cost in (cross_entropy, binary_cross_entropy, log_likelihood)]


def close(actual, expected, tolerance=1e-8):
    """Equal to `tolerance` of the largest entry."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-3, np.abs(expected).max()))


def a_network(sizes, hidden, output, cost, seed=0, dtype=np.float64):
    activations = [hidden] * (len(sizes) - 2) + [output]
    return Network(*default_weights(sizes, np.random.default_rng(seed), dtype), activations, cost)


def some_data(net, m=6, seed=1):
    """Inputs, and targets that are a distribution over the outputs, which suits every cost."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((m, net.sizes[1])), rng.uniform(0.1, 1, (m, net.sizes[net.L]))
    return x.astype(net.dtype), (y / y.sum(axis=1, keepdims=True)).astype(net.dtype)


def by_referee(net, X, Y):
    """The gradients and errors of a batch, by central differences of the cost alone."""
    def cost_with(parameters, l, value):
        changed = copy.copy(net)
        setattr(changed, parameters, getattr(net, parameters) | {l: value})
        return changed.total_cost(X, Y)

    z, _ = net.feedforward(X)
    return backprop.Gradients(
        {l: central_differences(lambda b, l=l: cost_with("b", l, b), b) for l, b in net.b.items()},
        {l: central_differences(lambda w, l=l: cost_with("w", l, w), w) for l, w in net.w.items()},
        {l: len(X) * central_differences(lambda v, l=l: net.cost_from(l, v, Y), z[l]) for l in z})


def agree(gradients, referee, tolerance=1e-7):
    for ours, theirs in zip(gradients, referee, strict=True):
        assert ours.keys() == theirs.keys()
        for l in ours:
            close(ours[l], theirs[l], tolerance)


# The equations

@pytest.mark.parametrize("sigma", ELEMENTWISE, ids=repr)
def test_bp1(sigma):
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((2, 5))
    referee = central_differences(lambda z: np.sum((sigma(z) - y) ** 2) / 2, z)
    close(bp1(sigma(z) - y, sigma.prime(z)), referee)


def test_bp1_with_the_jacobian_of_softmax():
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((2, 5))
    referee = central_differences(lambda z: np.sum((softmax(z) - y) ** 2) / 2, z)
    close(bp1_jacobian(softmax(z) - y, softmax.prime(z)), referee)


@pytest.mark.parametrize("sigma", ELEMENTWISE, ids=repr)
def test_bp2(sigma):
    rng = np.random.default_rng(0)
    w_next, z, delta_next = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
    referee = central_differences(lambda z: delta_next @ (w_next @ sigma(z)), z)  # a cost whose δ^(l+1) is delta_next
    close(bp2(w_next, delta_next, sigma.prime(z)), referee)


def test_bp3():
    rng = np.random.default_rng(0)
    z, b, delta = rng.standard_normal((3, 4))
    close(bp3(delta), central_differences(lambda b: delta @ (z + b), b))
    assert not np.shares_memory(bp3(delta), delta)


def test_bp4():
    rng = np.random.default_rng(0)
    w, a_prev, delta = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
    gradient = bp4(a_prev, delta)
    close(gradient, central_differences(lambda w: delta @ (w @ a_prev), w))
    assert gradient[2, 1] == a_prev[1] * delta[2]  # ∂C/∂w_jk = a_k δ_j


def test_the_equations_take_a_batch_by_rows():
    rng = np.random.default_rng(0)
    w, a_prev = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    delta, prime, jacobian = rng.standard_normal((5, 3)), rng.standard_normal((5, 4)), rng.standard_normal((5, 3, 3))
    for x in range(5):
        close(bp1(delta, delta)[x], bp1(delta[x], delta[x]), 1e-15)
        close(bp1_jacobian(delta, jacobian)[x], bp1_jacobian(delta[x], jacobian[x]), 1e-15)
        close(bp2(w, delta, prime)[x], bp2(w, delta[x], prime[x]), 1e-15)
    close(bp3(delta), sum(bp3(delta[x]) for x in range(5)) / 5, 1e-15)
    close(bp4(a_prev, delta), sum(bp4(a_prev[x], delta[x]) for x in range(5)) / 5, 1e-15)


@pytest.mark.parametrize("call, message", [
    (lambda: bp1(np.ones(3), np.ones((3, 1))), "bp1.*do not hold the same examples"),
    (lambda: bp1(np.ones((3, 1)), np.ones((3, 3))), "bp1: sigma_prime_z has shape .3, 3."),
    (lambda: bp1([1.0], np.ones(1)), "bp1: grad_a_C must be a NumPy array, got list"),
    (lambda: bp1(np.float64(1), np.ones(1)), "bp1: grad_a_C must be a NumPy array, got float64"),
    (lambda: bp1_jacobian(np.ones(3), np.ones(3)), "bp1_jacobian: jacobian has shape"),
    (lambda: bp2(np.ones((3, 4)), np.ones((3, 1)), np.ones((3, 4))), "bp2: delta_next has shape .3, 1..*must be 3"),
    (lambda: bp2(np.ones((3, 4)), np.ones(3), np.ones(1)), "bp2: sigma_prime_z has shape .1,..*must be 4"),
    (lambda: bp2(np.ones(3), np.ones(3), np.ones(1)), "bp2: w_next has shape .3,."),
    (lambda: bp3(np.ones((0, 3))), "bp3: delta has shape .0, 3."),
    (lambda: bp3(np.ones((2, 3, 1))), "bp3: delta has shape .2, 3, 1."),
    (lambda: bp4(np.ones((5, 4)), np.ones((6, 3))), "bp4: a_prev of shape .5, 4. and delta of shape .6, 3."),
    (lambda: bp4(np.ones((1, 4)), np.ones(3)), "bp4.*do not hold the same examples"),
])
def test_p53_the_equations_never_broadcast(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


# The referee

def test_central_differences_of_a_known_function():
    x = np.array([[0.3, -1.2], [2.0, 1e-3]])
    x.flags.writeable = False  # the caller's array is never touched, not even for a moment
    close(central_differences(lambda x: np.sin(x).sum(), x), np.cos(x), 1e-9)
    assert central_differences(lambda x: float(x**2), np.array(3.0), h=0.5) == 6.0  # 0-d, exact for a parabola


@pytest.mark.parametrize("f, x", [
    (lambda x: float(x.sum()), np.ones(2, np.float32)),
    (lambda x: x.sum(dtype=np.float32), np.ones(2)),
    (lambda x: x, np.ones(2)),
])
def test_central_differences_refuses_float32_and_vectors(f, x):
    with pytest.raises(TypeError, match="central_differences"):
        central_differences(f, x)


WRONG = {
    "bp2 without sigma'": ("bp2", lambda w, delta, prime: delta @ w),
    "bp2 with w of the wrong sign": ("bp2", lambda w, delta, prime: -(delta @ w) * prime),
    "bp3 of the sum": ("bp3", lambda delta: delta.sum(axis=0)),
    "bp4 off by a factor": ("bp4", lambda a, delta: 1.001 * bp4(a, delta)),
    "bp4 with the rows shuffled": ("bp4", lambda a, delta: bp4(a[::-1], delta)),
}


@pytest.mark.parametrize("name, wrong", WRONG.values(), ids=WRONG)
def test_the_referee_catches_a_wrong_equation(monkeypatch, name, wrong):
    net = a_network([3, 5, 4, 2], tanh, sigmoid, quadratic)
    X, Y = some_data(net)
    referee = by_referee(net, X, Y)
    agree(net.backprop_batch(X, Y), referee)
    monkeypatch.setattr(network_module, name, wrong)
    with pytest.raises(AssertionError):
        agree(net.backprop_batch(X, Y), referee)


# Activations

def _complex_erf(z):
    """erf by its Maclaurin series, in complex arithmetic."""
    terms = ((-1) ** k * z ** (2 * k + 1) / (math.factorial(k) * (2 * k + 1)) for k in range(60))
    return 2 / math.sqrt(math.pi) * sum(terms)


COMPLEX = {  # textbook formulas that a complex step can go through
    sigmoid: lambda z: 1 / (1 + np.exp(-z)),
    tanh: np.tanh,
    identity: lambda z: z,
    relu: lambda z: np.where(z.real > 0, z, 0),
    leaky_relu: lambda z: np.where(z.real > 0, z, 0.01 * z),
    elu: lambda z: np.where(z.real > 0, z, np.exp(z) - 1),
    silu: lambda z: z / (1 + np.exp(-z)),
    gelu: lambda z: z / 2 * (1 + _complex_erf(z / math.sqrt(2))),
    gelu_tanh: lambda z: z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))),
    softplus: lambda z: np.log(1 + np.exp(z)),
}


@pytest.mark.parametrize("sigma", COMPLEX, ids=repr)
def test_activation_and_its_derivative_by_complex_step(sigma):
    z = np.array([-3.1, -1.3, -0.4, -1e-3, 1e-3, 0.2, 0.9, 2.7])
    step = COMPLEX[sigma](z + 1e-30j)
    np.testing.assert_allclose(sigma(z), step.real, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sigma.prime(z), step.imag / 1e-30, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("sigma", [*ELEMENTWISE, softmax], ids=repr)
def test_derivative_by_central_differences(sigma):
    z = np.array([-2.3, -0.7, 0.4, 1.9])
    rows = [central_differences(lambda z, j=j: sigma(z)[j], z) for j in range(4)]
    close(sigma.prime(z) if sigma is softmax else np.diag(sigma.prime(z)), np.array(rows), 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [*ELEMENTWISE, softmax], ids=repr)
def test_activation_keeps_dtype_and_stays_finite_at_the_extremes(sigma, dtype):
    z = np.array([-1e4, -700, -40, 0, 40, 700, 1e4], dtype)
    with np.errstate(all="raise", under="ignore"):
        a, prime = sigma(z), sigma.prime(z)
    assert a.dtype == prime.dtype == dtype
    assert a.shape == z.shape and prime.shape == (z.shape if sigma.elementwise else (7, 7))
    assert np.isfinite(a).all() and np.isfinite(prime).all()
    assert sigma(z.reshape(1, 7)).shape == (1, 7)
    assert np.array_equal(z, np.array([-1e4, -700, -40, 0, 40, 700, 1e4], dtype))


def test_softplus_is_the_identity_above_its_threshold():
    z = np.array([9.9, 10.1, 50.0])
    sigma = softplus_with(2.0, threshold=20.0)
    assert sigma(z)[0] > z[0] and np.array_equal(sigma(z)[1:], z[1:])
    assert sigma.prime(z)[0] < 1 and np.array_equal(sigma.prime(z)[1:], [1, 1])


def test_p57_sigmoid_is_relatively_exact_in_both_tails():
    z = np.array([-700.0, -40.0, 40.0, 700.0])
    np.testing.assert_allclose(sigmoid(z)[:2], [math.exp(-700), math.exp(-40)], rtol=1e-15)
    np.testing.assert_allclose(sigmoid.prime(z), [math.exp(-abs(v)) for v in z], rtol=1e-15)
    np.testing.assert_allclose(tanh.prime(np.array([30.0])), 4 * math.exp(-60), rtol=1e-13)


def test_p64_kinks_as_in_pytorch():
    zero = np.array([0.0])
    assert relu.prime(zero) == 0 and leaky_relu.prime(zero) == 0.01 and elu_with(0.7).prime(zero) == 0.7


def test_gelu_keeps_its_left_tail():
    np.testing.assert_allclose(gelu(np.array([-10.0])), -10 * math.erfc(10 / math.sqrt(2)) / 2, rtol=1e-14)


def test_an_activation_of_ones_own():
    """The book's question: what if σ' never came near zero? Saturated neurons then keep learning."""
    never_flat = Activation("never_flat", lambda z: np.tanh(z) + 0.1 * z, lambda z: 1.1 - np.tanh(z) ** 2)
    net = a_network([3, 5, 2], never_flat, never_flat, quadratic)
    X, Y = some_data(net)
    agree(net.backprop_batch(X, Y), by_referee(net, X, Y))
    saturated = np.full(4, 30.0)
    assert (bp1(np.ones(4), never_flat.prime(saturated)) > 0.09).all()
    assert (bp1(np.ones(4), tanh.prime(saturated)) < 1e-20).all()
    assert sigmoid(np.array([1, 2])).dtype == np.float64  # integers become floats


# Costs

@pytest.mark.parametrize("cost", COSTS, ids=repr)
def test_grad_a_by_central_differences(cost):
    rng = np.random.default_rng(0)
    a, y = rng.uniform(0.1, 0.9, (2, 4))
    close(cost.grad_a(a, y), central_differences(lambda a: cost.f(a, y), a))


@pytest.mark.parametrize("sigma, cost", PAIRS, ids=repr)
def test_output_error_by_central_differences(sigma, cost):
    z = np.array([-1.2, 0.3, 0.8])
    y = np.array([0.2, 0.5, 0.3])
    close(cost.delta(sigma, z, sigma(z), y), central_differences(lambda z: cost.value(sigma, z, y), z))


@pytest.mark.parametrize("cost", [cross_entropy, binary_cross_entropy, log_likelihood], ids=repr)
def test_collapsed_forms_equal_the_general_ones(cost):
    sigma = cost.partner.sigma
    z = np.random.default_rng(0).standard_normal((4, 3))
    y = np.array([[1.0, 0, 0], [0, 1, 0], [0.2, 0.5, 0.3], [0, 0, 1]])
    a = sigma(z)
    general = Cost("general", cost.f, cost.grad_a)
    close(cost.delta(sigma, z, a, y), general.delta(sigma, z, a, y), 1e-14)
    close(cost.value(sigma, z, y), general.value(sigma, z, y), 1e-14)


def test_costs_by_hand():
    a, y = np.array([[0.5, 0.5], [0.8, 0.4]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(quadratic.f(a, y), [0.25, 0.2])
    np.testing.assert_allclose(mean_squared_error.f(a, y), [0.25, 0.2])  # two outputs: ½ Σ and the mean are the same
    np.testing.assert_allclose(cross_entropy.f(a, y), [2 * math.log(2), -math.log(0.8) - math.log(0.4)])
    np.testing.assert_allclose(binary_cross_entropy.f(a, y), cross_entropy.f(a, y) / 2)
    np.testing.assert_allclose(log_likelihood.f(a, y), [math.log(2), -math.log(0.8 * 0.4)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cost", [cross_entropy, binary_cross_entropy, log_likelihood], ids=repr)
def test_p59_cross_entropy_is_exact_where_outputs_saturate(cost, dtype):
    sigma = cost.partner.sigma
    z, y = np.array([1e4, -1e4], dtype), np.array([0, 1], dtype)  # certain, and wrong about both
    with np.errstate(all="raise", under="ignore"):
        wrong, right = cost.value(sigma, z, y), cost.value(sigma, -z, y)
        delta = cost.delta(sigma, z, sigma(z), y)
        certain = cost.f(y, y), cost.grad_a(y, y)  # 0 ln 0 = 0
    assert wrong == {cross_entropy: 2e4, binary_cross_entropy: 1e4, log_likelihood: 2e4}[cost] and right == 0
    assert delta.dtype == dtype and np.array_equal(np.abs(delta) / np.abs(delta).max(), [1, 1])
    assert certain[0] == 0 and np.isfinite(certain[1]).all()


def test_cross_entropy_keeps_the_small_cost_of_a_right_answer():
    value = cross_entropy.value(sigmoid, np.array([40.0]), np.array([1.0]))
    assert value == pytest.approx(math.exp(-40), rel=1e-14)


@pytest.mark.parametrize("cost, y, message", [
    (cross_entropy, [2.0, 0.0], "targets must lie in"),
    (log_likelihood, [1.0, 1.0], "must sum to 1"),
    (log_likelihood, [1.5, -0.5], "targets must lie in"),
])
def test_costs_refuse_targets_they_are_not_defined_for(cost, y, message):
    net = a_network([2, 2], None, cost.partner.sigma, cost)
    with pytest.raises(ValueError, match=message):
        net.backprop(np.ones(2), np.array(y))


def test_cross_entropy_refuses_outputs_that_are_no_probabilities():
    net = a_network([2, 2], None, identity, cross_entropy)
    with pytest.raises(ValueError, match="outputs must lie in"):
        net.backprop(np.array([30.0, -30.0]), np.array([1.0, 0.0]))


def test_p60_one_hot():
    assert np.array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    for labels in ([-1, 0], [0, 3]):
        with pytest.raises(ValueError, match="labels must lie in 0 … 2"):
            one_hot(np.array(labels), 3)
    with pytest.raises(TypeError, match="integer"):
        one_hot(np.array([0.5]), 3)


# The algorithm

@pytest.mark.parametrize("sigma, cost", PAIRS, ids=repr)
def test_backprop_by_central_differences(sigma, cost):
    net = a_network([3, 5, 4, 2], tanh, sigma, cost)
    X, Y = some_data(net)
    agree(net.backprop_batch(X, Y), by_referee(net, X, Y))


@pytest.mark.parametrize("hidden", ELEMENTWISE, ids=repr)
def test_backprop_through_every_hidden_activation(hidden):
    net = a_network([3, 5, 4, 2], hidden, sigmoid, cross_entropy, seed=3)
    X, Y = some_data(net)
    agree(net.backprop_batch(X, Y), by_referee(net, X, Y))


@pytest.mark.parametrize("seed", range(20))
def test_one_example_at_a_time_averages_to_the_batch(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 41, rng.integers(2, 9)).tolist()
    output, cost = PAIRS[rng.integers(len(PAIRS))]
    net = a_network(sizes, ELEMENTWISE[rng.integers(len(ELEMENTWISE))], output, cost, seed)
    X, Y = some_data(net, m=7)
    batch = net.backprop_batch(X, Y)
    single = [net.backprop(x, y) for x, y in zip(X, Y, strict=True)]
    for l in net.w:
        close(batch.nabla_w[l], sum(g.nabla_w[l] for g in single) / 7, 1e-13)
        close(batch.nabla_b[l], sum(g.nabla_b[l] for g in single) / 7, 1e-13)
        close(batch.delta[l], np.array([g.delta[l] for g in single]), 1e-13)
    assert net.total_cost(X, Y) == pytest.approx(np.mean([net.total_cost(x, y) for x, y in zip(X, Y, strict=True)]))


def test_layers_without_biases():
    weights, (_, b3) = default_weights([3, 5, 2], np.random.default_rng(0))
    net = Network(weights, [None, b3], [tanh, sigmoid], cross_entropy)
    X, Y = some_data(net)
    gradients = net.backprop_batch(X, Y)
    assert gradients.nabla_b.keys() == {3}
    agree(gradients, by_referee(net, X, Y))
    net.update_mini_batch(X, Y, eta=0.1)
    assert net.b.keys() == {3}


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_pytorch(seed):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    theirs = {sigmoid: torch.sigmoid, tanh: torch.tanh, identity: lambda z: z, relu: F.relu, leaky_relu: F.leaky_relu,
              elu: F.elu, silu: F.silu, gelu: F.gelu, gelu_tanh: lambda z: F.gelu(z, approximate="tanh"),
              softplus: F.softplus}
    losses = [
        (identity, mean_squared_error, F.mse_loss),
        (tanh, quadratic, lambda z, y: ((torch.tanh(z) - y) ** 2).sum() / (2 * len(y))),
        (sigmoid, binary_cross_entropy, F.binary_cross_entropy_with_logits),
        (sigmoid, cross_entropy, lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)),
        (softmax, log_likelihood, F.cross_entropy),
    ]
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 41, 2 + seed % 7).tolist()
    hidden = list(theirs)[seed % len(theirs)]
    output, cost, loss = losses[seed % len(losses)]
    net = a_network(sizes, hidden, output, cost, seed)
    X, Y = some_data(net)

    w = {l: torch.tensor(v, requires_grad=True) for l, v in net.w.items()}
    b = {l: torch.tensor(v, requires_grad=True) for l, v in net.b.items()}
    a = torch.tensor(X)
    for w_l, b_l in zip(w.values(), b.values(), strict=True):
        z = a @ w_l.T + b_l
        a = theirs[hidden](z)
    value = loss(z, torch.tensor(Y))
    value.backward()

    gradients = net.backprop_batch(X, Y)
    assert net.total_cost(X, Y) == pytest.approx(value.item(), rel=1e-12)
    for l, nabla_w in gradients.nabla_w.items():
        close(nabla_w, w[l].grad.numpy(), 1e-12)
        close(gradients.nabla_b[l], b[l].grad.numpy(), 1e-12)


@pytest.mark.parametrize("hidden", ELEMENTWISE, ids=repr)
@pytest.mark.parametrize("output, cost", [(sigmoid, quadratic), (softmax, quadratic), (softmax, log_likelihood),
                                          (sigmoid, binary_cross_entropy)], ids=repr)
def test_p37_float32_stays_float32(hidden, output, cost):
    net = a_network([3, 4, 2], hidden, output, cost, dtype=np.float32)
    X, Y = some_data(net)
    for part in net.backprop_batch(X, Y):
        assert {v.dtype for v in part.values()} == {np.dtype(np.float32)}
    net.update_mini_batch(X, Y, eta=np.float64(0.1), lmbda=np.float64(0.5))
    assert {v.dtype for v in [*net.w.values(), *net.b.values()]} == {np.dtype(np.float32)}


def test_an_activation_that_forgets_float32_does_not_spread():
    forgetful = Activation("forgetful", lambda z: z.astype(np.float64), lambda z: np.ones(z.shape))
    net = a_network([3, 4, 2], forgetful, sigmoid, quadratic, dtype=np.float32)
    assert net.backprop_batch(*some_data(net)).delta[2].dtype == np.float32


# Gradient descent

def test_update_descends_the_regularised_cost():
    net = a_network([3, 5, 2], tanh, softmax, log_likelihood)
    X, Y = some_data(net)
    before = copy.deepcopy(net)
    gradient = {l: central_differences(
        lambda w, l=l: _with_weights(before, l, w).total_cost(X, Y, lmbda=0.7), w) for l, w in before.w.items()}
    net.update_mini_batch(X, Y, eta=0.3, lmbda=0.7)
    for l in net.w:
        close(net.w[l], before.w[l] - 0.3 * gradient[l])


def _with_weights(net, l, w):
    changed = copy.copy(net)
    changed.w = net.w | {l: w}
    return changed


def test_p70_weight_decay_spares_the_biases():
    plain, decayed = (a_network([3, 5, 2], tanh, sigmoid, quadratic) for _ in range(2))
    start = copy.deepcopy(plain)
    X, Y = some_data(plain)
    plain.update_mini_batch(X, Y, eta=0.5)
    decayed.update_mini_batch(X, Y, eta=0.5, lmbda=2.0, n=50)
    for l in start.w:
        assert np.array_equal(decayed.b[l], plain.b[l])
        close(plain.w[l] - decayed.w[l], 0.5 * 2.0 / 50 * start.w[l], 1e-13)


@pytest.mark.parametrize("output, cost", [(sigmoid, cross_entropy), (sigmoid, quadratic), (tanh, mean_squared_error)],
                         ids=repr)
def test_sgd_learns_xor(output, cost):
    X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    net = Network(*large_weights([2, 8, 1], np.random.default_rng(0)), [tanh, output], cost)
    history = net.sgd((X, Y), epochs=1500, mini_batch_size=3, eta=0.5, rng=np.random.default_rng(1), test_data=(X, Y))
    assert len(history) == 1500
    assert history[-1][1] == 1.0 and history[-1][0] < 0.05 < history[0][0]


def test_sgd_learns_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    X = np.array([[2.0, 0], [-1, 2], [-1, -2]])[labels] + 0.5 * rng.standard_normal((150, 2))
    net = a_network([2, 6, 3], relu, softmax, log_likelihood)
    history = net.sgd((X, one_hot(labels, 3)), 20, 10, eta=0.2, lmbda=0.1, rng=rng, test_data=(X, one_hot(labels, 3)))
    assert history[-1][1] > 0.97


def test_p73_sgd_leaves_the_callers_data_and_arrays_alone():
    weights, biases = default_weights([3, 4, 2], np.random.default_rng(0))
    net = Network(weights, biases, [tanh, sigmoid], quadratic)
    X, Y = some_data(net)
    originals = [array.copy() for array in (X, Y, *weights, *biases)]
    net.sgd((X, Y), 3, 4, eta=0.5, rng=np.random.default_rng(0))
    for array, original in zip((X, Y, *weights, *biases), originals, strict=True):
        assert np.array_equal(array, original)


def test_a_network_copies_the_arrays_it_is_built_from():
    weights, biases = default_weights([3, 2], np.random.default_rng(0))
    net = Network(weights, biases, [sigmoid], quadratic)
    weights[0][:] = biases[0][:] = np.nan
    assert np.isfinite(net.w[2]).all() and np.isfinite(net.b[2]).all()


def test_p56_a_short_last_batch_averages_over_its_own_size():
    net = a_network([3, 2], None, sigmoid, quadratic)
    by_hand = copy.deepcopy(net)
    X, Y = some_data(net, m=5)
    net.sgd((X, Y), 1, 3, eta=0.5, lmbda=0.2, rng=np.random.default_rng(7))
    order = np.random.default_rng(7).permutation(5)
    for batch in (order[:3], order[3:]):
        by_hand.update_mini_batch(X[batch], Y[batch], 0.5, 0.2, n=5)
    assert np.array_equal(net.w[2], by_hand.w[2])


def test_sgd_is_reproducible_and_leaves_numpys_global_generator_alone():
    def run():
        net = a_network([3, 4, 2], tanh, sigmoid, quadratic)
        epochs = []
        net.sgd(some_data(net), 3, 4, 0.5, rng=np.random.default_rng(5), monitor=lambda *seen: epochs.append(seen))
        assert epochs == [(0, net), (1, net), (2, net)]
        return net.w[2]

    before = np.random.get_state()[1].copy()
    assert np.array_equal(run(), run())
    assert np.array_equal(np.random.get_state()[1], before)


def test_initial_weights():
    rng = np.random.default_rng(0)
    (w2, w3), (b2, b3) = large_weights([400, 300, 10], rng)
    assert (w2.shape, w3.shape, b2.shape, b3.shape) == ((300, 400), (10, 300), (300,), (10,))
    assert w2.std() == pytest.approx(1, rel=0.02)
    (w2, _), (b2, _) = default_weights([400, 300, 10], rng, np.float32)
    assert w2.std() == pytest.approx(1 / 20, rel=0.02) and b2.std() == pytest.approx(1, rel=0.2)
    assert w2.dtype == b2.dtype == np.float32


# Errors

@pytest.mark.parametrize("method, x, y, message", [
    ("backprop", np.ones((3, 1)), np.ones(2), "backprop: x has shape .3, 1., expected .3,. for one example"),
    ("backprop", np.ones(3), np.ones((2, 1)), "backprop: y has shape .2, 1., expected .2,. for one example"),
    ("backprop", np.ones((5, 3)), np.ones((5, 2)), "backprop: x has shape .5, 3."),
    ("backprop_batch", np.ones(3), np.ones(2), "backprop_batch: x has shape .3,., expected .m, 3."),
    ("backprop_batch", np.ones((3, 5)), np.ones((2, 5)), "one per row"),
    ("backprop_batch", np.ones((5, 3)), np.ones(5), "backprop_batch: y has shape .5,."),
    ("backprop_batch", np.ones((5, 3)), np.ones((5, 1)), "backprop_batch: y has shape .5, 1."),
    ("backprop_batch", np.ones((5, 3)), np.ones((1, 2)), "do not hold the same examples"),
    ("backprop_batch", np.ones((0, 3)), np.ones((0, 2)), "m > 0 examples"),
    ("backprop_batch", np.ones((5, 3), np.float32), np.ones((5, 2)), "x is float32 and the network float64"),
    ("total_cost", np.float64(1), np.ones(2), "expected .3,. for one example or .m, 3."),
    ("accuracy", np.ones(3), np.ones(2), "accuracy: x has shape"),
])
def test_p53_networks_check_shapes_and_dtypes(method, x, y, message):
    net = a_network([3, 4, 2], tanh, sigmoid, quadratic)
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(net, method)(x, y)


def test_cost_from_and_sgd_check_their_arguments():
    net = a_network([3, 4, 2], tanh, sigmoid, quadratic)
    with pytest.raises(ValueError, match="cost_from: z.2 has shape .5, 1."):
        net.cost_from(2, np.ones((5, 1)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="mini_batch_size must be at least 1, got 0"):
        net.sgd((np.ones((5, 3)), np.ones((5, 2))), 1, 0, 0.1, rng=np.random.default_rng(0))


@pytest.mark.parametrize("weights, biases, activations, message", [
    ([], [], [], "0 weights, 0 biases and 0 activations"),
    ([np.ones((2, 3))], [], [sigmoid], "1 weights, 0 biases"),
    ([np.ones(3)], [np.ones(3)], [sigmoid], "layer 2 have shape .3,., expected .out, in."),
    ([1.0], [np.ones(1)], [sigmoid], "layer 2 have shape .., expected .out, in."),
    ([np.ones((4, 3)), np.ones((4, 2))], [None, None], [sigmoid] * 2, "layer 3 have shape .4, 2..*in = 4, the width"),
    ([np.ones((4, 3))], [np.ones((4, 1))], [sigmoid], "biases of layer 2 have shape .4, 1., expected .4,."),
    ([np.ones((4, 3), int)], [None], [sigmoid], "weights of layer 2 are int64"),
    ([np.ones((4, 3))], [np.ones(4, np.float32)], [sigmoid], "biases of layer 2 are float32"),
    ([np.ones((4, 3)), np.ones((2, 4))], [None, None], [softmax, sigmoid], "layer 2 has the activation <.* softmax>"),
    ([np.ones((4, 3))], [None], ["sigmoid"], "layer 2 has the activation 'sigmoid'"),
])
def test_networks_check_their_layers(weights, biases, activations, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Network(weights, biases, activations, quadratic)


def test_the_closed_form_imports_nothing_of_the_engine():
    """It could not be evidence about the engine if it ran on it."""
    siblings = {"equations", "activations", "costs", "network"}
    for name in ("__init__", *siblings):
        tree = ast.parse((Path(backprop.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
        # `compare` stands on both, and is loaded by the package's __getattr__ when someone asks for it.
        tree.body = [node for node in tree.body if getattr(node, "name", "") != "__getattr__"]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= {"numpy", "math"}
            elif isinstance(node, ast.ImportFrom):
                standard = {"__future__", "collections.abc", "itertools", "typing"}
                assert node.module in (siblings | {None} if node.level == 1 else standard)

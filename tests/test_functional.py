"""autograd.functional: derivatives of functions, beside their values."""

import warnings

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.autograd import functional as F

X, Y = [1.0, 2.0], [3.0, -1.0]


def derivatives(m, name):
    """The case `name` computed with m, which is this package or PyTorch."""
    f = m.autograd.functional
    x, y = m.tensor(X, dtype=m.float64), m.tensor(Y, dtype=m.float64)
    r = m.tensor(X, dtype=m.float64, requires_grad=True)
    one = m.tensor(2.0, dtype=m.float64)

    def cube(x):
        return x**3

    def total(x):
        return (x**3).sum()

    def pair(x, y):
        return x * y.exp(), (x**2).sum()

    def mixed(x, y):
        return (x**3 * y.sin()).sum()

    def half(x, y):
        return x * 2

    def constant(x):
        return m.ones(2)

    cases = {
        "vjp": lambda: f.vjp(cube, x, y),
        "vjp, one element": lambda: f.vjp(total, x),
        "vjp, tuples": lambda: f.vjp(pair, (x, y), (y, one)),
        "vjp, not reached": lambda: f.vjp(half, (x, y), x),
        "vjp, constant": lambda: f.vjp(constant, x, x),
        "vjp, create_graph": lambda: f.vjp(cube, r, y, create_graph=True),
        "vjp, v missing": lambda: f.vjp(cube, x),
        "vjp, v misshapen": lambda: f.vjp(cube, x, m.ones(3)),
        "vjp, too many v": lambda: f.vjp(cube, x, (x, x)),
        "vjp, strict": lambda: f.vjp(half, (x, y), x, strict=True),
        "jvp": lambda: f.jvp(cube, x, y),
        "jvp, one element": lambda: f.jvp(cube, one),
        "jvp, tuples": lambda: f.jvp(pair, (x, y), (y, x)),
        "jvp, not reached": lambda: f.jvp(half, (x, y), (y, x)),
        "jvp, linear": lambda: f.jvp(lambda x: x * 2, x, y),
        "jvp, an output constant": lambda: f.jvp(lambda x: (x * 2, m.ones(3)), x, y),
        "jvp, create_graph": lambda: f.jvp(cube, r, y, create_graph=True),
        "jvp, strict": lambda: f.jvp(half, (x, y), (x, y), strict=True),
        "jvp, v missing": lambda: f.jvp(cube, x),
        "vhp": lambda: f.vhp(total, x, y),
        "vhp, tuples": lambda: f.vhp(mixed, (x, y), (y, x)),
        "vhp, v missing": lambda: f.vhp(total, x),
        "vhp, of a vector": lambda: f.vhp(cube, x, y),
        "hvp": lambda: f.hvp(total, x, y),
        "hvp, tuples": lambda: f.hvp(mixed, (x, y), (y, x)),
        "hvp, linear": lambda: f.hvp(lambda x: x.sum(), x, y),
        "hvp, linear and strict": lambda: f.hvp(lambda x: x.sum(), x, y, strict=True),
        "hvp, create_graph": lambda: f.hvp(total, r, y, create_graph=True),
        "jacobian": lambda: f.jacobian(cube, x),
        "jacobian, tuples": lambda: f.jacobian(pair, (x, y)),
        "jacobian, tuple of one": lambda: f.jacobian(cube, (x,)),
        "jacobian, of a matrix": lambda: f.jacobian(lambda x: x.reshape(1, 2) * x.reshape(2, 1), x),
        "jacobian, not reached": lambda: f.jacobian(half, (x, y)),
        "jacobian, constant": lambda: f.jacobian(constant, x),
        "jacobian, create_graph": lambda: f.jacobian(cube, r, create_graph=True),
        "jacobian, create_graph of what is not tracked": lambda: f.jacobian(cube, x, create_graph=True),
        "jacobian, of what is tracked": lambda: f.jacobian(cube, r),
        "jacobian, vectorize": lambda: f.jacobian(pair, (x, y), vectorize=True),
        "jacobian, forward": lambda: f.jacobian(pair, (x, y), vectorize=True, strategy="forward-mode"),
        "jacobian, forward alone": lambda: f.jacobian(cube, x, strategy="forward-mode"),
        "jacobian, forward and create_graph": lambda: f.jacobian(cube, x, True, False, True, "forward-mode"),
        "jacobian, another strategy": lambda: f.jacobian(cube, x, strategy="sideways"),
        "jacobian, strict": lambda: f.jacobian(half, (x, y), strict=True),
        "jacobian, strict of a constant": lambda: f.jacobian(constant, x, strict=True),
        "jacobian, strict of a line": lambda: f.jacobian(lambda x: x * 2, x, create_graph=True, strict=True),
        "jacobian, strict and vectorize": lambda: f.jacobian(cube, x, strict=True, vectorize=True),
        "jacobian, of a list": lambda: f.jacobian(lambda x, y: x, [x, y]),
        "jacobian, of a number": lambda: f.jacobian(cube, 3.0),
        "jacobian, of whole numbers": lambda: f.jacobian(lambda x: x * 1.0, m.tensor([1, 2])),
        "jacobian, output a list": lambda: f.jacobian(lambda x: [x], x),
        "jacobian, output a number": lambda: f.jacobian(lambda x: 3.0, x),
        "hessian": lambda: f.hessian(total, x),
        "hessian, of one element in a vector": lambda: f.hessian(lambda x: total(x).reshape(1), x),
        "hessian, tuples": lambda: f.hessian(mixed, (x, y)),
        "hessian, linear": lambda: f.hessian(lambda x: x.sum(), x),
        "hessian, linear and strict": lambda: f.hessian(lambda x: x.sum(), x, strict=True),
        "hessian, of a vector": lambda: f.hessian(cube, x),
        "hessian, forward alone": lambda: f.hessian(total, x, outer_jacobian_strategy="forward-mode"),
        "hessian, create_graph": lambda: f.hessian(total, r, create_graph=True),
    }
    return cases if name is None else cases[name]()


def flat(tree):
    return [t for part in tree for t in flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def built(tree):
    return tuple(map(built, tree)) if isinstance(tree, (list, tuple)) else (tuple(tree.shape), tree.requires_grad)


@pytest.mark.torch
@pytest.mark.parametrize("name", derivatives(mg, None))
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own
            theirs = derivatives(torch, name)
    except Exception as error:
        with pytest.raises(type(error)):
            derivatives(mg, name)
        return
    ours = derivatives(mg, name)
    assert built(ours) == built(theirs)
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)


def test_products_are_those_of_the_jacobian_and_the_hessian():
    rng = np.random.default_rng(0)
    x, v, u = (mg.from_numpy(rng.standard_normal(n)) for n in (3, 3, 2))
    w = mg.from_numpy(rng.standard_normal((2, 3)))

    def f(x):
        return mg.tanh(w @ (x * x))

    def cost(x):
        return f(x).pow(3).sum()

    jacobian = F.jacobian(f, x).numpy()
    np.testing.assert_allclose(F.vjp(f, x, u)[1].numpy(), u.numpy() @ jacobian, rtol=1e-12)
    np.testing.assert_allclose(F.jvp(f, x, v)[1].numpy(), jacobian @ v.numpy(), rtol=1e-12)
    forward = F.jacobian(f, x, vectorize=True, strategy="forward-mode")
    np.testing.assert_allclose(forward.numpy(), jacobian, rtol=1e-12)
    hessian = F.hessian(cost, x).numpy()
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    np.testing.assert_allclose(F.vhp(cost, x, v)[1].numpy(), v.numpy() @ hessian, rtol=1e-12)
    np.testing.assert_allclose(F.hvp(cost, x, v)[1].numpy(), hessian @ v.numpy(), rtol=1e-12)


def test_known_values():
    x = mg.tensor([1.0, 2.0])
    assert F.jacobian(lambda x: x**3, x).tolist() == [[3, 0], [0, 12]]
    assert F.hessian(lambda x: (x**3).sum(), x).tolist() == [[6, 0], [0, 12]]
    assert F.hvp(lambda x: x.prod(), x, mg.tensor([1.0, 0.0]))[1].tolist() == [0, 1]


def test_nothing_reaches_the_inputs_or_the_mode():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.no_grad():
        (y, product), h = F.vjp(lambda x: x**3, x, mg.ones(2)), F.hessian(lambda x: (x**3).sum(), x)
        assert not mg.is_grad_enabled()
    assert x.grad is None and not (y.requires_grad or product.requires_grad or h.requires_grad)


def test_empty_outputs_and_inputs():
    x = mg.tensor([1.0, 2.0])
    assert F.jacobian(lambda x: x[:0], x).shape == (0, 2)
    assert F.jacobian(lambda x: x.sum(), mg.zeros(0)).shape == (0,)
    assert F.jacobian(lambda x: x.sum(), mg.zeros(0), vectorize=True, strategy="forward-mode").shape == (0,)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: F.vjp(lambda x: x * 2, x), r"vjp\(\): v can be left out only"),
    (lambda x: F.jvp(lambda x: x * 2, x, mg.ones(3)), r"jvp\(\): v has shape \(3,\), its input \(2,\)"),
    (lambda x: F.vhp(lambda x: x * 2, x, x), r"vhp\(\): the function must return a single Tensor of one element"),
    (lambda x: F.jacobian(lambda x, y: x, (x, x), strict=True), r"strict: output 0 .* does not depend on input 1"),
    (lambda x: F.hessian(lambda x: x.sum(), x, strict=True), "strict: the jacobian by input 0 does not depend"),
])  # fmt: skip
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(mg.tensor([1.0, 2.0]))

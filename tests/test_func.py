"""func: functions that make functions, vmap, and modules as functions of their parameters."""

import importlib
import warnings

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import func, nn

X, Y = [1.0, 2.0], [3.0, -1.0]


def transformed(m, name):
    """The case `name` computed with m, which is this package or PyTorch."""
    f, n = importlib.import_module(f"{m.__name__}.func"), m.nn
    x, y = m.tensor(X, dtype=m.float64), m.tensor(Y, dtype=m.float64)
    w = m.tensor([3.0, 4.0], dtype=m.float64, requires_grad=True)
    two, grid = m.tensor(2.0, dtype=m.float64), m.arange(6.0).reshape(2, 3)
    eye = m.eye(2, dtype=m.float64)
    linear = n.Linear(2, 2).double()
    with m.no_grad():
        linear.weight.copy_(eye * 3)
        linear.bias.copy_(y)

    class Tied(n.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (n.Linear(2, 2, bias=False).double() for _ in "ab")
            self.b.weight = self.a.weight
            self.register_buffer("scale", y)

        def forward(self, x):
            return self.b(self.a(x)) * self.scale

    tied = Tied()

    def total(x):
        return (x**3).sum()

    def pair(x, y):
        return x**2 * y, (x * y.sin()).sum()

    def mixed(x, y):
        return (x**3 * y.sin()).sum()

    def weighted(x):
        return (x**3 * w).sum()

    def loss(params, x, y):
        return ((f.functional_call(linear, params, (x,)) - y) ** 2).sum()

    def params():
        return {name: p.detach() for name, p in linear.named_parameters()}

    def pulled(function, *primals, by):
        output, pullback = f.vjp(function, *primals)
        return output, pullback(by)

    cases = {
        "grad": lambda: f.grad(total)(x),
        "grad, second": lambda: f.grad(f.grad(lambda x: x**3))(two),
        "grad, third": lambda: f.grad(f.grad(f.grad(m.sin)))(two),
        "grad, a variable within": lambda: f.grad(lambda x: x * f.grad(lambda y: x * y)(two))(two),
        "grad, of what is tracked": lambda: f.grad(total)(w),
        "grad, something tracked outside": lambda: f.grad(weighted)(x),
        "grad, and through it": lambda: m.autograd.grad(f.grad(weighted)(x).sum(), w),
        "grad, in no_grad": lambda: m.no_grad()(lambda: f.grad(weighted)(w))(),
        "grad, no_grad within": lambda: f.grad(lambda x: (x * m.no_grad()(lambda: x * 2)()).sum())(x),
        "grad, argnums": lambda: f.grad(mixed, argnums=(0, 1))(x, y),
        "grad, argnum 1": lambda: f.grad(mixed, argnums=1)(x, y),
        "grad, argnum -1": lambda: f.grad(mixed, argnums=-1)(x, y),
        "grad, argnum 2": lambda: f.grad(mixed, argnums=2)(x, y),
        "grad, of a tree": lambda: list(f.grad(lambda p: mixed(p["x"], *p["y"]))({"x": x, "y": [y]}).values()),
        "grad, aux": lambda: f.grad(lambda x: (total(x), x * 2), has_aux=True)(x),
        "grad, aux missing": lambda: f.grad(total, has_aux=True)(x),
        "grad, of a vector": lambda: f.grad(lambda x: x * 2)(x),
        "grad, of one element": lambda: f.grad(lambda x: total(x).reshape(1))(x),
        "grad, of a number": lambda: f.grad(lambda x: 3.0)(x),
        "grad, by whole numbers": lambda: f.grad(lambda x: x.sum())(m.tensor([1, 2])),
        "grad, independent": lambda: f.grad(lambda x: w.sum())(x),
        "grad, kwargs": lambda: f.grad(mixed)(x, y=y),
        "grad_and_value": lambda: f.grad_and_value(total)(x),
        "grad_and_value, aux": lambda: f.grad_and_value(lambda x: (total(x), x * 2), has_aux=True)(x),
        "grad_and_value, tracked": lambda: f.grad_and_value(weighted)(x),
        "vjp": lambda: pulled(lambda x: x**2, x, by=y),
        "vjp, pairs": lambda: pulled(pair, x, y, by=(y, two)),
        "vjp, misfit": lambda: pulled(lambda x: x**2, x, by=m.ones(3)),
        "vjp, tracked": lambda: pulled(lambda x: x * w, x, by=y),
        "vjp, nested": lambda: f.grad(lambda v: pulled(lambda x: x**3, x, by=v)[1][0].sum())(y),
        "jvp": lambda: f.jvp(pair, (x, y), (y, x)),
        "jvp, aux": lambda: f.jvp(lambda x: (x * x, x), (x,), (y,), has_aux=True),
        "jvp, constant": lambda: f.jvp(lambda x: (x * x, m.ones(2)), (x,), (y,)),
        "jvp, linear": lambda: f.jvp(lambda x: x * 2, (x,), (y,)),
        "jvp, no tuple": lambda: f.jvp(lambda x: x * 2, x, y),
        "jvp, of jvp": lambda: f.jvp(lambda x: f.jvp(m.sin, (x,), (y,))[1], (x,), (y,)),
        "jacrev": lambda: f.jacrev(lambda x: x**2)(x),
        "jacrev, pairs": lambda: f.jacrev(pair, argnums=(0, 1))(x, y),
        "jacrev, aux": lambda: f.jacrev(lambda x: (x**2, x), has_aux=True)(x),
        "jacrev, of jacrev": lambda: f.jacrev(f.jacrev(lambda x: x**3))(x),
        "jacrev, of jacfwd": lambda: f.jacrev(f.jacfwd(lambda x: x**3))(x),
        "jacfwd": lambda: f.jacfwd(lambda x: x**2)(x),
        "jacfwd, pairs": lambda: f.jacfwd(pair, argnums=(0, 1))(x, y),
        "jacfwd, aux": lambda: f.jacfwd(lambda x: (x**2, x), has_aux=True)(x),
        "jacfwd, of jacrev": lambda: f.jacfwd(f.jacrev(lambda x: x**3))(x),
        "hessian": lambda: f.hessian(lambda x: (x**3).prod())(x),
        "hessian, argnums": lambda: f.hessian(mixed, argnums=(0, 1))(x, y),
        "vmap": lambda: f.vmap(lambda a, b: (a * b).sum())(eye, eye + 1),
        "vmap, other dims": lambda: f.vmap(m.dot, in_dims=(0, 1))(eye, eye + 1),
        "vmap, one whole": lambda: f.vmap(m.dot, in_dims=(None, 0))(x, eye + 1),
        "vmap, negative dims": lambda: f.vmap(lambda a: a * 2, in_dims=-1, out_dims=-1)(grid),
        "vmap, out_dims": lambda: f.vmap(lambda a: (a * 2, a), out_dims=(1, 0))(grid),
        "vmap, an output whole": lambda: f.vmap(lambda a: (a * 2, x), out_dims=(1, None))(grid),
        "vmap, nested": lambda: f.vmap(f.vmap(lambda a, b: a * b), in_dims=(0, None))(eye, x),
        "vmap, of a tree": lambda: f.vmap(lambda a: a["x"] * a["y"], in_dims=({"x": 0, "y": None},))({"x": eye, "y": x}),
        "vmap, kwargs": lambda: f.vmap(lambda a, b: a * b)(eye, b=eye + 1),
        "vmap, tracked": lambda: f.vmap(lambda a: a * w)(eye),
        "vmap, sizes differ": lambda: f.vmap(lambda a, b: a * b)(eye, m.ones(3)),
        "vmap, nothing": lambda: f.vmap(lambda: x)(),
        "vmap, no in_dims": lambda: f.vmap(lambda a: a, in_dims=None)(eye),
        "vmap, in_dim 3": lambda: f.vmap(lambda a: a, in_dims=3)(eye),
        "vmap, in_dims too long": lambda: f.vmap(lambda a: a, in_dims=(0, 0))(eye),
        "vmap, of a number": lambda: f.vmap(lambda a: a)(3),
        "vmap, of a 0-d tensor": lambda: f.vmap(lambda a: a)(two),
        "vmap, giving a number": lambda: f.vmap(lambda a: 3)(eye),
        "vmap, out_dims too long": lambda: f.vmap(lambda a: a, out_dims=(0, 0))(eye),
        "vmap, out_dim 4": lambda: f.vmap(lambda a: a, out_dims=4)(eye),
        "vmap, random": lambda: f.vmap(lambda a: a + m.rand(1))(eye),
        "vmap, another randomness": lambda: f.vmap(lambda a: a, randomness="wild")(eye),
        "per-sample gradients": lambda: list(f.vmap(f.grad(loss), (None, 0, 0))(params(), eye, eye + 1).values()),
        "functional_call": lambda: f.functional_call(linear, {"weight": eye, "bias": x}, (x,)),
        "functional_call, one left": lambda: f.functional_call(linear, {"weight": eye}, x),
        "functional_call, unknown name": lambda: f.functional_call(linear, {"weight": eye, "other": x}, x),
        "functional_call, strict": lambda: f.functional_call(linear, {"weight": eye}, x, strict=True),
        "functional_call, several": lambda: f.functional_call(linear, ({"weight": eye}, {"bias": x}), x),
        "functional_call, twice": lambda: f.functional_call(linear, ({"weight": eye}, {"weight": x}), x),
        "functional_call, tied": lambda: f.functional_call(tied, {"a.weight": eye * 2}, x),
        "functional_call, tied to another": lambda: f.functional_call(tied, {"a.weight": eye, "b.weight": eye * 2}, x),
        "functional_call, untied": lambda: f.functional_call(
            tied, {"a.weight": eye, "b.weight": eye * 2}, x, tie_weights=False),
        "functional_call, buffer": lambda: f.functional_call(tied, {"a.weight": eye, "scale": x}, x, strict=True),
        "functional_call, no tensor": lambda: f.functional_call(linear, {"weight": 3.0}, x),
        "functional_call, kwargs": lambda: f.functional_call(linear, params(), (), {"input": x}),
        "stack_module_state": lambda: list(f.stack_module_state([linear, linear])[0].values()),
        "stack_module_state, of none": lambda: f.stack_module_state([]),
        "stack_module_state, of two kinds": lambda: f.stack_module_state([linear, tied]),
    }  # fmt: skip
    return cases if name is None else cases[name]()


def flat(tree):
    return [t for part in tree for t in flat(part)] if isinstance(tree, (list, tuple)) else [tree]


def built(tree):
    return tuple(map(built, tree)) if isinstance(tree, (list, tuple)) else (tuple(tree.shape), tree.requires_grad)


@pytest.mark.torch
@pytest.mark.parametrize("name", transformed(mg, None))
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        importlib.import_module("torch.func")
        try:
            theirs = transformed(torch, name)
        except Exception as error:
            with pytest.raises(type(error)):
                transformed(mg, name)
            return
    ours = transformed(mg, name)
    assert built(ours) == built(theirs)
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)


# --- derivatives -----------------------------------------------------------------------------------------------------


def test_derivatives_of_every_order():
    x, f = mg.tensor(0.7, dtype=mg.float64), mg.exp
    for _ in range(5):
        f = func.grad(f)
        assert f(x).item() == pytest.approx(np.exp(0.7), rel=1e-12) and not f(x).requires_grad


def test_a_level_does_not_see_the_variable_of_another():
    """d/dx (x · d/dy (x + y)) is 1, not 2: the inner derivative of x is 0."""
    x = mg.tensor(1.0)
    assert func.grad(lambda x: x * func.grad(lambda y: x + y)(mg.tensor(1.0)))(x).item() == 1
    assert func.grad(lambda x: func.grad(lambda y: x * y)(x))(x).item() == 1  # the same tensor on both levels


def test_value_and_grad():
    x = mg.tensor([1.0, 2.0])
    value, gradient = func.value_and_grad(lambda x: (x * x).sum())(x)
    assert value.item() == 5 and gradient.tolist() == [2, 4]
    (value, more), gradient = func.value_and_grad(lambda x: (x.sum(), "more"), has_aux=True)(x)
    assert (value.item(), more, gradient.tolist()) == (3, "more", [1, 1])


def test_the_jacobian_in_both_directions_and_the_products():
    rng = np.random.default_rng(0)
    x, v, u = (mg.from_numpy(rng.standard_normal(n)) for n in (3, 3, 2))
    w = mg.from_numpy(rng.standard_normal((2, 3)))

    def f(x):
        return mg.tanh(w @ (x * x))

    jacobian = func.jacrev(f)(x).numpy()
    np.testing.assert_allclose(func.jacfwd(f)(x).numpy(), jacobian, rtol=1e-12)
    np.testing.assert_allclose(func.vjp(f, x)[1](u)[0].numpy(), u.numpy() @ jacobian, rtol=1e-12)
    np.testing.assert_allclose(func.jvp(f, (x,), (v,))[1].numpy(), jacobian @ v.numpy(), rtol=1e-12)
    output, push = func.linearize(f, x)
    np.testing.assert_array_equal(output.numpy(), f(x).numpy())
    for scale in (1, 2):
        np.testing.assert_allclose(push(v * scale).numpy(), scale * (jacobian @ v.numpy()), rtol=1e-12)


def test_nothing_outside_changes():
    x, w = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        func.grad(lambda x: 1 / 0)(x)
    assert mg.is_grad_enabled()
    func.grad(lambda x: (x * w).sum())(x)
    assert x.grad is None and w.grad is None and x.is_leaf


def test_errors_of_arguments():
    x = mg.ones(2)
    with pytest.raises(RuntimeError, match=r"jvp\(\): tangent \(3,\) float32 does not fit its primal \(2,\) float32"):
        func.jvp(lambda x: x, (x,), (mg.ones(3),))
    with pytest.raises(RuntimeError, match=r"jvp\(\): 2 tangents for 1 primals"):
        func.jvp(lambda x: x, (x,), (x, x))
    with pytest.raises(RuntimeError, match=r"vjp\(\): 2 cotangents for 1 outputs"):
        func.vjp(lambda x: x, x)[1]((x, x))
    with pytest.raises(RuntimeError, match=r"grad\(\): argnum 1, but the function was given 1 arguments"):
        func.grad(lambda x: x.sum(), 1)(x)
    with pytest.raises(RuntimeError, match=r"argument 0 must consist of Tensors, got float"):
        func.grad(lambda x: x)(1.0)
    with pytest.raises(RuntimeError, match="strict: an output does not depend on the primals"):
        func.jvp(lambda x: mg.ones(2), (x,), (x,), strict=True)


# --- vmap ------------------------------------------------------------------------------------------------------------


def test_per_sample_gradients_are_those_of_each_sample():
    mg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = mg.randn(5, 3, dtype=mg.float64), mg.tensor([0, 1, 1, 0, 1])

    def loss(params, x, y):
        return nn.functional.cross_entropy(func.functional_call(net, params, (x[None],)), y[None])

    params = {name: p.detach() for name, p in net.named_parameters()}
    each = mg.vmap(func.grad(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(5):
        net.zero_grad()
        nn.functional.cross_entropy(net(x[i : i + 1]), y[i : i + 1]).backward()
        for name, p in net.named_parameters():
            np.testing.assert_allclose(each[name][i].numpy(), p.grad.numpy(), rtol=1e-12)


def test_a_branch_per_entry():
    x = mg.tensor([-1.0, 2.0], requires_grad=True)
    y = func.vmap(lambda a: a * 3 if a > 0 else a * a)(x)
    y.sum().backward()
    assert y.tolist() == [1, 6] and x.grad.tolist() == [-2, 3]


def test_randomness():
    x = mg.zeros(4)
    with pytest.raises(RuntimeError, match="the function draws random numbers"):
        func.vmap(lambda a: a + mg.rand(3))(x)
    same = func.vmap(lambda a: a + mg.rand(3), randomness="same")(x)
    other = func.vmap(lambda a: a + mg.rand(3), randomness="different")(x)
    assert (same == same[0]).all() and not (other == other[0]).all()


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: func.vmap(lambda a, b: a)(x, mg.ones(3)), r"must have one size, got \[2, 3\]"),
    (lambda x: func.vmap(lambda a: a, in_dims=2)(x), r"in_dim 2 for a tensor of shape \(2,\)"),
    (lambda x: func.vmap(lambda a: a)(mg.ones(0)), "the batch is empty"),
    (lambda x: func.vmap(lambda a: a)(1.0), "only Tensors are mapped over, got float"),
    (lambda x: func.vmap(lambda a: 1.0)(x), "must return Tensors, got float"),
    (lambda x: func.vmap(lambda a: a, in_dims=({"k": 0},))({"l": x}), "is not built like"),
])  # fmt: skip
def test_what_cannot_be_mapped(call, message):
    with pytest.raises(ValueError, match=message):
        call(mg.ones(2))


# --- modules ---------------------------------------------------------------------------------------------------------


def test_a_functional_call_leaves_the_module_alone():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    given = {k: mg.ones_like(v) for k, v in net.state_dict().items()}
    func.functional_call(net, given, mg.ones(3, 2))
    assert given["1.num_batches_tracked"].item() == 2  # the buffer given is the one written
    with pytest.raises(RuntimeError):
        func.functional_call(net, given, mg.ones(3, 5))
    for k, v in net.state_dict().items():
        assert mg.equal(v, before[k])
    assert net[0].weight in set(net.parameters())


def test_gradients_flow_to_what_was_given():
    net, weight = nn.Linear(2, 1, bias=False), mg.ones(1, 2, requires_grad=True)
    func.functional_call(net, {"weight": weight}, mg.tensor([[3.0, 4.0]])).sum().backward()
    assert weight.grad.tolist() == [[3, 4]] and net.weight.grad is None


def test_an_ensemble():
    nets = [nn.Linear(2, 3) for _ in range(4)]
    params, buffers = func.stack_module_state(nets)
    x = mg.ones(5, 2)
    outputs = func.vmap(lambda p, b: func.functional_call(nets[0], (p, b), (x,)), in_dims=(0, 0))(params, buffers)
    for net, output in zip(nets, outputs):
        assert mg.allclose(net(x), output)
    with pytest.raises(RuntimeError, match=r"missing \['bias'\], unexpected \['other'\]"):
        func.functional_call(nets[0], {"weight": params["weight"][0], "other": x}, x, strict=True)

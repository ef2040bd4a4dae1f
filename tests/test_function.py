"""autograd.Function: operations of one's own."""

import gc
import weakref

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph
from microgradnet.autograd import Function, grad, gradcheck, gradgradcheck
from microgradnet.autograd.function import once_differentiable
from microgradnet.graph import ShapeError, Spec, walk
from microgradnet.recording import capture


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Cube(Function):
    """Saves its input, in the two-part style."""

    @staticmethod
    def forward(x):
        return x * x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class ScaleAndShift(Function):
    """Two outputs, arguments that are no tensors, an output and an input saved."""

    @staticmethod
    def forward(ctx, x, scale, y):
        a = x * scale * y
        ctx.scale = scale
        ctx.save_for_backward(x, None, a, y)
        return a, y.exp()

    @staticmethod
    def backward(ctx, ga, gb):
        x, nothing, a, y = ctx.saved_tensors
        assert nothing is None
        gx = ga * a / x if ctx.needs_input_grad[0] else None
        gy = ga * x * ctx.scale + gb * y.exp() if ctx.needs_input_grad[2] else None
        return gx, None, gy


def make(forward, backward, **more):
    """A Function class from two functions."""
    given = {"forward": staticmethod(forward)} | ({} if backward is None else {"backward": staticmethod(backward)})
    return type("Made", (Function,), given | more)


def identity(backward):
    return make(lambda ctx, x: x * 1, backward)


# --- first and higher derivatives ------------------------------------------------------------------------------------


def test_a_function_and_its_gradient():
    x = leaf(1.0, 2.0)
    y = Exp.apply(x)
    np.testing.assert_array_equal(y.detach().array, np.exp([1.0, 2.0]))
    assert y.requires_grad and not y.is_leaf
    y.backward(mg.tensor([1.0, 10.0]))
    np.testing.assert_allclose(x.grad.array, [np.exp(1.0), 10 * np.exp(2.0)])


@pytest.mark.parametrize("function", [Exp, Cube])
def test_derivatives_of_every_order(function):
    assert gradcheck(function.apply, leaf(0.5, -1.5)) and gradgradcheck(function.apply, leaf(0.5, -1.5))
    x = leaf(0.5, -1.5)
    y = function.apply(x)
    for expected in {Exp: [np.exp(x.array)] * 3, Cube: [3 * x.array**2, 6 * x.array, 6 + 0 * x.array]}[function]:
        (y,) = grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.detach().array, expected)


def test_several_outputs_and_arguments():
    x, y = leaf(1.0, 2.0), leaf(0.5, -0.5)
    f = lambda x, y: ScaleAndShift.apply(x, 3.0, y)
    assert gradcheck(f, (x, y)) and gradgradcheck(f, (x, y))
    assert gradgradcheck(lambda x: f(x, y.detach()), x) and gradgradcheck(lambda y: f(x.detach(), y), y)
    a, b = f(x, y)
    b.sum().backward()  # the first output is not used
    np.testing.assert_allclose(y.grad.array, np.exp(y.array))
    np.testing.assert_array_equal(x.grad.array, 0)


def test_a_custom_activation_in_a_network():
    class Swish(Function):
        @staticmethod
        def forward(ctx, z):
            s = z.sigmoid()
            ctx.save_for_backward(z, s)
            return z * s

        @staticmethod
        def backward(ctx, g):
            z, s = ctx.saved_tensors
            return g * (s + z * s * (1 - s))

    w, x = mg.randn(3, 4, dtype=mg.float64, requires_grad=True), mg.randn(5, 4, dtype=mg.float64)
    mine, theirs = (f(x @ w.T).square().mean() for f in (Swish.apply, mg.nn.functional.silu))
    assert mine.item() == pytest.approx(theirs.item())
    np.testing.assert_allclose(grad(mine, w)[0].array, grad(theirs, w)[0].array, rtol=1e-12)


def test_an_activation_whose_derivative_never_vanishes():
    class Leaky(Function):
        """The book's slowdown gone: tanh forward, a straight line backward."""

        @staticmethod
        def forward(ctx, z):
            return z.tanh()

        @staticmethod
        def backward(ctx, g):
            return g

    z = leaf(50.0, -50.0)
    Leaky.apply(z).sum().backward()
    assert z.grad.tolist() == [1.0, 1.0]
    z.grad = None
    z.tanh().sum().backward()
    assert z.grad.tolist() == [0.0, 0.0]


# --- the context -----------------------------------------------------------------------------------------------------


def test_needs_input_grad():
    seen = []
    f = make(lambda ctx, a, k, b: (seen.append(ctx.needs_input_grad), a * k * b)[1],
             lambda ctx, g: (seen.append(ctx.needs_input_grad), (g, None, g))[1])
    f.apply(leaf(1.0), 2.0, mg.ones(1)).sum().backward()
    assert seen == [(True, False, False)] * 2


def test_backward_is_unrecorded_in_a_first_order_walk_and_recorded_in_a_higher_one():
    modes = []
    f = make(lambda ctx, x: (modes.append(mg.is_grad_enabled()), x * 2)[1],
             lambda ctx, g: (modes.append((mg.is_grad_enabled(), (g * leaf(1.0)).requires_grad)), g * 2)[1])
    x = leaf(1.0)
    y = f.apply(x).sum()
    y.backward(retain_graph=True)
    grad(y, x, create_graph=True)
    assert modes == [False, (False, False), (True, True)]


def test_a_saved_tensor_that_was_written_to():
    x = leaf(1.0, 2.0)
    y = x * 1
    z = Cube.apply(y)
    y.mul_(2)
    message = r"Cube: saved tensor 0 \(2,\) float64 has been modified in place: saved at version 0, now at version \d+"
    with pytest.raises(RuntimeError, match=message):
        z.sum().backward()
    z = Exp.apply(x)
    z.mul_(2)
    with pytest.raises(RuntimeError, match="Exp: saved tensor 0"):
        z.sum().backward()


def test_only_tensors_are_saved():
    f = make(lambda ctx, x: ctx.save_for_backward(x, 3.0), lambda ctx, g: g)
    with pytest.raises(TypeError, match=r"save_for_backward\(\) keeps Tensors or None, argument 1 is a float"):
        f.apply(leaf(1.0))


def test_non_differentiable_outputs():
    def forward(ctx, x):
        mask, order = (x > 0).to(x.dtype), x.argmax()
        ctx.mark_non_differentiable(mask)
        return x * mask, mask, order

    given = []
    f = make(forward, lambda ctx, g, *rest: (given.extend(rest), g)[1])
    x = leaf(1.0, -1.0)
    y, mask, order = f.apply(x)
    assert y.requires_grad and not mask.requires_grad and not order.requires_grad and mask.is_leaf and mask.node is None
    (y * mask).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0] and [g.tolist() for g in given] == [[0.0, 0.0], 0]


@pytest.mark.parametrize("materialize", [True, False])
@pytest.mark.parametrize("create_graph", [True, False])
def test_gradients_of_outputs_that_nobody_used(materialize, create_graph):
    def forward(ctx, x):
        ctx.set_materialize_grads(materialize)
        return x * 2, x[:1] * 3

    given = []
    f = make(forward, lambda ctx, a, b: (given.append((a, b)), a * 2)[1])
    x = leaf(1.0, 2.0)
    a, b = f.apply(x)
    (g,) = grad(a.sum(), x, create_graph=create_graph)
    (first, second), = given
    assert g.tolist() == [2.0, 2.0] and first.tolist() == [1.0, 1.0]
    assert second.tolist() == [0.0] if materialize else second is None


def test_a_gradient_of_none_does_not_flow():
    x = leaf(1.0)
    f = identity(lambda ctx, g: None)
    f.apply(x).sum().backward()
    assert x.grad is None
    assert grad(f.apply(x).sum() + x.sum(), x)[0].tolist() == [1.0]
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        grad(f.apply(x).sum(), x)


def test_arguments_that_were_written_to():
    def forward(ctx, x, k):
        x.mul_(k)
        ctx.mark_dirty(x)
        ctx.k = k
        return x

    f = make(forward, lambda ctx, g: (g * ctx.k, None))
    x = leaf(1.0, 2.0)
    y = x * 1
    z = f.apply(y, 5.0)
    assert z is y and y.tolist() == [5.0, 10.0] and y.grad_fn.name() == "MadeBackward"
    (y * 3).sum().backward()
    assert x.grad.tolist() == [15.0, 15.0]
    with pytest.raises(RuntimeError, match=r"Made: the leaf \(2,\) float64 requires grad and cannot be written"):
        f.apply(x, 5.0)
    kept = make(lambda ctx, x: (ctx.mark_dirty(x), x * 1)[1], lambda ctx, g: g)
    with pytest.raises(RuntimeError, match="was marked dirty; forward must return it"):
        kept.apply(leaf(1.0) * 1)


def test_a_dirty_view_reaches_its_base():
    f = make(lambda ctx, x: (x.mul_(5), ctx.mark_dirty(x), x)[2], lambda ctx, g: g * 5)
    x = leaf(1.0, 2.0)
    y = x * 1
    f.apply(y[0:1])
    y.sum().backward()
    assert y.tolist() == [5.0, 2.0] and x.grad.tolist() == [5.0, 1.0]


def test_an_input_that_is_returned_becomes_a_tensor_of_its_own():
    reverse = make(lambda ctx, x: x, lambda ctx, g: -g)
    x = leaf(1.0, 2.0)
    y = reverse.apply(x)
    y.sum().backward()
    assert y is not x and x.grad.tolist() == [-1.0, -1.0]
    y.mul_(3)  # would write into a leaf that requires grad
    assert x.tolist() == [1.0, 2.0]


def test_an_input_that_is_saved_and_returned_is_the_input():
    f = make(lambda ctx, x: (ctx.save_for_backward(x), x)[1], lambda ctx, g: g * ctx.saved_tensors[0].sin())
    x = leaf(0.5, 1.5)
    (g,) = grad(f.apply(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(grad(g.sum(), x)[0].array, np.cos(x.array))


# --- what is returned ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (lambda ctx, g: (g, g), RuntimeError, r"Made.backward returned 2 gradients for 1 arguments of forward"),
        (lambda ctx, g: (), RuntimeError, r"Made.backward returned 0 gradients for 1 arguments"),
        (lambda ctx, g: 2.0, TypeError, r"Made.backward: gradient 0 must be a Tensor or None, not 2.0"),
        (lambda ctx, g: mg.ones(3, dtype=mg.float64), ShapeError, r"Made.backward: gradient 0 has shape \(3,\), its argument \(2,\)"),
        (lambda ctx, g: g.sum(), ShapeError, r"gradient 0 has shape \(\), its argument \(2,\)"),
    ],
)
@pytest.mark.parametrize("create_graph", [True, False])
def test_what_backward_may_not_return(backward, error, message, create_graph):
    x = leaf(1.0, 2.0)
    with pytest.raises(error, match=message):
        grad(identity(backward).apply(x).sum(), x, create_graph=create_graph)
    assert mg.is_grad_enabled()


def test_too_many_gradients_are_allowed_where_they_are_none():
    x = leaf(1.0)
    identity(lambda ctx, g: (g, None, None)).apply(x).backward()
    assert x.grad.tolist() == [1.0]


def test_gradients_are_fitted_to_their_arguments():
    x, y = leaf(1.0, 2.0), mg.tensor(3.0, requires_grad=True)
    f = make(lambda ctx, x, y: (ctx.save_for_backward(x, y), x * y)[1],
             lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]))
    f.apply(x, y).sum().backward()
    assert y.grad.item() == 3.0 and y.grad.dtype == mg.float32 and x.grad.dtype == mg.float64


def test_what_forward_may_not_return():
    for wrong, kind in (([mg.ones(1)], "list"), (np.ones(2), "ndarray")):
        with pytest.raises(TypeError, match=f"Made.forward returned a {kind} as output 0"):
            make(lambda ctx, x, wrong=wrong: wrong, None).apply(leaf(1.0))


def test_what_is_no_tensor_passes_through():
    given = []
    f = make(lambda ctx, x: (x * 2, "told", None, 3), lambda ctx, g, *rest: (given.extend(rest), g * 2)[1])
    x = leaf(1.0, 2.0)
    y, *rest = f.apply(x)
    y.sum().backward()
    assert rest == ["told", None, 3] and given == [None, None, None] and x.grad.tolist() == [2, 2]
    assert make(lambda ctx, x: 3.0, None).apply(x) == 3.0


def test_a_gradient_for_what_is_no_tensor():
    f = make(lambda ctx, x, k: x * k, lambda ctx, g: (g, g))
    with pytest.raises(RuntimeError, match="gradient 1 must be None: argument 1 of forward was no Tensor but 2"):
        f.apply(leaf(1.0), 2).backward()


def test_keyword_arguments():
    f = make(lambda ctx, x, k=2, *, s=1: x * k, lambda ctx, g: (g * 7, None))
    x = leaf(1.0)
    assert f.apply(x).item() == 2 and f.apply(x, k=3).item() == 3 and f.apply(k=3, x=x).item() == 3
    f.apply(x, k=3).backward()
    assert x.grad.item() == 7
    with pytest.raises(TypeError, match=r"\['s'\] cannot be given: keyword-only"):
        f.apply(x, s=3)
    seen = []
    setup = make(lambda x, k=2: x * k, None, setup_context=staticmethod(lambda ctx, inputs, output: seen.append(inputs)))
    setup.apply(x), setup.apply(x, k=5)
    assert [k for _, k in seen] == [2, 5]


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not mg.is_grad_enabled()
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(3.0)
    assert grad(Square.apply(x), x)[0].item() == 6
    (g,) = grad(Square.apply(x).exp(), x, create_graph=True)
    assert g.item() == pytest.approx(6 * np.exp(9))
    with pytest.raises(RuntimeError, match="Square.backward is marked once_differentiable"):
        g.backward()


def test_vjp_is_another_name_for_backward():
    x = leaf(3.0)
    assert grad(make(lambda ctx, x: x * 2, None, vjp=staticmethod(lambda ctx, g: g * 2)).apply(x), x)[0].item() == 2
    both = make(lambda ctx, x: x * 2, lambda ctx, g: g, vjp=staticmethod(lambda ctx, g: g))
    with pytest.raises(RuntimeError, match="two names for one thing"):
        both.apply(x).backward()


def test_a_function_is_not_called():
    with pytest.raises(RuntimeError, match=r"call Exp.apply\(\.\.\.\)"):
        Exp()(leaf(1.0))


def test_a_function_without_its_parts():
    with pytest.raises(NotImplementedError, match=r"needs a static forward\(ctx, \*args\)"):
        type("Empty", (Function,), {}).apply(leaf(1.0))
    half = type("Half", (Function,), {"forward": staticmethod(lambda ctx, x: x * 1)})
    with pytest.raises(NotImplementedError, match=r"needs a static backward\(ctx, \*grads\)"):
        half.apply(leaf(1.0)).backward()


def test_a_tuple_of_one_stays_a_tuple():
    out = make(lambda ctx, x: (x * 2,), lambda ctx, g: g * 2).apply(leaf(1.0))
    assert isinstance(out, tuple) and len(out) == 1 and out[0].requires_grad


def test_gradients_are_nobody_elses():
    saved = mg.ones(2, dtype=mg.float64)
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    make(lambda ctx, x, y: x + y, lambda ctx, g: (saved, saved)).apply(x, y).sum().backward()
    x.grad.mul_(7)
    assert saved.tolist() == [1.0, 1.0] and y.grad.tolist() == [1.0, 1.0]


# --- modes and memory ------------------------------------------------------------------------------------------------


def test_nothing_is_recorded_without_need():
    assert Exp.apply(mg.ones(2)).node is None
    with mg.no_grad():
        assert not Exp.apply(leaf(1.0)).requires_grad
    with mg.inference_mode():
        assert Exp.apply(leaf(1.0)).is_inference()


def test_an_exception_restores_the_mode():
    def fail(*_):
        raise KeyError

    with pytest.raises(KeyError):
        make(fail, None).apply(leaf(1.0))
    assert mg.is_grad_enabled()
    x = leaf(1.0)
    y = identity(fail).apply(x)
    with pytest.raises(KeyError):
        y.backward()
    assert mg.is_grad_enabled() and x.grad is None


def test_the_name_of_the_node():
    x = leaf(1.0)
    y = Exp.apply(x)
    assert y.grad_fn.name() == "ExpBackward" and "ExpBackward" in repr(y)
    assert [n.op.name for n in walk(y)] == ["Exp", "item_of"]
    camel = type("MyReLU", (Exp,), {})
    assert camel.apply(x).grad_fn.name() == "MyReLUBackward" and Exp.apply(x).grad_fn.name() == "ExpBackward"


def test_saved_values_are_freed_by_backward_and_with_the_graph():
    gc.collect()
    gc.disable()
    try:
        x = mg.zeros(2000, dtype=mg.float64, requires_grad=True)
        for create_graph in (False, True):
            hidden = x * 1
            y = Exp.apply(hidden)
            z = Cube.apply(y)
            gone = [weakref.ref(t) for t in (hidden.array, hidden, y)]
            node = weakref.ref(y.node.inputs[0])
            loss = z.sum()
            (g,) = grad(loss, x, create_graph=create_graph)
            del hidden, y, z
            assert create_graph or [r() for r in gone] == [None] * 3
            del g, loss
            assert [r() for r in (*gone, node)] == [None] * 4
    finally:
        gc.enable()


def test_a_written_argument_that_is_saved_makes_no_cycle():
    def forward(ctx, x):
        x.exp_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    f = make(forward, lambda ctx, g: g * ctx.saved_tensors[0])
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = f.apply(x * 1)
        (g,) = grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(g.detach().array, np.exp(x.array))
        np.testing.assert_allclose(grad(g.sum(), x, retain_graph=True)[0].array, np.exp(x.array))
        gone = [weakref.ref(y), weakref.ref(y.node)]
        del y, g
        assert [r() for r in gone] == [None, None]
    finally:
        gc.enable()


def test_what_is_not_saved_is_not_kept():
    x = mg.zeros(2000, dtype=mg.float64, requires_grad=True)
    f = identity(lambda ctx, g: g)
    hidden = x * 1
    gone = weakref.ref(hidden.array)
    y = f.apply(hidden)
    node = y.node.inputs[0]
    del hidden
    gc.collect()
    assert gone() is None and isinstance(node.args[0], Spec) and isinstance(node.output[0], Spec)


def test_a_second_backward_is_refused():
    x = leaf(1.0)
    y = Exp.apply(x)
    y.backward(mg.ones(1), retain_graph=True)
    y.backward(mg.ones(1))
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward(mg.ones(1))
    np.testing.assert_allclose(x.grad.array, 2 * np.exp(1.0))


def test_capture_records_a_function_and_can_run_it_again():
    with capture():
        y = Exp.apply(mg.tensor([1.0, 2.0]))
        a, b = ScaleAndShift.apply(y, 2.0, y)
    assert [n.op.name for n in walk(a)] == ["Exp", "item_of", "ScaleAndShift", "item_of"] and not b.requires_grad
    node = walk(a)[0]
    (again,) = node.op.forward(np.array([1.0, 2.0], np.float32), *node.args[1:])
    np.testing.assert_array_equal(again, y.array)


def test_capture_of_a_written_argument():
    f = make(lambda ctx, x: (x.mul_(5), ctx.mark_dirty(x), x)[2], lambda ctx, g: g * 5)
    x = mg.ones(2)
    with capture():
        y = f.apply(x)
    assert y is x and not x.requires_grad and [n.op.name for n in walk(x)] == ["Made", "item_of"]


def test_a_function_is_not_in_the_table():
    before = dict(graph.OPS)
    Exp.apply(leaf(1.0))
    assert graph.OPS == before


# --- in PyTorch ------------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_same_function_in_pytorch():
    torch = pytest.importorskip("torch")

    def derivatives(m):
        class Product(m.autograd.Function):
            @staticmethod
            def forward(ctx, x, y, k):
                z = (x * y).tanh()
                ctx.save_for_backward(x, y, z)
                ctx.k = k
                ctx.set_materialize_grads(False)
                return z * k, x - y

            @staticmethod
            def backward(ctx, g, h):
                x, y, z = ctx.saved_tensors
                gx = gy = None
                if g is not None:
                    inner = g * ctx.k * (1 - z * z)
                    gx, gy = inner * y, inner * x
                if h is not None:
                    gx, gy = (h if gx is None else gx + h), (-h if gy is None else gy - h)
                return gx, gy, None

        x = m.tensor([0.3, -0.7], dtype=m.float64, requires_grad=True)
        y = m.tensor([1.1, 0.4], dtype=m.float64, requires_grad=True)
        found = []
        for weights in ((1, 0), (0, 1), (1, 1)):
            a, b = Product.apply(x, y, 2.0)
            total = sum(w * t.sum() for w, t in zip(weights, (a, b)) if w)
            first = m.autograd.grad(total, (x, y), create_graph=True)
            found += first
            if first[0].requires_grad:
                found += m.autograd.grad(sum((g * g).sum() for g in first), (x, y))
        return found

    for ours, theirs in zip(derivatives(mg), derivatives(torch), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)

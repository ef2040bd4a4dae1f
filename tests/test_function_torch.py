"""autograd.Function, the same programs with this package and with PyTorch."""

import importlib
import warnings

import numpy as np
import pytest

import microgradnet as mg


def programs(m):
    """Functions on Tensors and what comes of them, by name; m is this package or PyTorch."""
    once_differentiable = importlib.import_module(f"{m.__name__}.autograd.function").once_differentiable

    def make(forward, backward=None, **more):
        given = {"forward": forward, "backward": backward, **more}
        return type("Made", (m.autograd.Function,), {k: staticmethod(f) for k, f in given.items() if f})

    def leaf():
        return m.tensor([1.0, 2.0], dtype=m.float64, requires_grad=True)

    def grad(y, x, **options):
        return m.autograd.grad(y.sum(), x, **options)

    def once(forward, backward, *more, **options):
        """The gradient by the first argument, with its graph."""
        x = leaf()
        y = make(forward, backward).apply(x, *more, **options)
        return grad(y[0] if isinstance(y, tuple) else y, x, allow_unused=True)

    def doubled(ctx, x):
        return x * 2

    def squared(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    def square_rule(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g

    def higher(forward, backward):
        x = leaf()
        (g,) = grad(make(forward, backward).apply(x * x), x, create_graph=True)
        return g, grad(g, x)

    def seen_by_backward(forward, **options):
        seen = []

        def backward(ctx, *grads):
            seen.extend(None if g is None else (str(g.dtype).split(".")[-1], tuple(g.shape)) for g in grads)
            return grads[0]

        x = leaf()
        outputs = make(forward, backward).apply(x)
        grad(outputs[0], x)
        return seen, [y.requires_grad for y in outputs]

    def constants(ctx, x):
        mask, other = x > 1, x * 2
        ctx.mark_non_differentiable(mask, other)
        return x * 2, mask, other

    def unmaterialized(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def needs(tracking):
        seen = []

        def forward(ctx, x, k, y):
            seen.append(ctx.needs_input_grad)
            return x * y

        with m.set_grad_enabled(tracking):
            y = make(forward, lambda ctx, g: (seen.append(ctx.needs_input_grad), g, g)[1:] + (None,)).apply(
                leaf(), 2, m.ones(2, dtype=m.float64))
        return seen, y.requires_grad

    def dirty(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(3)
        return x

    def dirty_but_kept(ctx, x):
        ctx.mark_dirty(x)
        return x * 1

    def written(forward):
        x = leaf()
        z = x * 1
        y = make(forward, lambda ctx, g: g * 3).apply(z)
        return y is z, y, grad(y, x)

    def saved_then_written(keep_result):
        def forward(ctx, x):
            y = x * 2
            ctx.save_for_backward(y if keep_result else x)
            return y

        x = leaf() * 1
        y = make(forward, square_rule).apply(x)
        (y if keep_result else x).mul_(2)
        return grad(y, x)

    def saved_result(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    def saved_intermediate(ctx, x):
        t = x * x
        ctx.save_for_backward(t)
        return t * x

    def intermediate_rule(ctx, g):
        (t,) = ctx.saved_tensors
        return 3 * g * t

    def setup(ctx, inputs, output):
        ctx.k = inputs[1]
        ctx.save_for_backward(inputs[0], output[0])

    def setup_rule(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * ctx.k + h + 0 * x * y, None

    def with_setup(*args, **kwargs):
        x = leaf()
        y, z = make(lambda x, k=3.0: (x * k, x + 1), setup_rule, setup_context=setup).apply(x, *args, **kwargs)
        (g,) = grad(y * z, x, create_graph=True)
        return y, z, g

    def enabled_within(ctx, x):
        with m.enable_grad():
            ctx.x = x.detach().requires_grad_()
            ctx.y = ctx.x**3
        return ctx.y.detach()

    def enabled_rule(ctx, g):
        with m.enable_grad():
            return m.autograd.grad(ctx.y, ctx.x, g)[0]

    def raising(ctx, g):
        raise ZeroDivisionError

    def inherited():
        base = make(doubled, lambda ctx, g: g * 2)
        heir = type("Heir", (base,), {"backward": staticmethod(lambda ctx, g: g * 7)})
        x = leaf()
        return grad(base.apply(x), x), grad(heir.apply(x), x)

    def nested():
        inner = make(doubled, lambda ctx, g: g * 2)
        outer = make(lambda ctx, x: inner.apply(x) * 2, lambda ctx, g: inner.apply(g) * 2)
        x = leaf()
        return grad(outer.apply(x), x, create_graph=True)

    def retained(retain):
        x = leaf()
        y = make(squared, square_rule).apply(x)
        return grad(y, x, retain_graph=retain), grad(y, x)

    def node():
        fn = make(doubled, lambda ctx, g: g).apply(leaf()).grad_fn
        return fn.name(), fn.next_functions[0][0].name(), fn.next_functions[0][1]

    def not_static():
        class Legacy(m.autograd.Function):
            def forward(self, x):
                return x * 2

        return Legacy()(leaf())

    identity = (lambda ctx, x: x), (lambda ctx, g: g * 5)
    ones = {n: m.ones(n, dtype=m.float64) for n in [(), (1,), (3,), (3, 2)]}
    return {
        "first order": lambda: once(squared, square_rule),
        "second order": lambda: higher(squared, square_rule),
        "second order, the result saved": lambda: higher(saved_result, lambda ctx, g: g * ctx.saved_tensors[0]),
        "second order, an intermediate value saved": lambda: higher(saved_intermediate, intermediate_rule),
        "once differentiable": lambda: once(squared, once_differentiable(square_rule)),
        "once differentiable, twice": lambda: higher(squared, once_differentiable(square_rule)),
        "outputs that are no tensors": lambda: once(lambda ctx, x: (x * 2, "s", None, 3), lambda ctx, g, *r: g * 2),
        "no tensor at all": lambda: make(lambda ctx, x: 3.0).apply(leaf()),
        "nothing at all": lambda: make(lambda ctx, x: None).apply(leaf()),
        "a list for argument": lambda: make(lambda ctx, xs: xs[0] * 2).apply([leaf()]).requires_grad,
        "keyword argument": lambda: once(lambda ctx, x, k=2: x * k, lambda ctx, g: (g * 7, None), k=3),
        "keyword argument, without its gradient": lambda: once(lambda ctx, x, k=2: x * k, lambda ctx, g: g, k=3),
        "default argument": lambda: once(lambda ctx, x, k=2: x * k, lambda ctx, g: g * 7),
        "unknown keyword": lambda: once(lambda ctx, x: x, lambda ctx, g: g, z=3),
        "keyword given twice": lambda: once(lambda ctx, x, k: x, lambda ctx, g: g, 3, k=3),
        "keyword-only argument": lambda: once(lambda ctx, x, *, k=1: x, lambda ctx, g: g, k=3),
        "no backward": lambda: once(doubled, None),
        "vjp for backward": lambda: grad(make(doubled, vjp=lambda ctx, g: g * 2).apply(x := leaf()), x),
        "vjp and backward": lambda: grad(make(doubled, raising, vjp=raising).apply(x := leaf()), x),
        "no forward": lambda: type("Empty", (m.autograd.Function,), {}).apply(leaf()),
        "called": not_static,
        "too few gradients": lambda: once(lambda ctx, x, y: x * y, lambda ctx, g: g, leaf()),
        "too many gradients": lambda: once(doubled, lambda ctx, g: (g, g)),
        "too many, but None": lambda: once(doubled, lambda ctx, g: (g, None)),
        "a gradient of 3 elements": lambda: once(doubled, lambda ctx, g: ones[3,]),
        "a gradient of one element": lambda: once(doubled, lambda ctx, g: ones[1,]),
        "a 0-d gradient": lambda: once(doubled, lambda ctx, g: ones[()]),
        "a gradient to be summed": lambda: once(doubled, lambda ctx, g: ones[3, 2]),
        "a gradient of float32": lambda: once(doubled, lambda ctx, g: g.float()),
        "a number for gradient": lambda: once(doubled, lambda ctx, g: 3.0),
        "None for gradient": lambda: once(doubled, lambda ctx, g: None),
        "a gradient of a number": lambda: once(lambda ctx, x, k: x * k, lambda ctx, g: (g * 2, g), 2),
        "needs_input_grad": lambda: needs(True),
        "needs_input_grad in no_grad": lambda: needs(False),
        "what is saved must be a tensor": lambda: make(lambda ctx, x: ctx.save_for_backward(x, 3)).apply(leaf()),
        "an argument written after it was saved": lambda: saved_then_written(False),
        "a result written after it was saved": lambda: saved_then_written(True),
        "dirty": lambda: written(dirty),
        "dirty leaf": lambda: make(dirty, raising).apply(leaf()),
        "dirty, not returned": lambda: written(dirty_but_kept),
        "non-differentiable outputs": lambda: seen_by_backward(constants),
        "an output of whole numbers": lambda: seen_by_backward(lambda ctx, x: (x * 2, (x > 1).long())),
        "an output nobody used": lambda: seen_by_backward(lambda ctx, x: (x * 2, x.sum())),
        "not materialized": lambda: seen_by_backward(unmaterialized),
        "setup_context": lambda: with_setup(4.0),
        "setup_context, default": lambda: with_setup(),
        "setup_context, keyword": lambda: with_setup(k=5.0),
        "setup_context beside ctx": lambda: make(doubled, raising, setup_context=setup).apply(leaf()),
        "an argument returned": lambda: once(*identity),
        "a view returned": lambda: once(lambda ctx, x: x.view(2, 1), lambda ctx, g: g.view(2) * 5),
        "recorded within": lambda: once(enabled_within, enabled_rule),
        "an error in backward": lambda: once(doubled, raising),
        "one inherits from another": inherited,
        "one within another": nested,
        "retained": lambda: retained(True),
        "not retained": lambda: retained(False),
        "the node": node,
        "gradcheck": lambda: m.autograd.gradcheck(make(squared, square_rule).apply, (leaf(),)),
        "gradgradcheck": lambda: m.autograd.gradgradcheck(make(squared, square_rule).apply, (leaf(),)),
        "gradcheck of a wrong one": lambda: m.autograd.gradcheck(make(squared, lambda ctx, g: g).apply, (leaf(),)),
    }


def plain(result):
    """Tensors as lists, with whether they are recorded."""
    if isinstance(result, (tuple, list)):
        return [plain(part) for part in result]
    if hasattr(result, "detach"):
        return np.round(result.detach().numpy(), 12).tolist(), result.requires_grad
    return result


@pytest.mark.torch
@pytest.mark.parametrize("name", programs(mg))
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        try:
            theirs = programs(torch)[name]()
        except Exception as error:
            kind = RuntimeError if isinstance(error, RuntimeError) else type(error)
            with pytest.raises(kind):
                programs(mg)[name]()
            return
    assert plain(programs(mg)[name]()) == plain(theirs)

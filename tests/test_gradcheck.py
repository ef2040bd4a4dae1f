"""The checkers of derivatives: they pass what is right and find what is wrong."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.autograd import Function, GradcheckError, gradcheck, gradgradcheck


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


# --- what is right passes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (mg.sin, (leaf(0.3, 1.0),)),
        (lambda x: x.exp(), mg.tensor(0.5, dtype=mg.float64, requires_grad=True)),
        (lambda x, y: (x * y, (x / y).sum()), (leaf(1.0, 2.0), leaf(3.0, 4.0))),
        (lambda x, k: x**k, (leaf(1.0, 2.0), 3)),
        (lambda x, k: x * k, (leaf(1.0, 2.0), mg.tensor([2, 3]))),
        (lambda x, w: x @ w, (mg.randn(2, 3, dtype=mg.float64), mg.randn(3, 2, dtype=mg.float64).requires_grad_())),
        (lambda x: x.split(1), (leaf(1.0, 2.0),)),
        (lambda x: x.max(0), (leaf(1.0, 2.0),)),  # with whole numbers beside
        (lambda x: (x * 2, x.detach() * 2), (leaf(1.0, 2.0),)),  # with an output apart from the graph
        (lambda x: x * 0, (leaf(1.0, 2.0),)),
        (mg.floor, (leaf(0.5),)),
        (lambda x: x[:0], (leaf(1.0),)),
    ],
)
def test_right_gradients(f, inputs, fast_mode):
    assert gradcheck(f, inputs, fast_mode=fast_mode) is True


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize(
    "f", [lambda x: x**3, lambda x: (x**3).sum(), lambda x: x * 3, lambda x: (x.exp(), x.sin()), lambda x: x.split(1)]
)
def test_right_second_derivatives(f, fast_mode):
    assert gradgradcheck(f, leaf(0.5, 1.5), fast_mode=fast_mode) is True


def test_a_tensor_that_is_given_twice_stays_one():
    x = leaf(1.0, 2.0)
    assert gradcheck(mg.mul, (x, x)) and gradgradcheck(mg.mul, (x, x))


def test_results_that_are_no_leaves_as_inputs():
    assert gradcheck(mg.sin, leaf(1.0, 2.0) * 2)


def test_given_gradients_of_the_outputs():
    for given in (mg.ones(2, dtype=mg.float64), [mg.ones(2, dtype=mg.float64)]):
        assert gradgradcheck(mg.exp, leaf(0.5, 1.5), given)


def test_the_inputs_are_never_modified():
    x, k = leaf(1.0, 2.0), mg.tensor([3.0, 4.0], dtype=mg.float64)
    before = x.array.copy(), k.array.copy()
    gradcheck(lambda x, k: x.clone().mul_(k), (x, k))
    gradgradcheck(lambda x, k: x * x * k, (x, k))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x, k: x.detach() * k, (x, k))
    assert (x.array == before[0]).all() and (k.array == before[1]).all()
    assert x._version == k._version == 0 and x.grad is None


# --- what is wrong is found ------------------------------------------------------------------------------------------


def wrong_rules():
    square = lambda x, /: x * x
    return {
        "missing factor": (square, lambda g, _y, x: g * x),
        "wrong sign": (square, lambda g, _y, x: -2 * g * x),
        "zero": (square, lambda g, _y, x: 0 * g),
        "no gradient of the output": (square, lambda g, _y, x: 2 * x),
        "a thousandth off": (square, lambda g, _y, x: 2.003 * g * x),
        "one element": (square, lambda g, _y, x: 2 * g * x * (x < 2.9)),
        "transposed": (lambda x, /: x.reshape(2, 2).T @ np.array([1.0, 3.0]),
                       lambda g, _y, _x: (g.reshape(1, 2) * np.array([[1.0], [3.0]])).T.reshape(4)),
        "not summed over what was broadcast": (lambda x, /: np.add.reduce(np.exp(x)) * np.ones(3),
                                               lambda g, _y, x: g[0] * mg.exp(x)),
        "nan": (square, lambda g, _y, x: g * x * np.nan),
        "infinite": (square, lambda g, _y, x: g * x * np.inf),
    }


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("fault", wrong_rules())
def test_a_planted_fault_is_found(plant, fault, fast_mode):
    wrong = plant(*wrong_rules()[fault])
    x = leaf(1.0, 2.0, 3.0, 4.0)
    with pytest.raises(GradcheckError, match=r"gradcheck\(\): (gradient of|backward of) output 0"):
        gradcheck(wrong, x, fast_mode=fast_mode)
    assert gradcheck(wrong, x, fast_mode=fast_mode, raise_exception=False) is False


def test_the_right_rule_of_the_planted_ones_passes(plant):
    assert gradcheck(plant(lambda x, /: x * x, lambda g, _y, x: 2 * g * x), leaf(1.0, 2.0, 3.0, 4.0))


def test_a_fault_in_one_argument_or_output_is_named(plant):
    wrong = plant(lambda a, b, /: a * b, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a * 1.5)
    with pytest.raises(GradcheckError) as error:
        gradcheck(lambda a, b: (a * b, wrong(a, b)), (leaf(1.0, 2.0), leaf(3.0, 4.0)))
    message = "gradient of output 1, element 0, by input 1 along element (0,): analytic 1.5, numeric 1."
    assert message in str(error.value)
    with pytest.raises(GradcheckError, match="by input 0 along its one element: analytic 0, numeric 1"):
        gradcheck(lambda x: x.detach() + 0, mg.tensor(1.0, dtype=mg.float64, requires_grad=True))
    with pytest.raises(GradcheckError, match="along a random direction"):
        gradcheck(lambda a, b: wrong(a, b), (leaf(1.0, 2.0), leaf(3.0, 4.0)), fast_mode=True)


def test_something_made_of_a_zero_gradient():
    class Leaks(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g + 1e-9  # too little to show in the differences

    with pytest.raises(GradcheckError, match="backward of output 0 makes something of a zero gradient, by input 0"):
        gradcheck(Leaks.apply, leaf(1.0, 2.0))
    assert gradcheck(Leaks.apply, leaf(1.0, 2.0), check_undefined_grad=False)


def test_a_function_that_is_cut_off():
    with pytest.raises(GradcheckError, match=r"analytic 0, numeric 2. The output does not require grad: .*detach\(\)"):
        gradcheck(lambda x: x.detach() * 2, leaf(1.0))


def test_a_function_that_ignores_its_arguments():
    x = leaf(1.0)
    with pytest.raises(GradcheckError, match="does not move at all: func has to compute from its arguments"):
        gradcheck(lambda _: x * 2, x)


def test_a_random_function():
    noise = iter(np.random.default_rng(0).standard_normal(10))
    with pytest.raises(GradcheckError, match="output 0 differs between two calls .*: the function is random"):
        gradcheck(lambda x: x * next(noise), leaf(1.0))
    noise = iter([1.0, 1.0 + 1e-9, 1.0, 1.0, 1.0])
    assert gradcheck(lambda x: x + next(noise), leaf(1.0), nondet_tol=1e-6, eps=1e-3)


@pytest.mark.parametrize(("f", "kink"), [(mg.relu, 0.0), (lambda x: mg.clamp(x, 0.0, 1.0), 1.0), (mg.floor, 1.0)])
def test_p71_a_kink_is_named(f, kink):
    with pytest.raises(GradcheckError, match="The slopes to the left, .*, and right, .*, differ: it is near a kink"):
        gradcheck(f, leaf(0.5, kink))
    assert gradcheck(f, leaf(0.5, kink + 0.1))


def test_p71_float32_inputs_are_warned_of():
    with pytest.warns(UserWarning, match=r"gradcheck\(\): input 0 \(1,\) float32 is not float64.*.double") as caught:
        gradcheck(lambda x: x * 2, mg.ones(1, requires_grad=True), raise_exception=False)
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"gradgradcheck\(\): input 1") as caught:
        gradgradcheck(mg.mul, (leaf(1.0), mg.ones(1, requires_grad=True)), raise_exception=False)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_p71_loose_tolerances_let_float32_pass():
    with pytest.warns(UserWarning):
        assert gradcheck(mg.sin, mg.ones(2, requires_grad=True), eps=1e-2, atol=1e-3, rtol=1e-2)


def wrong_second_derivatives():
    square = lambda x, /: x * x
    return {
        "a rule that leaves Tensors": (square, lambda g, _y, x: 2 * g * getattr(x, "array", x)),
        "a rule that cuts off g": (square, lambda g, _y, x: 2 * x * (g.detach() if isinstance(g, mg.Tensor) else g)),
        "a wrong rule inside": (square, lambda g, _y, x: g * mg.where(x > 0, 2 * x, 0 * x).detach()
                                if isinstance(x, mg.Tensor) else 2 * g * x),
    }


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("fault", wrong_second_derivatives())
def test_a_fault_of_second_order_is_found(plant, fault, fast_mode):
    wrong = plant(*wrong_second_derivatives()[fault])
    x = leaf(1.0, 2.0)
    assert gradcheck(wrong, x)
    with pytest.raises(GradcheckError, match=r"gradgradcheck\(\): derivative of gradient 0"):
        gradgradcheck(wrong, x, fast_mode=fast_mode)
    assert gradgradcheck(wrong, x, fast_mode=fast_mode, raise_exception=False) is False


def test_a_fault_of_second_order_in_one_of_several_gradients(plant):
    wrong = plant(lambda a, b, /: a * b, lambda g, _y, _a, b: g * b,
               lambda g, _y, a, _b: (g * a).detach() if isinstance(g, mg.Tensor) else g * a)
    with pytest.raises(GradcheckError, match="derivative of gradient 1"):
        gradgradcheck(wrong, (leaf(1.0, 2.0), leaf(3.0, 4.0)))


# --- how they are called ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_arguments(check):
    name = check.__name__
    with pytest.raises(ValueError, match=rf"{name}\(\): at least one input must require grad"):
        check(mg.sin, mg.ones(2, dtype=mg.float64))
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'rtoll'"):
        check(mg.sin, leaf(1.0), rtoll=1)
    with pytest.raises(NotImplementedError, match=rf"{name}\(\): check_forward_ad"):
        check(mg.sin, leaf(1.0), check_forward_ad=True)
    assert check(mg.sin, leaf(1.0), check_forward_ad=False, check_backward_ad=True, check_grad_dtypes=True, masked=None)


def test_nothing_to_differentiate_twice():
    with pytest.raises(ValueError, match="no output requires grad"):
        gradgradcheck(lambda x: x.detach(), leaf(1.0))


@pytest.mark.torch
def test_the_verdicts_of_pytorch():
    torch = pytest.importorskip("torch")

    def verdicts(m):
        x = m.tensor([0.0, 0.5, 1.5], dtype=m.float64, requires_grad=True)
        functions = [m.sin, m.relu, m.abs, m.sqrt, lambda x: x.detach(), lambda x: (x, x.detach()),
                     lambda x: m.where(x > 0.2, x * x, x), lambda x: x.clamp(0.1, 1.0), lambda x: x.clamp(0.5, 1.0)]
        return [m.autograd.gradcheck(f, (x,), raise_exception=False) for f in functions]

    assert verdicts(mg) == verdicts(torch)

"""Dtypes against PyTorch: every elementwise operation on two operands, for each pair of dtypes, with and without dimensions, and
with Python numbers; joining, choosing, and writing in place."""

import inspect
import itertools

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph
from microgradnet.ops import arithmetic, elementwise, mathematics

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:overflow"),  # NumPy's, of scalars that wrap around
    pytest.mark.filterwarnings("ignore:An output with one or more elements"),  # PyTorch's own, in ldexp
]
torch = pytest.importorskip("torch")
from test_ops_torch import both  # noqa: E402

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
SHAPES = [((3,), (3,)), ((3,), ()), ((), (3,)), ((), ())]
NUMBERS = [True, 2, -2, 300, 2.5]


def operands(function):
    """How many tensors a function of a family takes."""
    if isinstance(function, graph.Op):
        return function.arity
    return sum(p.default is p.empty for p in inspect.signature(function).parameters.values())


BINARY = [
    name
    for family in (elementwise, arithmetic, mathematics)
    for name in family.__all__
    if operands(getattr(family, name)) == 2 and name not in ("where", "polygamma", "mvlgamma")
]
# PyTorch refuses these for no reason of mathematics; here they are computed.
LENIENT = {("sub", "bool"), ("subtract", "bool"), ("rsub", "bool"), ("clamp_min", "bool"), ("clamp_max", "bool"),
           *((name, "float16") for name in ("igamma", "igammac")), ("ldexp", "bool")}  # fmt: skip


def lenient(name, *dtypes):
    return any((name, dtype) in LENIENT for dtype in dtypes)


def values(dtype, *shape):
    """Small numbers that every dtype holds, not 0."""
    return (np.arange(np.prod(shape, dtype=int)) % 3 + 1).reshape(shape).astype(dtype)


def check(name, f, what):
    """The same result in both; but where only PyTorch refuses a dtype that NumPy computes, nothing is asked."""
    try:
        f(torch)
    except NotImplementedError:
        return
    except (RuntimeError, TypeError):
        try:
            f(mg)
        except (RuntimeError, TypeError, ValueError):
            return
        raise AssertionError(f"{what}: PyTorch refuses") from None
    both(f, what, rtol=1e-9)


@pytest.mark.parametrize("name", BINARY)
def test_two_tensors(name):
    for left, right, (a, b) in itertools.product(DTYPES, DTYPES, SHAPES):
        if not lenient(name, left, right):
            x, y = values(left, *a), values(right, *b)
            check(name, lambda m: getattr(m, name)(m.tensor(x), m.tensor(y)), f"{name} of {left} {a} and {right} {b}")


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b, "//": lambda a, b: a // b,
    "%": lambda a, b: a % b, "**": lambda a, b: a**b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b,
    "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "fmod": None, "copysign": None, "xlogy": None, "float_power": None, "clamp_min": None, "clamp_max": None, "rsub": None,
}  # fmt: skip
COMPARISONS = {"<", ">=", "=="}


@pytest.mark.parametrize("sign", OPERATORS)
def test_a_tensor_and_a_number(sign):
    for dtype, number, shape in itertools.product(DTYPES, NUMBERS, ((3,), ())):
        if dtype == "bool" or number is True:
            if sign in ("-", "rsub", "clamp_min", "clamp_max"):
                continue  # PyTorch refuses
        if number == 300 and dtype in ("uint8", "int8") or number == -2 and dtype == "uint8":
            if sign in COMPARISONS or sign in ("clamp_min", "clamp_max", "**"):
                continue  # compared as they are, where PyTorch wraps the number around first; and its power is refused there
        x, f = values(dtype, *shape), OPERATORS[sign]
        what = f"{dtype} {shape} {sign} {number}"
        if f is None:
            check(sign, lambda m: getattr(m, sign)(m.tensor(x), number), what)
            continue
        check(sign, lambda m: f(m.tensor(x), number), what)
        check(sign, lambda m: f(number, m.tensor(x)), f"{number} {sign} {dtype} {shape}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_type(dtype):
    for other, (a, b) in itertools.product(DTYPES, SHAPES):
        x, y = values(dtype, *a), values(other, *b)
        theirs = torch.result_type(torch.tensor(x), torch.tensor(y))
        assert str(theirs) == f"torch.{mg.result_type(mg.tensor(x), mg.tensor(y))}"
    for number in NUMBERS:
        assert str(torch.result_type(torch.tensor(values(dtype, 2)), number)) == f"torch.{mg.result_type(mg.tensor(values(dtype, 2)), number)}"


JOINED = {
    "cat": lambda m, x, y: m.cat([x.reshape(-1), y.reshape(-1)]),
    "stack": lambda m, x, y: m.stack([x.expand(3), y.expand(3)]),
    "where": lambda m, x, y: m.where(m.tensor([True, False, True]), x, y),
    "where number": lambda m, x, y: m.where(x.expand(3) > 1, x, 2.5),
    "addcmul": lambda m, x, y: m.addcmul(x, y, y, value=2),
    "clamp": lambda m, x, y: m.clamp(x, y, y + y),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
def test_joining_and_choosing(name):
    for left, right, (a, b) in itertools.product(DTYPES, DTYPES, SHAPES):
        if name == "clamp" and "bool" in (left, right):
            continue
        x, y = values(left, *a), values(right, *b)
        check(name, lambda m: JOINED[name](m, m.tensor(x), m.tensor(y)), f"{name} of {left} {a} and {right} {b}")


# --- in place ---------------------------------------------------------------------------------------------------------------

# float_power_ wants float64 in PyTorch; here it casts its result to what is there, as other operations do.
IN_PLACE = [name for name in BINARY if hasattr(torch.Tensor, name + "_") and name != "float_power"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    for left, right, shape in itertools.product(DTYPES, DTYPES, ((3,), ())):
        if lenient(name, left, right):
            continue
        x, y = values(left, 3), values(right, *shape)
        check(name, lambda m: getattr(m.tensor(x), name + "_")(m.tensor(y)), f"{name}_ of {left} and {right} {shape}")


UNARY = [
    name
    for family in (elementwise, arithmetic, mathematics)
    for name in family.__all__
    if operands(getattr(family, name)) == 1 and hasattr(torch.Tensor, name + "_")
]


@pytest.mark.parametrize("name", UNARY)
def test_in_place_of_one(name):
    for dtype in DTYPES:
        if (name, dtype) not in {("square", "bool"), ("sign", "bool"), ("sgn", "bool"), ("sinc", "float16")}:
            x = (values(dtype, 4) * 0.25).astype(dtype)
            check(name, lambda m: getattr(m.tensor(x), name + "_")(), f"{name}_ of {dtype}")


# --- values at the edges of a dtype -----------------------------------------------------------------------------------------

EDGES = {
    "whole numbers wrap around": lambda m: (m.tensor([127, -128], dtype=m.int8) + m.tensor([1, -1], dtype=m.int8), m.tensor([200], dtype=m.uint8) * 2,
                                            m.tensor([2**62]) * 2, -m.tensor([-128], dtype=m.int8), m.tensor([2], dtype=m.int32) ** 31),
    "numbers beyond the dtype": lambda m: (m.tensor([1, 2], dtype=m.uint8) + 300, m.tensor([1, 2], dtype=m.uint8) - 2, m.tensor([3], dtype=m.int8) * 1000),
    "whole powers": lambda m: (m.tensor([2, 1, -1, -1, 3]) ** m.tensor([-1, -1, -1, -2, 2]), 2 ** m.tensor([-1, 3])),
    "comparison after promotion": lambda m: (m.tensor([16777217]) == m.tensor([16777216.0]), m.tensor([16777217]) > 16777216.0,
                                             m.tensor([0.1]) == m.tensor(0.1, dtype=m.float64), m.tensor([0.1]) == 0.1),
    "shifts": lambda m: (m.tensor([1, 1, -8]) << m.tensor([3, 70, 1]), m.tensor([-8, 8, -1]) >> m.tensor([70, 1, -1]), 1 << m.tensor([2])),
    "half precision": lambda m: (m.tensor([60000.0], dtype=m.float16) * m.tensor(1.0), m.tensor([1, 2], dtype=m.int16) / m.tensor([3], dtype=m.int16)),
    "gcd": lambda m: (m.gcd(m.tensor([4, 0, -6]), m.tensor([6, 0, 4])), m.lcm(m.tensor([4, 0, -6]), m.tensor([6, 0, 4]))),
    "rounding": lambda m: (m.round(m.tensor([15.0, 25.0, -0.5]), decimals=-1), m.tensor([0.5, 1.5, -2.5]).round(), m.tensor([7, -7]) // 2,
                           m.fmod(m.tensor([7, -7]), 3), m.tensor([7, -7]) % -3, m.div(m.tensor([7, -7]), 2, rounding_mode="trunc")),
    "frexp": lambda m: tuple(m.frexp(m.tensor([3.0, 0.0, -5, np.inf]))),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    assert both(EDGES[name], name)


REFUSED = {
    "minus of booleans": lambda m: -m.tensor([True]), "difference of booleans": lambda m: m.tensor([True]) - m.tensor([False]),
    "not of a float": lambda m: ~m.tensor([1.0]), "plus of a boolean": lambda m: +m.tensor([True]),
    "floor_divide by 0": lambda m: m.tensor([5]) // 0, "remainder by 0": lambda m: m.tensor([5]) % m.tensor([0]), "fmod by 0": lambda m: m.fmod(m.tensor([5]), 0),
    "div by 0": lambda m: m.div(m.tensor([5]), 0, rounding_mode="trunc"), "power": lambda m: m.tensor([2, 3]) ** -1,
    "heaviside": lambda m: m.heaviside(m.tensor([1.0]), m.tensor([2])), "lerp": lambda m: m.lerp(m.tensor([1.0]), m.tensor([2.0], dtype=m.float64), 0.5),
    "addcdiv": lambda m: m.addcdiv(m.tensor([1]), m.tensor([1]), m.tensor([2])), "frexp": lambda m: m.frexp(m.tensor([1])),
    "gcd": lambda m: m.gcd(m.tensor([1.5]), m.tensor([2])), "polygamma": lambda m: m.polygamma(-1, m.tensor([1.0])),
    "shift": lambda m: m.tensor([1.0]) << 2, "and": lambda m: m.tensor([1.0]) & 1,
    "add_": lambda m: m.tensor([1]).add_(1.5), "exp_": lambda m: m.tensor([1]).exp_(), "clamp_": lambda m: m.tensor([5]).clamp_(min=2.5),
    "add_ shape": lambda m: m.zeros(3).add_(m.zeros(2, 3)), "bool add_": lambda m: m.tensor([True]).add_(1),
    "igamma": lambda m: m.igamma(m.tensor([1.0], requires_grad=True), m.tensor([1.0])).backward(),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_both(name):
    for lib in (torch, mg):
        with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
            REFUSED[name](lib)

"""Sample arguments for every operation of the table.

An operation that is elementwise on one or two arrays needs no entry here: its samples are derived from its arity and
its domain. Arrays that a gradient flows to are float64; index arrays, masks, numbers and None stand for themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import microgradnet as mg
import microgradnet.nn  # noqa: F401 - its fused operations are in the table too
import microgradnet.special  # noqa: F401 - and these functions
from microgradnet import graph
from microgradnet.ops.index import Slot

TABLE = dict(graph.OPS)  # as imported, without what tests plant
DIFFERENTIABLE = [name for name, op in TABLE.items() if op.differentiable]
# Not called by users with arrays: one output of several, which is tested with the operations that have several; the
# gate of a module's hooks; random numbers; what clips gradients; and the check of a loss. The tests of nn, of compile and
# of the trainer look at these.
INTERNAL = {"item_of", "module_boundary", "dropout_mask", "uniform_like", "total_norm", "scaled_down", "finite"}

UNARY_SHAPES = [(), (1,), (5,), (2, 3), (2, 1, 3), (0,), (2, 0, 3)]
BINARY_SHAPES = [
    ((), ()), ((2, 3), (2, 3)), ((3, 1), (1, 4)), ((4,), (2, 3, 4)), ((2, 3, 4), (4,)), ((), (3,)), ((3,), ()),
    ((1, 3), (1, 3)), ((2, 1, 3), (1, 3)), ((1,), ()), ((0, 3), (1, 3)), ((0,), ()), ((1, 1), (2, 0, 3)),
]  # fmt: skip

# Where the arguments are drawn from, if not from [0.2, 1.4] with either sign.
DOMAINS: dict[str, list[tuple[float, float]]] = {
    "log": [(0.2, 3)], "log2": [(0.2, 3)], "log10": [(0.2, 3)], "log1p": [(-0.8, 3)], "sqrt": [(0.2, 3)],
    "rsqrt": [(0.2, 3)],
    "asin": [(-0.9, 0.9)], "acos": [(-0.9, 0.9)], "atanh": [(-0.9, 0.9)], "acosh": [(1.2, 3)],
    "pow": [(0.3, 2), (-2, 2)], "exp": [(-3, 3)], "tanh": [(-3, 3)], "erf": [(-3, 3)], "sigmoid": [(-5, 5)],
    "hardtanh": [(-0.9, 0.9)], "floor_divide": [(2.2, 2.6), (0.9, 1.05)], "remainder": [(-0.9, -0.2), (1, 2)],
    "fmod": [(-0.9, -0.2), (1, 2)], "frac": [(-0.9, -0.1)], "nextafter": [(0.5, 1), (2, 3)], "xlogy": [(-2, 2), (0.3, 3)],
    "xlog1py": [(-2, 2), (-0.5, 3)], "logit": [(0.1, 0.9)], "erfc": [(-2, 2)], "erfinv": [(-0.9, 0.9)], "sinc": [(0.2, 2.3)],
    "lgamma": [(1, 4)], "digamma": [(1, 4)], "i0": [(-3, 3)], "i1": [(-3, 3)], "i0e": [(0.3, 3)], "i1e": [(0.3, 3)],
    "entr": [(0.2, 3)], "erfcx": [(-1, 3)], "ndtri": [(0.2, 0.8)], "log_ndtr": [(-3, 3)], "atan2": [(-2, 2), (0.3, 2)],
    "fmax": [(0.2, 0.7), (0.8, 1.4)], "fmin": [(0.2, 0.7), (0.8, 1.4)],
    "floor": [(0.2, 0.8)], "ceil": [(0.2, 0.8)], "round": [(0.6, 1.4)], "trunc": [(0.2, 0.8)],
}  # fmt: skip
WHOLE = {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm"}


class Sample(NamedTuple):
    """Arguments of one call."""

    args: tuple
    params: dict[str, Any] = {}

    def __str__(self) -> str:
        shown = [str(a.shape) if isinstance(a, np.ndarray) else repr(a) for a in self.args]
        return ", ".join(shown + [f"{k}={v!r}" for k, v in self.params.items()])


class Draw:
    """Draws arrays, the same ones for the same name in every run."""

    def __init__(self, name: str) -> None:
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))

    def __call__(self, *shape: int) -> np.ndarray:
        """Of size 0.2 to 1.4 and either sign: not near 0, where many functions have a kink."""
        return np.asarray(self.rng.uniform(0.2, 1.4, shape) * self.rng.choice([-1.0, 1.0], shape))

    def within(self, low: float, high: float, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.uniform(low, high, shape))

    def index(self, size: int, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.integers(0, size, shape))

    def mask(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.random(shape) < 0.5)


# Where there is a value but no derivative: only what a rule reads there is looked at.
SINGULAR: dict[str, list[Sample]] = {
    name: [Sample((np.array([0.0, 2.0]), np.array([-3.0, 2.0])))] for name in ("xlogy", "xlog1py", "nextafter")
}


def samples(name: str) -> list[Sample]:
    """The samples of an operation."""
    op, draw = graph.OPS[name], Draw(name)
    if name in SAMPLES:
        return SAMPLES[name](draw)
    if op.arity not in (1, 2):
        raise LookupError(f"the operation {name} has no samples: add some to tests/samples.py")
    if name in WHOLE:
        draws = [lambda *shape: draw.index(9, *shape)] * op.arity
    elif name in DOMAINS:
        draws = [lambda *shape, bounds=bounds: draw.within(*bounds, *shape) for bounds in DOMAINS[name]]
    else:
        draws = [draw] * op.arity
    if op.arity == 1:
        return [Sample((draws[0](*shape),)) for shape in UNARY_SHAPES] + VARIANTS.get(name, lambda draw: [])(draw)
    left, right = draws
    arrays = [Sample((left(*a), right(*b))) for a, b in BINARY_SHAPES]
    numbers = [Sample((left(2, 3), right().item())), Sample((left().item(), right(2, 3))),
               Sample((left(), right().item()))]
    return arrays + numbers + VARIANTS.get(name, lambda draw: [])(draw)


VARIANTS: dict[str, Callable[[Draw], list[Sample]]] = {
    "pow": lambda draw: [Sample((draw(4), exponent)) for exponent in (0, 1, 2, 3, 2.0, -1, -2)]
    + [Sample((draw.within(0.3, 2, 4), 0.5)), Sample((0, draw.within(0.3, 2, 4)))],
    "remainder": lambda draw: [Sample((np.array([7.3, -7.3, 2.2, 0.5]), np.array([2.0, 3, -0.8, 4])))],
    "round": lambda draw: [Sample((draw(4),), {"decimals": 2})],
    "leaky_relu": lambda draw: [Sample((draw(4),), {"negative_slope": 0.3}),
                                Sample((draw(4),), {"negative_slope": -0.5})],
    "elu": lambda draw: [Sample((draw(4),), {"alpha": 0.5})],
    "softplus": lambda draw: [Sample((draw(8),), {"beta": 3, "threshold": 2}), Sample((30 * draw(8),))],
    "hardtanh": lambda draw: [Sample((3 * draw(8),)), Sample((draw(8),), {"min_val": -0.5, "max_val": 0.7})],
    "gelu": lambda draw: [Sample((draw(4),), {"approximate": "tanh"})],
    "fmax": lambda draw: [Sample((np.array([1.0, -2, 0.5]), np.array([0.0, 1, -1])))],
    "fmin": lambda draw: [Sample((np.array([1.0, -2, 0.5]), np.array([0.0, 1, -1])))],
    "nan_to_num": lambda draw: [Sample((draw(4),), {"nan": 1.0, "posinf": 2.0, "neginf": 3.0})],
    "logit": lambda draw: [Sample((draw.within(0.01, 0.99, 8),), {"eps": 0.3})],
    "lgamma": lambda draw: [Sample((np.array([-0.5, -2.4, -3.6, 9, 30, 0.7, 14]),))],
    "digamma": lambda draw: [Sample((np.array([-0.5, -2.4, -3.6, 9, 30, 0.7, 14]),))],
    "i0": lambda draw: [Sample((np.array([-25.0, 21, 12]) / 10,))],
    "i0e": lambda draw: [Sample((np.array([-25.0, 22, -12]),))],
    "i1e": lambda draw: [Sample((np.array([-25.0, 22, -12]),))],
    "erfcx": lambda draw: [Sample((np.array([5.0, 30, 0.2]),))],
    "log_ndtr": lambda draw: [Sample((np.array([-30.0, -8, 6]),))],
}  # fmt: skip


def _along(*dims: Any, **more: Any) -> Callable[[Draw], list[Sample]]:
    """Samples of a reduction: the full form, and each of these `dim`s on 3-d, with and without keepdim."""

    def make(draw: Draw) -> list[Sample]:
        made = [Sample((draw(*shape),), dict(more)) for shape in [(), (1,), (5,), (2, 3), (2, 1, 3)]]
        for dim in dims:
            for keepdim in (False, True):
                made.append(Sample((draw(2, 3, 4),), {"dim": dim, "keepdim": keepdim, **more}))
        return [*made, Sample((draw(3, 1, 2),), {"dim": 1, **more}), Sample((draw(3),), {"dim": 0, **more})]

    return make


def _empty(*samples: tuple) -> Callable[[Draw], list[Sample]]:
    return lambda draw: [Sample((draw(*shape),), params) for shape, params in samples]


def _both(*makers: Callable[[Draw], list[Sample]]) -> Callable[[Draw], list[Sample]]:
    return lambda draw: list({str(s): s for make in makers for s in make(draw)}.values())


_NOTHING_ALONG_1 = _empty(((2, 0, 3), {"dim": 1}), ((2, 0, 3), {"dim": 0}), ((0,), {}),
                          ((2, 0), {"dim": -1, "keepdim": True}))
_NOTHING_IN_1 = _empty(((2, 0, 3), {"dim": 0}), ((2, 0), {"dim": 0, "keepdim": True}))
_DIMS = (0, -1, 1, (0, 2), (-1, 0), (0, 1, 2))


def _with_zeros(draw: Draw) -> list[Sample]:
    x = draw(3, 4)
    x[0, 1] = x[2, 2] = x[2, 3] = 0
    return [
        Sample((x[0].copy(),)), Sample((x[2].copy(),)), Sample((x,)), Sample((x,), {"dim": 0}),
        Sample((x,), {"dim": -1, "keepdim": True}), Sample((x,), {"dim": 1}),
    ]  # fmt: skip


def _second_of_two(low: float, high: float, first: int) -> Callable[[Draw], list[Sample]]:
    """Samples of a function with no derivative by its first argument, which is a whole number of at least `first`."""
    return lambda draw: [
        Sample((np.asarray(first + draw.index(4, *a)), draw.within(low, high, *b))) for a, b in BINARY_SHAPES
    ]


def _three(*bounds: tuple[float, float], **params: Any) -> Callable[[Draw], list[Sample]]:
    """Samples of an elementwise operation on three arrays."""
    shapes = [((), (), ()), ((2, 3), (2, 3), (2, 3)), ((3, 1), (1, 4), ()), ((4,), (3, 1), (2, 3, 4)), ((0, 3), (1, 3), (3,))]
    return lambda draw: [
        Sample(tuple(draw.within(*b, *s) for b, s in zip(bounds, one)), more)
        for one in shapes for more in (({}, params) if params else ({},))
    ]


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    # of several arrays
    "addcmul": _three((-2, 2), (-2, 2), (-2, 2), value=-0.5),
    "addcdiv": _three((-2, 2), (-2, 2), (0.5, 2), value=-0.5),
    "lerp": _three((-2, 2), (-2, 2), (0.1, 0.9)),
    "igamma": _second_of_two(1, 5, 1),
    "igammac": _second_of_two(1, 5, 1),
    "zeta": _second_of_two(1, 5, 2),
    "polygamma": lambda draw: [Sample((draw.within(1.5, 4, *shape),), {"n": n}) for shape in UNARY_SHAPES for n in (0, 1, 3)],
    "frexp": lambda draw: [Sample((draw.within(0.55, 0.95, *shape),)) for shape in UNARY_SHAPES],
    # choosing
    "where": lambda draw: [
        Sample((draw.mask(*c), draw(*a), draw(*b)))
        for c, a, b in [((), (), ()), ((2, 3), (2, 3), (2, 3)), ((3, 1), (1, 4), (4,)), ((2, 3), (), (3,)),
                        ((0, 3), (1, 3), ())]
    ] + [Sample((draw.mask(4), draw(4), 0.5)), Sample((draw.mask(4), 2.0, draw(4)))],
    "clamp": lambda draw: [
        Sample((draw(4, 3), -0.5, 0.7)), Sample((draw(8), None, 0.5)), Sample((draw(8), -0.5, None)),
        Sample((draw(), 0.0, 1.0)), Sample((draw(0, 3), 0.0, 1.0)),
        Sample((draw(4, 3), draw.within(-0.8, -0.1, 3), draw.within(0.1, 0.8, 4, 1))),
        Sample((draw(4, 3), None, draw(4, 3))), Sample((draw(4, 3), draw(), None)), Sample((draw(3), draw(4, 1), 0.9)),
        Sample((draw(6), draw(6), draw(6))), Sample((draw(6), 0.5, -0.5)),
    ],
    # reductions
    "sum": _both(_along(*_DIMS), _NOTHING_ALONG_1),
    "mean": _both(_along(*_DIMS), _NOTHING_IN_1),
    "prod": _both(_along(0, -1, 1), _NOTHING_ALONG_1, _with_zeros),
    "var": _both(lambda draw: _along(*_DIMS)(draw)[2:-2], lambda draw: _along(0, (1, 2), correction=0)(draw),
                 _NOTHING_IN_1, lambda draw: [Sample((draw(5),), {"correction": 2.5})]),
    # Of two numbers it has a kink where they meet.
    "std": _both(lambda draw: _along(1, -1, (0, 2), (0, 1, 2))(draw)[2:-2],
                 lambda draw: _along(1, (1, 2), correction=0)(draw)[2:-2], _NOTHING_IN_1,
                 lambda draw: [Sample((draw(5),), {"correction": 2.5})]),
    "amax": _both(_along(*_DIMS), _NOTHING_IN_1),
    "amin": _both(_along(*_DIMS), _NOTHING_IN_1),
    "argmax": _both(_along(0, -1, 1), _NOTHING_IN_1),
    "argmin": _both(_along(0, -1, 1), _NOTHING_IN_1),
    "all": _both(_along(*_DIMS), _NOTHING_ALONG_1),
    "any": _both(_along(*_DIMS), _NOTHING_ALONG_1),
    "count_nonzero": lambda draw: [
        *(Sample((draw(2, 3, 4),), {"dim": dim}) for dim in (None, *_DIMS)), Sample((draw(0),)),
    ],
    "norm": _both(_along(*_DIMS), _NOTHING_ALONG_1),
    "logsumexp": lambda draw: [
        Sample((draw(2, 3, 4),), {"dim": dim, "keepdim": keepdim}) for dim in _DIMS for keepdim in (False, True)
    ] + [Sample((draw(3),), {"dim": 0}), Sample((draw(2, 0),), {"dim": 0})],
    "cumsum": lambda draw: [Sample((draw(2, 3, 4),), {"dim": dim}) for dim in (0, 1, -1)]
    + [Sample((draw(1),), {"dim": 0}), Sample((draw(2, 0),), {"dim": 1})],
    "softmax": lambda draw: _LAST_DIMS(draw),
    "log_softmax": lambda draw: _LAST_DIMS(draw),
    # shapes
    "sum_to": lambda draw: [
        Sample((draw(*x),), {"shape": shape})
        for x, shape in [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), ()), ((4, 2, 3), (1, 3)),
                         ((0, 3), (1, 3)), ((2, 1, 3), (1, 1, 3)), ((5,), (1,))]
    ],
    "spread": lambda draw: _BROADCASTS(draw),
    "expand": lambda draw: _BROADCASTS(draw),
    "reshape": lambda draw: [
        Sample((draw(*x),), {"shape": shape})
        for x, shape in [((2, 3), (3, 2)), ((2, 3), (-1,)), ((6,), (2, -1)), ((), (1, 1)), ((1,), ()), ((0, 3), (3, 0)),
                         ((4,), (4,))]
    ],
    "permute": lambda draw: [
        Sample((draw(*x),), {"dims": dims})
        for x, dims in [((2, 3, 4), (2, 0, 1)), ((2, 3, 4), (-1, 0, -2)), ((2, 3), (1, 0)), ((4,), (0,)), ((), ()),
                        ((0, 2), (1, 0))]
    ],
    "transpose": lambda draw: [
        Sample((draw(2, 3, 4),), {"dim0": a, "dim1": b}) for a, b in [(0, 1), (0, 2), (-1, -2), (1, 1), (2, 0)]
    ],
    "squeeze": lambda draw: [
        Sample((draw(*x),), params)
        for x, params in [((1, 3, 1), {}), ((1, 3, 1), {"dim": 0}), ((1, 3, 1), {"dim": -1}), ((1, 3, 1), {"dim": 1}),
                          ((1, 3, 1), {"dim": (0, 2)}), ((1, 3, 1), {"dim": (0, 1)}), ((), {}), ((1, 1), {}),
                          ((), {"dim": 0})]
    ],
    "unsqueeze": lambda draw: [
        *(Sample((draw(2, 3),), {"dim": dim}) for dim in (0, 1, 2, -1, -3)), Sample((draw(),), {"dim": 0}),
    ],
    "repeat": lambda draw: [
        Sample((draw(*x),), {"repeats": repeats})
        for x, repeats in [((2, 3), (2, 1)), ((3,), (2, 2)), ((), (3,)), ((1, 3), (2, 1)), ((2, 3), (1, 1)), ((2,), (0,)), ((0, 2), (2, 1)), ((), ())]
    ],
    "flip": lambda draw: [Sample((draw(2, 3, 4),), {"dims": dims}) for dims in ((0,), (-1,), (0, 2), (0, 1, 2), ())],
    "cat": lambda draw: [
        Sample((draw(2, 3), draw(1, 3), draw(4, 3)), {"dim": 0}), Sample((draw(2, 3), draw(2, 1)), {"dim": -1}),
        Sample((draw(3),), {"dim": 0}), Sample((draw(2, 3), draw(0), draw(2, 3)), {"dim": 0}),
        Sample((draw(0), draw(0)), {}), Sample((draw(2, 0), draw(2, 3)), {"dim": 1}),
    ],
    "stack": lambda draw: [Sample((draw(2, 3), draw(2, 3), draw(2, 3)), {"dim": dim}) for dim in (0, 1, 2, -1, -3)]
    + [Sample((draw(), draw()), {"dim": 0}), Sample((draw(0), draw(0)), {})],
    "split": lambda draw: [
        Sample((draw(5, 2),), {"sections": (2, 4)}), Sample((draw(2, 5),), {"sections": (1, 1), "dim": 1}),
        Sample((draw(2, 5),), {"sections": (), "dim": -1}), Sample((draw(0, 2),), {"sections": (), "dim": 0}),
    ],
    "unbind": lambda draw: [Sample((draw(2, 3, 4),), {"dim": dim}) for dim in (0, 1, -1)] + [Sample((draw(3),), {})],
    "to": lambda draw: [Sample((draw(*shape),), {"dtype": np.dtype(np.float64)}) for shape in UNARY_SHAPES],
    "cast": lambda draw: [Sample((draw(*shape),), {"dtype": np.dtype(np.int64)}) for shape in UNARY_SHAPES],
    "copy": lambda draw: [
        Sample((draw(*x), draw(*s))) for x, s in [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), ()), ((), ()), ((0,), ())]
    ],
    "one_hot": lambda draw: [
        Sample((draw.index(4, *shape),), {"num_classes": 4}) for shape in [(), (5,), (2, 3), (0,)]
    ],
    # positions
    "getitem": lambda draw: [
        Sample((draw(4, 3, 2),), {"index": index})
        for index in [(1,), (-1, 2), (slice(1, 3),), (slice(None, None, 2), 1), (Ellipsis, 0), (None, 1),
                      (0, None, slice(None), 1), (), (slice(0, 0),), (1, 2, 1), (Ellipsis, None)]
    ] + [
        Sample((draw(4, 3, 2), np.array([1, 1, 3])), {"index": (Slot(0),)}),
        Sample((draw(4, 3, 2), np.array([1, 1, 3]), np.array([0, 0, 2])), {"index": (Slot(0), Slot(1))}),
        Sample((draw(4, 3, 2), np.array([[0, 1], [1, 0]])), {"index": (slice(1, None), None, 2, Slot(0))}),
        Sample((draw(4, 3, 2), np.array([0, -1])), {"index": (1, slice(None), Slot(0))}),
        Sample((draw(4, 3, 2), draw.mask(4, 3)), {"index": (Slot(0),)}),
        Sample((draw(4, 3), np.array(1)), {"index": (Slot(0),)}),
        Sample((draw(4, 3), np.array(True)), {"index": (0, Slot(0), 1)}),
        Sample((draw(4, 3, 2), draw.mask(2)), {"index": (Ellipsis, Slot(0))}),
        Sample((draw(4), np.array([], np.int64)), {"index": (Slot(0),)}), Sample((draw(), ), {"index": (None,)}),
    ],
    "add_at": lambda draw: [
        Sample((draw(3, 2),), {"shape": (4, 2), "index": (slice(1, 4),)}),
        Sample((draw(3, 2), np.array([1, 1, 3])), {"shape": (4, 2), "index": (Slot(0),)}),
        Sample((draw(2),), {"shape": (4, 2), "index": (1,)}),
        Sample((draw(2, 3, 2), np.array([[1, 1, -3], [0, -1, 1]])), {"shape": (4, 2), "index": (Slot(0),)}),
        Sample((draw(0, 2), np.array([], np.int64)), {"shape": (0, 2), "index": (Slot(0),)}),
    ],
    "setitem": lambda draw: [
        Sample((draw(4, 3), draw(3)), {"index": (1,)}), Sample((draw(4, 3), draw()), {"index": (slice(1, 3),)}),
        Sample((draw(4, 3), draw(2, 1)), {"index": (slice(0, 4, 2),)}),
        Sample((draw(4, 3), 0.5), {"index": (Ellipsis, 1)}),
        Sample((draw(4, 3), draw(2, 3), np.array([3, 1])), {"index": (Slot(0),)}),
        Sample((draw(4, 3), draw(), draw.mask(4, 3)), {"index": (Slot(0),)}), Sample((draw(), draw()), {"index": ()}),
        Sample((draw(4, 3), draw(1, 3)), {"index": (1,)}),
        Sample((draw(4, 3), draw(1, 4, 3)), {"index": (slice(None),)}),
    ],
    "gather": lambda draw: [
        Sample((draw(4, 3), draw.index(4, 2, 3)), {"dim": 0}), Sample((draw(4, 3), draw.index(3, 4, 5)), {"dim": 1}),
        Sample((draw(4, 3, 2), draw.index(2, 2, 3, 4)), {"dim": -1}), Sample((draw(5), draw.index(5, 7)), {"dim": 0}),
        Sample((draw(3, 2), draw.index(3, 0, 2)), {"dim": 0}),
    ],
    "scatter_add": lambda draw: [
        Sample((draw(4, 3), draw.index(4, 2, 3), draw(2, 3)), {"dim": 0}),
        Sample((draw(4, 3), draw.index(4, 2, 2), draw(3, 3)), {"dim": 0}),
        Sample((draw(4, 3), draw.index(3, 4, 5), draw(4, 5)), {"dim": -1}),
        Sample((draw(3), draw.index(3, 0), draw(2)), {"dim": 0}),
    ],
    "scatter": lambda draw: [
        Sample((draw(4, 3), np.array([[0, 1, 2], [3, 0, 0]]), draw(2, 3)), {"dim": 0}),
        Sample((draw(4, 3), np.array([[2], [0], [1], [1]]), draw(4, 3)), {"dim": 1}),
        Sample((draw(4, 3), np.array([[2], [0], [1], [1]]), 0.5), {"dim": 1}),
        Sample((draw(4, 3), np.array([[2], [0], [1], [1]]), draw()), {"dim": 1}),
        Sample((draw(3), draw.index(3, 0), draw(2)), {"dim": 0}),
    ],
    "index_select": lambda draw: [
        Sample((draw(4, 3), np.array([0, 2, 2])), {"dim": 0}), Sample((draw(4, 3, 2), np.array([1, 1])), {"dim": -2}),
        Sample((draw(4), np.array([], np.int64)), {"dim": 0}),
    ],
    "index_add": lambda draw: [
        Sample((draw(4, 3), np.array([0, 2, 2]), draw(3, 3)), {"dim": 0}),
        Sample((draw(4, 3), np.array([1, 1]), draw(4, 2)), {"dim": 1, "alpha": -0.5}),
        Sample((draw(4), np.array([0, 0]), draw(2)), {"dim": 0}),
    ],
    "tril": lambda draw: _TRIANGLES(draw),
    "triu": lambda draw: _TRIANGLES(draw),
    # products
    "matmul": lambda draw: [
        Sample((draw(*a), draw(*b)))
        for a, b in [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (5, 3, 2)),
                     ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
                     ((5, 1, 2, 3), (1, 6, 3, 4)), ((1, 3), (3, 1)), ((6, 1, 2, 3), (5, 3, 4)), ((3,), (6, 5, 3, 2)),
                     ((6, 5, 2, 3), (3,)), ((2, 0), (0, 3)), ((0, 3), (3, 2))]
    ],
    "linear": lambda draw: [
        Sample((draw(5, 3), draw(4, 3), draw(4))), Sample((draw(5, 3), draw(4, 3), None)),
        Sample((draw(2, 5, 3), draw(4, 3), draw(4))), Sample((draw(2, 5, 3), draw(4, 3), None)),
        Sample((draw(3), draw(4, 3), draw(4))), Sample((draw(0, 3), draw(4, 3), draw(4))),
        Sample((draw(3), draw(1, 3), draw(1))), Sample((draw(2, 5, 0), draw(4, 0), draw(4))),
        Sample((draw(2, 5, 3), draw(0, 3), draw(0))),
    ],
    "einsum": lambda draw: [
        Sample(tuple(draw(*shape) for shape in shapes), {"equation": equation})
        for equation, *shapes in [
            ("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)), ("i,i->", (3,), (3,)),
            ("i,j->ij", (3,), (2,)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
            ("ij,kl->ik", (2, 3), (4, 2)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
            ("i,j,k->j", (2,), (3,), (4,)), ("ij,ij->i", (2, 3), (2, 3)),
        ]
    ],
    "standardize": lambda draw: [
        Sample((draw(*x), w and draw(*w), b and draw(*b)), {"dims": dims, "eps": 1e-5})
        for x, w, b, dims in [((4, 3), (3,), (3,), (-1,)), ((2, 4, 3), (4, 3), None, (-2, -1)),
                              ((4, 3), (3,), (3,), (0,)), ((4, 3, 2), (3, 1), (3, 1), (0, 2)),
                              ((2, 3, 5), None, None, (1, 2)), ((4,), None, (4,), (0,)), ((0, 3), (3,), (3,), (1,))]
    ],
    # rows by their number
    "embedding": lambda draw: [
        Sample((draw(5, 3), draw.index(5, *shape))) for shape in [(4,), (2, 3), (), (0,)]
    ],
    # windows
    "windows": lambda draw: [
        Sample((draw(*x),), {"kernel": k, "stride": s, "dilation": d})
        for x, k, s, d in [((2, 5), (2,), (1,), (1,)), ((7,), (3,), (2,), (1,)), ((2, 6, 7), (2, 3), (3, 2), (2, 1)),
                           ((1, 2, 3, 4, 3), (2, 2, 3), (1, 2, 1), (1, 1, 1)), ((0, 4), (2,), (1,), (1,)),
                           ((3, 4), (1,), (1,), (1,))]
    ],
    "overlay": lambda draw: [
        Sample((draw(*x),), {"size": size, "stride": s, "dilation": d})
        for x, size, s, d in [((2, 2, 4), (5,), (1,), (1,)), ((3, 3), (8,), (2,), (1,)), ((0, 2, 3), (4,), (1,), (1,)),
                              ((2, 2, 3, 2, 3), (6, 7), (3, 2), (2, 1))]
    ],
    "max_pool": lambda draw: [
        Sample((draw(*x),), {"kernel": k, "stride": s, "padding": p, "dilation": d, "many": many})
        for x, k, s, p, d, many in [
            ((2, 6), (2,), (2,), (0,), (1,), (3,)), ((2, 6), (3,), (2,), (1,), (1,), (3,)),
            ((1, 2, 6, 5), (2, 3), (1, 2), (1, 0), (2, 1), (6, 2)), ((3, 5), (2,), (2,), (0,), (1,), (3,)),
            ((1, 1, 3, 4, 5), (2, 2, 2), (1, 2, 2), (0, 0, 1), (1, 1, 1), (2, 2, 3)), ((0, 2, 4), (2,), (2,), (0,), (1,), (2,)),
        ]
    ],
    "max_of_bins": lambda draw: [
        Sample((draw(*x),), {"bins": bins})
        for x, bins in [((2, 5), (((0, 2), (1, 4), (3, 5)),)), ((1, 2, 4, 5), (((0, 4),), ((0, 3), (2, 5)))),
                        ((0, 3), (((0, 2), (1, 3)),)), ((1, 3, 2, 4), (((0, 2), (1, 3)), ((0, 2),), ((0, 1), (1, 4))))]
    ],
    "resample": lambda draw: [
        Sample((draw(*x),), {"dim": dim, "rows": rows})
        for x, dim, rows in [((5,), 0, (((0, 0.5), (1, 0.5)), ((4, 1.0),), ((1, 0.3), (3, -0.2), (4, 0.9)))),
                             ((2, 3), 1, (((2, 1.5),), ((0, 1.0), (0, 0.5)))), ((2, 3, 4), 1, (((1, 2.0),), ((0, 1.0), (2, -0.5)))),
                             ((3, 2), 0, ()), ((0, 2), 1, (((1, 0.5),),)), ((1, 2, 1), 1, (((1, 0.5),), ()))]
    ],
    "convolution": lambda draw: [
        Sample((draw(*x), draw(*w), b and draw(*b)), how) for x, w, b, how, _ in _CONVOLUTIONS
    ],
    "convolution_input": lambda draw: [
        Sample((draw(*g), draw(*w)), {"size": x[2:], **how}) for x, w, _, how, g in _CONVOLUTIONS
    ] + [Sample((draw(1, 2, 3), draw(2, 1, 2)),
                {"size": (10,), "stride": (2,), "padding": (0,), "dilation": (3,), "groups": 1})],
    "convolution_weight": lambda draw: [
        Sample((draw(*x), draw(*g)), {"kernel": w[2:], **how}) for x, w, _, how, g in _CONVOLUTIONS
    ] + [Sample((draw(1, 2, 8), draw(1, 2, 3)),
                {"kernel": (2,), "stride": (2,), "padding": (0,), "dilation": (1,), "groups": 2})],
    # one step of a recurrent network, H = 2
    "lstm_gates": lambda draw: [Sample((draw(*shape, 8),)) for shape in [(), (3,), (2, 3), (0,)]],
    "lstm_cell": lambda draw: [Sample((draw.within(0.1, 0.9, *n, 8), draw(*n, 2))) for n in [(), (3,), (2, 3), (0,)]],
    "lstm": lambda draw: [
        Sample((draw(t, n, 8), draw(n, 2), draw(n, 2), draw(8, 2)), {"reverse": reverse})
        for t, n, reverse in [(1, 3, False), (3, 2, False), (3, 2, True), (2, 0, False)]
    ],
    "gru_cell": lambda draw: [Sample((draw(*n, 6), draw(*n, 6), draw(*n, 2))) for n in [(), (3,), (2, 3), (0,)]],
    # losses
    "squared_distance": lambda draw: [
        Sample((draw(*shape), draw(*shape)), {"scale": scale})
        for shape, scale in [((), 1.0), ((5,), 0.2), ((2, 3), 0.5), ((0,), 1.0)]
    ],
    "nll": lambda draw: [
        Sample((draw(n, 3), draw.index(3, n)), {"scale": scale}) for n, scale in [(1, 1.0), (4, 0.25), (0, 1.0)]
    ],
    "cross_entropy": lambda draw: [
        Sample((3 * draw(n, 3), draw.index(3, n)), {"scale": scale}) for n, scale in [(1, 1.0), (4, 0.25), (0, 1.0)]
    ],
    "softmax_error": lambda draw: [Sample((3 * draw(n, 3), draw.index(3, n))) for n in (1, 4, 0)],
    "one_a_row": lambda draw: [Sample((draw(), draw.index(3, n)), {"shape": (n, 3)}) for n in (1, 4, 0)],
    "binary_cross_entropy": lambda draw: [
        Sample((draw.within(0.1, 0.9, *shape), draw.within(0.1, 0.9, *shape))) for shape in [(), (5,), (2, 3), (0,)]
    ],
}  # fmt: skip

_CONVOLUTIONS = [  # input, weight, bias, how, output
    (x, w, b, {"stride": s, "padding": p, "dilation": d, "groups": groups}, out)
    for x, w, b, s, p, d, groups, out in [
        ((2, 3, 5), (4, 3, 2), (4,), (1,), (0,), (1,), 1, (2, 4, 4)),
        ((2, 4, 6), (6, 2, 3), None, (2,), (1,), (1,), 2, (2, 6, 3)),
        ((2, 2, 5, 6), (3, 2, 3, 2), (3,), (1, 2), (1, 0), (1, 2), 1, (2, 3, 5, 2)),
        ((1, 3, 4, 4), (3, 1, 2, 2), (3,), (2, 2), (0, 0), (1, 1), 3, (1, 3, 2, 2)),
        ((1, 2, 3, 4, 3), (2, 2, 2, 2, 3), None, (1, 2, 1), (0, 1, 1), (1, 1, 1), 1, (1, 2, 2, 3, 3)),
        ((0, 2, 4), (3, 2, 2), (3,), (1,), (0,), (1,), 1, (0, 3, 3)),
        ((3, 2, 5), (4, 2, 1), (4,), (1,), (0,), (1,), 1, (3, 4, 5)),
    ]
]
_LAST_DIMS = lambda draw: [Sample((draw(2, 3, 4),), {"dim": dim}) for dim in (0, 1, -1)] + [  # noqa: E731
    Sample((draw(*shape),), {"dim": dim}) for shape, dim in [((), 0), ((1,), 0), ((5,), -1), ((0, 3), 1), ((2, 0), 0)]
]
_BROADCASTS = lambda draw: [  # noqa: E731
    Sample((draw(*x),), {"shape": shape})
    for x, shape in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 3)), ((1, 3), (4, 2, 3)), ((2, 3), (2, 3)),
                     ((1, 3), (0, 3)), ((), ())]
]
_TRIANGLES = lambda draw: [  # noqa: E731
    Sample((draw(*shape),), {"diagonal": k}) for shape in [(3, 4), (2, 4, 3)] for k in (0, 1, -1)
] + [Sample((draw(3, 3),))]


import samples_arrays  # noqa: E402 - they need what is defined above
import samples_linalg  # noqa: E402

SAMPLES.update(samples_arrays.SAMPLES)
SAMPLES.update(samples_linalg.SAMPLES)


def leaves(sample: Sample, dtype: Any = np.float64) -> list[Any]:
    """The arguments as fresh Tensors: leaves that require grad where they are floating arrays."""
    made = []
    for value in sample.args:
        if isinstance(value, np.ndarray):
            floating = value.dtype.kind == "f"
            value = mg.Tensor(np.array(value, dtype=dtype if floating else None, order="K"))
            if floating:
                value.requires_grad_()
        made.append(value)
    return made

"""Sample arguments for the operations that sort, count, accumulate and scatter; see samples.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from samples import Draw, Sample


def along(*dims: int) -> Callable[[Draw], list[Sample]]:
    """Samples of an operation along one dimension."""
    return lambda draw: [
        *(Sample((draw(2, 3, 4),), {"dim": dim}) for dim in dims), Sample((draw(5),), {"dim": 0}),
        Sample((draw(1, 1),), {"dim": 1}), Sample((draw(3, 0),), {"dim": 0}),
    ]  # fmt: skip


def with_equals(draw: Draw) -> list[Sample]:
    return [Sample((np.array([2.0, 1, 2, 0, 1, 2]),), {"dim": 0})]


def with_nan(draw: Draw) -> list[Sample]:
    return [Sample((np.array([2.0, np.nan, 3, np.nan, 1, 1, 4]),), {"dim": 0})]


def both(*makers: Callable[[Draw], list[Sample]]) -> Callable[[Draw], list[Sample]]:
    return lambda draw: list({str(s): s for make in makers for s in make(draw)}.values())


def with_zeros(draw: Draw) -> list[Sample]:
    x = draw(3, 4)
    x[0, 1] = x[2, 2] = x[2, 3] = 0
    return [Sample((x,), {"dim": 1}), Sample((x,), {"dim": -2}), Sample((x[2].copy(),), {"dim": 0})]


def scatters(draw: Draw) -> list[Sample]:
    return [
        Sample((draw(4, 3), draw.index(4, 2, 3), draw(2, 3)), {"dim": 0}),
        Sample((draw(4, 3), draw.index(4, 2, 2), draw(3, 3)), {"dim": 0}),
        Sample((draw(4, 3), draw.index(3, 4, 5), draw(4, 5)), {"dim": -1}),
        Sample((draw(3), draw.index(3, 0), draw(2)), {"dim": 0}),
    ]  # fmt: skip


def scattered_zeros(draw: Draw) -> list[Sample]:
    """A place at which one 0 arrives, another at which two do, and one that is 0 itself."""
    x = draw(4)
    x[3] = 0
    return [Sample((x, np.array([0, 0, 1, 1, 3, 1]), np.array([0.0, 0.7, 0.0, 0.4, 0.9, 0.0])), {"dim": 0})]


def distinct(draw: Draw) -> list[Sample]:
    x = np.array([[1.0, 2, 2], [1, 2, 2], [0, 3, 1]])
    return [
        Sample((x,)), Sample((x,), {"dim": 0}), Sample((x,), {"dim": -1}), Sample((draw.index(4, 9),)), Sample((draw(),)),
        Sample((draw(0),)), Sample((np.array([0, 0, 1, 0]),), {"dim": 0}), Sample((draw(3, 0),), {"dim": 1}),
    ]  # fmt: skip


SAMPLES: dict[str, Callable[[Draw], list[Sample]]] = {
    "argsort": both(along(0, 1, -1), with_equals, with_nan, lambda draw: [
        Sample((draw(2, 4),), {"descending": True}), Sample((draw(4, 2),), {"dim": 0, "descending": True}), Sample((draw(),)),
        Sample((np.array([2.0, np.nan, 3, 2, 3]),), {"descending": True}),
    ]),
    "median_index": lambda draw: both(with_equals, with_nan, along(0, 1, -1))(draw)[:-1] + [
        Sample((np.array([[2.0, np.nan, 3], [1, 2, 0]]),), {"dim": 1, "skip_nan": skip}) for skip in (False, True)
    ],
    "mode_index": lambda draw: both(with_equals, along(0, 1, -1))(draw)[:-1]
    + [Sample((draw.index(2, 2, 5),), {"dim": 1})],
    "median": lambda draw: [Sample((draw(*shape),)) for shape in [(), (1,), (5,), (2, 3), (3, 4)]],
    "nanmedian": lambda draw: [Sample((draw(*shape),)) for shape in [(), (1,), (5,), (2, 3), (3, 4)]],
    "cumprod": both(along(0, 1, -1), with_zeros),
    "logcumsumexp": along(0, 1, -1),
    "cummax_index": both(along(0, 1, -1), with_equals, with_nan),
    "cummin_index": both(along(0, 1, -1), with_equals, with_nan),
    "unique": distinct,
    "unique_consecutive": distinct,
    "isin": lambda draw: [
        Sample((draw.index(5, *a), draw.index(5, *b)), {"invert": invert})
        for a, b in [((), (3,)), ((4,), (2, 2)), ((2, 3), ()), ((0,), (2,)), ((2,), (0,))] for invert in (False, True)
    ],
    "searchsorted": lambda draw: [
        Sample((np.sort(draw(5)), draw(2, 3), None), {"right": right}) for right in (False, True)
    ] + [
        Sample((np.sort(draw(2, 5)), draw(2, 3), None)), Sample((np.array([1.0, 2, 2]), np.array(2.0), None), {"int32": True}),
        Sample((np.array([3.0, 1, 2]), draw(3), np.array([1, 2, 0]))), Sample((draw(2, 0), draw(2, 0), None)),
        Sample((draw(2, 0), draw(2, 3), None)), Sample((np.array([[3.0, 1, 2]]), draw(1, 3), np.array([[1, 2, 0]]))),
    ],
    "bincount": lambda draw: [
        Sample((draw.index(5, 9), None)), Sample((draw.index(5, 9), draw(9))), Sample((draw.index(5, 0), None), {"minlength": 3}),
    ],
    "histogram": lambda draw: [
        Sample((draw(9), np.array([-1.0, 0, 0.5, 1]), None)), Sample((draw(2, 3), np.array([-1.0, 0, 1.4]), draw(2, 3))),
        Sample((draw(9), np.array([-1.5, 0, 1.5]), None), {"density": True}),
    ],
    "histogramdd": lambda draw: [
        Sample((draw(9, 1), None, np.array([-1.0, 0, 0.5, 1]))),
        Sample((draw(9, 2), draw(9), np.array([-1.0, 0, 1.4]), np.array([-1.5, 0, 1.5]))),
        Sample((draw(9, 2), None, np.array([-1.0, 0, 1.4]), np.array([-1.5, 1.5])), {"density": True}),
    ],
    "scatter_prod": both(scatters, scattered_zeros),
    "scatter_amax": scatters,
    "scatter_amin": scatters,
    "roll": lambda draw: [
        Sample((draw(3, 4),), {"shifts": (1,), "dims": (0,)}), Sample((draw(3, 4),), {"shifts": (-2, 5), "dims": (1, 0)}),
        Sample((draw(3, 0),), {"shifts": (1,), "dims": (0,)}), Sample((draw(2, 3),), {"shifts": (2,)}),
    ],
    "repeated_index": lambda draw: [Sample((draw.index(4, n),)) for n in (0, 1, 5)],
    "cdist": lambda draw: [
        Sample((draw(*a), draw(*b) + 4))  # not near a kink
        for a, b in [((3, 2), (4, 2)), ((2, 3, 2), (4, 2)), ((2, 1, 3, 2), (5, 1, 2)), ((0, 2), (4, 2))]
    ],
    "diagonal": lambda draw: [Sample((draw(3, 4),), {"offset": k}) for k in (0, 1, -2, 9)]
    + [Sample((draw(2, 3, 4),), {"offset": 1, "dim1": -1, "dim2": 0})],
    "diag_embed": lambda draw: [
        Sample((draw(3),), {"shape": (3, 3)}), Sample((draw(2, 3),), {"shape": (2, 4, 4), "offset": -1, "dim1": 1, "dim2": 2}),
        Sample((draw(3, 2),), {"shape": (2, 3, 3), "dim1": 2, "dim2": 0}),
    ],
    "unfold": lambda draw: [
        Sample((draw(*shape),), {"dimension": dim, "size": size, "step": step})
        for shape, dim, size, step in [((7,), 0, 3, 2), ((7,), 0, 3, 3), ((5, 2), 0, 2, 1), ((2, 6), -1, 6, 1), ((3,), 0, 1, 2)]
    ],
}  # fmt: skip

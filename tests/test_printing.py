"""How tensors print: golden strings, and PyTorch's own over random arrays."""

import itertools
import math
import re

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.printing import get_printoptions, set_printoptions, tensor_repr


@pytest.fixture(autouse=True)
def default_options():
    yield
    set_printoptions(profile="default")


NAN, INF = math.nan, math.inf

GOLDEN = [
    # values
    ([1.0, 2.0], "tensor([1., 2.])"),
    ([1.5, -2.25], "tensor([ 1.5000, -2.2500])"),
    (2.302585, "tensor(2.3026)"),
    (-0.0, "tensor(-0.)"),
    ([0.0, 0.0], "tensor([0., 0.])"),
    ([1, -20], "tensor([  1, -20])"),
    (3, "tensor(3)"),
    ([True, False], "tensor([ True, False])"),
    ([[1, 2], [3, 4]], "tensor([[1, 2],\n        [3, 4]])"),
    ([[[1.0], [2]], [[3], [4]]], "tensor([[[1.],\n         [2.]],\n\n        [[3.],\n         [4.]]])"),
    # the form of numbers
    ([0.0, 1e-5], "tensor([0.0000e+00, 1.0000e-05])"),
    ([1.0, 1000.0], "tensor([   1., 1000.])"),
    ([1.0, 1001.0], "tensor([1.0000e+00, 1.0010e+03])"),
    ([1e8], "tensor([100000000.])"),
    ([2e8], "tensor([2.0000e+08])"),
    ([NAN], "tensor([nan])"),
    ([NAN, 1.0, -INF], "tensor([nan, 1., -inf])"),
    ([NAN, 1.5, INF], "tensor([   nan, 1.5000,    inf])"),
    # what does not show in the values
    (np.array([1.0]), "tensor([1.], dtype=microgradnet.float64)"),
    (np.array([1], np.uint8), "tensor([1], dtype=microgradnet.uint8)"),
    (np.array([0.5], np.float16), "tensor([0.5000], dtype=microgradnet.float16)"),
    ([], "tensor([])"),
    (np.zeros((0, 3), np.float32), "tensor([], size=(0, 3))"),
    (np.zeros((2, 0)), "tensor([], size=(2, 0), dtype=microgradnet.float64)"),
    (np.zeros(0, bool), "tensor([], dtype=microgradnet.bool)"),
    (np.zeros(0, int), "tensor([], dtype=microgradnet.int64)"),
    # lines and summaries
    (list(range(1001)), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    (np.zeros((7, 200), np.float32),
     "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n        [0., 0., 0.,  ..., 0., 0., 0.],\n"
     "        [0., 0., 0.,  ..., 0., 0., 0.],\n        ...,\n        [0., 0., 0.,  ..., 0., 0., 0.],\n"
     "        [0., 0., 0.,  ..., 0., 0., 0.],\n        [0., 0., 0.,  ..., 0., 0., 0.]])"),
    (list(range(30)), "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
     "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"),
    (np.ones(11), "tensor([1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1.],\n       dtype=microgradnet.float64)"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), GOLDEN)
def test_golden(data, expected):
    assert tensor_repr(mg.tensor(data)) == expected


def test_a_tensor_is_its_repr():
    x = mg.tensor([1.0])
    assert repr(x) == str(x) == f"{x}" == "tensor([1.])"


def test_gradients_show():
    x = mg.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr((x * 2).detach()) == "tensor([2.])"
    with mg.no_grad():
        assert repr(x * 2) == "tensor([2.])"


def test_a_parameter_says_so():
    assert repr(mg.nn.Parameter(mg.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


def test_the_default_dtype_needs_no_mention():
    mg.set_default_dtype(mg.float64)
    try:
        assert repr(mg.tensor(1.0)) == "tensor(1.)"
        assert repr(mg.tensor(1.0, dtype=mg.float32)) == "tensor(1., dtype=microgradnet.float32)"
    finally:
        mg.set_default_dtype(mg.float32)


@pytest.mark.parametrize(
    ("options", "data", "expected"),
    [
        ({"precision": 2}, [1.2345], "tensor([1.23])"),
        ({"threshold": 3, "edgeitems": 1}, [1, 2, 3, 4], "tensor([1,  ..., 4])"),
        ({"threshold": 3, "edgeitems": 0}, [1, 2, 3, 4], "tensor([...], size=(4,))"),
        ({"linewidth": 15}, [1, 2, 3, 4], "tensor([1, 2,\n        3, 4])"),
        ({"sci_mode": True}, [1.0], "tensor([1.0000e+00])"),
        ({"sci_mode": True}, [0.0], "tensor([0.])"),
        ({"sci_mode": False}, [1e-5, 1.5], "tensor([0.0000, 1.5000])"),
        ({"profile": "short"}, [1.2345], "tensor([1.23])"),
        ({"profile": "short", "precision": 1}, [1.2345], "tensor([1.2])"),
    ],
)
def test_options(options, data, expected):
    set_printoptions(**options)
    assert tensor_repr(mg.tensor(data)) == expected


def test_profiles():
    default = get_printoptions()
    assert default == {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
    set_printoptions(profile="full", sci_mode=True)
    assert "..." not in tensor_repr(mg.zeros(2000))
    assert get_printoptions() == {**default, "threshold": INF, "sci_mode": True}
    set_printoptions(precision=2)
    assert get_printoptions() == {**default, "threshold": INF, "precision": 2}
    set_printoptions(profile="default")
    assert get_printoptions() == default
    get_printoptions()["precision"] = 9  # a copy
    assert get_printoptions() == default


@pytest.mark.parametrize("wrong", [{"precision": -1}, {"precision": 1.5}, {"edgeitems": "3"}, {"threshold": NAN},
                                   {"profile": "long"}, {"profile": "short", "linewidth": -1}])
def test_wrong_options_are_refused_and_change_nothing(wrong):
    before = get_printoptions()
    with pytest.raises(ValueError, match="set_printoptions.*must be"):
        set_printoptions(**wrong)
    assert get_printoptions() == before


# --- as PyTorch -----------------------------------------------------------------------------------------------------


def arrays(rng):
    """Arrays of every dtype, of sizes around every threshold, with numbers that call for every form."""
    shape = tuple(int(n) for n in rng.integers(rng.random() < 0.9, rng.choice([3, 5, 12, 41]), rng.integers(0, 4)))
    whole = np.asarray(rng.integers(-(10 ** rng.integers(1, 10)), 10 ** rng.integers(1, 10), shape))
    normal = np.asarray(rng.normal(size=shape))
    yield from (normal.astype(dtype) for dtype in (np.float16, np.float32, np.float64))
    yield from (whole.astype(dtype) for dtype in (np.int32, np.int64, np.uint8, np.float32))
    yield normal > 0
    yield from ((normal * scale).astype(np.float32) for scale in (1e-5, 1e7))
    yield np.asarray(10 ** (3 * normal)).astype(np.float32)
    yield np.asarray(rng.choice([0.0, -0.0, NAN, INF, -INF, 1.0, 2.5, 1e-4, 1000.0], shape))


def some_options(rng):
    choices = {
        "precision": [None, 0, 2, 7], "threshold": [None, 0, 5, 50], "edgeitems": [None, 0, 1, 5],
        "linewidth": [None, 20, 40, 120], "profile": [None, "default", "short", "full"],
        "sci_mode": [None, True, False],
    }  # fmt: skip
    return {name: rng.choice(np.array(values, dtype=object)) for name, values in choices.items()}


def same_notes(text):
    """Notes on one line: the longer name of the package makes the lines break elsewhere."""
    return re.sub(r",\s+(dtype|grad_fn|requires_grad)", r", \1", text)


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(30))
def test_prints_as_torch_does(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    for array, grad in itertools.product(arrays(rng), ("none", "leaf", "result")):
        grad = grad if array.dtype.kind == "f" else "none"
        ours, theirs = (m.tensor(array, requires_grad=grad != "none") for m in (mg, torch))
        if grad == "result":
            ours, theirs = ours * 1, theirs * 1
        options = some_options(rng) if seed % 2 else {}
        for setter in (set_printoptions, torch.set_printoptions):
            setter(profile="default")
            setter(**options)
        try:
            expected, printed = repr(theirs).replace("torch.", "microgradnet."), tensor_repr(ours)
        finally:
            torch.set_printoptions(profile="default")
        if "dtype=" in expected:
            expected, printed = same_notes(expected), same_notes(printed)
        assert printed == expected, options

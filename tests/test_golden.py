"""Values and gradients against what PyTorch computed when the golden arrays were made; PyTorch itself is not needed."""

import functools
import warnings

import numpy as np
import pytest
from golden_cases import cases, outcome
from make_golden import FILE, pack, unpack

import microgradnet as mg

RENEW = "run `python tests/make_golden.py` where PyTorch is installed"


@functools.cache
def golden():
    return unpack(dict(np.load(FILE)))


def differences(actual, expected):
    """What differs between two outcomes, in words."""
    if list(actual) != list(expected):
        return [f"{list(actual)}, in PyTorch {list(expected)}"]
    found = []
    for name, b in expected.items():
        a = actual[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{name}: {a.shape} {a.dtype}, in PyTorch {b.shape} {b.dtype}")
        elif not np.allclose(a, b, rtol=1e-9, atol=1e-11, equal_nan=True):
            found.append(f"{name}: {a}, in PyTorch {b}")
    return found


def test_the_file_holds_these_cases():
    assert list(golden()) == cases() and len(set(cases())) == len(cases()), RENEW
    assert FILE.stat().st_size < 500_000


@pytest.mark.parametrize("case", cases())
def test_as_in_pytorch(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert not differences(outcome(mg, case), golden()[case])


def test_a_difference_is_found():
    expected = {"result 0": np.ones(3), "gradient of x": np.ones(2)}
    assert not differences(dict(expected), expected)
    for fault in ({"result 0": np.ones(3) + 1e-8}, {"result 0": np.ones((3, 1))}, {"gradient of x": np.ones(2, np.float32)}, {"result 1": np.ones(3)}):
        assert differences(expected | fault, expected)


def test_packing_loses_nothing():
    found = {"a": {"r": np.arange(6.0).reshape(2, 3), "s": np.array(True)}, "b": {"t": np.array([3, 4]), "u": np.zeros((0, 2))}}
    again = unpack(pack(found))
    for case, arrays in found.items():
        for name, array in arrays.items():
            assert again[case][name].dtype == array.dtype and np.array_equal(again[case][name], array)

"""The same function, or the same module, here and in PyTorch: values, gradients and second gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import microgradnet as mg
import microgradnet.nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def arrays_of(tensors: Any) -> list[np.ndarray]:
    """Detached copies, of tensors of either library."""
    return [np.array(t.detach().numpy(force=True)) for t in tensors]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


class Fixed:
    """A floating array that gets no gradient."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def tensors_from(lib: Any, arrays: Any) -> list[Any]:
    """Leaves that require grad where the arrays are floating; what is not an array as it is."""
    made = []
    for a in arrays:
        if isinstance(a, Fixed):
            a = lib.tensor(a.array)
        elif isinstance(a, np.ndarray):
            a = lib.tensor(a)
            if a.is_floating_point():
                a.requires_grad_()
        made.append(a)
    return made


def derivatives(lib: Any, outputs: list, variables: list, second: bool) -> list[np.ndarray]:
    """First derivatives by the variables, from normal seeds; and those of a weighted sum of their squares."""
    seeds = [lib.tensor(np.asarray(normal(*y.shape, seed=1 + k)).astype(arrays_of([y])[0].dtype))
             for k, y in enumerate(outputs)]
    first = lib.autograd.grad(outputs, variables, seeds, create_graph=second, allow_unused=True)
    given = [lib.zeros_like(v) if g is None else g for g, v in zip(first, variables)]
    found = arrays_of(given)
    if second:
        total = sum((g * g * (k + 1)).sum() for k, g in enumerate(given))
        more = lib.autograd.grad(total, variables, allow_unused=True) if total.requires_grad else [None] * len(variables)
        found += arrays_of(lib.zeros_like(v) if g is None else g for g, v in zip(more, variables))
    return found


def same(actual: Any, expected: Any, what: str, tolerance: float = 1e-10) -> None:
    """Equal shape, dtype and, to the tolerance, values."""
    __tracebackhide__ = True
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, in PyTorch {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, in PyTorch {expected.dtype}"
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=what)


def run(lib: Any, function: Callable, arrays: Any, second: bool, more: list | None = None) -> list[np.ndarray]:
    """[outputs, first derivatives, second derivatives] of function(lib, *tensors), by the tensors and by `more`."""
    tensors = tensors_from(lib, arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(lib, *tensors)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    outputs = [y for y in results if y.requires_grad]
    variables = [t for t in [*tensors, *(more or [])] if hasattr(t, "requires_grad") and t.requires_grad]
    return arrays_of(results) + (derivatives(lib, outputs, variables, second) if outputs else [])


def check_function(function: Callable, *arrays: Any, second: bool = True, tolerance: float = 1e-10) -> None:
    """function(library, *tensors) is the same here and there, with first and second derivatives."""
    __tracebackhide__ = True
    expected = run(torch, function, arrays, second)
    found = run(mg, function, arrays, second)
    assert len(found) == len(expected), f"{len(found)} values and derivatives, in PyTorch {len(expected)}"
    for k, (a, b) in enumerate(zip(found, expected)):
        same(a, b, f"value or derivative {k}", tolerance)


def check_module(build: Callable, *arrays: Any, second: bool = True, tolerance: float = 1e-10,
                 train: bool = True) -> None:
    """build(nn), float64, in both libraries: the same repr, the same keys, and with the same parameters the same
    outputs, gradients of inputs and parameters, second ones, and buffers afterwards."""
    __tracebackhide__ = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = (build(lib.nn).double().train(train) for lib in (mg, torch))
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        for k, (p, q) in enumerate(zip(mine.parameters(), theirs.parameters(), strict=True)):
            assert p.shape == q.shape
            q.copy_(torch.tensor(normal(*q.shape, seed=100 + k)))
    state = theirs.state_dict()
    mine.load_state_dict({name: np.array(t.numpy()) for name, t in state.items()})
    results = [run(lib, lambda _, *tensors, m=module: m(*tensors), arrays, second, list(module.parameters()))
               for lib, module in ((mg, mine), (torch, theirs))]
    assert len(results[0]) == len(results[1])
    for k, (a, b) in enumerate(zip(*results)):
        same(a, b, f"{mine}: value or derivative {k}", tolerance)
    for (name, a), b in zip(mine.state_dict().items(), arrays_of(theirs.state_dict().values())):
        same(a.numpy(), b, f"{mine}: {name} afterwards", tolerance)


def check_error(function: Callable, *arrays: Any) -> None:
    """function(library, *tensors) raises in both, an error of the same kind."""
    __tracebackhide__ = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it is
            function(torch, *tensors_from(torch, arrays))
        kind = RuntimeError if isinstance(theirs.value, NotImplementedError) else type(theirs.value)
        with pytest.raises(kind):
            function(mg, *tensors_from(mg, arrays))

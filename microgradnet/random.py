"""Random numbers: the tensors drawn from a generator.

Every function draws from `generator`, or from `default_generator` if None.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import check_device
from .generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    numpy_generator,
    seed,
    set_rng_state,
)
from .ops.creation import as_dtype, as_shape, check_place, made
from .recording import is_grad_enabled, recorder
from .tensor import Tensor, describe

if TYPE_CHECKING:
    import numpy.random

__all__ = [
    "Generator", "bernoulli", "binomial", "default_generator", "get_rng_state", "initial_seed", "manual_seed",
    "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm", "seed", "set_rng_state",
]  # fmt: skip

_INT64 = np.dtype(np.int64)


def drawn(function: Any) -> Any:
    """Let who captures know a function whose random numbers become a tensor, so that a replay draws others."""

    @functools.wraps(function)
    def drawing(*args: Any, **kwargs: Any) -> Any:
        listening = recorder()
        return function(*args, **kwargs) if listening is None else listening.draw(function, args, kwargs)

    return drawing


# --- the draws, as arrays -------------------------------------------------------------------------------------------


def _uniform(generator: Generator | None, shape: tuple, dtype: np.dtype) -> np.ndarray:
    """From [0, 1), in the precision of the dtype."""
    numbers = numpy_generator(generator)
    if dtype == np.float16:  # rounding a finer number could give 1
        return (numbers.integers(0, 2048, shape, dtype=np.uint16) / np.float32(2048)).astype(np.float16)
    return np.asarray(numbers.random(shape, dtype=dtype))


def _normal(generator: Generator | None, shape: tuple, dtype: np.dtype) -> np.ndarray:
    drawn = np.float32 if dtype == np.float16 else dtype
    return np.asarray(numpy_generator(generator).standard_normal(shape, dtype=drawn)).astype(dtype, copy=False)


def _integers(caller: str, generator: Generator | None, low: Any, high: Any, shape: tuple,
              dtype: np.dtype) -> np.ndarray:
    """From [low, high), which must fit the dtype."""
    low, high = int(low), int(high)
    if low >= high:
        raise RuntimeError(f"{caller}(): there is no whole number from low={low} up to and without high={high}")
    least, most = _whole_range(dtype)
    if low < least or high - 1 > most:
        raise RuntimeError(f"{caller}(): {low} to {high - 1} does not fit {dtype}, which holds {least} to {most}")
    drawn = numpy_generator(generator).integers(low, high, shape, dtype=np.uint64 if high > 2**63 else np.int64)
    return np.asarray(drawn).astype(dtype, copy=False)


def _whole_range(dtype: np.dtype) -> tuple[int, int]:
    """The whole numbers that a dtype holds without a gap."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        most = 2 ** (np.finfo(dtype).nmant + 1)
        return -most, most
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _chances(caller: str, generator: Generator | None, p: Any, shape: tuple) -> np.ndarray:
    """True with probability `p`, a number or an array. Compared in float64, which has small probabilities right."""
    if not np.all((np.asarray(p) >= 0) & (np.asarray(p) <= 1)):
        raise RuntimeError(f"{caller}(): probabilities must lie in [0, 1], got {p if np.ndim(p) == 0 else 'others'}")
    return np.asarray(numpy_generator(generator).random(shape) < p)


def _floating(caller: str, dtype: np.dtype) -> np.dtype:
    if dtype.kind != "f":
        raise RuntimeError(f"{caller}(): real numbers are drawn in a floating dtype, not in {dtype}")
    return dtype


# --- new tensors ----------------------------------------------------------------------------------------------------


@drawn
def rand(*dims: Any, size: Any = None, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
         layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform over [0, 1)."""
    check_place(device, layout)
    dtype = _floating("rand", as_dtype(dtype, out=out))
    return made(_uniform(generator, as_shape("rand", dims, size), dtype), requires_grad, out)


@drawn
def randn(*dims: Any, size: Any = None, generator: Generator | None = None, out: Tensor | None = None,
          dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Standard normal."""
    check_place(device, layout)
    dtype = _floating("randn", as_dtype(dtype, out=out))
    return made(_normal(generator, as_shape("randn", dims, size), dtype), requires_grad, out)


@drawn
def randint(*bounds: Any, low: Any = None, high: Any = None, size: Any = None, generator: Generator | None = None,
            out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
            requires_grad: bool = False) -> Tensor:
    """Whole numbers uniform over [low, high), int64 by default: `randint(high, size)` or `randint(low, high, size)`."""
    check_place(device, layout)
    given = list(bounds)  # read from the right: size, high, low
    if size is None and given:
        size = given.pop()
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint() needs a size, a tuple of whole numbers: randint(0, 10, (3,)); got {size!r}")
    low, high = _bounds("randint", given, low, high)
    dtype = as_dtype(dtype, _INT64, out)
    return made(_integers("randint", generator, low, high, as_shape("randint", (size,)), dtype), requires_grad, out)


def _bounds(caller: str, given: list, low: Any, high: Any) -> tuple:
    """low and high from `f(high)`, `f(low, high)` or keywords."""
    if high is None and given:
        high = given.pop()
    if low is None:
        low = given.pop() if given else 0
    if given or high is None:
        raise TypeError(f"{caller}() takes high, or low and high, before the size")
    return low, high


@drawn
def randperm(n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None,
             device: Any = None, requires_grad: bool = False) -> Tensor:
    """A random order of 0 … n - 1, int64 by default."""
    check_device(device)
    (n,) = as_shape("randperm", (n,))
    dtype = as_dtype(dtype, _INT64, out)
    if n - 1 > _whole_range(dtype)[1]:
        raise RuntimeError(f"randperm(): {n - 1} does not fit {dtype}")
    return made(numpy_generator(generator).permutation(n).astype(dtype, copy=False), requires_grad, out)


@drawn
def rand_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
              requires_grad: bool = False) -> Tensor:
    """Uniform over [0, 1), in the shape and, unless given, the dtype of `input`."""
    check_device(device)
    return made(_uniform(generator, input.shape, _floating("rand_like", as_dtype(dtype, input.dtype))), requires_grad)


@drawn
def randn_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
               requires_grad: bool = False) -> Tensor:
    """Standard normal, in the shape and, unless given, the dtype of `input`."""
    check_device(device)
    return made(_normal(generator, input.shape, _floating("randn_like", as_dtype(dtype, input.dtype))), requires_grad)


@drawn
def randint_like(input: Tensor, *bounds: Any, low: Any = None, high: Any = None, generator: Generator | None = None,
                 dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Whole numbers uniform over [low, high), in the shape and, unless given, the dtype of `input`:
    `randint_like(input, high)` or `randint_like(input, low, high)`."""
    check_device(device)
    low, high = _bounds("randint_like", list(bounds), low, high)
    dtype = as_dtype(dtype, input.dtype)
    return made(_integers("randint_like", generator, low, high, input.shape, dtype), requires_grad)


@drawn
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None,
              out: Tensor | None = None) -> Tensor:
    """1 with the probability that `input` has there, or with probability `p` everywhere; else 0."""
    _floating("bernoulli", input.dtype)
    drawn = _chances("bernoulli", generator, input.array if p is None else p, input.shape)
    return made(drawn.astype(as_dtype(None, input.dtype, out)), out=out)


@drawn
def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
           out: Tensor | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal with that mean and standard deviation: each a number or a Tensor, broadcast; `size` is for two numbers."""
    check_device(device)
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if bool(tensors) == (size is not None):
        raise TypeError("normal() takes a Tensor as mean or std, or two numbers and a size: normal(0.0, 1.0, (2, 3))")
    if tensors:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
        dtype = as_dtype(dtype, np.result_type(*(_floating("normal", x.dtype) for x in tensors)), out)
    else:
        shape, dtype = as_shape("normal", (size,)), as_dtype(dtype, out=out)
    return made(_scaled("normal", generator, mean, std, shape, _floating("normal", dtype)), requires_grad, out)


def _scaled(caller: str, generator: Generator | None, mean: Any, std: Any, shape: tuple, dtype: np.dtype) -> np.ndarray:
    """Normal draws with a mean and a standard deviation, each a number or a Tensor."""
    mean, std = (x.array if isinstance(x, Tensor) else x for x in (mean, std))
    if not np.all(np.asarray(std) >= 0):
        raise RuntimeError(f"{caller}(): the standard deviation must not be negative, got {std}")
    return np.asarray(_normal(generator, shape, dtype) * std + mean, dtype=dtype)


@drawn
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None,
                out: Tensor | None = None) -> Tensor:
    """Indices drawn with probabilities proportional to a vector, or each row of a matrix: int64, (…, num_samples)."""
    _floating("multinomial", input.dtype)
    if input.ndim not in (1, 2):
        raise RuntimeError(f"multinomial(): the weights must be a vector or a matrix, got {describe(input)}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial(): num_samples must be positive, got {num_samples}")
    weights = input.array.astype(np.float64)
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise RuntimeError(f"multinomial(): the weights must be finite and not negative, {describe(input)} has others")
    possible, needed = np.count_nonzero(weights, axis=-1), 1 if replacement else num_samples
    if np.any(possible < needed):
        raise RuntimeError(f"multinomial(): {describe(input)} has {possible.min()} weights above zero, needs {needed}"
                           f"{'' if replacement else '; draw fewer samples, or with replacement=True'}")
    draw = _with_replacement if replacement else _without_replacement
    return made(draw(numpy_generator(generator), weights, num_samples), out=out)


def _with_replacement(numbers: numpy.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
    """By inverting the cumulated weights."""
    rows = np.atleast_2d(weights)
    drawn = np.empty((len(rows), count), dtype=np.int64)
    for row, indices in zip(rows, drawn, strict=True):
        cumulated = np.cumsum(row / row.max())  # neither overflows nor drowns in the smallest numbers
        indices[:] = np.searchsorted(cumulated, numbers.random(count) * cumulated[-1], side="right")
    return drawn.reshape(*weights.shape[:-1], count)


def _without_replacement(numbers: numpy.random.Generator, weights: np.ndarray, count: int) -> np.ndarray:
    """By racing exponential clocks: the first `count` of E/w are a draw in order (Efraimidis and Spirakis, 2006)."""
    with np.errstate(all="ignore"):
        clocks = np.log(numbers.standard_exponential(weights.shape)) - np.log(weights)  # inf for a weight of zero
    return np.argsort(clocks, axis=-1)[..., :count].astype(np.int64, copy=False)


@drawn
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers with the rates that `input` has."""
    _floating("poisson", input.dtype)
    if not np.all(input.array >= 0):
        raise RuntimeError(f"poisson(): the rates must not be negative, {describe(input)} has others")
    return made(np.asarray(numpy_generator(generator).poisson(input.array)).astype(input.dtype))


@drawn
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of `count` trials succeed, each with probability `prob`; the two broadcast."""
    dtype = _floating("binomial", count.dtype)
    if not (np.all(count.array >= 0) and np.all((prob.array >= 0) & (prob.array <= 1))):
        raise RuntimeError("binomial(): counts must not be negative and probabilities must lie in [0, 1]")
    drawn = numpy_generator(generator).binomial(count.array.astype(np.int64), prob.array)
    return made(np.asarray(drawn).astype(dtype))


# --- in place -------------------------------------------------------------------------------------------------------


@drawn
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers uniform over [a, b)."""
    if not a <= b:
        raise RuntimeError(f"uniform_(): the range [a, b) must not end before it begins, got a={a}, b={b}")
    dtype = _floating("uniform_", tensor.dtype)
    values = _uniform(generator, tensor.shape, dtype)
    values *= b - a
    values += a
    if b > a:  # rounding may reach b
        np.minimum(values, np.nextafter(dtype.type(b), dtype.type(a)), out=values)
    return _fill("uniform_", tensor, values)


@drawn
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    dtype = _floating("normal_", tensor.dtype)
    return _fill("normal_", tensor, _scaled("normal_", generator, mean, std, tensor.shape, dtype))


@drawn
def exponential_(tensor: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers of rate `lambd`, that is of mean 1 / lambd."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_(): the rate must be positive, got lambd={lambd}")
    drawn = np.float32 if _floating("exponential_", tensor.dtype) == np.float16 else tensor.dtype
    return _fill("exponential_", tensor, numpy_generator(generator).standard_exponential(tensor.shape, drawn) / lambd)


@drawn
def geometric_(tensor: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with how many trials it takes until the first success, each of probability `p`."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_(): the probability must lie between 0 and 1, got p={p}")
    return _fill("geometric_", tensor, numpy_generator(generator).geometric(p, tensor.shape))


@drawn
def cauchy_(tensor: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of the Cauchy distribution around `median`, of half-width `sigma`."""
    _floating("cauchy_", tensor.dtype)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_(): the width must be positive, got sigma={sigma}")
    return _fill("cauchy_", tensor, median + sigma * numpy_generator(generator).standard_cauchy(tensor.shape))


@drawn
def log_normal_(tensor: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponentials of normal numbers of this mean and standard deviation."""
    _floating("log_normal_", tensor.dtype)
    if not std > 0:
        raise RuntimeError(f"log_normal_(): the standard deviation must be positive, got std={std}")
    return _fill("log_normal_", tensor, numpy_generator(generator).lognormal(mean, std, tensor.shape))


@drawn
def bernoulli_(tensor: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability `p`, a number or a Tensor that broadcasts, and 0 else."""
    p = p.array if isinstance(p, Tensor) else p
    return _fill("bernoulli_", tensor, _chances("bernoulli_", generator, p, tensor.shape))


@drawn
def random_(tensor: Tensor, low: Any = None, high: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Fill with whole numbers uniform over [low, high): `random_(high)`, `random_(low, high)`; `random_()` draws from
    all from 0 up that the dtype holds exactly."""
    if high is None:
        low, high = 0, _whole_range(tensor.dtype)[1] + 1 if low is None else low
    return _fill("random_", tensor, _integers("random_", generator, low or 0, high, tensor.shape, tensor.dtype))


def _fill(caller: str, tensor: Tensor, values: np.ndarray) -> Tensor:
    if tensor.requires_grad and tensor.is_leaf and is_grad_enabled():
        raise RuntimeError(f"{caller}(): a leaf that requires grad, {describe(tensor)}, cannot be written in place "
                           "while recording; do it under no_grad()")
    return tensor.copy_(Tensor(np.asarray(values)))  # copy_ cuts off the history that the tensor may have

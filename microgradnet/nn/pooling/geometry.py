"""Where the windows of a pooling lie."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...graph import ShapeError
from ...tensor import Tensor, describe
from ..sizes import check_dims, each


class Windows(NamedTuple):
    """The windows of one pooling: an entry for each dimension, and how many there are."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    many: tuple[int, ...]


def windows_over(name: str, n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
                 ceil_mode: bool) -> Windows:
    """The windows over the last n dimensions. stride: the kernel size if None. ceil_mode: one more where the last does
    not reach the end, if it begins within the input or the padding before it."""
    check_dims(name, input, n)
    kernel, dilation = each("kernel_size", kernel_size, n, 1), each("dilation", dilation, n, 1)
    stride = kernel if stride is None or stride in ((), []) else each("stride", stride, n, 1)
    padding = each("padding", padding, n)
    if any(2 * p > d * (k - 1) + 1 for p, d, k in zip(padding, dilation, kernel)):
        raise RuntimeError(f"{name}(): padding {padding} should be at most half of the kernel size {kernel}")
    many = []
    for size, k, s, p, d in zip(input.shape[-n:], kernel, stride, padding, dilation):
        count = (size + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        many.append(count - 1 if ceil_mode and (count - 1) * s >= size + p else count)
    if min(many) < 1 or 0 in input.shape[-n - 1 :]:
        raise ShapeError(f"{name}(): a window of {kernel}, dilation {dilation}, does not fit into the input "
                         f"{describe(input)} with padding {padding}")
    return Windows(kernel, stride, padding, dilation, tuple(many))


def adaptive_sizes(name: str, n: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    """The sizes wanted of the last n dimensions, where None keeps one."""
    check_dims(name, input, n)
    if 0 in input.shape[-n - 1 :]:
        raise ShapeError(f"{name}(): input {describe(input)} must not be empty but for its batch")
    if isinstance(output_size, (tuple, list)):
        output_size = tuple(m if o is None else o for o, m in zip(output_size, input.shape[-n:], strict=True))
    return input.shape[-n:] if output_size is None else each("output_size", output_size, n)


def bins(size: int, count: int) -> tuple[tuple[int, int], ...]:
    """(start, end) of each of `count` parts that cover a dimension, as equal as may be; they may overlap by one."""
    return tuple((i * size // count, math.ceil((i + 1) * size / count)) for i in range(count))

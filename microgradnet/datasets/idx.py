"""IDX, the file format of MNIST: two zero bytes, a type code, the number of dimensions, the dimensions, the elements.

Everything is big-endian. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

DTYPES: dict[int, np.dtype] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or gzipped, in native byte order; ValueError unless the file is a whole one."""
    return parse(decompress(Path(path).read_bytes(), path), path)


def decompress(content: bytes, source: object) -> bytes:
    """`content` itself, or what it holds where it is gzipped: its first bytes tell, not the name of `source`."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{source}: expected a whole gzip file, found a damaged one: {error}") from error


def parse(content: bytes, source: object) -> np.ndarray:
    """The array that the bytes of an IDX file describe; `source` names them in a ValueError."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        codes = ", ".join(f"{code:02x}" for code in DTYPES)
        raise ValueError(
            f"{source}: not an IDX file: expected 00 00, a type code ({codes}) and the number of dimensions, "
            f"found {content[:4].hex(' ') or 'nothing'}"
        )
    dtype, start = DTYPES[content[2]], 4 + 4 * content[3]
    # A header cut short reads as wrong dimensions here, and then fails the check of the length.
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{source}: expected {expected:,} bytes for shape {shape} of {dtype.name}, found {len(content):,}"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))

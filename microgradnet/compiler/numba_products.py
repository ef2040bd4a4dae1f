"""Matrix products as text: calls of BLAS, and functions of tiles for small ones."""

from __future__ import annotations

import functools
from typing import NamedTuple

SMALL = 1 << 22  # multiplications, above which BLAS is as fast, or has several threads
_LONGEST_OUTER = 512  # outer products, above which b does not stay near unless it is copied, as BLAS does
LANE = 16  # bytes, within which numbers go to other places most quickly
_LINE = 64  # bytes that come from the cache at once


class Matrix(NamedTuple):
    """address: of its memory, as it is written. steps: by how many elements a row and a column move on; 0 for one."""

    address: str
    shape: tuple[int, int]
    steps: tuple[int, int]

    @property
    def turned(self) -> Matrix:
        return Matrix(self.address, self.shape[::-1], self.steps[::-1])


def by_rows(a: Matrix, b: Matrix, c: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """c = a b, or the same as cᵀ = bᵀ aᵀ, such that the rows of the result lie in one piece."""
    (rows, columns), (row, column) = c.shape, c.steps
    if row == 1 and 1 < columns and rows <= column != 1:
        return b.turned, a.turned, c.turned
    return a, b, c


def blas_call(kind: str, a: Matrix, b: Matrix, c: Matrix, alpha: str, beta: str) -> str:
    """c ← α a b + β c as BLAS has it, by columns: it is told of cᵀ = bᵀ aᵀ."""
    gemm = {"f4": "table[1]", "f8": "table[2]"}[kind]
    (one, first), (two, second) = _for_blas(b.turned), _for_blas(a.turned)
    sizes = f"{c.shape[1]}, {c.shape[0]}, {a.shape[1]}"
    target = f"{c.address}, {c.steps[0] if c.shape[0] > 1 else c.shape[1]}"
    return f"gemm_{kind}({gemm}, {one}, {two}, {sizes}, {alpha}, {first}, {second}, {beta}, {target})"


def _for_blas(x: Matrix) -> tuple[int, str]:
    """(BLAS's letter: whether a matrix is to be turned, its memory and how far its columns lie apart)"""
    (rows, columns), (row, column) = x.shape, x.steps
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return ord("N"), f"{x.address}, {column if columns > 1 else rows}"
    return ord("T"), f"{x.address}, {row if rows > 1 else columns}"


def small_product(kind: str, a: Matrix, b: Matrix, c: Matrix, adds: bool) -> str | None:
    """The text of a function NAME(a, b, c, α, β) of tiles; None where BLAS is better."""
    (rows, length), columns = a.shape, b.shape[1]
    inner = a.steps[1] == b.steps[0] == 1  # so is each sum; else it is made of outer products
    if rows * length * columns > SMALL or c.steps[1] > 1 or not inner and (b.steps[1] != 1 or length > _LONGEST_OUTER):
        return None
    size = {"f4": 4, "f8": 8}[kind]
    vector, registers = vectors_here()
    if inner and length * size < 4 * vector:  # longer ones would have more to add up in the end than before
        vector = min(vector, 32)
    height, breadth = _best_tile((rows, length, columns), inner, size, vector, registers)
    tiles: list[str] = []
    body: list[str] = []
    for j in _pieces(columns, breadth):
        body.append(f"    for j in {j}:")
        for i in _pieces(rows, height):
            name = f"NAME_tile_{len(tiles) + 1}"
            sizes = f"{kind!r}, {vector}, {i.step}, {j.step}, {length}, {a.steps}, {b.steps}, {c.steps[0]}, {adds}"
            places = f"a, {a.steps[0]} * i, b, {b.steps[1]} * j, c, {c.steps[0]} * i + j"
            tiles.append(f"{name} = tile({sizes})")
            body += [f"        for i in {i}:", f"            {name}({places}, alpha, beta)"]
    return "\n".join([*tiles, "\n\n@njit(**OPTIONS)\ndef NAME(a, b, c, alpha, beta):", "    apart()", *body]) + "\n"


@functools.cache
def vectors_here() -> tuple[int, int]:
    """(bytes of a vector, how many registers for vectors there are) on this processor."""
    try:
        from llvmlite import binding
    except ImportError:  # where the text is not to be compiled
        return 32, 16
    return (64, 32) if binding.get_host_cpu_features().get("avx512f") else (32, 16)


def _pieces(n: int, size: int) -> list[range]:
    """The starts of pieces that cover n: those of the given size, then a smaller one."""
    whole = n // size * size
    return [r for r in (range(0, whole, size), range(whole, n, n - whole or 1)) if r]


def _best_tile(shape: tuple[int, int, int], inner: bool, size: int, vector: int, registers: int) -> tuple[int, int]:
    """The rows and columns of tiles that take the fewest cycles, and of several such the fewest kinds.

    shape: rows, length, columns. size, vector: bytes of a number and of a vector.
    """
    rows, length, columns = shape
    width = vector // size
    across = 1 if inner else width
    load = 1 + vector / _LINE  # a vector that lies on two lines is loaded twice, and most begin anywhere

    def cycles(height: int, breadth: int) -> float:
        """In halves of a cycle: one for each product, or load, and at least the eight that a sum waits for another."""
        vectors = breadth // across + (breadth % across).bit_count()
        sums = height * vectors
        fits = sums + (height if inner else vectors) + 1 <= registers
        step = max(sums, height * (load if inner else 1) + vectors * load, 8) * (1 if fits else 2)
        if not inner:
            return step * length
        lane = LANE // size
        return step * length / width + height * -(-breadth // lane) * 4 * lane  # to add up the numbers of vectors

    def total(tile: tuple[int, int]) -> tuple[float, int]:
        pieces = [(i, j) for i in _pieces(rows, tile[0]) for j in _pieces(columns, tile[1])]
        return sum(len(i) * len(j) * cycles(i.step, j.step) for i, j in pieces), len(pieces)

    return min(((height, across * vectors) for height in range(1, 8) for vectors in range(1, 8)), key=total)

"""The names that a native program is printed in, as plain Python: so that what is printed can be run without numba."""

from __future__ import annotations

import ctypes

import numpy as np

from microgradnet.compiler.fuse import fused
from microgradnet.compiler.layout import Layout
from microgradnet.compiler.numba_calls import calls_of
from microgradnet.compiler.numba_text import print_native


class Memory:
    """Memory at an address."""

    def __init__(self, address, dtype):
        self.address, self.dtype = int(address), np.dtype(dtype)

    def at(self, i):
        return np.ctypeslib.as_array((ctypes.c_ubyte * self.dtype.itemsize).from_address(
            self.address + int(i) * self.dtype.itemsize)).view(self.dtype)

    def __getitem__(self, i):
        return self.at(i)[0]

    def __setitem__(self, i, x):
        assert np.asarray(x).dtype == self.dtype, f"{np.asarray(x).dtype} into {self.dtype}"
        self.at(i)[0] = x


def matrix(memory, rows, columns, leading):
    """In column-major order."""
    flat = (ctypes.c_ubyte * (memory.dtype.itemsize * ((columns - 1) * leading + rows))).from_address(memory.address)
    size = memory.dtype.itemsize
    return np.ndarray((rows, columns), memory.dtype, flat, 0, (size, size * leading))


def gemm(function, turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    assert lda >= (m if turn_a == ord("N") else k) and ldb >= (k if turn_b == ord("N") else n) and ldc >= m
    a = matrix(a, m, k, lda) if turn_a == ord("N") else matrix(a, k, m, lda).T
    b = matrix(b, k, n, ldb) if turn_b == ord("N") else matrix(b, n, k, ldb).T
    c = matrix(c, m, n, ldc)
    c[...] = alpha * (a @ b) + (beta * c if beta else 0)


def strided(memory, at, shape, steps):
    """A matrix whose rows and columns move on by some elements."""
    (rows, columns), (row, column), size = shape, steps, memory.dtype.itemsize
    flat = (ctypes.c_ubyte * (size * ((rows - 1) * row + (columns - 1) * column + 1))).from_address(
        memory.address + size * at)
    return np.ndarray(shape, memory.dtype, flat, 0, (size * row, size * column))


def tile(kind, vector, rows, columns, length, a_steps, b_steps, c_row, adds):
    assert a_steps[1] == b_steps[0] == 1 or b_steps[1] == 1

    def run(a, a_at, b, b_at, c, c_at, alpha, beta):
        c = strided(c, c_at, (rows, columns), (c_row, 1))
        product = strided(a, a_at, (rows, length), a_steps) @ strided(b, b_at, (length, columns), b_steps)
        c[...] = alpha * product + (beta * c if adds else 0)

    return run


def njit(*signature, **options):
    return lambda function: function


NAMES = {
    "np": np, "njit": njit, "OPTIONS": {}, "KEPT": False, "gemm_f4": gemm, "gemm_f8": gemm, "tile": tile,
    "apart": lambda: None, "add_up": lambda total, x: total + x, "exp_f4": np.exp, "tanh_f4": np.tanh,
    "maximum": np.maximum, "minimum": np.minimum, "sign": np.sign,
    **{code: (lambda address, code=code: Memory(address, code)) for code in ("f4", "f8", "i1", "i2", "i4", "i8", "u1")},
    "b1": lambda address: Memory(address, "u1"),
}  # fmt: skip


def plainly(program):
    """A simplified program, run as what is printed for numba says, in Python."""
    layout = Layout(*fused(program))
    printed = print_native(layout)
    functions = dict(NAMES)
    exec(printed.text, functions)
    return calls_of(program, layout, printed, functions, (0, 0))[0]

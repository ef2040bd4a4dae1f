"""What natively compiled programs call: memory at an address, matrix products, and functions of one number.

Only programs of the numba backend import this module. Everything here is compiled into their loops.
"""

from __future__ import annotations

import ctypes
import glob
import math
import os
from typing import Any

import numpy as np

from ..errors import CompileError

try:
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic
except ImportError as error:
    raise CompileError("compile(backend='numba') needs numba and scipy: pip install 'microgradnet[fast]'") from error

OPTIONS: dict[str, Any] = {"error_model": "numpy"}  # with Python's, a loop with a division is not vectorised


# --- memory -----------------------------------------------------------------------------------------------------------


def _pointer_to(element: Any) -> Any:
    @intrinsic
    def pointer(context: Any, address: Any) -> Any:
        """Memory at an address; memory[i] is its i-th element."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(element)(types.int64), generate

    return pointer


f4, f8 = _pointer_to(types.float32), _pointer_to(types.float64)
i1, i2, i4, i8 = (_pointer_to(t) for t in (types.int8, types.int16, types.int32, types.int64))
u1 = b1 = _pointer_to(types.uint8)  # a truth value is a byte


@intrinsic
def apart(context: Any) -> Any:
    """Promise that no two arguments of the function that calls this show the same memory, so that loops vectorise."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for argument in builder.function.args[2:]:  # after numba's own two
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def add_up(context: Any, total: Any, x: Any) -> Any:
    """total + x, in a sum whose order is free."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("reassoc",))

    return total(total, x), generate


# --- matrix products --------------------------------------------------------------------------------------------------


def _gemm_of(element: Any) -> Any:
    @intrinsic
    def gemm(context: Any, function: Any, turn_a: Any, turn_b: Any, m: Any, n: Any, k: Any, alpha: Any,
             a: Any, lda: Any, b: Any, ldb: Any, beta: Any, c: Any, ldc: Any) -> Any:  # fmt: skip
        """C ← α A B + β C of matrices in column-major order, A and B turned or not: BLAS's gemm at an address."""
        memory = types.CPointer(element)
        signature = types.none(*[types.int64] * 6, element, memory, types.int64, memory, types.int64, element, memory,
                               types.int64)  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function, turn_a, turn_b, *rest = args
            letters = [builder.trunc(letter, ir.IntType(8)) for letter in (turn_a, turn_b)]
            given = []
            for x in (*letters, *rest):
                if not isinstance(x.type, ir.PointerType):  # Fortran wants addresses
                    with builder.goto_entry_block():
                        slot = builder.alloca(x.type)
                    builder.store(x, slot)
                    x = slot
                given.append(x)
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in given])
            builder.call(builder.inttoptr(function, kind.as_pointer()), given)
            return context.get_dummy_value()

        return signature, generate

    return gemm


gemm_f4, gemm_f8 = _gemm_of(types.float32), _gemm_of(types.float64)


def gemm_addresses() -> tuple[int, int]:
    """Of sgemm and dgemm: NumPy's own where they can be found, else SciPy's.

    Whole numbers are given in 64 bits, of which a BLAS with 32-bit ones reads the lower half.
    NumPy's come first because the threads of two BLAS libraries in one process wait for each other by spinning.
    """
    for path in glob.glob(os.path.join(os.path.dirname(np.__file__) + ".libs", "*openblas*")):
        library = ctypes.CDLL(path)
        for pattern in ("scipy_{}_64_", "{}_64_", "scipy_{}_", "{}_"):
            found = [getattr(library, pattern.format(name), None) for name in ("sgemm", "dgemm")]
            if all(found):
                return tuple(ctypes.cast(f, ctypes.c_void_p).value for f in found)  # type: ignore[return-value, arg-type]
    try:
        from scipy.linalg import cython_blas
    except ImportError as error:
        raise CompileError("compile(backend='numba') needs scipy: pip install 'microgradnet[fast]'") from error
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsules = [cython_blas.__pyx_capi__[name] for name in ("sgemm", "dgemm")]
    return tuple(api.PyCapsule_GetPointer(c, api.PyCapsule_GetName(c)) for c in capsules)  # type: ignore[return-value]


# --- functions of numbers ---------------------------------------------------------------------------------------------


@intrinsic
def _float_of_bits(context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _bits_of_float(context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), generate


# A product and a sum may be rounded once, and no branch is left: a loop of these becomes vector instructions.
FUSED = {**OPTIONS, "fastmath": {"contract"}}
LOG2_E = np.float32(math.log2(math.e))
LN_2_HIGH = np.float32(0.693359375)  # few bits: its product with a small whole number is exact
LN_2_LOW = np.float32(math.log(2) - 0.693359375)
C2, C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))
ROUNDER = np.float32(1.5 * 2**23)  # a number added to it is rounded, and stands in its last bits
ROUNDER_BITS = np.int32(ROUNDER.view(np.int32))


@njit(**FUSED)
def _reduced(x):
    """(k, e^r − 1) for x = k ln 2 + r with |r| ≤ ln 2 / 2 and a whole k, of a float32 within ±110."""
    rounded = x * LOG2_E + ROUNDER
    k = rounded - ROUNDER
    r = (x - k * LN_2_HIGH) - k * LN_2_LOW
    r2 = r * r
    tail = (C2 + r * C3) + r2 * ((C4 + r * C5) + r2 * (C6 + r * C7))
    return _bits_of_float(rounded) - ROUNDER_BITS, r + r2 * tail


@njit(**FUSED)
def _power_of_2(k):
    """2^k as a float32 for −126 ≤ k ≤ 127."""
    return _float_of_bits((k + np.int32(127)) << np.int32(23))


@njit(**FUSED)
def exp_f4(x):
    """e^x of a float32, in arithmetic that vectorises (a call of the C library does not)."""
    inside = np.float32(-104) if x < np.float32(-104) else x  # nan stays
    inside = np.float32(89) if inside > np.float32(89) else inside
    k, y = _reduced(inside)
    half = k >> np.int32(1)  # 2^k alone may be out of range where e^x is not
    return (np.float32(1) + y) * _power_of_2(half) * _power_of_2(k - half)


# tanh x = x P(x²) / Q(x²) for |x| ≤ 9.02, beyond which it is ±1 in float32: of all quotients of two polynomials of the
# fourth degree the one whose largest relative error is least, 2.1e-8, found by Lawson's iteration.
P0, P1, P2, P3, P4 = (np.float32(c) for c in (1, 0.133797178, 3.49403437e-3, 2.05834789e-5, 1.33190698e-8))
Q0, Q1, Q2, Q3, Q4 = (np.float32(c) for c in (1, 0.46713033, 2.58710724e-2, 3.28309257e-4, 7.76201833e-7))


@njit(**FUSED)
def tanh_f4(x):
    """tanh x of a float32, to 4e-7."""
    inside = np.float32(-9.02) if x < np.float32(-9.02) else x  # nan stays
    inside = np.float32(9.02) if inside > np.float32(9.02) else inside
    x2 = inside * inside
    x4 = x2 * x2
    y = inside * ((P0 + x2 * P1) + x4 * ((P2 + x2 * P3) + x4 * P4))
    y /= (Q0 + x2 * Q1) + x4 * ((Q2 + x2 * Q3) + x4 * Q4)
    y = np.float32(-1) if y < np.float32(-1) else y
    return np.float32(1) if y > np.float32(1) else y


@njit(**OPTIONS)
def maximum(a, b):
    """The larger; nan if one is nan."""
    return a if a > b or a != a else b


@njit(**OPTIONS)
def minimum(a, b):
    """The smaller; nan if one is nan."""
    return a if a < b or a != a else b


@njit(**OPTIONS)
def sign(x):
    """-1, 0 or 1; nan of nan."""
    one = x * 0 + 1
    return one if x > 0 else -one if x < 0 else x

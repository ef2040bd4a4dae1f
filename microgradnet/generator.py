"""Generators of random numbers: seeded, saved and passed around.

The streams are NumPy's PCG64, not PyTorch's: the same seed gives the same numbers in every run, and others than in
PyTorch. NumPy's global state is never touched.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import check_device, device
from .tensor import Tensor, describe

if TYPE_CHECKING:
    import numpy.random

_FIELDS = (("seed", 8), ("state", 16), ("inc", 16), ("has_uint32", 1), ("uinteger", 4))  # of a saved state, in bytes


class Generator:
    """A stream of random numbers with a seed and a state of its own. A new one starts from the same seed always."""

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self._made: numpy.random.Generator | None = None
        self.manual_seed(67280421310721)  # PyTorch's default seed

    @property
    def device(self) -> device:
        """Always the CPU."""
        return device("cpu")

    @property
    def _numpy(self) -> numpy.random.Generator:
        # Made when first drawn from: importing numpy.random takes longer than importing microgradnet.
        if self._made is None:
            self._made = np.random.Generator(np.random.PCG64(self._seed))
        return self._made

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed`, a whole number of 64 bits; negative ones count down from 2**64."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed(): a seed lies between -2**63 and 2**64 - 1, got {seed}")
        self._seed, self._made = seed % 2**64, None
        return self

    def seed(self) -> int:
        """Start a stream from a seed by the operating system, and return it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed this stream started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """Where the stream stands, as a uint8 tensor."""
        state = self._numpy.bit_generator.state
        values = {"seed": self._seed, **state, **state["state"]}
        return Tensor(np.frombuffer(b"".join(values[k].to_bytes(n, "little") for k, n in _FIELDS), np.uint8).copy())

    def set_state(self, new_state: Tensor) -> None:
        """Continue from where `get_state` was called."""
        size = sum(n for _, n in _FIELDS)
        if not isinstance(new_state, Tensor) or new_state.dtype != np.uint8 or new_state.shape != (size,):
            raise RuntimeError(f"set_state() expects the {size} bytes of get_state(), uint8; got {describe(new_state)}")
        data = new_state.array.tobytes()
        values, start = {}, 0
        for key, n in _FIELDS:
            values[key] = int.from_bytes(data[start : start + n], "little")
            start += n
        if values["inc"] % 2 == 0 or values["has_uint32"] > 1:
            raise RuntimeError("set_state(): these bytes are not the state of a generator")
        self.manual_seed(values["seed"])
        self._numpy.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": values["state"], "inc": values["inc"]},
            "has_uint32": values["has_uint32"],
            "uinteger": values["uinteger"],
        }

    def clone_state(self) -> Generator:
        """Another generator that stands where this one does."""
        other = Generator()
        other.set_state(self.get_state())
        return other

    def __repr__(self) -> str:
        return f"<microgradnet.Generator, initial seed {self._seed}>"


default_generator = Generator()
default_generator.seed()  # what nobody seeds differs from run to run, as in PyTorch


def numpy_generator(generator: Generator | None) -> numpy.random.Generator:
    """NumPy's generator inside `generator`, or inside the default one."""
    if generator is None:
        return default_generator._numpy
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a microgradnet.Generator or None, got {type(generator).__name__}")
    return generator._numpy


def manual_seed(seed: int) -> Generator:
    """Start the default generator's stream of `seed`, and return that generator."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a seed by the operating system, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Where the default generator stands, as a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator continue from where `get_rng_state` was called."""
    default_generator.set_state(new_state)

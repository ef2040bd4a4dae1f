"""Who takes part: each workload is written once for every library, a file per library."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """programs: the file with its programs. needs: the packages. compiled: what turns a step into a compiled one."""

    programs: str
    needs: tuple[str, ...] = ()
    compiled: Callable | None = None

    def installed(self):
        """Whether it can take part."""
        return all(importlib.util.find_spec(package) for package in self.needs)

    def program(self, name):
        """A program in this library, as `workloads` names them; None where there is none."""
        program = getattr(importlib.import_module(f"{__name__}.{self.programs}"), name, None)
        if program is None or self.compiled is None:
            return program
        if name == "op":  # what an operation costs that is recorded, and so none that is compiled
            return None
        if name == "epoch":  # what is compiled is the step inside
            return functools.partial(program, compiled=self.compiled)

        def build(*arguments):
            step, results = program(*arguments)
            return self.compiled(step), results

        return build


def _by_microgradnet(backend):
    def compiled(step):
        import microgradnet as mg

        return mg.compile(step, backend=backend)

    return compiled


def _by_torch(step):
    import torch

    return torch.compile(step)


LIBRARIES = {
    "numpy": Library("by_hand"),
    "numpy-out": Library("by_hand_out"),
    "microgradnet": Library("with_microgradnet"),
    "compiled": Library("with_microgradnet", (), _by_microgradnet("numpy")),
    "native": Library("with_microgradnet", ("numba", "scipy"), _by_microgradnet("numba")),
    "torch": Library("with_torch", ("torch",)),
    "torch-compiled": Library("with_torch", ("torch",), _by_torch),
    "jax": Library("with_jax", ("jax",)),
    "autograd": Library("with_autograd", ("autograd",)),
}

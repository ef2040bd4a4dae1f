"""The numba backend: one plan, a second printer. A program becomes native loops and calls of BLAS.

What has no native form is called in NumPy between two native segments, on the same memory (`numba_calls`).

Compiled code is kept between runs, in `$XDG_CACHE_HOME/microgradnet/compiled` or `~/.cache/microgradnet/compiled`; the
folder may be deleted at any time. Where nothing can be kept, a program is compiled anew in each run.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import sys
import types
from pathlib import Path
from typing import Any

from .book import name_by_the_book
from .fuse import fused
from .layout import Layout
from .lower import lower
from .numba_calls import calls_of
from .numba_text import print_native
from .plan import Plan, plan
from .program import Program
from .simplify import simplify


def numba_program(program: Program) -> NativeProgram:
    """A captured program, through all passes to a native one."""
    name_by_the_book(program)
    return NativeProgram(simplify(lower(program)))


class NativeProgram:
    """A simplified program, compiled: a function of a call's tensors' arrays, as that of the NumPy backend.

    It gives the outputs, and writes what is to be written. It computes in memory of its own, without holding Python's
    lock, so two threads may not call it at once. Raises CompileError where numba is not installed.

    text: of the native functions. plan: how the NumPy backend would do it.
    """

    def __init__(self, program: Program) -> None:
        from . import native, tiles

        layout = Layout(*fused(program))
        printed = print_native(layout)
        self.program, self.text = program, printed.text
        self.functions = _compiled(printed.text, inspect.getsource(native) + inspect.getsource(tiles))
        self.run, self.bind = calls_of(program, layout, printed, self.functions, native.gemm_addresses())
        self.bind()

    def __call__(self, inputs: list) -> list:
        return self.run(inputs)

    @functools.cached_property
    def plan(self) -> Plan:
        return plan(self.program)


HEAD = """import numpy as np
from numba import njit

from microgradnet.compiler.native import *
from microgradnet.compiler.native import OPTIONS
from microgradnet.compiler.tiles import tile

"""


def _compiled(text: str, version: str) -> dict[str, Any]:
    """The names of a native text, its functions compiled, or read from where they are kept."""
    import numba

    key = hashlib.sha256("\n".join([text, version, numba.__version__, sys.version]).encode()).hexdigest()[:24]
    module = types.ModuleType(f"microgradnet_program_{key}")
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(cache) / "microgradnet" / "compiled" / f"{module.__name__}.py"
        source = f"{HEAD}KEPT = True\n\n\n{text}"
        if not path.exists():  # numba keeps code only for functions that are in files
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(source)
            part.replace(path)
        module.__file__ = str(path)
        sys.modules[module.__name__] = module  # where numba looks for it when it reads what it has kept
        exec(compile(source, path, "exec"), module.__dict__)
    except Exception:  # whatever is the matter with the files: do without
        exec(compile(f"{HEAD}KEPT = False\n\n\n{text}", "<native program>", "exec"), module.__dict__)
    finally:
        sys.modules.pop(module.__name__, None)
    return module.__dict__

"""PyTorch's own operator database, on our side: which function of ours answers to an entry, and whether it agrees.

    python tests/opdb.py                      every operator in scope, one line each that does not agree, and a summary
    python tests/opdb.py conv softmax         those whose name contains one of the words, all lines
    python tests/opdb.py =max -v              the operator of exactly this name, with the traceback of an error
    python tests/opdb.py --samples 1000 norm  with all samples of the database, not a selection of them

Run it in the repository's root with PYTHONPATH=. and PyTorch 2.13 beside it. For every entry it compares values, shapes
and dtypes, gradients with random cotangents, and second gradients where PyTorch has them, in float64. The kinds are
those of `judge.KINDS`; what is out of scope, and why, stands in `opdb_scope`.
"""

from __future__ import annotations

import argparse
import functools
import operator
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from judge import Disagreement, OutOfScope, Translation, Verdict, judge, report, spread
from opdb_scope import OUT_OF_SCOPE, RANDOM, TOLERANCES, reason

import microgradnet as mg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

SAMPLES = 16  # of an operator's samples, at most so many are compared
torch.set_num_threads(1)


def full_name(op: Any) -> str:
    """The operator's dotted name, and that of its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


OPERATORS = {full_name(op): op for op in op_db}
IN_SCOPE = [name for name in OPERATORS if reason(name) is None]


# --- which function of ours -----------------------------------------------------------------------------------------------


def lookup(path: str) -> Any:
    """The function of that dotted name in the package, else the method or property of Tensor; AttributeError if neither."""
    found: Any = mg
    for part in path.split("."):
        found = getattr(found, part, None)
    if callable(found) and not isinstance(found, np.dtype):
        return found
    method = getattr(mg.Tensor, path)
    return method.__get__ if isinstance(method, property) else method


def on_a_copy(write: Callable) -> Callable:
    """The in-place method, on a copy of its tensor."""
    return lambda x, *args, **kwargs: write(x.clone(), *args, **kwargs)


def swapped(f: Callable) -> Callable:
    """With the first two arguments exchanged."""
    return lambda a, b, *args, **kwargs: f(b, a, *args, **kwargs)


# Entries whose arguments are not those of the function of that name: our function's name, and what makes the entry of it.
FORMS: dict[str, tuple[str, Callable[[Callable], Callable]]] = {
    "cauchy": ("cauchy_", on_a_copy),
    "exponential": ("exponential_", on_a_copy),
    "geometric": ("geometric_", on_a_copy),
    "log_normal": ("log_normal_", on_a_copy),
    "normal.in_place": ("normal_", on_a_copy),
    "uniform": ("uniform_", on_a_copy),
    "zero_": ("zero_", on_a_copy),
    "normal.number_mean": ("normal", swapped),
    "polygamma": ("polygamma", swapped),
    "special.polygamma": ("special.polygamma", swapped),
    "where": ("where", swapped),
    "einsum": ("einsum", swapped),
    "nn.functional.embedding": ("nn.functional.embedding", swapped),
    "nn.functional.embedding_bag": ("nn.functional.embedding_bag", swapped),
    "linalg.lstsq.grad_oriented": ("linalg.lstsq", lambda f: lambda a, b, driver: f(a, b, driver=driver)[:2]),
    "linalg.pinv.singular": ("linalg.pinv", lambda f: lambda a, b: f(a @ b.mT)),
    "svd_lowrank": ("svd_lowrank", lambda f: lambda a, b, **kwargs: f(a @ b.mT, **kwargs)),
    "pca_lowrank": ("pca_lowrank", lambda f: lambda a, b, **kwargs: f(a @ b.mT, **kwargs)),
}
# Python calls these with what is no Tensor on the left; PyTorch's can be called with a Tensor, too.
REFLECTED = {"__radd__": "add", "__rdiv__": "truediv", "__rmul__": "mul", "__rand__": "and_", "__ror__": "or_", "__rxor__": "xor",
             "__rmatmul__": "matmul", "__rmod__": "mod", "__rpow__": "pow", "__rsub__": "sub"}  # fmt: skip


def ours(name: str) -> Callable:
    """Our function for an entry; AttributeError if there is none."""
    op = OPERATORS[name]
    for key in (name, op.name):
        if key in FORMS:
            path, form = FORMS[key]
            return form(lookup(path))
    if name in REFLECTED:
        return swapped(getattr(operator, REFLECTED[name]))
    function = lookup(op.name)
    if isinstance(op.op, functools.partial):
        return functools.partial(function, *op.op.args, **op.op.keywords)
    return function


# --- judging --------------------------------------------------------------------------------------------------------------


def samples(name: str, most: int = SAMPLES) -> list:
    """The database's own sample inputs, in float64 where the operator has it."""
    op = OPERATORS[name]
    dtype = next(d for d in (torch.float64, torch.int64, torch.bool, *op.dtypes) if d in op.dtypes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point))
    return spread(inputs, most)


def verdicts(name: str, most: int = SAMPLES, function: Callable | None = None, verbose: bool = False) -> Iterator[Verdict]:
    """What comes out for each sample of an operator that can be translated; `function` stands in for ours."""
    op, function = OPERATORS[name], function or ours(name)
    for k, sample in enumerate(samples(name, most)):
        try:
            judge(function, op.op, Translation(), (sample.input, *sample.args), sample.kwargs, second=op.supports_gradgrad,
                  values=not draws(op.name, sample), process=sample.output_process_fn_grad, tolerance=TOLERANCES.get(name))  # fmt: skip
            yield Verdict("agrees")
        except OutOfScope:
            continue
        except Disagreement as found:
            if verbose:
                traceback.print_exception(found.__cause__ or found)
            yield Verdict(found.verdict.kind, f"{found.verdict.message} -- sample {k}: {describe(sample)}")


def verdict(name: str, most: int = SAMPLES, function: Callable | None = None, verbose: bool = False) -> Verdict:
    """What comes out for one operator: its first disagreement, if there is one."""
    judged = 0
    try:
        for found in verdicts(name, most, function, verbose):
            if found.kind != "agrees":
                return found
            judged += 1
    except AttributeError as error:
        return Verdict("missing", str(error))
    return Verdict("agrees", f"{judged} samples") if judged else Verdict("error", "no sample could be translated")


def draws(name: str, sample: Any) -> bool:
    """Whether the result is random."""
    if name in RANDOM:
        return sample.kwargs.get("training", True) and sample.kwargs.get("p", 0.5) not in (0.0, 1.0)
    return sample.kwargs.get("dropout_p", 0.0) > 0 or (name == "nn.functional.multi_head_attention_forward" and sample.kwargs["training"])


def describe(sample: Any) -> str:
    """A sample's arguments, shapes for tensors."""

    def short(x: Any) -> str:
        if isinstance(x, torch.Tensor):
            return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"
        if isinstance(x, (tuple, list)):
            return f"({', '.join(map(short, x))})"
        return repr(x)

    return ", ".join([*map(short, (sample.input, *sample.args)), *(f"{k}={short(v)}" for k, v in sample.kwargs.items())])


def chosen(words: list[str]) -> list[str]:
    """The names asked for on the command line, in scope or not; without words, those in scope."""
    if not words:
        return IN_SCOPE
    return [n for n in OPERATORS if any(w in n if w[0] != "=" else w[1:] in (n, OPERATORS[n].name) for w in words)]


def main(arguments: list[str] | None = None) -> None:
    """The report of the command line."""
    parser = argparse.ArgumentParser(description="Our operators against PyTorch's operator database.")
    parser.add_argument("names", nargs="*", help="parts of names; =name for exactly this one")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="how many samples of each operator at most")
    parser.add_argument("-v", "--verbose", action="store_true", help="with the traceback of an error")
    parser.add_argument("--scope", action="store_true", help="print what is out of scope and why")
    options = parser.parse_args(arguments)
    if options.scope:
        for why, names in OUT_OF_SCOPE.items():
            print(f"{why}:\n    {' '.join(names.split())}")
        return
    verdicts = {}
    for name in chosen(options.names):
        verdicts[name] = found = verdict(name, options.samples, verbose=options.verbose)
        if options.names or found.kind != "agrees":
            why = reason(name)
            print(f"{found.kind:22} {name:45} {found.message}{f'  [out of scope: {why}]' if why else ''}", flush=True)
    print(report(verdicts))


if __name__ == "__main__":
    sys.exit(main())

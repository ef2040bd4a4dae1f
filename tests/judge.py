"""PyTorch as the judge of one call: the same arguments on both sides, then values, first and second derivatives compared.

`judge` raises a Disagreement, whose kind says at which point the two parted. What calls are judged is the affair of `opdb`
(operators) and `moduledb` (modules).
"""

from __future__ import annotations

import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

import microgradnet as mg

KINDS = ("agrees", "missing", "error", "wrong value", "wrong gradient", "wrong second gradient")
TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 2e-3}


class Verdict(NamedTuple):
    """What came out for one operator or module: a kind of KINDS, and what was seen."""

    kind: str
    message: str = ""


class Disagreement(Exception):
    """The two sides part."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.verdict = Verdict(kind, message)


class OutOfScope(Exception):
    """An argument that has no counterpart here: a complex number, a sparse layout."""


# --- from their side to ours --------------------------------------------------------------------------------------------


class Translation:
    """PyTorch's arguments as ours. The same tensor becomes the same tensor; `leaves` pairs those that require grad."""

    def __init__(self) -> None:
        self.seen: dict[int, mg.Tensor] = {}
        self.leaves: list[tuple[torch.Tensor, mg.Tensor]] = []

    def __call__(self, x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return self.tensor(x)
        if isinstance(x, torch.dtype):
            return dtype(x)
        if isinstance(x, torch.device):
            return mg.device(str(x))
        if isinstance(x, (torch.layout, torch.memory_format, complex)):
            raise OutOfScope(str(x))
        if isinstance(x, torch.Generator):
            return mg.Generator()
        if isinstance(x, (tuple, list)):
            return type(x)(map(self, x)) if type(x) in (tuple, list) else tuple(map(self, x))
        if isinstance(x, dict):
            return {key: self(value) for key, value in x.items() if not ordinary(value)}
        if isinstance(x, slice):
            return slice(self(x.start), self(x.stop), self(x.step))
        if isinstance(x, torch.nn.TransformerEncoderLayer):
            a = x.self_attn
            return mg.nn.TransformerEncoderLayer(a.embed_dim, a.num_heads, x.linear1.out_features, x.dropout.p, self(x.activation), x.norm1.eps,
                                                 a.batch_first, x.norm_first, x.linear1.bias is not None)  # fmt: skip
        if isinstance(x, torch.nn.Module):
            return getattr(mg.nn, type(x).__name__)()
        if isinstance(x, (types.FunctionType, types.BuiltinFunctionType)) and hasattr(torch.nn.functional, x.__name__):
            return getattr(mg.nn.functional, x.__name__)
        return x

    def tensor(self, x: torch.Tensor) -> mg.Tensor:
        if id(x) not in self.seen:
            if x.layout != torch.strided:
                raise OutOfScope(str(x.layout))
            dtype(x.dtype)
            ours = mg.Tensor(np.array(x.detach().numpy(), order="K"))
            if x.requires_grad:
                ours.requires_grad_()
                self.leaves.append((x, ours))
            self.seen[id(x)] = ours
        return self.seen[id(x)]


def ordinary(x: Any) -> bool:
    """Whether it asks for the layout that every tensor has here."""
    return any(x is usual for usual in (torch.strided, torch.preserve_format, torch.contiguous_format))


def dtype(x: torch.dtype) -> np.dtype:
    """Our dtype of the same name."""
    name = str(x).removeprefix("torch.")
    if name not in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
        raise OutOfScope(name)
    return getattr(mg, name)


# --- comparing ----------------------------------------------------------------------------------------------------------


def parts(x: Any, where: str = "result") -> Iterator[tuple[str, Any]]:
    """Everything in a result that is no tuple or list, each with its place."""
    if isinstance(x, (tuple, list)) and not isinstance(x, (torch.Size, mg.Size)):
        for k, part in enumerate(x):
            yield from parts(part, f"{where}[{k}]")
    elif isinstance(x, dict):
        for key, part in x.items():
            yield from parts(part, f"{where}[{key!r}]")
    else:
        yield where, x


def same(ours: Any, theirs: Any, kind: str, what: str, values: bool = True, tolerance: float | None = None) -> None:
    """Nothing, if the two are the same: type, shape, dtype and, unless told otherwise, values."""
    if not isinstance(theirs, torch.Tensor):
        theirs = tuple(theirs) if isinstance(theirs, torch.Size) else theirs
        if isinstance(theirs, torch.dtype):
            theirs = dtype(theirs)
        close = isinstance(theirs, float) and isinstance(ours, float) and np.isclose(ours, theirs, 1e-12, 0, equal_nan=True)
        if not close and (isinstance(ours, mg.Tensor) or ours != theirs):
            raise Disagreement(kind, f"{what} is {ours!r}, in PyTorch {theirs!r}")
        return
    if not isinstance(ours, mg.Tensor):
        raise Disagreement(kind, f"{what} is {type(ours).__name__}, in PyTorch a Tensor")
    a, b = ours.detach().numpy(), theirs.numpy(force=True)
    if a.shape != b.shape:
        raise Disagreement(kind, f"{what} has shape {a.shape}, in PyTorch {b.shape}")
    if a.dtype != b.dtype:
        raise Disagreement(kind, f"{what} has dtype {a.dtype}, in PyTorch {b.dtype}")
    if not values:
        return
    if b.dtype.kind != "f":
        bad = a != b
    else:
        rtol = tolerance or TOLERANCE[str(b.dtype)]
        finite = np.abs(b[np.isfinite(b)])
        bad = ~np.isclose(a, b, rtol, 0.1 * rtol * max(1.0, finite.max(initial=0.0)), equal_nan=True)
    if bad.any():
        i = tuple(int(k) for k in np.argwhere(bad)[0])
        raise Disagreement(kind, f"{what} of shape {b.shape} differs at {bad.sum()} of {b.size} places, first {i}: {a[i]}, in PyTorch {b[i]}")


def same_all(ours: Any, theirs: Any, kind: str, what: str, **how: Any) -> None:
    """The same for results that may be nested."""
    a, b = list(parts(ours, what)), list(parts(theirs, what))
    if len(a) != len(b):
        raise Disagreement(kind, f"{what} has {len(a)} parts, in PyTorch {len(b)}")
    for name in getattr(type(theirs), "__match_args__", ()) if type(theirs).__module__ == "torch.return_types" else ():
        if not hasattr(ours, name):
            raise Disagreement(kind, f"{what} has no field {name!r}, in PyTorch {type(theirs).__match_args__}")
    for (_, x), (place, y) in zip(a, b):
        same(x, y, kind, place, **how)


# --- judging ------------------------------------------------------------------------------------------------------------


def run(f: Callable, *args: Any, **kwargs: Any) -> Any:
    """Our side of a call: its errors, and NumPy's warnings, are disagreements."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            return f(*args, **kwargs)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        file = place.filename.rpartition("microgradnet/")[2]
        raise Disagreement("error", f"{type(error).__name__}: {str(error)[:200]} ({file}:{place.lineno})") from error


def judge(ours: Callable, theirs: Callable, translation: Translation, args: tuple, kwargs: dict, *, second: bool = True, values: bool = True,
          process: Callable = lambda y: y, tolerance: float | None = None) -> None:  # fmt: skip
    """Call both with the same arguments; raise a Disagreement where they part.

    `values=False` compares shapes and dtypes only, for random results. `process` makes what is compared out of a result,
    where only that is determined (singular vectors have no sign).
    """
    our_args, our_kwargs = translation(args), translation(kwargs)
    rng = torch.Generator().manual_seed(0)
    how: dict = {"tolerance": tolerance}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = theirs(*args, **kwargs)
        y0 = process(raw)
    our_raw = run(ours, *our_args, **our_kwargs)
    same_all(our_raw, raw, "wrong value", "result", values=values and y0 is raw, **how)
    if not values:
        return
    y = our_raw if y0 is raw else run(process, our_raw)
    same_all(y, y0, "wrong value", "result", **how)

    tracked = []
    for (place, t), (_, m) in zip(parts(y0), parts(y)):
        if isinstance(t, torch.Tensor):
            if t.requires_grad != m.requires_grad:
                raise Disagreement("wrong gradient", f"{place} {'requires' if m.requires_grad else 'does not require'} grad")
            if t.requires_grad:
                tracked.append((t, m))
    if not tracked or not translation.leaves:
        return
    their_y, our_y = zip(*tracked)
    their_x, our_x = zip(*translation.leaves)
    their_g = [torch.randn(t.shape, generator=rng, dtype=torch.float64).to(t.dtype).requires_grad_() for t in their_y]
    first0 = gradients(torch, their_y, their_x, their_g)
    our_g = [mg.tensor(g.tolist(), dtype=dtype(g.dtype)).reshape(tuple(g.shape)).requires_grad_() for g in their_g]
    first = run(gradients, mg, our_y, our_x, our_g)
    for k, (a, b) in enumerate(zip(first, first0)):
        same(a, b, "wrong gradient", f"gradient of input {k}", **how)
    if not second:
        return
    again0 = [g for g in first0 if g.requires_grad]
    if not again0:
        return
    try:
        seeds = [torch.randn(g.shape, generator=rng, dtype=torch.float64).to(g.dtype) for g in again0]
        second0 = gradients(torch, again0, [*their_x, *their_g], seeds)
    except (RuntimeError, NotImplementedError):
        return  # PyTorch has no second derivative here
    pairs = [(g, mg.tensor(seed.tolist(), dtype=dtype(seed.dtype)).reshape(tuple(seed.shape)))
             for g, seed in zip((g for g, g0 in zip(first, first0) if g0.requires_grad), seeds) if g.requires_grad]  # fmt: skip
    if pairs:
        again, our_seeds = zip(*pairs)
        ours_second = run(gradients, mg, again, [*our_x, *our_g], our_seeds)
    else:  # the first are constants to us
        ours_second = [mg.zeros_like(x) for x in (*our_x, *our_g)]
    for k, (a, b) in enumerate(zip(ours_second, second0)):
        what = f"input {k}" if k < len(our_x) else f"cotangent {k - len(our_x)}"
        same(a, b, "wrong second gradient", f"second gradient of {what}", **how)


def gradients(m: Any, outputs: Any, inputs: Any, seeds: Any) -> Any:
    """The gradients of all outputs, contracted with the seeds, zeros where there is none; themselves differentiable."""
    with warnings.catch_warnings():
        if m is torch:
            warnings.simplefilter("ignore")
        return m.autograd.grad(outputs, inputs, seeds, create_graph=True, allow_unused=True, materialize_grads=True)


def spread(samples: list, most: int) -> list:
    """At most that many of them, evenly from first to last."""
    if len(samples) <= most:
        return samples
    return [samples[round(k * (len(samples) - 1) / (most - 1))] for k in range(most)]


def report(verdicts: dict[str, Verdict]) -> str:
    """How many of each kind, and the share that agrees."""
    lines = [f"{kind:22} {sum(v.kind == kind for v in verdicts.values()):4}" for kind in KINDS]
    agree = sum(v.kind == "agrees" for v in verdicts.values())
    return "\n".join([*lines, f"{agree} of {len(verdicts)} agree: {agree / max(1, len(verdicts)):.1%}"])

"""Random programs of views, reads, writes in place and arithmetic, run in lockstep with PyTorch: every value, every
`requires_grad`, every error, and the gradients at the end are the same.

A program is a list of lines of Python over the names `a`, `b`, … (leaves and a constant) and `t0`, `t1`, …; `m` is the
library. A failure prints the shortest program that still fails, ready to be pasted.
"""

import re

import numpy as np
import pytest

import microgradnet as mg

pytestmark = pytest.mark.torch

SHAPES = {"a": (2, 3), "b": (3,), "c": (4, 3), "d": (2, 3)}  # d does not require grad


# PyTorch refuses to write into one of several views, which works here: it gets a slice in its place.
SLICES = {".split(2)[0]": "[:2]", ".unbind(0)[-1]": "[-1]", ".unbind(0)[0]": "[0]"}
OVERLAP = "refer to a single memory location"  # `x += x[0]`: PyTorch refuses, here the sum is made before it is written


class Difference(AssertionError):
    """Where the two libraries part."""


# --- making a program -------------------------------------------------------------------------------------------------


class Writer:
    """Writes a program line by line, running it in PyTorch as it goes to know the shapes."""

    def __init__(self, rng, torch):
        self.rng, self.torch = rng, torch
        self.lines = []
        self.names = start(torch, self.rng.integers(1 << 30))
        self.seed = self.names.pop("seed")

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def tensor(self):
        """A name: of the leaves, or of what was made last."""
        found = [name for name, value in self.names.items() if isinstance(value, self.torch.Tensor)]
        return self.pick(*found[:4], *found[-8:])

    def index(self, shape, once=False):
        """An index for this shape, as it is written between brackets; `once`: that names no place twice."""
        parts = []
        advanced = False
        for n in shape:
            kind = self.rng.integers(8) if n else 6
            if kind == 0 and not advanced:
                places = self.rng.permutation(n)[:3] if once else self.rng.integers(0, n, 3)
                parts.append(f"m.tensor({(places - n * self.rng.integers(0, 2)).tolist()})")
                advanced = True
            elif kind == 1 and not advanced:
                parts.append(f"m.tensor({(self.rng.random(n) < 0.6).tolist()})")
                advanced = True
            elif kind in (2, 3):
                parts.append(str(self.rng.integers(-n, n)))
            elif kind == 4:
                parts.append(f"{self.rng.integers(0, n)}:")
            elif kind == 5:
                parts.append("::2")
            elif kind == 6:
                parts.append(":")
            else:
                break
        if self.rng.random() < 0.2:
            parts.insert(self.rng.integers(len(parts) + 1), "None")
        if self.rng.random() < 0.15:
            parts.append("...")
        return ", ".join(parts) or "..."

    def number(self):
        return repr(round(float(self.rng.uniform(-2, 2)), 2))

    def operand(self):
        return self.number() if self.rng.random() < 0.3 else self.tensor()

    def view_of(self, x):
        t = self.names[x]
        options = [f"{x}[{self.index(t.shape)}]", f"{x}.reshape(-1)", f"{x}.unsqueeze({self.pick(0, -1)})", f"{x}.squeeze()",
                   f"{x}.detach()", f"{x}.expand(1, *{x}.shape)", f"{x}.flatten()"]
        if t.ndim >= 2:
            options += [f"{x}.transpose(0, 1)", f"{x}.permute(*range({x}.ndim - 1, -1, -1))", f"{x}.mT", f"{x}.movedim(0, -1)"]
        if t.ndim:
            options += [f"{x}.view(-1)", f"{x}.split(2)[0]", f"{x}.unbind(0)[-1]", f"{x}.unbind(0)[0]", f"{x}[{self.index(t.shape)}]"]
        return self.pick(*options)

    def value_of(self, x):
        t = self.names[x]
        y = self.operand()
        options = [f"{x} + {y}", f"{x} * {y}", f"{x} - {y}", f"{y} * {x}", f"{x} / ({x} * {x} + 1)", f"m.maximum({x}, {x} * {y})",
                   f"m.where({x} > 0, {x}, {y})", f"{x}.tanh()", f"{x}.sin()", f"{x}.sigmoid()", f"{x}.relu()", f"{x}.abs()",
                   f"{x}.clamp(-0.5, 1)", f"{x}.sum()", f"{x}.mean()", f"{x}.clone()", f"{x} ** 2", f"-{x}", f"{x}.softmax(-1)",
                   f"{x}.masked_fill({x} > 0.5, {self.number()})", f"m.cat([{x}.reshape(-1), {x}.reshape(-1)])",
                   f"m.stack([{x}, {x}])", f"({x} ** 2 + 1).sqrt()", f"({x} ** 2 + 1).log()", f"{x}.amax()", f"{x}.exp().clamp(max=3)"]
        if t.ndim:
            options += [f"{x}.sum(0)", f"{x}.cumsum(0)", f"{x}.amax(-1)", f"{x}.mean(-1, keepdim=True)", f"{x}.flip(0)", f"{x}.prod(0)",
                        f"{x}.index_select(0, m.tensor([0, {t.shape[0] - 1}, 0]))", f"{x}.logsumexp(0)", f"({x} ** 2 + 1).norm(dim=-1)"]
        if t.ndim == 2:
            options += [f"{x} @ {x}.T", f"{x} @ b", f"m.einsum('ij,ik->jk', {x}, {x})", f"{x}.tril()"]
        return self.pick(*options)

    def write_to(self, x):
        t = self.names[x]
        y = self.operand()
        options = [f"{x}.add_({y})", f"{x}.mul_({y})", f"{x}.sub_({y})", f"{x}.zero_()", f"{x}.fill_({self.number()})", f"{x}.tanh_()",
                   f"{x}.sigmoid_()", f"{x}.relu_()", f"{x}.clamp_(-0.7, 0.9)", f"{x} += {y}", f"{x} *= {y}", f"{x} -= {y}",
                   f"{x}.neg_()", f"{x}.masked_fill_({x} > 0, {self.number()})", f"{x}.sin_()", f"{x}.abs_()",
                   f"{x}.addcmul_({x}, {x}, value=0.5)", f"{x}.lerp_({x}.detach() * 2, 0.3)", f"{x}.div_(({x} * {x} + 1).detach())",
                   f"{x}[{self.index(t.shape, once=True)}] = {y}", f"{x}[{self.index(t.shape, once=True)}] = {y}", f"{x}[{self.index(t.shape, once=True)}] = {y}",
                   f"{x}[...] = {y}", f"{x}[{x} > 0] = {self.number()}"]
        other = self.tensor()
        options += [f"{x}.copy_({other})"]
        if t.ndim:
            options += [f"{x}[0] *= {y}", f"{x}[{self.index(t.shape, once=True)}] += {y}", f"{x}.index_add_(0, m.tensor([0, 0]), {x}[[0, 0]] * 2)",
                        f"{x}[-1].mul_({y})", f"{x}.detach().mul_(0.9)"]
        return self.pick(*options)

    def line(self):
        x = self.tensor()
        kind = self.rng.random()
        if kind < 0.3:
            return f"t{len(self.lines)} = {self.view_of(x)}"
        if kind < 0.62:
            return f"t{len(self.lines)} = ({self.value_of(x)}).contiguous()"
        while x in SHAPES and self.rng.random() < 0.9:  # most writes into leaves are refused
            x = self.tensor()
        return self.write_to(x)

    def program(self, length):
        while len(self.lines) < length:
            line = self.line()
            self.lines.append(line)
            run_line(line, self.torch, self.names)
            values = [v for v in self.names.values() if isinstance(v, self.torch.Tensor)]
            if any(not bool(v.isfinite().all()) or (v.numel() and float(v.detach().abs().max()) > 1e3) or v.numel() > 200 for v in values):
                self.lines.pop()  # and stop: the numbers leave what can be compared
                break
        return self.seed, self.lines


# --- running it -------------------------------------------------------------------------------------------------------


def start(m, seed, step=0.0):
    """The names a program starts with; the leaves moved by `step` along the direction that `directions` gives."""
    rng = np.random.default_rng(seed)
    names = {"m": m, "seed": int(seed)}
    for name, shape in SHAPES.items():
        value = rng.standard_normal(shape) + step * directions(seed).get(name, 0)
        names[name] = m.tensor(value.tolist(), dtype=m.float64, requires_grad=name != "d")
    names |= {"t_a": names["a"] * 1, "t_c": names["c"] * 1}
    return names


def directions(seed):
    rng = np.random.default_rng(seed + 1)
    return {name: rng.standard_normal(SHAPES[name]) for name in "abc"}


def run_line(line, m, names):
    """Run a line; the error it ended in, or None."""
    if m is not mg:
        for views, view in SLICES.items():
            line = line.replace(views, view)
    try:
        exec(line, names)  # noqa: S102
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return error
    return None


def total(m, names):
    """Everything that requires grad, weighted and summed."""
    loss = 0
    for k, (name, t) in enumerate(sorted((n, t) for n, t in names.items() if hasattr(t, "requires_grad"))):
        if t.requires_grad and t.numel():
            weights = m.tensor(np.cos(np.arange(t.numel()) + k).tolist(), dtype=m.float64).reshape(t.shape)
            loss = loss + (t * weights).sum()
    return loss


def compare(where, mine, theirs):
    if (mine is None) != (theirs is None):
        raise Difference(f"{where}: {mine} here, {theirs} in PyTorch")
    if mine is not None:
        a, b = mine.detach().numpy(), theirs.detach().numpy(force=True)
        if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True):
            raise Difference(f"{where}:\n{a}\nhere,\n{b}\nin PyTorch")


def lockstep(torch, seed, lines):
    """Run the lines in both; whether the gradients could be compared. Raises `Difference` where the two part."""
    here, there = start(mg, seed), start(torch, seed)
    for line in lines:
        theirs = run_line(line, torch, there)
        if OVERLAP in str(theirs) or ("a leaf Variable" in str(theirs) and re.match(r"\w+", line)[0] not in SHAPES):
            return False  # the latter is of views made before their base required grad
        mine = run_line(line, mg, here)
        if (mine is None) != (theirs is None):
            raise Difference(f"{line!r}: {mine!r} here, {theirs!r} in PyTorch")
        for name, t in there.items():
            if isinstance(t, torch.Tensor):
                compare(f"{name} after {line!r}", here[name], t)
                if here[name].requires_grad != t.requires_grad:
                    raise Difference(f"{name}.requires_grad after {line!r}: {here[name].requires_grad} here")
    try:
        expected = derivatives(torch, there)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        check_against_differences(seed, lines, here)
        return False
    try:
        given = derivatives(mg, here)
    except RuntimeError as error:
        raise Difference(f"backward: {error}") from error
    for what, g in expected.items():
        compare(what, given[what], g)
    return True


def check_against_differences(seed, lines, names):
    """Where PyTorch refuses to differentiate because a value was overwritten: refuse too, or know the right gradient."""
    if any("detach" in line for line in lines):
        return
    try:
        grads = derivatives(mg, names, second=False)
    except RuntimeError as error:
        assert "modified in place" in str(error)
        return
    given = sum(np.sum(grads[f"{n}.grad"].numpy(force=True) * v) for n, v in directions(seed).items() if grads[f"{n}.grad"] is not None)
    values = []
    for step in (-1e-6, 0, 1e-6):
        moved = start(mg, seed, step)
        for line in lines:
            run_line(line, mg, moved)
        values.append(float(total(mg, moved)))
    left, right = (values[1] - values[0]) / 1e-6, (values[2] - values[1]) / 1e-6
    if np.isclose(left, right, rtol=1e-3, atol=1e-3) and not np.isclose(given, (left + right) / 2, rtol=1e-3, atol=1e-3):
        raise Difference(f"the gradient along a direction is {given}, by differences {(left + right) / 2}")


def derivatives(m, names, second=True):
    """The gradients of the total by the leaves, and those of the sum of their squares."""
    wrt = [names[n] for n in "abc"]
    first = m.autograd.grad(total(m, names), wrt, create_graph=True, allow_unused=True)
    found = {f"{n}.grad": g for n, g in zip("abc", first)}
    squares = sum((g * g).sum() for g in first if g is not None)
    if second and squares.requires_grad:
        second = m.autograd.grad(squares, wrt, allow_unused=True, materialize_grads=True)
        found |= {f"second {n}.grad": g for n, g in zip("abc", second)}
    return found


def shortened(torch, seed, lines):
    """The program without the lines that its failure does not need."""
    k = len(lines)
    while k > 0:
        k -= 1
        fewer = lines[:k] + lines[k + 1 :]
        try:
            lockstep(torch, seed, fewer)
        except Difference:
            lines = fewer
        except Exception:  # a name is missing now
            continue
    return lines


def check_program(torch, number, length):
    seed, lines = Writer(np.random.default_rng(number), torch).program(length)
    try:
        return lockstep(torch, seed, lines)
    except Difference:
        lines = shortened(torch, seed, lines)
        try:
            lockstep(torch, seed, lines)
        except Difference as difference:
            raise Difference(f"program {number}, start {seed}:\n" + "\n".join(lines) + f"\n{difference}") from None


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("block", range(10))
def test_programs(torch, block):
    compared = [check_program(torch, 100 * block + k, 12) for k in range(25)]
    assert sum(compared) >= 3  # that enough of them have gradients to compare


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_many_programs(torch, block):
    # Long programs mostly end in an error that both raise; of each block some reach gradients to compare.
    compared = [check_program(torch, 10_000 + 100 * block + k, 25) for k in range(50)]
    assert any(compared)


def test_a_wrong_gradient_is_found(torch, monkeypatch):
    from microgradnet.ops.elementwise import mul

    monkeypatch.setattr(mul, "rules", (mul.rules[0], lambda g, _y, a, _b: g * a * 1.001))
    with pytest.raises(Difference, match="grad"):
        for number in range(30):
            check_program(torch, number, 12)

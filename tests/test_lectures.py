"""Scripts in the style of lectures, in `lectures/`: they run here, and the same text gives the same losses in PyTorch.

A script is divided into cells by lines that begin with `# %%`. It finds some names defined: NAMES, a file of names;
STEPS of training; DROPOUT; KIND of recurrent network. It leaves its losses in `report`.
"""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

import microgradnet as mg

FOLDER = Path(__file__).parent / "lectures"
SCRIPTS = {
    "char_mlp": {}, "char_layers": {}, "gpt": {}, "RNN": {"KIND": "RNN"}, "LSTM": {"KIND": "LSTM"},
    "GRU": {"KIND": "GRU"},
}  # fmt: skip
EACH = pytest.mark.parametrize("name", SCRIPTS)


def cells(name):
    file = FOLDER / f"{'char_rnn' if 'KIND' in SCRIPTS[name] else name}.py"
    return file, re.split("^(?=# %%)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


def run(name, library, after_cell=lambda names: None, **given):
    """The names that a script leaves, run with a library in the place of microgradnet."""
    file, texts = cells(name)
    names = {"NAMES": FOLDER / "names.txt", "STEPS": 100, "DROPOUT": 0.0, **SCRIPTS[name], **given}
    line = 0
    for text in texts:
        source = "\n" * line + text.replace("microgradnet", library)
        line += text.count("\n")
        exec(compile(source.replace("import torch as torch", "import torch"), file, "exec"), names)
        after_cell(names)
    return names


@EACH
def test_it_runs_and_learns(name, capsys):  # what it prints is not for us
    mg.manual_seed(0)
    report = run(name, "microgradnet", STEPS=20 if name == "gpt" else 60, DROPOUT=0.1)["report"]
    assert all(math.isfinite(loss) for loss in report)
    assert np.mean(report[-5:]) < report[0]


def from_one_stream(monkeypatch, lib, seed=5):
    """What the library draws comes from NumPy, so that two libraries draw the same."""
    rng = np.random.default_rng(seed)

    def randn(*size, generator=None, requires_grad=False):
        size = size[0] if isinstance(size[0], tuple) else size
        numbers = lib.tensor(rng.standard_normal(size)).to(lib.get_default_dtype())
        return numbers.requires_grad_(requires_grad)

    def randint(*bounds, generator=None):
        low, high, size = bounds if len(bounds) == 3 else (0, *bounds)
        return lib.tensor(rng.integers(low, high, size))

    monkeypatch.setattr(lib, "randn", randn)
    monkeypatch.setattr(lib, "randint", randint)

    def alike(names):
        """Whatever module a cell has made starts from the same numbers."""
        for key, module in list(names.items()):
            if isinstance(module, lib.nn.Module) and id(module) not in seen and key != "criterion":
                seen[id(module)] = module
                with lib.no_grad():
                    for p in module.parameters():
                        p.copy_(lib.tensor(0.1 * rng.standard_normal(tuple(p.shape))))

    seen = {}
    return alike


@pytest.mark.torch
@EACH
def test_the_losses_are_those_of_torch(name, monkeypatch, capsys):
    pytest.importorskip("torch")
    reports = []
    for library in ("microgradnet", "torch"):
        lib = importlib.import_module(library)
        if name == "gpt":  # in float32 the two agree to 1e-6 until a ReLU, at 0, falls to different sides
            lib.set_default_dtype(lib.float64)
        try:
            reports.append(run(name, library, from_one_stream(monkeypatch, lib))["report"])
        finally:
            lib.set_default_dtype(lib.float32)
    assert len(reports[0]) >= 100
    np.testing.assert_allclose(*reports, rtol=1e-5)

"""Well-known scripts, retyped in `scripts/`: they run here, and the same text gives the same losses in PyTorch.

A script finds STEPS, the number of training steps, and ROOT, a folder with data, and leaves its losses in `report`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from small_mnist import write
from torch_draws import draw_alike, stand_in_for_torchvision

import microgradnet as mg
from microgradnet.vision import transforms

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = sorted(file.stem for file in FOLDER.glob("*.py"))
EACH = pytest.mark.parametrize("name", SCRIPTS)
# Where losses of two networks against each other need not fall, and where there is none.
NO_DESCENT = {"basics_tensors", "dqn", "gan"}
# Where in float32 the rounding errors of both grow beyond 1e-5 within 100 steps (to 3e-4, by BatchNorm and Adam).
DOUBLE = {"autoencoder", "nn_tutorial"}


def run(name, library, root, steps, dtype="float32"):
    """The names that a script leaves, run with a library in the place of microgradnet, and a dtype in float32's."""
    file = FOLDER / f"{name}.py"
    source = file.read_text(encoding="utf-8")
    if library != "microgradnet":
        source = source.replace("microgradnet.vision", "torchvision").replace("microgradnet", library)
    source = source.replace("float32", dtype)
    names = {"__name__": "__main__", "ROOT": str(root), "STEPS": steps}
    exec(compile(source, file, "exec"), names)
    return names


@EACH
def test_it_runs_and_learns(name, tmp_path, monkeypatch, capsys):  # what it prints is not for us
    write(tmp_path, monkeypatch)
    report = run(name, "microgradnet", tmp_path, 20)["report"]
    assert all(math.isfinite(loss) for loss in report)
    if name not in NO_DESCENT:
        assert np.mean(report[10:20]) < np.mean(report[:10])


def without_digits(text):
    """What a script prints, but for the last digits of numbers, and for names by design our own."""
    text = re.sub(r"(microgradnet|torch)\.", "", text)
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    return re.sub(r"-?\d+(\.\d*)?(e[+-]\d+)?", "#", re.sub(r" +(?=-?\d)", " ", text))


def run_both(name, root, monkeypatch, capsys):
    """The losses of a script here and in PyTorch, and what it prints."""
    torch = pytest.importorskip("torch")
    stand_in_for_torchvision(monkeypatch)
    reports, printed, dtype = [], [], "float64" if name in DOUBLE else "float32"
    to_tensor = transforms.ToTensor.__call__
    monkeypatch.setattr(transforms.ToTensor, "__call__", lambda self, pic: to_tensor(self, pic).to(getattr(mg, dtype)))
    for lib in (mg, torch):
        if lib is torch:
            draw_alike(torch, monkeypatch)
        for each in (lib, mg):
            each.set_default_dtype(getattr(each, dtype))
        try:
            reports.append(run(name, lib.__name__, root, 100, dtype)["report"])
        finally:
            for each in (lib, mg):
                each.set_default_dtype(each.float32)
        printed.append(without_digits(capsys.readouterr().out))
    return reports, printed


@pytest.mark.torch
@EACH
def test_the_losses_are_those_of_torch(name, tmp_path, monkeypatch, capsys):
    write(tmp_path, monkeypatch)
    reports, printed = run_both(name, tmp_path, monkeypatch, capsys)
    assert len(reports[0]) >= 50
    np.testing.assert_allclose(*reports, rtol=1e-5)
    assert printed[0] == printed[1]


@pytest.mark.torch
def test_a_weight_that_is_off_by_a_hundred_thousandth_is_noticed(tmp_path, monkeypatch, capsys):
    linear = mg.nn.functional.linear
    monkeypatch.setattr(mg.nn.Linear, "forward", lambda self, x: linear(x, self.weight * 1.00001, self.bias))
    reports, _ = run_both("dqn", tmp_path, monkeypatch, capsys)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose(*reports, rtol=1e-5)

"""What a type checker is told: the stub of Tensor is that of the class, it is shipped, and it helps."""

import configparser
import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from make_stubs import OVERLOADS, STUB, stub

from microgradnet import Tensor

ROOT = Path(__file__).resolve().parents[1]


def test_the_stub_is_that_of_the_class():
    assert STUB.read_text(encoding="utf-8") == stub(), "run `python tests/make_stubs.py`"


@pytest.mark.parametrize("name, changed", [
    ("relu", lambda self, slope: self),  # another signature
    ("numel", lambda self: self),  # another result
    ("invented", lambda self: self),  # another method
    ("T", lambda self: self),  # no longer a property
])  # fmt: skip
def test_a_change_of_the_class_is_noticed(monkeypatch, name, changed):
    before = stub()
    monkeypatch.setattr(Tensor, name, changed, raising=False)
    assert stub() != before


@pytest.mark.parametrize("name", OVERLOADS)
def test_a_change_of_an_overloaded_method_is_noticed(monkeypatch, name):
    monkeypatch.setattr(Tensor, name, lambda self, another: self)
    with pytest.raises(AssertionError, match=f"{name} takes {{'another'}}"):
        stub()


@pytest.mark.parametrize("name", ["py.typed", "tensor.pyi"])
def test_types_are_shipped(name):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = [p.strip() for p in setup["options.package_data"]["microgradnet"].split(",")]
    assert (STUB.parent / name).is_file() and any(fnmatch.fnmatch(name, p) for p in patterns)


PROGRAM = '''
import numpy as np

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.utils.data import DataLoader, TensorDataset

x = mg.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
x.relu().sum().backward()
assert x.grad is not None
gradient: np.ndarray = x.grad.numpy()
mean: float = float((2 * x + x * 2.0 - np.ones(2)).mean())
values, places = x.max(dim=1)
(-values).exp_()
largest: mg.Tensor = x.max()
rows: int = x.size(0)
shape: tuple[int, ...] = x.size()
same: bool = x.equal(largest)
left, right = x.split(1)
left @ right.T
(second,) = mg.autograd.grad((x**3).sum(), x)
second.sum()


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.layers(x)


model = Network()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for inputs, labels in DataLoader(TensorDataset(x.detach(), mg.tensor([0, 1])), batch_size=2, shuffle=True):
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(model(inputs), labels).backward()
    optimizer.step()
with mg.no_grad():
    model(x)
'''
WRONG = ["x.no_such_method()", "x + 'text'", "x.grad.numpy()", "x.transpose(0)", "x.sum(keepdim='yes')",
         "size: int = x.shape", "nn.Linear('2', 3)", "optim.SGD(model.parameters(), rate=0.1)"]  # fmt: skip


@pytest.mark.slow
def test_mypy_accepts_what_is_right_and_rejects_what_is_wrong(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text("from right import mg, model, nn, optim, x\n" + "\n".join(WRONG) + "\n")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", "--cache-dir=cache",
               "right.py", "wrong.py"]  # fmt: skip
    told = subprocess.run(command, check=False, cwd=tmp_path, env=os.environ | {"MYPYPATH": str(ROOT)},
                          capture_output=True, text=True).stdout  # fmt: skip
    errors = re.findall(r"^(\w+)\.py:(\d+): error", told, re.MULTILINE)
    assert errors == [("wrong", str(2 + i)) for i in range(len(WRONG))], told

"""The modules against PyTorch's own module database, with its own inputs: see `moduledb` for the report.

First the judge himself, who must find planted faults; then every module in scope.
"""

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import moduledb  # noqa: E402

import microgradnet as mg  # noqa: E402
from microgradnet import nn  # noqa: E402


class WithoutBias(nn.Tanh):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(mg.zeros(3))


class WrongValue(nn.Tanh):
    def forward(self, input):
        return super().forward(input) * (1 + 1e-7)


class WrongGradient(nn.Tanh):
    def forward(self, input):
        return super().forward(input) + 1e-6 * (input - input.detach())


class WrongSecondGradient(nn.Tanh):
    def forward(self, input):
        return super().forward(input) + 1e-6 * (input - input.detach()) ** 2


class WrongPrint(nn.Tanh):
    def extra_repr(self):
        return "x"


for _wrong in (WrongValue, WrongGradient, WrongSecondGradient, WithoutBias, WrongPrint):
    _wrong.__repr__ = lambda self: f"Tanh({self.extra_repr()})"


@pytest.mark.parametrize("constructor, kind", [
    (nn.Tanh, "agrees"), (WrongValue, "wrong value"), (WrongGradient, "wrong gradient"), (WrongSecondGradient, "wrong second gradient"),
    (WithoutBias, "wrong value"), (WrongPrint, "wrong value"), (lambda: nn.NotThere(), "error"),
])  # fmt: skip
def test_the_judge_finds_a_planted_fault(constructor, kind):
    assert moduledb.verdict("nn.Tanh", constructor).kind == kind


def test_a_wrong_gradient_of_a_parameter_is_found(monkeypatch):
    monkeypatch.setattr(nn.Linear, "forward", lambda self, input: input @ self.weight.detach().T + (0 if self.bias is None else self.bias))
    assert moduledb.verdict("nn.Linear").kind == "wrong gradient"


def test_a_wrong_buffer_is_found(monkeypatch):
    forward = nn.BatchNorm1d.forward

    def twice(self, x):
        if self.training and self.track_running_stats:
            forward(self, x)
        return forward(self, x)

    monkeypatch.setattr(nn.BatchNorm1d, "forward", twice)
    verdict = moduledb.verdict("nn.BatchNorm1d")
    assert verdict.kind == "wrong value" and "after the call" in verdict.message


def test_a_missing_module_is_reported(monkeypatch, capsys):
    monkeypatch.delattr(nn, "Tanh")
    moduledb.main(["=nn.Tanh", "=nn.Sigmoid"])
    out = capsys.readouterr().out
    assert "missing                nn.Tanh" in out and "1 of 2 agree" in out


@pytest.mark.parametrize("name", moduledb.IN_SCOPE)
def test_agrees(name):
    verdict = moduledb.verdict(name)
    if name in moduledb.EXPLAINED:
        assert verdict.kind != "agrees", f"{name} agrees: its explanation can go"
    else:
        assert verdict.kind == "agrees", f"{name}: {verdict.kind}: {verdict.message}"


def test_at_least_95_percent_agree(capsys):
    # The test before this one holds EXPLAINED to be exactly those that do not agree.
    agree = 1 - len(moduledb.EXPLAINED) / len(moduledb.IN_SCOPE)
    with capsys.disabled():
        print(f"\n{agree:.1%} of {len(moduledb.IN_SCOPE)} modules agree with PyTorch, {len(moduledb.EXPLAINED)} do not, and why:")
        for name, why in moduledb.EXPLAINED.items():
            print(f"  {name}: {why}")
    assert agree >= 0.95

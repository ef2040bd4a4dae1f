"""The operators against PyTorch's own operator database, with its own sample inputs: see `opdb` for the report.

First the judge himself, who must find planted faults; then every operator in scope, all samples of each.
"""

from fnmatch import fnmatchcase

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import opdb  # noqa: E402
import opdb_scope  # noqa: E402

import microgradnet as mg  # noqa: E402


def zero(x):
    """0, with the first derivative 1."""
    return x - x.detach()


FAULTS = {
    "agrees": lambda x: mg.exp(x),
    "a wrong value": lambda x: mg.exp(x) * (1 + 1e-7),
    "a wrong shape": lambda x: mg.exp(x).unsqueeze(0),
    "a wrong dtype": lambda x: mg.exp(x).float(),
    "an array": lambda x: x.detach().numpy(),
    "a wrong gradient": lambda x: mg.exp(x) + 1e-6 * zero(x),
    "no gradient": lambda x: mg.exp(x.detach()),
    "a wrong second gradient": lambda x: mg.exp(x) + 1e-6 * zero(x) ** 2,
    "an error": lambda x: mg.exp(x, 1, 2),
    "a warning of NumPy": lambda x: mg.Tensor(1 / (0 * x.detach().numpy())) * 0 + mg.exp(x),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_finds_a_planted_fault(fault):
    kinds = {"agrees": "agrees", "a wrong gradient": "wrong gradient", "no gradient": "wrong gradient", "an error": "error",
             "a wrong second gradient": "wrong second gradient", "a warning of NumPy": "error"}  # fmt: skip
    assert opdb.verdict("exp", function=FAULTS[fault]).kind == kinds.get(fault, "wrong value")


def test_a_missing_operator_is_reported():
    assert opdb.verdict("jiterator_unary").kind == "missing"


WRONG = {
    "max.reduction_with_dim": lambda x, *a, **k: tuple(mg.max(x, *a, **k)),  # no field names
    "sum": lambda x, dim=None, keepdim=False: mg.sum(x, dim, not keepdim),
    "cat": lambda tensors, dim=0: mg.cat(tensors[::-1], dim),
    "argmax": lambda x, *a, **k: mg.argmin(x, *a, **k),
    "rand_like": lambda x, **k: mg.rand(1, 2, **k),
    "equal": lambda x, y: not mg.equal(x, y),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_judge_finds_faults_in_every_kind_of_result(name):
    assert opdb.verdict(name).kind == "agrees"
    assert opdb.verdict(name, function=WRONG[name]).kind == "wrong value"


def test_the_report_counts(capsys):
    opdb.main(["=exp", "=sin", "=fft.fft"])
    out = capsys.readouterr().out
    assert "2 of 3 agree" in out and "out of scope: Fourier" in out
    opdb.main(["--scope"])
    assert "masked.*" in capsys.readouterr().out


def test_the_scope_names_what_there_is():
    for why, names in opdb_scope.OUT_OF_SCOPE.items():
        for pattern in names.split():
            assert any(fnmatchcase(name, pattern) for name in opdb.OPERATORS), f"{pattern} ({why})"
    assert opdb_scope.RANDOM <= {op.name for op in opdb.OPERATORS.values()}
    assert set(opdb_scope.EXPLAINED) | set(opdb_scope.TOLERANCES) <= set(opdb.IN_SCOPE)


@pytest.mark.parametrize("name", opdb.IN_SCOPE)
def test_agrees(name):
    explained = opdb_scope.EXPLAINED.get(name, ("agrees", ""))[0]
    verdicts = list(opdb.verdicts(name, most=1000))
    assert verdicts, "no sample could be translated"
    for verdict in verdicts:
        assert verdict.kind in ("agrees", explained), f"{name}: {verdict.kind}: {verdict.message}"
    assert explained in {v.kind for v in verdicts}, f"{name} agrees: its explanation can go"


def test_at_least_95_percent_agree(capsys):
    # The test before this one holds EXPLAINED to be exactly those that do not agree.
    agree = 1 - len(opdb_scope.EXPLAINED) / len(opdb.IN_SCOPE)
    with capsys.disabled():
        print(f"\n{agree:.1%} of {len(opdb.IN_SCOPE)} operators agree with PyTorch, {len(opdb_scope.EXPLAINED)} do not, and why:")
        for name, (kind, why) in opdb_scope.EXPLAINED.items():
            print(f"  {name}, {kind}: {why}")
    assert agree >= 0.95

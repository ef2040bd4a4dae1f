"""The benchmarks measure the same computation in every library, and their checks can fail."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `benchmarks` is not installed

from benchmarks import __main__ as table  # noqa: E402
from benchmarks import check, timing, workloads  # noqa: E402
from benchmarks.libraries import by_hand, by_hand_out  # noqa: E402

EACH_WORKLOAD = pytest.mark.parametrize(
    "workload",
    [pytest.param(w, marks=pytest.mark.slow) if w == "wide" else w for w in workloads.WORKLOADS if w != "epoch"],
)


def run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], check=False, cwd=ROOT, capture_output=True, text=True)


@EACH_WORKLOAD
def test_microgradnet_and_buffers_compute_what_is_written_by_hand(workload):
    assert check.check(["microgradnet", "numpy-out"], [workload])


@pytest.mark.torch
@EACH_WORKLOAD
def test_torch_computes_what_is_written_by_hand(workload):
    pytest.importorskip("torch")
    assert check.check(["torch"], [workload])


@pytest.mark.slow
@pytest.mark.parametrize("library", ["numpy", "microgradnet"])
def test_an_epoch_learns(library):
    step, results = workloads.build("epoch", library, lr=0.5)
    start = [array.copy() for array in results()]
    losses = [float(step()) for _ in range(2)]
    assert np.isfinite(losses).all() and not any(np.array_equal(a, b) for a, b in zip(start, results()))


def without_output_bias(*arguments):
    step, results = by_hand.nndl(*arguments)
    start = [array.copy() for array in results()]
    return step, lambda: [*results()[:3], start[3]]


def with_twice_the_rate(*arguments):
    return by_hand.nndl(*arguments[:-1], 2 * arguments[-1])


def with_a_parameter_less(*arguments):
    step, results = by_hand.nndl(*arguments)
    return step, lambda: results()[:3]


def with_nan(*arguments):
    step, results = by_hand.nndl(*arguments)
    return step, lambda: [np.full_like(array, np.nan) for array in results()]


@pytest.mark.parametrize("fault", [without_output_bias, with_twice_the_rate, with_a_parameter_less, with_nan])
def test_the_check_catches_a_wrong_computation(fault, monkeypatch, capsys):
    monkeypatch.setattr(by_hand_out, "nndl", fault)
    assert not check.check(["numpy-out"], ["nndl"])
    assert "DIFFERS" in capsys.readouterr().out


def test_the_check_passes_the_same_computation(monkeypatch):
    monkeypatch.setattr(by_hand_out, "nndl", by_hand.nndl)
    assert check.check(["numpy-out"], ["nndl"])


def test_time_per_step():
    times = timing.seconds_per_step(lambda: time.sleep(0.002), rounds=3)
    assert len(times) == 3
    assert all(0.002 <= t < 0.02 for t in times)


def test_table_gives_multiples_of_numpy_and_the_goal():
    seconds = {"nndl": {"numpy": 50e-6, "microgradnet": 75e-6, "torch": 200e-6}}
    lines = table.table(seconds, ["numpy", "microgradnet", "torch", "jax"]).splitlines()
    assert [line.split()[-1] for line in lines] == ["nndl", "50.0", "1.5", "4", "–", "1.6"]


def test_one_command_times_and_writes_the_figures(tmp_path):
    file = tmp_path / "figures.json"
    options = ["--workload", "nndl", "op", "--library", "microgradnet", "--processes", "1", "--rounds", "2", "--json", str(file)]
    result = run("benchmarks", *options)
    assert result.returncode == 0, result.stderr
    assert "goal: microgradnet" in result.stdout
    figures = json.loads(file.read_text())
    assert list(figures["ratios"]) == ["nndl", "op"] and figures["ratios"]["nndl"]["numpy"] == 1.0
    assert 1e-6 < figures["seconds"]["nndl"]["numpy"] < 1


def test_bad_options_are_refused():
    result = run("benchmarks", "--rounds", "0")
    assert result.returncode == 2
    assert "0 is not a positive number" in result.stderr


def test_memory_of_training_stays_flat():
    result = run("benchmarks.memory", "--steps", "20000", "--intervals", "4")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("MiB") == 6


def test_the_memory_check_catches_a_leak():
    result = run("benchmarks.memory", "--steps", "20000", "--intervals", "4", "--leak")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "grew by" in result.stdout


@pytest.mark.parametrize("limit, code", [("10000", 0), ("0", 1)])
def test_the_cost_of_the_import_is_held_against_a_limit(limit, code):
    result = run("benchmarks.imports", "--rounds", "1", "--limit", limit)
    assert result.returncode == code, result.stderr
    assert f"limit {limit} ms" in result.stdout

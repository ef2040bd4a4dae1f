"""The benchmarks measure the same computation in every library, and their checks can fail."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import microgradnet as mg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `benchmarks` is not installed

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import check, goals, layers, report, timing, workloads  # noqa: E402
from benchmarks.chart import chart  # noqa: E402
from benchmarks.libraries import by_hand, by_hand_out  # noqa: E402

EACH_WORKLOAD = pytest.mark.parametrize(
    "workload",
    [pytest.param(w, marks=pytest.mark.slow) if w == "wide" else w for w in workloads.WORKLOADS if w != "epoch"],
)


def run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], check=False, cwd=ROOT, capture_output=True, text=True)


@EACH_WORKLOAD
def test_microgradnet_and_buffers_compute_what_is_written_by_hand(workload):
    assert check.check(["microgradnet", "compiled", "numpy-out"], [workload])


@EACH_WORKLOAD
def test_native_programs_compute_what_is_written_by_hand(workload):
    pytest.importorskip("numba")
    assert check.check(["native"], [workload])


@pytest.mark.torch
@EACH_WORKLOAD
def test_torch_computes_what_is_written_by_hand(workload):
    pytest.importorskip("torch")
    assert check.check(["torch"], [workload])


@pytest.mark.slow
def test_an_epoch_learns_the_same_in_every_order():
    assert check.check(["numpy-out", "microgradnet", "compiled"], ["epoch"])


@pytest.mark.slow
def test_an_epoch_of_half_the_examples_is_noticed(monkeypatch):
    monkeypatch.setattr(by_hand_out, "epoch", lambda w, b, x, y, lr: by_hand.epoch(w, b, x[:25_000], y[:25_000], lr))
    assert not check.check(["numpy-out"], ["epoch"])


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


def test_long_steps_are_timed_less_often(monkeypatch):
    monkeypatch.setattr(timing, "ENOUGH", 0.05)
    assert 1 <= len(timing.seconds_per_step(lambda: time.sleep(0.02), rounds=9)) <= 3


SECONDS = {"nndl": {"numpy": 50e-6, "microgradnet": 75e-6, "compiled": 46e-6, "torch": 200e-6},
           "conv": {"numpy": 0.2, "microgradnet": 0.5, "torch": 0.1}}  # fmt: skip


def test_table_gives_multiples_of_numpy_and_the_goals():
    lines = report.table({"nndl": SECONDS["nndl"]}).splitlines()
    assert [line.split()[-1] for line in lines] == ["nndl", "50.0", "1.5", "0.92", "4", "1.6", "0.9"]


def test_goals_are_met_or_missed():
    told = goals.told(SECONDS).splitlines()
    assert [line.split()[:2] for line in told] == [["goals", "met:"], ["microgradnet", "nndl"], ["goals", "missed:"],
                                                   ["compiled", "nndl"], ["microgradnet", "conv"]]  # fmt: skip
    assert told[4].split()[2:] == ["5", "×", "torch,", "goal", "4"]


@pytest.mark.parametrize("ratio, text", [(21.4, "21"), (5.84, "5.8"), (0.316, "0.32"), (0.0098, "0.0098"), (121.0, "121"),
                                         (0.999, "1.00"), (None, "–")])  # fmt: skip
def test_multiples_have_two_digits(ratio, text):
    assert report.multiple(ratio) == text


@pytest.mark.parametrize("seconds, text", [(0.31, "310 ms"), (1.25, "1.2 s"), (52e-6, "52 µs"), (4e-7, "400 ns")])
def test_times_have_units(seconds, text):
    assert report.duration(seconds) == text


@pytest.mark.slow
def test_one_command_compares_times_and_writes_the_figures(tmp_path):
    file, picture = tmp_path / "figures.json", tmp_path / "chart.svg"
    options = ["--workload", "nndl", "op", "--library", "microgradnet", "--processes", "1", "--rounds", "2"]
    result = run("benchmarks", *options, "--json", str(file), "--chart", str(picture))
    assert result.returncode == 0, result.stderr
    for part in ("ok\n", "goal: microgradnet", "goals m"):
        assert part in result.stdout
    figures = json.loads(file.read_text())
    assert list(figures["seconds"]) == ["nndl", "op"] and 1e-6 < figures["seconds"]["nndl"]["numpy"] < 1
    assert figures["run"]["versions"]["NumPy"] == np.__version__
    assert picture.read_text(encoding="utf-8") == chart(figures)


def test_in_each_round_another_library_is_the_first(monkeypatch):
    order = []

    class Timer(contextlib.nullcontext):
        def __init__(self, library, workload, *how):
            super().__init__(self)
            self.pair = workload, library

        def seconds(self):
            order.append(self.pair)
            return 1.0 + len(order)

    monkeypatch.setattr(command, "Timer", Timer)
    libraries, names = ["numpy", "numpy-out", "microgradnet"], ["elem", "op"]
    turns = list(command.measure(libraries, names, 2, 1, 1, "wall", False))
    assert order == [("elem", "numpy"), ("elem", "numpy-out"), ("elem", "microgradnet"), ("op", "numpy"),
                     ("op", "microgradnet"), ("elem", "numpy-out"), ("elem", "microgradnet"), ("elem", "numpy"),
                     ("op", "microgradnet"), ("op", "numpy")]  # fmt: skip
    assert turns[1]["elem"] == {"numpy": 5.5, "numpy-out": 5.0, "microgradnet": 6.0} and len(turns) == 2


def test_a_first_step_that_compiles_does_not_count(monkeypatch):
    calls = []
    monkeypatch.setattr(timing, "BLOCK", 0.005)
    assert timing.block_of(lambda: calls.append(time.sleep(0.001 if calls else 0.02)), time.perf_counter) > 1


def test_a_process_that_dies_is_told():
    with pytest.raises(subprocess.CalledProcessError), command.Timer("numpy", "no such workload", 1, "wall"):
        pass


def test_bad_options_are_refused():
    result = run("benchmarks", "--rounds", "0")
    assert result.returncode == 2
    assert "0 is not a positive number" in result.stderr


@pytest.mark.slow
def test_memory_of_training_stays_flat():
    result = run("benchmarks.memory", "--steps", "20000", "--intervals", "4")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("MiB") == 6


@pytest.mark.slow
def test_the_memory_check_catches_a_leak():
    result = run("benchmarks.memory", "--steps", "20000", "--intervals", "4", "--leak")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "grew by" in result.stdout


@pytest.mark.parametrize("limit, code", [("10000", 0), ("0", 1)])
def test_the_cost_of_the_import_is_held_against_a_limit(limit, code):
    result = run("benchmarks.imports", "--rounds", "1", "--limit", limit)
    assert result.returncode == code, result.stderr
    assert f"limit {limit} ms" in result.stdout


@pytest.mark.parametrize("limit, code", [("10000", 0), ("0", 1)])
def test_the_cost_of_compiling_is_held_against_a_limit(limit, code):
    result = run("benchmarks.compiling", "--rounds", "1", "--limit", limit)
    assert result.returncode == code, result.stderr
    assert f"limit {limit} ms" in result.stdout and "µs compiled" in result.stdout


@pytest.mark.torch
def test_layers_are_held_against_those_of_torch(monkeypatch):
    torch = pytest.importorskip("torch")
    result = run("benchmarks.layers", "--rounds", "1", "--layer", "Linear", "Dropout", "LSTM")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(" µs") == 6, result.stdout
    for name in layers.LAYERS:
        assert "Dropout" in name or layers.same([mg, torch], name), name
    monkeypatch.setattr(mg.nn.GELU, "forward", lambda self, x: x.relu())
    with pytest.raises(SystemExit, match="GELU.* computes something else"):
        layers.ratio([mg, torch], "GELU()", 1)

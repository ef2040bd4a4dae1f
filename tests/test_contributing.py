"""The contributor's guide keeps its word: its example, put where it says, is a function, a method, an in-place form, and is tested."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from test_readme import blocks, promised

ROOT = pathlib.Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
ENTRY, USE = blocks(GUIDE, "python")
NAME = re.match(r"\w+", ENTRY).group()
PLACE = re.search(r"`(microgradnet/ops/\w+\.py)`", GUIDE).group(1)
MODULE_END = "\nif not TYPE_CHECKING:"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A copy of the package, with the entry where the guide puts it, and beside it the tests of the table."""
    root = tmp_path_factory.mktemp("contribution")
    shutil.copytree(ROOT / "microgradnet", root / "microgradnet", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for pattern in ("conftest.py", "samples*.py", "opcheck.py", "test_ops.py", "test_inplace.py"):
        for file in (ROOT / "tests").glob(pattern):
            shutil.copy(file, root / "tests")
    shutil.copy(ROOT / "setup.cfg", root)
    plant(root, ENTRY)
    return root


def plant(root, entry):
    """Follow the guide: the entry above the end of the file, and the name that its rule uses among the imports."""
    source = (ROOT / PLACE).read_text(encoding="utf-8")
    before, end, after = source.rpartition(MODULE_END)
    imported = re.sub(r"(from \.elementwise import [^\n]*)", r"\1, tanh", before, count=1)
    assert imported != before and end
    (root / PLACE).write_text(imported + "\n" + entry + end + after, encoding="utf-8")


def python(root, *arguments):
    environment = {"PYTHONPATH": str(root), "PATH": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True)


def checks(root):
    return python(root, "-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/test_ops.py", "tests/test_inplace.py", "-k", NAME)


def test_the_example_is_not_there_already():
    assert NAME not in (ROOT / PLACE).read_text(encoding="utf-8")


def test_it_is_used_as_the_guide_says(planted):
    program = "import microgradnet as mg\n" + USE + f"""
assert mg.equal(x.{NAME}(), y) and mg.{NAME}.__doc__
z = y.detach().clone()
assert z.{NAME}_() is z and mg.equal(z, mg.{NAME}(y))
w = x.detach().requires_grad_() * 1
w.{NAME}_().sum().backward()
"""
    done = python(planted, "-c", program)
    assert done.returncode == 0, done.stderr
    assert promised(USE) and done.stdout.strip() == promised(USE)[0]


def test_the_tests_of_the_table_find_it(planted):
    done = checks(planted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= 12


def test_and_find_what_is_wrong_with_it(planted):
    plant(planted, ENTRY.replace("g * tanh(x)", "g * (tanh(x) + 1e-6)"))
    try:
        done = checks(planted)
    finally:
        plant(planted, ENTRY)
    assert done.returncode == 1 and f"test_first_order[{NAME}]" in done.stdout

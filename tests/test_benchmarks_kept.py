"""The READMEs' table and chart are those of the figures that a run kept."""

import copy
import json
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `benchmarks` is not installed

from benchmarks import report, workloads  # noqa: E402
from benchmarks.chart import chart  # noqa: E402

KEPT = json.loads((ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8"))


def faster(figures):
    """These figures with one that is another."""
    other = copy.deepcopy(figures)
    other["seconds"]["deep"]["compiled"] *= 0.9
    return other


def test_the_chart_is_that_of_the_figures_kept():
    drawn = (ROOT / "docs" / "benchmarks.svg").read_text(encoding="utf-8")
    assert drawn == chart(KEPT) != chart(faster(KEPT))
    bars = xml.etree.ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}rect")
    named = [bar[0].text for bar in bars if len(bar)]
    assert len(named) == sum(len(times) - 1 for times in KEPT["seconds"].values())
    assert KEPT["run"]["cpu"] in drawn and KEPT["run"]["date"] in drawn


@pytest.mark.parametrize("name", report.READMES)
def test_the_tables_of_the_readmes_are_those_of_the_figures_kept(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert report.with_table(text, KEPT, report.READMES[name]) == text
    assert report.with_table(text, faster(KEPT), report.READMES[name]) != text


def test_the_figures_kept_are_of_every_workload():
    assert tuple(KEPT["seconds"]) == workloads.WORKLOADS
    assert {"compiled", "native", "torch", "torch-compiled"} <= KEPT["seconds"]["nndl"].keys()

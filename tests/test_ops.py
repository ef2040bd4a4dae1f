"""The table of operations: every entry, whatever it is, passes every check; and every check catches a wrong entry."""

import numpy as np
import opcheck
import pytest
from opcheck import planted
from samples import DIFFERENTIABLE, INTERNAL, TABLE, Sample, samples

import microgradnet as mg

EACH = pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
EACH_DIFFERENTIABLE = pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in INTERNAL])


def over(check, name):
    for sample in samples(name):
        with np.errstate(all="raise"):
            check(TABLE[name], sample)


@EACH
def test_samples_exist_and_differ_in_shape(name):
    found = samples(name)
    assert len(found) >= 3 and len({str(s) for s in found}) == len(found)


@EACH_DIFFERENTIABLE
def test_first_order(name):
    over(opcheck.check_first_order, name)


@EACH_DIFFERENTIABLE
def test_second_order(name):
    over(opcheck.check_second_order, name)


@EACH_DIFFERENTIABLE
def test_rules_give_the_same_on_tensors(name):
    over(opcheck.check_recorded_rules, name)


@EACH
def test_p37_p38_float32_stays_float32(name):
    over(opcheck.check_float32, name)


@EACH
def test_p39_zero_dimensional_results_are_arrays(name):
    over(opcheck.check_zero_dim, name)


@EACH
def test_p48_layout_does_not_matter(name):
    over(opcheck.check_layouts, name)


@EACH_DIFFERENTIABLE
def test_p08_p09_gradients_share_memory_with_nothing(name):
    over(opcheck.check_aliasing, name)


@EACH_DIFFERENTIABLE
def test_rules_do_not_read_what_they_claim_not_to(name):
    over(opcheck.check_unread, name)


@EACH_DIFFERENTIABLE
def test_rules_read_what_they_keep(name):
    claimed, read = set(), set()
    for sample in samples(name):
        claimed |= opcheck.values_claimed(TABLE[name], sample)
        read |= opcheck.values_read(TABLE[name], sample)
    assert claimed <= read, f"kept for nothing (rule, position): {claimed - read}"


@EACH_DIFFERENTIABLE
def test_p23_no_gradient_is_computed_that_is_not_needed(name):
    over(opcheck.check_needed_only, name)


@EACH
def test_recording(name):
    over(opcheck.check_record, name)

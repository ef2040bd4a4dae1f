"""The table of operations: every entry, whatever it is, passes every check; and every check catches a wrong entry."""

import numpy as np
import opcheck
import pytest
from opcheck import planted
from samples import DIFFERENTIABLE, INTERNAL, SINGULAR, TABLE, Sample, samples

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


@EACH
def test_only_views_share_memory(name):
    if name not in ("sum_to", "spread"):  # in rules, where nobody writes, an array may come back as it is
        over(opcheck.check_sharing, name)


@EACH_DIFFERENTIABLE
def test_rules_do_not_read_what_they_claim_not_to(name):
    over(opcheck.check_unread, name)


@EACH_DIFFERENTIABLE
def test_rules_read_what_they_keep(name):
    claimed, read = set(), set()
    for sample in samples(name) + SINGULAR.get(name, []):
        claimed |= opcheck.values_claimed(TABLE[name], sample)
        read |= opcheck.values_read(TABLE[name], sample)
    assert claimed <= read, f"kept for nothing (rule, position): {claimed - read}"


@EACH_DIFFERENTIABLE
def test_p23_no_gradient_is_computed_that_is_not_needed(name):
    over(opcheck.check_needed_only, name)


@EACH
def test_recording(name):
    over(opcheck.check_record, name)


# --- every check catches what it is for -------------------------------------------------------------------------------

SQUARE = Sample((np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.8]]),))
PRODUCT = Sample((np.array([[0.3, -1.2, 0.7]]), np.array([[1.1], [0.4]])))


def square(x, /):
    return x * x


def hidden(x):
    """x without its history, where it has one."""
    return x.detach() if isinstance(x, mg.Tensor) else x


def first_of_both(needs, g, _y, a, b):
    return [g * b, g * a]


UNARY_FAULTS = {
    "a factor is missing": (opcheck.check_first_order, square, lambda g, _y, x: g * x),
    "the derivative is that of another point": (opcheck.check_first_order, square, lambda g, _y, x: g * (2 * x + 1e-6)),
    "the second derivative is missing": (opcheck.check_second_order, square, lambda g, _y, x: g * (2 * hidden(x))),
    "the gradient's own derivative is missing": (opcheck.check_second_order, square, lambda g, _y, x: hidden(g) * (2 * x)),
    "another rule for tensors": (
        opcheck.check_recorded_rules, square, lambda g, _y, x: g * (2 * x) + (1e-6 if isinstance(g, mg.Tensor) else 0)),
    "float64 out of float32": (
        opcheck.check_float32, lambda x, /: x.astype(np.float64) ** 2, lambda g, _y, x: g * (2 * x)),
    "a Python number": (opcheck.check_zero_dim, lambda x, /: float(np.sum(x)), lambda g, _y, _x: g),
    "memory read in its own order": (
        opcheck.check_layouts, lambda x, /: x.ravel(order="K").reshape(x.shape) ** 2, lambda g, _y, x: g * (2 * x)),
    "an argument given back": (opcheck.check_sharing, lambda x, /: x, lambda g, _y, _x: g),
    "a rule that reads what it claims not to": (opcheck.check_unread, square, lambda g, _y, _x: g * (2 * _x)),
    "a result that differs in a replay": (
        opcheck.check_record, lambda x, /, draws=iter(range(9)): x * x + next(draws), lambda g, _y, x, **_: g * (2 * x)),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNARY_FAULTS)
def test_the_checks_catch(fault):
    check, forward, rule = UNARY_FAULTS[fault]
    with planted("planted", forward, rule) as op, pytest.raises((AssertionError, AttributeError)):
        check(op, SQUARE)


@pytest.mark.parametrize("check", [opcheck.check_first_order, opcheck.check_second_order, opcheck.check_recorded_rules,
                                   opcheck.check_float32, opcheck.check_zero_dim, opcheck.check_layouts, opcheck.check_unread,
                                   opcheck.check_record, opcheck.check_aliasing, opcheck.check_needed_only, opcheck.check_sharing])  # fmt: skip
def test_the_checks_pass_a_right_rule(check):
    with planted("planted", square, lambda g, _y, x: g * (2 * x)) as op:
        check(op, SQUARE)


def test_the_checks_catch_a_gradient_of_another_shape():
    rules = lambda g, _y, _a, b: (g * b)[:, :2], lambda g, _y, a, _b: g * a  # noqa: E731
    with planted("planted", lambda a, b, /: a * b, *rules) as op, pytest.raises(RuntimeError, match="rule for argument 0"):
        opcheck.check_first_order(op, PRODUCT)


def test_the_checks_catch_gradients_that_nobody_needs():
    with planted("planted", lambda a, b, /: a * b, joint=first_of_both) as op, pytest.raises(AssertionError, match="computed"):
        opcheck.check_needed_only(op, PRODUCT)


def test_the_checks_catch_values_kept_for_nothing():
    with planted("planted", np.negative, lambda g, y, x: -g, numpy=lambda: None) as op:
        assert opcheck.values_claimed(op, SQUARE) == {(0, 0), (0, 1)} and not opcheck.values_read(op, SQUARE)


def test_the_checks_catch_shared_memory(monkeypatch):
    def careless_backward(outputs, seeds, **_):
        for leaf in outputs[0].node.inputs:
            leaf.grad = seeds[0]

    monkeypatch.setattr(mg.autograd, "backward", careless_backward)
    with pytest.raises(AssertionError, match="shares memory"):
        opcheck.check_aliasing(TABLE["add"], Sample((PRODUCT.args[0], PRODUCT.args[0].copy())))


def test_an_operation_without_samples_is_found():
    with planted("planted", lambda a, b, c, /: a + b + c, None, None, None), pytest.raises(LookupError, match="planted"):
        samples("planted")


def test_planted_operations_leave_the_table():
    assert "planted" not in mg.graph.OPS and np.negative in mg.graph.UFUNCS and mg.graph.UFUNCS[np.negative] is TABLE["neg"]


def test_no_name_is_offered_twice():
    assert len(mg.ops.__all__) == len(set(mg.ops.__all__))


@pytest.mark.parametrize("name", ["exp", "moveaxis", "concat", "einsum", "gelu"])
def test_what_a_family_defines_is_a_function_of_the_package(name):
    assert getattr(mg, name) is getattr(mg.ops, name)


def test_helpers_of_the_families_are_not():
    assert not {"sizes", "parse", "np", "reshape_op"} & set(dir(mg))

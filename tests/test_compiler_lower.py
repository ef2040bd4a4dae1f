"""Lowering: what an operation's forward does, in calls of NumPy, gives the same bits."""

import numpy as np
import pytest
from programs import argument, of_call, same
from samples import INTERNAL, TABLE, samples

from microgradnet import graph
from microgradnet.compiler.calls import Refusal
from microgradnet.compiler.lower import lower
from microgradnet.compiler.program import Program, Step, Value, interpret
from microgradnet.graph import Op

# What networks consist of; all of it must be found, whatever the arguments.
LOWERED = """
    add sub mul neg div square pow exp log sqrt tanh sigmoid relu softmax log_softmax gelu erf silu elu leaky_relu softplus
    maximum minimum where clamp sum mean var amax amin sum_to spread expand reshape permute transpose squeeze unsqueeze
    gather embedding index_select matmul linear cross_entropy nll softmax_error one_a_row squared_distance standardize cat stack
""".split()


def opaque(program):
    return [step.function.name for step in program.steps if isinstance(step.function, Op)]


@pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
def test_lowered_operations_give_the_same_bits(name):
    for sample in samples(name):
        program, arrays = of_call(TABLE[name], sample.args, sample.params)
        lowered = lower(program)
        if name in LOWERED and all(a.size for a in arrays):  # of nothing there is no least label to look at
            assert not opaque(lowered), str(sample)
        with np.errstate(all="ignore"):
            assert same(interpret(lowered, arrays)[0], interpret(program, arrays)[0]), str(sample)


@pytest.fixture
def planted(request):
    """An operation with the forward given, for the length of a test."""

    def plant(forward):
        name = f"planted_{len(names)}"
        names.append(name)
        return Op(name, forward)

    names = []
    yield plant
    for name in names:
        del graph.OPS[name]


def lowered_call(op, *arrays):
    program, arrays = of_call(op, arrays, {})
    return lower(program), program, list(arrays)


def branching(x, /):
    return x + 1 if x[0] > 0 else x - 1


def failing_by_accident(x, /):
    return x + 1 if x[0] > 0 else x.nonsense


def escaping(x, /):
    return np.frombuffer(np.asarray(x).tobytes(), x.dtype) * 2


def masked(x, /):
    return x[x > 0].sum(keepdims=True)


def through_a_stale_view(x, /):
    y = x + 1
    turned = y[::-1]
    y += 1
    return turned + 0


@pytest.mark.parametrize("forward", [branching, failing_by_accident, escaping, masked, through_a_stale_view])
def test_what_cannot_be_written_down_stays_a_call_of_the_forward(planted, forward):
    lowered, program, _ = lowered_call(planted(forward), np.ones(3))
    assert len(opaque(lowered)) == 1
    for x in (np.arange(3.0) + 1, -np.arange(3.0) - 1)[: 1 if forward is failing_by_accident else 2]:
        assert same(interpret(lowered, [x])[0], interpret(program, [x])[0])


def filled_by_an_element(x, /):
    return np.full_like(x, x[0] * 2) + np.full(x.shape, x[1])


def test_a_traced_element_that_fills_an_array(planted):
    lowered, program, arrays = lowered_call(planted(filled_by_an_element), np.arange(3.0))
    assert not opaque(lowered) and same(interpret(lowered, arrays)[0], interpret(program, arrays)[0])


def in_place(x, /):
    y = np.zeros(x.shape, x.dtype)
    y[1:] += x[1:]
    y *= 3
    np.exp(y, out=y)
    y[..., 0] = 7
    flat = y.reshape(-1)
    flat += 1
    return y


def test_writing_into_own_arrays_is_followed(planted):
    lowered, program, arrays = lowered_call(planted(in_place), np.linspace(0, 1, 6).reshape(2, 3))
    assert not opaque(lowered)
    assert same(interpret(lowered, arrays)[0], interpret(program, arrays)[0])


def test_writing_into_an_argument_is_not(planted):
    def writes(x, /):
        x += 1
        return x

    op = planted(writes)
    x = argument(0, np.ones(3))
    out = Value((3,), x.dtype)
    assert opaque(lower(Program([Step(op, (x,), {}, out)], [out]))) == [op.name]


def test_refusals_are_part_of_the_program():
    x, labels = np.ones((2, 3), np.float32), np.array([0, 2])
    program, arrays = of_call(TABLE["cross_entropy"], (x, labels), {"scale": 0.5})
    lowered = lower(program)
    assert any(isinstance(step.function, Refusal) for step in lowered.steps)
    interpret(lowered, arrays)
    with pytest.raises(IndexError, match=r"cross_entropy\(.*label -1 is out of range"):
        interpret(lowered, [x, np.array([0, -1])])


def test_what_depends_on_constants_only_is_computed_at_once():
    a = np.ones(3)
    out = Value((3,), a.dtype)
    constant = Value((3,), a.dtype, source=argument(0, a).source.__class__("constant", lambda: a))
    lowered = lower(Program([Step(TABLE["mul"], (constant, 2.0), {}, out)], [out]))
    assert not lowered.steps and same(interpret(lowered, [])[0], [a * 2])

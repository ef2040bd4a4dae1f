"""Operations, and the graph that recording them leaves behind."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet.graph import OPS, Node, Op, Parts, ShapeError, Spec, walk


def leaf(*values, dtype=mg.float64):
    return mg.tensor(values, dtype=dtype, requires_grad=True)


def scalar(value, dtype=mg.float64):
    return mg.tensor(value, dtype=dtype, requires_grad=True)


# --- calling an operation --------------------------------------------------------------------------------------------


def test_metadata_is_positional_or_keyword_and_operands_have_pytorchs_names():
    x = mg.ones(2, 3)
    assert mg.sum(x, 1).tolist() == mg.sum(x, dim=1).tolist() == mg.sum(input=x, dim=1).tolist() == [3.0, 3.0]
    assert mg.mul(x, other=x).shape == (2, 3) == mg.mul(input=x, other=x).shape
    assert mg.sum(np.ones((2, 3)), 1).tolist() == [3.0, 3.0]  # plainly, on arrays
    assert repr(mg.exp) == "<op exp>" and mg.exp.__name__ == "exp"


ROWS = [[0.5, -1.0], [2.0, 0.25]]


@pytest.mark.parametrize("name, needs, params", [
    ("exp", (True,), {}), ("exp", (False,), {}), ("sum", (True,), {"dim": 1}), ("svd", (True,), {"full_matrices": False}),
    ("mul", (True, False), {}), ("matmul", (True, True), {}), ("squared_distance", (True, False), {"scale": 0.5}),
    ("linear", (False, True, True), {}), ("lerp", (True, False, True), {}),
])  # fmt: skip
def test_a_call_without_the_loop_records_what_the_loop_does(name, needs, params):
    """`Op.__call__` takes any arguments; the classes by arity write it out for tensors."""
    assert mg.nn.losses  # where the fused operations come from
    op, operands = OPS[name], [mg.tensor(ROWS, requires_grad=needed) for needed in needs]
    assert type(op).__call__ is not Op.__call__
    made = [way if isinstance(way, tuple) else (way,) for way in (op(*operands, **params),
                                                                  Op.__call__(op, *operands, **params))]
    for short, long in zip(*made, strict=True):
        assert short.tolist() == long.tolist() and short.requires_grad == long.requires_grad == any(needs)
        nodes = [x.node and x.node.computed for x in (short, long)]
        assert (nodes[0] is None) == (nodes[1] is None) == (not any(needs))
        if any(needs):
            one, other = ((n.op, n.inputs, n.params, n.needs, n.module) for n in nodes)
            assert one == other and nodes[0].needs == tuple(i for i, needed in enumerate(needs) if needed)
            assert all(np.array_equal(v, w) for v, w in zip(nodes[0].args, nodes[1].args, strict=True))


def test_what_an_operation_cannot_be_called_with():
    x = mg.ones(2, 3)
    with pytest.raises(TypeError, match=r"sum\(\) takes at most 4 arguments \(5 given\)"):
        mg.sum(x, 1, True, None, 3)
    with pytest.raises(TypeError, match=r"sum\(\) got multiple values for argument 'dim'"):
        mg.sum(x, 1, dim=1)
    with pytest.raises(TypeError, match=r"exp\(\) needs 1 array argument\(s\), 0 given"):
        mg.exp()
    with pytest.raises(TypeError, match=r"mul\(\) needs 2 array argument\(s\), 1 given"):
        mg.mul(x)
    with pytest.raises(TypeError, match=r"exp\(\(2, 3\) float32, base=2\): .*base"):
        mg.exp(x, base=2)


def test_a_failing_forward_names_operation_operands_and_metadata():
    x = leaf(1.0, 2.0)
    x.name = "x"
    with pytest.raises(ShapeError, match=r"matmul\(x \(2,\) float64, \(3, 2\) float64\)"):
        x @ mg.ones(3, 2, dtype=mg.float64)
    with pytest.raises((IndexError, ShapeError), match=r"sum\(x \(2,\) float64, dim=4.*\): axis 4 is out of bounds"):
        x.sum(4)
    with pytest.raises(IndexError, match=r"x \(2,\) float64.*: index 7 is out of bounds"):
        x[7]


def test_out():
    target, x = mg.zeros(2), mg.ones(2)
    assert mg.mul(x, 3, out=target) is target and target.tolist() == [3.0, 3.0]
    w = leaf(1.0, 2.0, dtype=mg.float32)
    for args, out in (((w, 2), target), ((x, 2), w)):
        with pytest.raises(RuntimeError, match=r"mul\(\): out= does not support automatic differentiation"):
            mg.mul(*args, out=out)
    with mg.no_grad():
        mg.mul(x, 5, out=w)
    assert w.tolist() == [5.0, 5.0] and w.requires_grad


def test_the_table_takes_a_name_once():
    with pytest.raises(AssertionError, match="add is in the table twice"):
        Op("add", lambda x, /: x)


# --- the walk --------------------------------------------------------------------------------------------------------


def test_the_walk_visits_each_node_once_inputs_first():
    x = scalar(1.0)
    y = x
    for _ in range(30):  # 2³⁰ paths
        y = y * y
    nodes = walk(y)
    assert len(nodes) == 30 == len(set(nodes))
    place = {node: k for k, node in enumerate(nodes)}
    assert all(place[i] < place[n] for n in nodes for i in n.inputs if isinstance(i, Node))
    assert [n.time for n in nodes] == sorted(n.time for n in nodes)


def test_the_walk_takes_tensors_and_nodes_and_several():
    x = scalar(1.0)
    a, b = x.exp(), x.sin()
    c = a * b
    assert [n.op.name for n in walk(c)] == ["exp", "sin", "mul"]
    assert walk(c.node) == walk(c) and walk(b, a) == walk(a, b) == [a.node, b.node]
    assert walk(x) == [] and walk(c, b) == walk(c)


def test_the_order_is_that_of_recording_for_every_hash_seed():
    order = [n.op.name for n in walk((leaf(1.0).exp() * leaf(2.0).sin() + leaf(3.0).cos()).sum())]
    assert order == ["exp", "sin", "mul", "cos", "add", "sum"]


def test_rules_run_in_the_reverse_order_of_recording(plant):
    order = []
    ops = [plant(lambda x, /: x * 1, lambda g, _y, _x, k=k: (order.append(k), g)[1]) for k in range(3)]
    x = scalar(1.0)
    a, b = ops[0](x), ops[1](x)
    c = ops[2](b)
    (a + c + b).backward()
    assert order == [2, 1, 0]


# --- the gradients of several outputs --------------------------------------------------------------------------------


def test_parts_add_up_by_output():
    total = Parts({0: 1.0}) + Parts({1: 2.0}) + Parts({1: 3.0})
    assert total.given == {0: 1.0, 1: 5.0}


def test_the_whole_of_adds_zeros_as_tensors_or_arrays():
    parts = Parts({1: np.ones(2)})
    outputs = (Spec(np.zeros(3, np.float32)), Spec(np.zeros(2)))
    zeros, ones = parts.whole(outputs, as_tensors=False)
    assert zeros.shape == (3,) and zeros.dtype == np.float32 and not zeros.any() and ones.all()
    assert isinstance(parts.whole(outputs, as_tensors=True)[0], mg.Tensor)

"""The stepper: the same numbers as backward, bit for bit; nothing touched; lines of NumPy that give them again."""

import numpy as np
import pytest
from pace import within
from samples import leaves, samples

import microgradnet as mg
from microgradnet import graph, nn
from microgradnet.viz import explain, formulas, steptext

try:
    import scipy.special
except ImportError:
    scipy = None


def mlp(activation=nn.Sigmoid, cost=nn.QuadraticLoss, target=None):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), activation(), nn.Linear(3, 2), activation())
    return model, cost()(model(mg.randn(4, 2)), mg.rand(4, 2) if target is None else target)


def _shared():
    w = mg.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    h = mg.tanh(w @ w + w)
    return (h * h.T + h.sum(dim=0) * mg.exp(w[0])).mean()


def _parts():
    x = mg.tensor([3.0, 1.0, 2.0, 5.0], requires_grad=True)
    a, b = (x * 2).chunk(2)
    return (a * a * b).sum()


def _unused_part():
    x = mg.tensor([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    return (x * 2).split(1)[1].sum() * 3


def _random(seed):
    """A graph in which much is used often, float32."""
    rng = np.random.default_rng(seed)
    pool = [mg.tensor(rng.standard_normal((3, 3)).astype(np.float32), requires_grad=True) for _ in range(3)]
    ways = [mg.add, mg.mul, mg.matmul, mg.sub, lambda a, b: mg.sigmoid(a), lambda a, b: mg.tanh(a.T + b[0])]
    for _ in range(15):
        a, b = (pool[i] for i in rng.integers(len(pool), size=2))
        pool.append(ways[rng.integers(len(ways))](a, b))
    return sum(x.mean() for x in pool[3:])


LOSSES = {
    "sigmoid": lambda: mlp()[1],
    "relu": lambda: mlp(nn.ReLU, nn.MSELoss)[1],
    "cross_entropy": lambda: mlp(nn.Tanh, nn.CrossEntropyLoss, mg.tensor([0, 1, 1, 0]))[1],
    "logits": lambda: mlp(nn.GELU, nn.BCEWithLogitsLoss)[1],
    "shared": _shared,
    "parts": _parts,
    "unused part": _unused_part,
    **{f"random {seed}": lambda seed=seed: _random(seed) for seed in range(20)},
}


def leaves_of(loss):
    return list(dict.fromkeys(
        x for node in graph.walk(loss) for x in node.inputs if isinstance(x, mg.Tensor) and x.requires_grad))


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradients_are_those_of_backward_to_the_bit(name):
    loss = LOSSES[name]()
    steps = explain(loss)
    assert all(leaf.grad is None for leaf in leaves_of(loss))
    loss.backward()  # which needs the graph whole
    assert set(steps.gradients) == {leaf for leaf in leaves_of(loss) if leaf.grad is not None}
    for leaf, g in steps.gradients.items():
        assert same(g, leaf.grad.array)


@pytest.mark.parametrize("name", LOSSES)
def test_a_node_has_its_turn_when_all_of_its_gradient_is_there(name):
    steps = explain(LOSSES[name]())
    sums, ready = {}, {steps.loss.node}
    for step in steps:
        assert step.node in ready
        ready.remove(step.node)
        for flow in step.flows:
            sums[flow.source] = sums.get(flow.source, 0) + 1
            assert flow.arrived == sums[flow.source] <= flow.expected
            if flow.complete:
                ready.add(flow.source)
        assert all(k < n for k, n in step.waiting.values())
        assert not ready & set(step.waiting)
    assert ready == set(steps.gradients), "every gradient of a leaf is complete in the end, and no node is left"


def test_hooks_run_and_may_replace_but_no_grad_is_written():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    steps = explain((y * y).sum())
    assert x.grad is None and y.grad is None
    assert steps.gradients[x].tolist() == [181.0, 361.0]


def test_a_function_may_say_that_no_gradient_flows():
    class Half(mg.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, z = mg.tensor([2.0], requires_grad=True), mg.tensor([1.0], requires_grad=True)
    loss = (Half.apply(x * x, mg.exp(z)) + x).sum()
    steps = explain(loss)
    assert set(steps.gradients) == {x} and steps.gradients[x].tolist() == [5.0]
    assert "exp" not in [step.node.op.name for step in steps]
    str(steps)


@pytest.mark.parametrize("name", LOSSES)
def test_after_backward_what_was_read_stays_and_nothing_is_left_to_read(name):
    loss = LOSSES[name]()
    steps = explain(loss)
    text = str(explain(loss))
    loss.backward()
    assert str(steps) == text
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        explain(loss)


def test_errors_say_what_to_do():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="takes a Tensor, got float"):
        explain(1.0)
    with pytest.raises(RuntimeError, match="pass a gradient of its shape"):
        explain(x * 2)
    with pytest.raises(ValueError, match="is a leaf"):
        explain(x[:0].detach().sum().requires_grad_())
    with mg.no_grad():
        unrecorded = x.sum()
    with pytest.raises(RuntimeError, match="no_grad"):
        explain(unrecorded)
    y = x * 2
    seed = mg.tensor([1.0, 10.0])
    assert explain(y, seed).gradients[x].tolist() == [2.0, 20.0]


# --- the lines --------------------------------------------------------------------------------------------------------


def run_lines(steps):
    """Every line of NumPy, executed one after the other; gives the gradients of leaves by these lines alone."""
    names = steps.names
    env = {"np": np, "scipy": scipy, names.gradient_variable(steps.loss.node): steps.seed}
    for step in steps:
        env[names.variable(step.node)] = step.output
        for name, value in zip(names.arguments(step), step.args):
            if name.isidentifier():
                env[name] = value
    for step in steps:
        for flow in step.flows:
            lines = steps.numpy(step, flow)
            if lines[0].startswith("#") or scipy is None and "scipy." in "".join(lines):
                env[names.gradient_variable(flow.source)] = flow.total
                continue
            with np.errstate(all="ignore"):
                exec("\n".join(lines), env)
    return {leaf: env[names.gradient_variable(leaf)] for leaf in steps.gradients}


@pytest.mark.parametrize("name", LOSSES)
def test_the_lines_of_numpy_give_every_gradient(name):
    steps = explain(LOSSES[name]())
    for leaf, g in run_lines(steps).items():
        np.testing.assert_allclose(g, steps.gradients[leaf], rtol=2e-5, atol=1e-6)
        assert np.asarray(g).dtype == np.asarray(steps.gradients[leaf]).dtype


@pytest.mark.parametrize("name", ["sigmoid", "relu", "cross_entropy", "shared"])
def test_a_network_needs_nothing_but_numpy(name):
    steps = explain(LOSSES[name]())
    assert not [line for step in steps for flow in step.flows for line in steps.numpy(step, flow) if "#" in line]


DIFFERENTIABLE = sorted({name for name, op in graph.OPS.items() if op.differentiable} - {"item_of", "module_boundary"})


@pytest.mark.parametrize("names", [DIFFERENTIABLE[i::8] for i in range(8)], ids=range(8))
def test_lines_of_every_operation_compute_its_rule(names):
    without = {name for name in names if not _check_lines(name)}
    assert not without, "a rule is not spelled out; see viz/idioms.py"


def _check_lines(name):
    """Whether every rule of the operation has lines of NumPy. Those it has are run."""
    complete = True
    for sample in samples(name):
        arguments = leaves(sample)
        out = graph.OPS[name](*arguments, **sample.params)
        outs = [y for y in (out if isinstance(out, tuple) else (out,)) if y.requires_grad and y.numel()]
        if not outs:
            continue
        loss = sum((y * mg.cos(mg.arange(y.numel()).double().reshape(y.shape))).sum() for y in outs)
        steps = explain(loss)
        try:
            found = run_lines(steps)
        except Exception as error:
            raise AssertionError(str(steps)) from error
        for leaf, g in found.items():
            np.testing.assert_allclose(g, steps.gradients[leaf], rtol=1e-9, atol=1e-9, err_msg=str(steps))
        complete &= "no line of NumPy" not in str(steps)
    return complete


def lines_of(loss, op):
    steps = explain(loss)
    return ["\n".join(steps.numpy(step, flow)) for step in steps if step.node.op.name == op for flow in step.flows]


def test_what_takes_several_lines_is_written_as_a_person_would():
    x, w = mg.ones(1, 2, 4, 4, requires_grad=True), mg.ones(3, 2, 3, 3, requires_grad=True)
    assert lines_of(nn.functional.conv2d(x, w, stride=2, padding=1).sum(), "convolution") == [
        "t1 = np.einsum('ndyx,dcij->ncijyx', dv1, x2)\n"
        "t2 = np.zeros((1, 2, 6, 6), np.float32)\n"
        "for i, j in np.ndindex(3, 3):\n"
        "    t2[..., i:i + 3:2, j:j + 3:2] += t1[..., i, j, :, :]\n"
        "dx1 = t2[..., 1:-1, 1:-1]",
        "t1 = np.lib.stride_tricks.sliding_window_view(np.pad(x1, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))\n"
        "dx2 = np.einsum('ncyxij,ndyx->dcij', t1[:, :, :4:2, :4:2, :, :], dv1)",
    ]  # fmt: skip
    rows = mg.ones(4, 3, requires_grad=True)
    assert lines_of(rows[1:3, 0].sum(), "getitem") == [
        "t1 = np.zeros((4, 3), np.float32)\nt1[1:3, 0] = dv1\ndx1 = t1"]
    assert lines_of(rows[mg.tensor([1, 2, 1])].sum(), "getitem") == [
        "t1 = np.zeros((4, 3), np.float32)\nnp.add.at(t1, x2, dv1)\ndx1 = t1"]
    assert lines_of(rows.cumsum(1).sum(), "cumsum") == ["dx1 = np.flip(np.cumsum(np.flip(dv1, (1,)), axis=1), (1,))"]
    square = mg.eye(3).requires_grad_()
    assert lines_of(mg.linalg.inv(square).sum(), "inv") == ["dx1 = -(v1.mT @ dv1 @ v1.mT)"]


def test_with_zeros_the_product_of_the_others_is_written_out():
    x = mg.tensor([2.0, 0.0, 3.0], requires_grad=True)
    assert lines_of(x.cumprod(0).sum(), "cumprod") == [
        "t1 = dv1.reshape((1, 3)) * np.cumprod(np.where(np.eye(3, dtype=np.bool_), 1.0, x1.reshape((1, 3))), axis=-1)\n"
        "dx1 = np.where(np.tri(3, dtype=np.bool_).T, t1, 0.0).sum(axis=-1)"]  # fmt: skip


@pytest.mark.parametrize("mask", [True, False])
def test_written_into_a_number_by_a_mask(mask):
    x, v = (mg.tensor(n, dtype=mg.float64, requires_grad=True) for n in (2.0, 3.0))
    y = x * 5
    y[mg.tensor(mask)] = v
    steps = explain((y * y).sum())
    assert lines_of((y * y).sum(), "setitem")[0].startswith("dv1 = np.where(")
    assert {k: float(g) for k, g in run_lines(steps).items()} == {x: 0 if mask else 100, v: 6 if mask else 0}


def test_a_rule_that_no_lines_say_is_named(plant):
    counted = plant(lambda x, /: x * 1, lambda g, _y, x: g * float(str(x.size)) * np.vectorize(float)(x))
    x = mg.tensor([2.0], requires_grad=True)
    assert lines_of(counted(x).sum(), counted.name) == [
        f"# dx1: the rule of '{counted.name}' for argument 0, which is no line of NumPy"]  # fmt: skip


# Operations whose rules take functions that NumPy has not, and these.
SCIPYS = {
    "digamma": ["polygamma"], "lgamma": ["digamma"], "polygamma": ["polygamma"], "zeta": ["zeta"], "igamma": ["gammaln"],
    "igammac": ["gammaln"], "gelu": ["erf"], "log_ndtr": ["erfcx"], "i0": ["i1"], "i1": [], "i0e": ["i1e"], "i1e": ["i0e"],
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPYS)
def test_a_line_says_which_functions_numpy_has_not(name):
    found = set()
    for sample in samples(name):
        for text in lines_of(graph.OPS[name](*leaves(sample), **sample.params).sum(), name):
            for line in text.split("\n"):
                code, _, comment = line.partition("  # ")
                found.add(comment)
                assert ("scipy.special." in code) == bool(comment)
                assert "scipy" not in "".join(steptext.written([line], {})), "in mathematical writing"
    assert found - {""} == {f"of SciPy: NumPy has no {function}" for function in SCIPYS[name]}


@pytest.mark.parametrize("name", SCIPYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_with_scipy_these_lines_give_every_gradient_too(name, dtype):
    pytest.importorskip("scipy")
    for sample in samples(name):
        args = [mg.tensor(x.array.astype(dtype), requires_grad=x.requires_grad) if isinstance(x, mg.Tensor) else x
                for x in leaves(sample)]  # fmt: skip
        steps = explain(graph.OPS[name](*args, **sample.params).sum())
        for leaf, g in run_lines(steps).items():
            np.testing.assert_allclose(g, steps.gradients[leaf], rtol=2e-5 if dtype is np.float32 else 1e-10)
            assert g.dtype == leaf.dtype == dtype


def test_formulas_are_those_of_the_table():
    steps = explain(LOSSES["sigmoid"]())
    assert [[steps.formula(step, flow) for flow in step.flows] for step in steps][1:3] == [
        ["g * (y * (1 - y))"], ["g.dot(weight)", "g.T.dot(x)", "g"]]
    assert formulas.source(graph.OPS["sin"].rules[0]) == "g * cos(x)"
    assert formulas.source(graph.OPS["matmul"].rules[0]) is None, "it has branches"


def test_a_wrong_rule_shows_in_its_lines(plant):
    wrong = plant(lambda x, /: x * x, lambda g, _y, x: g * x * 3)
    x = mg.tensor([2.0], requires_grad=True)
    steps = explain(wrong(x).sum())
    (line,) = steps.numpy(steps[1], steps[1].flows[0])
    assert line == "dx1 = dv1 * x1 * 3"


# --- names and text ---------------------------------------------------------------------------------------------------


def test_the_equations_stand_where_they_hold():
    steps = explain(mlp()[1])
    said = [(steps.names.gradient(flow.source), [str(label) for label in steps.labels(flow.source)])
            for step in steps for flow in step.flows]  # fmt: skip
    assert said == [
        ("∂C/∂a³", []), ("δ³", ["δ^3", "BP1"]), ("∂C/∂a²", []), ("∂C/∂w³", ["BP4"]), ("∂C/∂b³", ["BP3"]),
        ("δ²", ["δ^2", "BP2"]), ("∂C/∂w²", ["BP4"]), ("∂C/∂b²", ["BP3"]),
    ]  # fmt: skip


def test_printed_it_is_a_table():
    text = str(explain(LOSSES["shared"]()))
    head, rule, seed, *rows = text.split("\n")
    assert head.split() == ["step", "node", "arrives", "rule", "goes", "on", "children", "equation", "NumPy"]
    assert set(rule) == {"-"} and seed.split() == ["0", "∂C/∂C", "1"]
    assert "1 of 4: waiting" in text and "4 of 4: complete" in text
    steps = explain(mlp()[1])
    assert "delta2 = da2 * (a2 * (1 - a2))" in str(steps)
    assert repr(steps).startswith("<explanation of () float32: 5 steps")


def chain(count):
    x = y = mg.tensor([0.5, 0.25], requires_grad=True)
    for i in range(count - 1):
        y = (y + x) if i % 2 else mg.tanh(y)
    return y.sum()


def network_of(count):
    layers = [part for _ in range(count // 2) for part in (nn.Linear(3, 3), nn.Sigmoid())]
    return nn.MSELoss()(nn.Sequential(*layers)(mg.ones(2, 3)), mg.zeros(2, 3))


@pytest.mark.parametrize("build", [chain, network_of])
def test_p02_five_thousand_nodes_in_three_seconds(build):
    loss = build(5000)
    found: list = []
    assert within(3, lambda: found.append(explain(loss)))
    steps = found[-1]
    assert len(steps) >= 5000
    assert all(flow.arrived <= flow.expected for step in steps for flow in step.flows)


def test_names_of_leaves_are_the_ones_given():
    x, y = mg.tensor(2.0, requires_grad=True), mg.tensor(3.0, requires_grad=True)
    steps = explain(x * y, params={"x 1": x, "x1": y})
    assert steps.numpy(steps[0], steps[0].flows[0]) == ["dx_1 = dC * x1"]
    variables = [steps.names.variable(leaf) for leaf in (x, y)]
    assert len(set(variables)) == 2


@pytest.mark.parametrize("name", ["out", "zeros", "g", "index0", "i", "t1", "parts", "copy"])
def test_lines_that_fill_an_array_have_no_name_twice_either(name):
    x = mg.tensor(np.arange(36.0).reshape(1, 1, 6, 6), requires_grad=True)
    places = mg.tensor([1, 2, 1])
    steps = explain((x[0, 0, places].exp() * nn.functional.avg_pool2d(x, 2)[0, 0, :, :1]).sum(), params={name: x})
    for leaf, g in run_lines(steps).items():
        np.testing.assert_allclose(g, steps.gradients[leaf], rtol=1e-9, err_msg=str(steps))


def test_a_tensor_may_be_called_scipy():
    x = mg.tensor([1.5, 2.5], dtype=mg.float64, requires_grad=True)
    steps = explain(mg.lgamma(x).sum(), params={"scipy": x})
    (line,) = steps.numpy(steps[1], steps[1].flows[0])
    assert line.startswith("dscipy_ = dv1 * scipy.special.digamma(scipy_)")


@pytest.mark.parametrize("names", [("dx", "x", "t1"), ("x", "dx", "delta2"), ("C", "dC", "np"), ("v1", "v2", "x1")])
def test_no_two_things_have_one_name_in_the_lines(names):
    leaves = [mg.tensor([[0.5, 1.5, -1.0]] * 2, dtype=mg.float64, requires_grad=True) for _ in names]
    a, b, c = leaves
    loss = mg.log_softmax(a * b + c, dim=1).pow(2).mean() + (mg.sigmoid(c) * a).sum()
    steps = explain(loss, params=dict(zip(names, leaves)))
    for leaf, g in run_lines(steps).items():
        np.testing.assert_allclose(g, steps.gradients[leaf], rtol=1e-9, atol=1e-12, err_msg=str(steps))
    assert {steps.names.of(leaf) for leaf in leaves} == set(names), "shown, they have the names that were given"

"""Containers, hooks and state of modules, done in both libraries: the same results, the same kinds of errors."""

import re
from collections import OrderedDict

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn


def sequence(t):
    return t.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU(), t.nn.Tanh())


def named(t):
    return t.nn.Sequential(OrderedDict(x=t.nn.Linear(2, 2), y=t.nn.ReLU()))


def modules(t):
    return t.nn.ModuleList([t.nn.Linear(2, 2), t.nn.ReLU(), t.nn.Tanh()])


def by_name(t):
    return t.nn.ModuleDict({"a": t.nn.Linear(2, 2), "b": t.nn.ReLU()})


def parameters(t):
    return t.nn.ParameterList([t.nn.Parameter(t.zeros(2)), t.nn.Parameter(t.zeros(3)), t.zeros(1)])


def named_parameters(t):
    return t.nn.ParameterDict({"a": t.nn.Parameter(t.zeros(2)), "b": t.nn.Parameter(t.zeros(3))})


def after(x, change):
    change(x)
    return x


# What is done with a container x, of the library t: its result is compared; or None, and x itself is.
CASES = {
    sequence: [
        lambda t, x: x[-1], lambda t, x: x[1:], lambda t, x: x[3], lambda t, x: x["0"], lambda t, x: len(x), lambda t, x: x.pop(0),
        lambda t, x: x.pop(9), lambda t, x: x.__delitem__(0), lambda t, x: x.__delitem__(slice(0, 2)), lambda t, x: after(x, lambda x: x.pop(-1)),
        lambda t, x: x.__setitem__(1, t.nn.GELU()), lambda t, x: x.__setitem__(5, t.nn.GELU()), lambda t, x: x.insert(1, t.nn.GELU()),
        lambda t, x: x.insert(-1, t.nn.GELU()), lambda t, x: x.insert(3, t.nn.GELU()), lambda t, x: x.insert(9, t.nn.GELU()),
        lambda t, x: x.extend(sequence(t)), lambda t, x: x.extend([t.nn.ReLU()]), lambda t, x: x.append(t.nn.ReLU()), lambda t, x: x.append(3),
        lambda t, x: x + sequence(t), lambda t, x: x + [t.nn.ReLU()], lambda t, x: x.__iadd__(sequence(t)), lambda t, x: x.__iadd__([t.nn.ReLU()]),
        lambda t, x: x * 2, lambda t, x: 2 * x, lambda t, x: x.__imul__(2), lambda t, x: x * 0, lambda t, x: x * 1.5, lambda t, x: x.__imul__(0),
        lambda t, x: t.nn.Sequential(), lambda t, x: t.nn.Sequential(3), lambda t, x: x[0] in x, lambda t, x: list(reversed(x)),
    ],
    named: [lambda t, x: x[:1], lambda t, x: x.pop(0), lambda t, x: x.append(t.nn.Tanh()), lambda t, x: x.y],
    modules: [
        lambda t, x: x[-1], lambda t, x: x[::2], lambda t, x: x[3], lambda t, x: x.__delitem__(0), lambda t, x: x.__delitem__(slice(0, 2)),
        lambda t, x: x.insert(1, t.nn.GELU()), lambda t, x: x.insert(9, t.nn.GELU()), lambda t, x: x.pop(0), lambda t, x: x.pop(slice(0, 1)),
        lambda t, x: x.extend([t.nn.ReLU()]), lambda t, x: x.extend(3), lambda t, x: x + [t.nn.ReLU()], lambda t, x: x.__iadd__([t.nn.ReLU()]),
        lambda t, x: x.append(t.nn.ReLU()), lambda t, x: x(t.zeros(2)), lambda t, x: t.nn.ModuleList(), lambda t, x: t.nn.ModuleList([None, t.nn.ReLU()]),
        lambda t, x: t.nn.ModuleList([t.nn.ReLU() for _ in range(3)] + [t.nn.Tanh()]), lambda t, x: t.nn.ModuleList([x, modules(t)]),
        lambda t, x: x.__setitem__(-1, t.nn.GELU()), lambda t, x: list(reversed(x)), lambda t, x: t.nn.ReLU() in x,
    ],
    by_name: [
        lambda t, x: x["a"], lambda t, x: x["z"], lambda t, x: x.__delitem__("a"), lambda t, x: x.__delitem__("z"), lambda t, x: x.pop("a"),
        lambda t, x: x.pop("z"), lambda t, x: (list(x.keys()), len(x), list(x), "a" in x, 3 in x), lambda t, x: list(x.items()),
        lambda t, x: list(x.values()), lambda t, x: x.update({"c": t.nn.Tanh(), "a": t.nn.GELU()}), lambda t, x: x.update([("c", t.nn.Tanh())]),
        lambda t, x: x.update(t.nn.ModuleDict({"z": t.nn.Tanh()})), lambda t, x: x.update(3), lambda t, x: x.clear(),
        lambda t, x: t.nn.ModuleDict({"a": 3}), lambda t, x: t.nn.ModuleDict({3: t.nn.ReLU()}), lambda t, x: t.nn.ModuleDict({"a.b": t.nn.ReLU()}),
        lambda t, x: t.nn.ModuleDict({"pop": t.nn.ReLU()}), lambda t, x: x.__setitem__("a", t.nn.Tanh()), lambda t, x: x.update([("a",)]),
    ],
    parameters: [
        lambda t, x: x[-1], lambda t, x: x[1:], lambda t, x: x[7], lambda t, x: x.append(t.ones(2)), lambda t, x: x.append("x"),
        lambda t, x: x.extend([t.ones(2)]), lambda t, x: x.extend(3), lambda t, x: x.extend(t.ones(2)), lambda t, x: x.__setitem__(0, t.ones(4)),
        lambda t, x: x.pop(), lambda t, x: x.__delitem__(0), lambda t, x: [tuple(p.shape) for p in x], lambda t, x: len(x),
        lambda t, x: list(x.state_dict()), lambda t, x: x.__iadd__([t.ones(2)]), lambda t, x: x(), lambda t, x: [p.requires_grad for p in x],
        lambda t, x: t.nn.ParameterList(),
    ],
    named_parameters: [
        lambda t, x: x["a"], lambda t, x: x.__setitem__("c", t.ones(4)), lambda t, x: x.__delitem__("a"), lambda t, x: x.pop("a"),
        lambda t, x: x.popitem(), lambda t, x: (x.get("z"), x.get("z", 3)), lambda t, x: x.setdefault("z", t.ones(1)), lambda t, x: x.setdefault("z"),
        lambda t, x: x.update({"z": t.ones(1)}), lambda t, x: x | t.nn.ParameterDict({"z": t.ones(1)}), lambda t, x: x | {"z": t.ones(1)},
        lambda t, x: {"z": t.ones(1)} | x, lambda t, x: x.__ior__({"z": t.ones(1)}), lambda t, x: x.copy(), lambda t, x: x.fromkeys(["x", "y"], t.ones(1)),
        lambda t, x: x.fromkeys(["x"]), lambda t, x: list(reversed(x)), lambda t, x: (list(x.keys()), len(x), "a" in x, list(x)), lambda t, x: x.clear(),
        lambda t, x: list(x.state_dict()), lambda t, x: t.nn.ParameterDict({"a": "x"}), lambda t, x: t.nn.ParameterDict(),
        lambda t, x: t.nn.ParameterDict({3: t.ones(1)}), lambda t, x: [(k, tuple(v.shape)) for k, v in x.items()],
        lambda t, x: t.nn.ParameterDict({"a.b": t.ones(1)}),
    ],
}  # fmt: skip


def told(t, make, function):
    """What the result shows, in words of neither library; or the error."""
    x = make(t)
    try:
        result = function(t, x)
    except Exception as error:
        return error
    words = repr(x if result is None else result).replace("microgradnet", "torch").replace("torch.FloatTensor", "float32")
    return re.sub(r"at 0x\w+", "", words.replace("torch.float32", "float32"))


@pytest.mark.torch
@pytest.mark.parametrize("make", CASES)
def test_containers_are_those_of_torch(make):
    torch = pytest.importorskip("torch")
    for k, function in enumerate(CASES[make]):
        mine, theirs = told(mg, make, function), told(torch, make, function)
        if isinstance(theirs, Exception):
            assert isinstance(mine, type(theirs)), f"{make.__name__} {k}: {mine!r}, in PyTorch {theirs!r}"
        else:
            assert mine == theirs, f"{make.__name__} {k}"


def test_parameter_dict_works_as_a_dict():
    d = named_parameters(mg)
    assert list(d | {"z": mg.ones(1)}) == ["a", "b", "z"] and list({"z": mg.ones(1)} | d) == ["z", "a", "b"]
    copy = d.copy()
    assert copy["a"] is d["a"] and copy is not d
    assert d.popitem()[0] == "b" and list(d) == ["a"] and list(copy) == ["a", "b"]
    d |= {"c": mg.zeros(2)}
    assert isinstance(d["c"], nn.Parameter) and isinstance(d.setdefault("e", mg.zeros(1)), nn.Parameter)
    assert list(reversed(d)) == ["e", "c", "a"] and list(d.fromkeys("xy", 3).values()) == [3, 3]
    d.clear()
    with pytest.raises(KeyError, match="empty"):
        d.popitem()


# --- the state ----------------------------------------------------------------------------------------------------------


class Counting(nn.Linear):
    """A layer with extra state."""

    calls = 0

    def forward(self, input):
        self.calls += 1
        return super().forward(input)

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


def test_extra_state_travels_with_the_state_dict():
    net = nn.Sequential(Counting(2, 2), nn.ReLU())
    net(mg.ones(1, 2))
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0._extra_state"] and state["0._extra_state"] == {"calls": 1}
    other = nn.Sequential(Counting(2, 2), nn.ReLU())
    other.load_state_dict(state)
    assert other[0].calls == 1
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match="_extra_state"):
        other.load_state_dict(state)
    with pytest.raises(RuntimeError, match="get_extra_state"):
        nn.ReLU().get_extra_state()
    with pytest.raises(RuntimeError, match="get_extra_state"):
        nn.ReLU().set_extra_state(3)


def test_hooks_around_the_state():
    net = nn.Sequential(nn.Linear(2, 2))
    seen = []
    before = net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append((module, prefix, keep_vars)))
    net.state_dict(prefix="a.", keep_vars=True)
    assert seen == [(net, "a.", True)]
    before.remove()
    state = net.state_dict()
    assert len(seen) == 1
    net[0].register_load_state_dict_post_hook(lambda module, keys: seen.append((module, keys.missing_keys, keys.unexpected_keys)))
    net.load_state_dict(state)
    assert seen[1] == (net[0], [], [])
    with pytest.raises(RuntimeError, match="Unexpected"):
        net.load_state_dict({**state, "more": mg.ones(1)})
    net.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    assert net.load_state_dict({**state, "more": mg.ones(1)}).unexpected_keys == []


def test_a_backward_hook_under_its_older_name():
    layer, seen = nn.Linear(2, 1), []
    layer.register_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_output[0].tolist()))
    layer(mg.ones(1, 2)).sum().backward()
    assert seen == [[[1.0]]]


def test_set_submodule():
    net = nn.Sequential(OrderedDict(body=nn.Sequential(nn.Linear(2, 2), nn.ReLU()), head=nn.Linear(2, 1)))
    tanh = nn.Tanh()
    net.set_submodule("body.1", tanh)
    assert net.body[1] is tanh
    net.set_submodule("body.more", nn.GELU())
    assert isinstance(net.body.more, nn.GELU)
    net.set_submodule("head", nn.Linear(2, 3), strict=True)
    assert net.head.out_features == 3
    for name, module, kind in [("", tanh, ValueError), ("head", 3, ValueError), ("tail.0", tanh, AttributeError),
                               ("head.weight", tanh, AttributeError), ("head.training", tanh, AttributeError)]:  # fmt: skip
        with pytest.raises(kind):
            net.set_submodule(name, module)
    with pytest.raises(AttributeError, match="tail"):
        net.set_submodule("tail", tanh, strict=True)


def test_buffers_by_assignment():
    net = nn.Module()
    net.mean = nn.Buffer(mg.zeros(2))
    net.cache = nn.Buffer(mg.zeros(3), persistent=False)
    assert list(net.state_dict()) == ["mean"] and [n for n, _ in net.named_buffers()] == ["mean", "cache"]
    assert not list(net.parameters()) and isinstance(net.mean, nn.Buffer)
    net.mean = mg.ones(2)
    assert net.state_dict()["mean"].tolist() == [1, 1]
    assert nn.Buffer().shape == (0,)


def test_what_has_nothing_to_do_and_what_gives_fresh_memory():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    w = net[0].weight
    assert net.share_memory() is net and net.compile(mode="fast") is None
    array = w.array
    assert net.to_empty(device="cpu") is net and net[0].weight is w and not np.shares_memory(w.array, array)
    assert w.shape == (2, 2) and w.requires_grad
    with pytest.raises(RuntimeError, match="cuda"):
        net.to_empty(device="cuda")
    assert net.to(memory_format=None) is net

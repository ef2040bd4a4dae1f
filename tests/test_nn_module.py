"""Module: registration, traversal, state, hooks, containers, repr."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import graph, nn


class Net(nn.Module):
    """Every kind of registered attribute, in an order of its own."""

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(4, 2)
        self.register_buffer("mean", mg.zeros(3))
        self.scale = nn.Parameter(mg.ones(1))
        self.first = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.register_buffer("scratch", mg.ones(2), persistent=False)
        self.note = "not registered"

    def forward(self, x):
        return self.second(self.first(x - self.mean)) * self.scale


KEYS = ["scale", "mean", "second.weight", "second.bias", "first.0.weight", "first.0.bias"]


def ramp(*shape):
    return mg.tensor(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))


# --- registration ---------------------------------------------------------------------------------------------------


def test_p33_members_come_in_order_of_registration():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [k for k in KEYS if k != "mean"]
    assert [n for n, _ in net.named_buffers()] == ["mean", "scratch"]
    assert [n for n, _ in net.named_children()] == ["second", "first"]
    assert [n for n, _ in net.named_modules()] == ["", "second", "first", "first.0", "first.1"]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert len(list(net.parameters())) == 5 and len(list(net.buffers())) == 2 and len(list(net.children())) == 2


def test_p33_order_does_not_depend_on_the_hash_seed():
    code = "from microgradnet import nn; print([*nn.ModuleDict({k: nn.Linear(1, 1) for k in 'qwerty'}).state_dict()])"
    runs = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1 and "q.weight" in runs.pop()


def test_attributes_live_in_the_instance_dict():
    net = Net()
    assert net.__dict__["scale"] is net.scale is net._parameters["scale"]
    assert list(net._modules) == ["second", "first"] and list(net._buffers) == ["mean", "scratch"]
    with pytest.raises(TypeError):
        net._parameters["scale"] = None


def test_p31_a_shared_parameter_comes_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight is not net[0].weight


def test_a_shared_module_comes_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.children())) == 2 and len(list(net.modules())) == 3 and len(list(net.parameters())) == 2
    assert len(list(net.modules(remove_duplicate=False))) == 4


def test_p34_assignment_over_a_parameter():
    net = nn.Linear(3, 2)
    with pytest.raises(TypeError, match=r"Tensor as parameter 'weight': expected an nn.Parameter or None.*no_grad"):
        net.weight = mg.ones(2, 3)
    old = net.weight
    net.weight = nn.Parameter(mg.ones(2, 3))
    assert net.weight is not old and [n for n, _ in net.named_parameters()] == ["weight", "bias"]
    net.bias = None
    assert [n for n, _ in net.named_parameters()] == ["weight"] and list(net.state_dict()) == ["weight"]
    with pytest.raises(TypeError, match="parameter 'bias'"):
        net.bias = mg.ones(2)
    net.bias = nn.Parameter(mg.zeros(2))
    assert [n for n, _ in net.named_parameters()] == ["weight", "bias"]
    net.weight = nn.Identity()  # a module takes the name over
    assert [n for n, _ in net.named_parameters()] == ["bias"] and [n for n, _ in net.named_children()] == ["weight"]
    with pytest.raises(TypeError, match="module 'weight': expected an nn.Module or None"):
        net.weight = 3


def test_assignment_over_a_buffer_keeps_it_a_buffer():
    net = Net()
    net.mean = mg.ones(3)
    assert "mean" in net.state_dict() and net.state_dict()["mean"].tolist() == [1, 1, 1]
    net.scratch = mg.zeros(2)
    assert "scratch" not in net.state_dict()
    with pytest.raises(TypeError, match="list as buffer 'mean': expected a Tensor or None"):
        net.mean = [1, 2, 3]
    net.register_buffer("mean", mg.ones(1), persistent=False)
    assert "mean" not in net.state_dict()


def test_p35_a_misspelt_attribute_raises():
    with pytest.raises(AttributeError, match="wieght"):
        nn.Linear(2, 2).wieght  # noqa: B018


def test_deleting_an_attribute_unregisters_it():
    net = Net()
    del net.second, net.scale, net.note
    assert list(net.state_dict()) == ["mean", "first.0.weight", "first.0.bias"]
    with pytest.raises(AttributeError):
        del net.second


def test_lists_of_modules_are_not_registered():
    net = nn.Module()
    net.layers = [nn.Linear(1, 1)]
    assert not list(net.parameters())


def test_registration_before_init_is_an_error():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"'layer' before Module.__init__\(\) call"):
        Forgetful()


@pytest.mark.parametrize("register, good", [
    ("register_parameter", lambda: nn.Parameter(mg.ones(1))), ("register_buffer", lambda: mg.ones(1)),
    ("add_module", nn.Identity), ("register_module", nn.Identity),
])
def test_register_functions_check_their_arguments(register, good):
    net = nn.Module()
    add = getattr(net, register)
    add("x", good())
    add("x", None)
    assert net.x is None
    for name in ("a.b", "", "forward"):
        with pytest.raises(KeyError):
            add(name, good())
    with pytest.raises(TypeError):
        add(3, good())
    with pytest.raises(TypeError, match="'y'"):
        add("y", 3)


def test_a_computed_tensor_is_no_parameter():
    w = nn.Parameter(mg.ones(2))
    with mg.no_grad():
        w.mul_(2)  # a write, no history
    net = nn.Module()
    net.w = w
    with pytest.raises(TypeError):
        net.register_parameter("v", w * 2)


def test_parameter():
    array = np.ones(3, np.float32)
    p = nn.Parameter(array)
    assert isinstance(p, mg.Tensor) and p.requires_grad and p.is_leaf and p.array is array
    t = mg.ones(2)
    assert np.shares_memory(nn.Parameter(t).array, t.array) and not nn.Parameter(t, requires_grad=False).requires_grad
    assert repr(nn.Parameter(mg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    with pytest.raises(TypeError, match="got list"):
        nn.Parameter([1.0])
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(mg.tensor([1, 2]))
    assert not nn.Parameter(mg.tensor([1, 2]), requires_grad=False).requires_grad


def test_p25_in_place_steps_keep_the_parameter():
    net = nn.Linear(3, 2)
    w, before = net.weight, net.weight.array.copy()
    net(mg.ones(1, 3)).sum().backward()
    with mg.no_grad():
        for p in net.parameters():
            p -= 0.5 * p.grad
    assert net.weight is w is next(net.parameters()) and np.allclose(w.array, before - 0.5)


# --- modes, conversion ----------------------------------------------------------------------------------------------


def test_train_eval_apply_requires_grad():
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train("yes")
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Linear", "Tanh", "Sequential", "Net"]
    assert net.requires_grad_(False) is net and not any(p.requires_grad for p in net.parameters())


def test_p07_zero_grad():
    net = nn.Linear(3, 2)
    net(mg.ones(1, 3)).sum().backward()
    grad = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is grad and not grad.array.any()
    net.zero_grad()
    assert net.weight.grad is None and net.bias.grad is None


def test_conversion_keeps_identities_and_whole_numbers():
    net = Net()
    net.register_buffer("count", mg.tensor(3))
    net(mg.ones(2, 3)).sum().backward()
    w = net.second.weight
    assert net.double() is net and net.second.weight is w
    assert {p.dtype for p in net.parameters()} == {mg.float64} == {p.grad.dtype for p in net.parameters()}
    assert net.mean.dtype == mg.float64 and net.count.dtype == mg.int64
    assert net(mg.ones(2, 3).double()).dtype == mg.float64
    assert net.half().second.weight.dtype == mg.float16 and net.float().second.weight.dtype == mg.float32
    assert net.to(mg.float64).mean.dtype == net.to("cpu", mg.float64).mean.dtype == mg.float64
    assert net.to(mg.ones(1)).mean.dtype == mg.float32 and net.to(device="cpu").cpu() is net
    assert net.type(mg.float32).count.dtype == mg.float32
    with pytest.raises(TypeError, match="int64"):
        net.to(mg.int64)
    for move in (net.cuda, lambda: net.to("cuda"), lambda: net.to(device="cuda:0")):
        with pytest.raises(RuntimeError, match="cuda"):
            move()


def test_get_by_dotted_name():
    net = Net()
    assert net.get_submodule("first.0") is net.first[0] and net.get_submodule("") is net
    assert net.get_parameter("first.0.weight") is net.first[0].weight and net.get_buffer("mean") is net.mean
    for get, name in [(net.get_submodule, "first.7"), (net.get_parameter, "mean"), (net.get_buffer, "first.0.weight"),
                      (net.get_submodule, "note"), (net.get_parameter, "first.0")]:
        with pytest.raises(AttributeError, match=name.split(".")[-1]):
            get(name)


# --- state ----------------------------------------------------------------------------------------------------------


def test_p77_state_dict_has_buffers_and_parameters_do_not():
    net = Net()
    state = net.state_dict()
    assert list(state) == KEYS and isinstance(state, OrderedDict)
    assert all(not t.requires_grad and type(t) is mg.Tensor for t in state.values())
    assert np.shares_memory(state["scale"].array, net.scale.array)
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    into = {"other": 1}
    assert net.state_dict(destination=into, prefix="net.") is into and "net.first.0.bias" in into and "other" in into


def test_p75_load_state_dict_copies_in_place():
    a, b = Net(), Net()
    w, array = b.second.weight, b.second.weight.array
    assert b.load_state_dict(a.state_dict()) == ([], [])
    assert b.second.weight is w and w.array is array and np.array_equal(array, a.second.weight.array)
    assert b.load_state_dict({k: v.array.astype(np.float64) for k, v in a.state_dict().items()}).missing_keys == []
    assert w.dtype == mg.float32


def test_p75_load_state_dict_tells_every_error_and_changes_nothing():
    net = Net()
    before = {k: v.array.copy() for k, v in net.state_dict().items()}
    bad = {k: mg.ones(*v.shape) for k, v in net.state_dict().items()}
    del bad["scale"], bad["mean"]
    bad["second.weight"], bad["first.0.bias"], bad["extra"] = mg.ones(2, 5), "text", mg.ones(1)
    bad["first.0.weight"] = np.full((4, 3), "x")
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(bad)
    message = str(error.value)
    for part in ['Missing key(s) in state_dict: "scale", "mean"', 'Unexpected key(s) in state_dict: "extra"',
                 "size mismatch for second.weight: (2, 5) in state_dict, (2, 4) in the module",
                 "first.0.bias must be a Tensor", "dtype mismatch for first.0.weight"]:
        assert part in message
    assert all(np.array_equal(v.array, before[k]) for k, v in net.state_dict().items())
    with pytest.raises(RuntimeError, match="size mismatch") as error:
        net.load_state_dict({"second.weight": mg.ones(1)}, strict=False)
    assert "Missing" not in str(error.value)
    with pytest.raises(TypeError, match="got list"):
        net.load_state_dict([])


def test_load_state_dict_not_strict_tells_what_it_left_out():
    net = nn.Linear(2, 2)
    missing, unexpected = net.load_state_dict({"bias": mg.ones(2), "more": mg.ones(1)}, strict=False)
    assert missing == ["weight"] and unexpected == ["more"] and net.bias.tolist() == [1, 1]


def test_load_state_dict_assign_takes_the_tensors():
    net = nn.Linear(2, 2)
    net.bias.requires_grad_(False)
    state = {"weight": mg.ones(2, 2).double(), "bias": nn.Parameter(mg.ones(2))}
    net.load_state_dict(state, assign=True)
    assert isinstance(net.weight, nn.Parameter) and net.weight.requires_grad and net.weight.dtype == mg.float64
    assert net.bias is state["bias"] and not net.bias.requires_grad
    with pytest.raises(RuntimeError, match="dtype mismatch for weight"):
        net.load_state_dict({"weight": mg.ones(2, 2).long(), "bias": mg.ones(2)}, assign=True)


def test_loading_is_seen_by_the_version_check():
    net = nn.Linear(2, 2)
    loss = (net(nn.Linear(3, 2)(mg.ones(1, 3)))).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="modified in place"):
        loss.backward()


def test_state_dict_hooks():
    net = Net()

    def add(module, state, prefix, meta):
        state[prefix + "more"] = mg.ones(1)

    handle = net.first.register_state_dict_post_hook(add)
    state = net.state_dict()
    assert "first.more" in state
    handle.remove()
    assert "first.more" not in net.state_dict()

    def rename(module, state, prefix, *rest):
        state.pop(prefix + "more")

    net.first.register_load_state_dict_pre_hook(rename)
    net.load_state_dict(state)
    assert "first.more" in state  # the caller's dict is as it was


def test_p85_deepcopy_and_pickle():
    net = Net().eval()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(twin.state_dict()) == KEYS and not twin.training and repr(twin) == repr(net)
        assert all(np.array_equal(a.array, b.array) for a, b in zip(net.parameters(), twin.parameters(), strict=True))
        assert not np.shares_memory(twin.scale.array, net.scale.array)
        assert isinstance(twin.scale, nn.Parameter) and twin.scale.requires_grad
        twin.load_state_dict(net.state_dict())


# --- calling and hooks ----------------------------------------------------------------------------------------------


def test_forward_is_required():
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


def test_nodes_know_the_modules_they_were_recorded_in():
    net = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh()))
    y = net(mg.ones(1, 3))
    module, outer = y.node.module
    assert module is net[1][0] and outer[0] is net[1] and outer[1] == (net, None)
    assert graph.running == [None]
    with pytest.raises(RuntimeError):
        net(mg.ones(1, 4))
    assert graph.running == [None]


def test_forward_hooks():
    net, calls = nn.Linear(3, 2), []
    h1 = net.register_forward_pre_hook(lambda m, args: calls.append("pre") or (args[0] * 0,))
    h2 = net.register_forward_hook(lambda m, args, out: calls.append("post") or out + 1)
    net.register_forward_hook(lambda m, args, out: calls.append("first"), prepend=True)
    assert np.allclose(net(mg.ones(1, 3)).detach().array, net.bias.array + 1)
    assert calls == ["pre", "first", "post"]
    h1.remove()
    h2.remove()
    h2.remove()
    assert np.allclose(net(mg.zeros(1, 3)).detach().array, net.bias.array)
    with net.register_forward_hook(lambda m, args, out: 7):
        assert net(mg.ones(1, 3)) == 7
    assert net(mg.ones(1, 3)).shape == (1, 2)


def test_forward_hooks_with_kwargs():
    class Add(nn.Module):
        def forward(self, x, *, by):
            return x + by

    net = Add()
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": kwargs["by"] * 10}), with_kwargs=True)
    net.register_forward_hook(lambda m, args, kwargs, out: (out, kwargs), with_kwargs=True)
    assert net(1, by=2) == (21, {"by": 20})
    net.register_forward_pre_hook(lambda m, args, kwargs: 5, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"None or \(args, kwargs\)"):
        net(1, by=2)


def test_always_called_forward_hooks_see_failures():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    net, seen = Fails(), []
    net.register_forward_hook(lambda m, args, out: seen.append(("always", out)), always_call=True)
    net.register_forward_hook(lambda m, args, out: seen.append(("usual", out)))
    with pytest.raises(ValueError, match="no"):
        net(1)
    assert seen == [("always", None)]


def test_full_backward_hooks_see_and_replace_gradients():
    net, seen = nn.Linear(3, 2, bias=False), []

    def hook(module, grad_input, grad_output):
        seen.append((module, grad_input, grad_output))
        return (grad_input[0] * 10,)

    handle = net.register_full_backward_hook(hook)
    x = mg.ones(1, 3, requires_grad=True)
    net(x).backward(mg.tensor([[1.0, 2.0]]))
    ((module, (gx,), (gy,)),) = seen
    expected = np.array([[1.0, 2.0]]) @ net.weight.array
    assert module is net and np.allclose(gx.array, expected) and gy.tolist() == [[1, 2]]
    assert np.allclose(x.grad.array, 10 * expected)
    handle.remove()
    x.grad = None
    net(x).sum().backward()
    assert len(seen) == 1


def test_full_backward_hooks_without_gradient_for_the_input():
    net, seen = nn.Linear(3, 2), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    net(mg.ones(1, 3)).sum().backward()
    assert seen == [((None,), [[1, 1]])] and net.weight.grad is not None
    with mg.no_grad():
        assert net(mg.ones(1, 3)).node is None


def test_full_backward_hooks_with_several_outputs_and_other_arguments():
    class Two(nn.Module):
        def forward(self, x, label, y):
            return x * 2, label, x * y

    net, seen = Two(), []
    net.register_full_backward_pre_hook(lambda m, go: seen.append(go) or tuple(g if g is None else g + 1 for g in go))
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    x, y = mg.tensor(3.0, requires_grad=True), mg.tensor(5.0, requires_grad=True)
    first, label, _unused = net(x, "label", y)
    assert label == "label"
    first.backward()
    before, (grad_input, grad_output) = seen
    assert [None if g is None else g.item() for g in before] == [1, None, 0]
    assert [None if g is None else g.item() for g in grad_output] == [2, None, 1]
    assert [None if g is None else g.item() for g in grad_input] == [2 * 2 + 1 * 5, None, 3]
    assert x.grad.item() == 9 and y.grad.item() == 3


def test_full_backward_hooks_leave_a_graph_for_higher_derivatives():
    net = nn.Tanh()
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    x = mg.tensor(0.5, requires_grad=True, dtype=mg.float64)
    (g,) = mg.autograd.grad(net(x), x, create_graph=True)
    (h,) = mg.autograd.grad(g, x)
    t = np.tanh(0.5)
    assert np.isclose(g.item(), 2 * (1 - t**2)) and np.isclose(h.item(), -4 * t * (1 - t**2))


def test_a_backward_hook_that_returns_none_for_a_gradient_stops_it():
    net = nn.Tanh()
    net.register_full_backward_hook(lambda m, gi, go: (None,))
    x = mg.ones(2, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [0, 0]


def test_backward_hooks_with_the_wrong_number_of_gradients():
    net = nn.Tanh()
    net.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="2 gradients for grad_input, expected 1"):
        net(mg.tensor(1.0, requires_grad=True)).backward()


def test_p16_modules_and_hooks_make_no_cycles_with_the_graph():
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    net.register_full_backward_hook(lambda m, gi, go: None)
    gc.collect()
    gc.disable()
    try:
        y = net(mg.ones(1, 3, requires_grad=True))
        node = weakref.ref(y.node)
        y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()


# --- containers -----------------------------------------------------------------------------------------------------


def test_sequential():
    a, b, c = nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)
    net = nn.Sequential(a, b, c)
    x = ramp(5, 3)
    assert np.array_equal(net(x).detach().array, c(b(a(x))).detach().array)
    assert len(net) == 3 and list(net) == [a, b, c] and net[0] is a and net[-1] is c
    assert isinstance(net[:2], nn.Sequential) and list(net[1:]) == [b, c] and list(net[1:]._modules) == ["1", "2"]
    for i in (3, -4):
        with pytest.raises(IndexError, match="length 3"):
            net[i]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh) and list(net._modules) == ["0", "1", "2"]
    assert net.append(b) is net and net[3] is b
    net.insert(0, b)
    assert list(net)[:2] == [b, a] and list(net._modules) == ["0", "1", "2", "3", "4"]
    assert net.pop(0) is b and len(net) == 4
    del net[-1]
    del net[1:2]
    assert list(net) == [a, c] and list(net._modules) == ["0", "1"]
    assert list(nn.Sequential(a) + nn.Sequential(c)) == [a, c] and list(nn.Sequential(a, b) * 2) == [a, b, a, b]
    net.extend([b])
    net += nn.Sequential(a)
    assert list(net) == [a, c, b, a]
    net *= 2
    assert list(net) == [a, c, b, a] * 2
    assert nn.Sequential()(x) is x
    for wrong in (lambda: nn.Sequential(3), lambda: net.append(3), lambda: net.insert(0, 3), lambda: net.extend(3),
                  lambda: net * "2"):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (lambda: net + [a], lambda: net.__iadd__([a])):
        with pytest.raises(ValueError, match="extend"):
            wrong()
    with pytest.raises(IndexError):
        net.insert(9, a)
    with pytest.raises(ValueError, match="positive"):
        net * 0


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict(hidden=nn.Linear(2, 2), out=nn.Linear(2, 1)))
    assert net.hidden is net[0] and list(net.state_dict())[0] == "hidden.weight" and list(net[1:]._modules) == ["out"]
    net.scale = nn.Parameter(mg.ones(1))  # not a step
    assert net(mg.ones(1, 2)).shape == (1, 1) and len(net) == 2
    choices = nn.ModuleDict({"a": nn.ReLU()})
    assert nn.Sequential(choices)[0] is choices  # a module, although it is a mapping


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(layers) == 3 and len(list(layers.parameters())) == 6 and isinstance(layers[:2], nn.ModuleList)
    layers.append(nn.ReLU()).extend([nn.Tanh()])
    layers.insert(1, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Linear", "Identity", "Linear", "Linear", "ReLU", "Tanh"]
    assert list(layers._modules) == list("012345") and len(layers + [nn.ReLU()]) == 7 and len(layers) == 6
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict():
    d = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.ReLU()})
    assert list(d) == list(d.keys()) == ["b", "a"] and d["a"] is d.a and "b" in d and "c" not in d and len(d) == 2
    d["c"] = nn.Tanh()
    d.update({"a": nn.Identity()})
    assert [type(m).__name__ for m in d.values()] == ["Linear", "Identity", "Tanh"]
    assert isinstance(d.pop("a"), nn.Identity) and [k for k, _ in d.items()] == ["b", "c"]
    with pytest.raises(KeyError, match="already exists"):
        d["keys"] = nn.ReLU()
    with pytest.raises(KeyError):
        d["missing"]
    with pytest.raises(KeyError):
        del d["missing"]
    with pytest.raises(KeyError):
        del d["training"]
    assert d != nn.ModuleDict() and len({d, d}) == 1
    d.clear()
    assert len(d) == 0 and not list(d.parameters())


def test_parameter_list():
    params = nn.ParameterList([mg.ones(2), nn.Parameter(mg.zeros(3)), "other"])
    assert [n for n, _ in params.named_parameters()] == ["0", "1"] and params[-1] == "other" and len(params) == 3
    params += [mg.ones(1)]
    params[2] = mg.ones(4)
    assert [p.shape for p in params] == [(2,), (3,), (4,), (1,)] and len(list(params[1:].parameters())) == 3
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in params)
    with pytest.raises(IndexError, match="length 4"):
        params[4]
    with pytest.raises(TypeError):
        params.extend(mg.ones(2))


def test_parameter_dict():
    params = nn.ParameterDict({"left": mg.ones(2), "right": nn.Parameter(mg.zeros(3))})
    params["other"] = 3
    assert list(params) == ["left", "right", "other"] and list(params.state_dict()) == ["left", "right"]
    assert isinstance(params["left"], nn.Parameter) and params.left is params["left"] and params.get("no") is None
    assert params.pop("other") == 3 and len(params) == 2
    del params["left"]
    assert [n for n, _ in params.named_parameters()] == ["right"]
    with pytest.raises(KeyError, match="already exists"):
        params["training"] = mg.ones(1)
    with pytest.raises(KeyError):
        params["_keys"]
    with pytest.raises(KeyError, match="dot"):
        params["a.b"] = mg.ones(1)


# --- repr -----------------------------------------------------------------------------------------------------------


def test_repr():
    class Custom(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()])
            self.out = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Softmax(dim=1))

        def extra_repr(self):
            return "one\ntwo"

    assert repr(Custom()) == """Custom(
  one
  two
  (layers): ModuleList(
    (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)
    (2): ReLU()
  )
  (out): Sequential(
    (0): Linear(in_features=2, out_features=1, bias=False)
    (1): Softmax(dim=1)
  )
)"""


# --- nn.utils -------------------------------------------------------------------------------------------------------


def with_grads(*grads, dtype=np.float32):
    params = [nn.Parameter(np.zeros(np.shape(g), dtype)) for g in grads]
    for p, g in zip(params, grads, strict=True):
        p.grad = mg.tensor(np.asarray(g, dtype))
    return params


@pytest.mark.parametrize("norm_type, total", [(2, 13), (1, 19), (np.inf, 12), (3, (27 + 64 + 1728) ** (1 / 3))])
def test_clip_grad_norm(norm_type, total):
    params = with_grads([3.0, 4.0], [[12.0]])
    params.append(nn.Parameter(mg.ones(1)))  # no gradient
    assert np.isclose(nn.utils.clip_grad_norm_(params, 2 * total, norm_type).item(), total)
    assert params[0].grad.tolist() == [3, 4]
    array = params[0].grad.array
    norm = nn.utils.clip_grad_norm_((p for p in params), 1.0, norm_type)
    assert norm.dtype == mg.float32 and norm.shape == () and params[0].grad.array is array
    assert np.allclose(array, np.array([3, 4]) / total, rtol=1e-5) and np.isclose(params[1].grad.item(), 12 / total)
    assert np.isclose(nn.utils.get_total_norm([p.grad for p in params[:2]], norm_type).item(), 1, rtol=1e-5)


def test_clip_grad_norm_at_the_edges_of_the_range():
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    assert nn.utils.clip_grad_norm_(with_grads([0.0, 0.0]), 1.0).item() == 0
    (p,) = with_grads([3e30, 4e30])
    assert np.isclose(nn.utils.clip_grad_norm_(p, 5.0).item(), 5e30) and np.allclose(p.grad.array, [3, 4])
    (p,) = with_grads([3e-30, 4e-30])
    assert np.isclose(nn.utils.clip_grad_norm_(p, 1.0).item(), 5e-30)
    (p,) = with_grads([300, 400], dtype=np.float16)
    assert nn.utils.clip_grad_norm_(p, 5.0).dtype == mg.float16 and np.allclose(p.grad.array, [3, 4], rtol=1e-2)
    (p,) = with_grads([np.inf, 1.0])
    with pytest.raises(RuntimeError, match="norm of order 2.0 of the gradients is inf"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist() == [np.inf, 1]
    assert nn.utils.clip_grad_norm_(p, 1.0).item() == np.inf and np.isnan(p.grad.array[0]) and p.grad.array[1] == 0


def test_clip_grads_with_a_norm_known_already():
    params = with_grads([3.0, 4.0], [[12.0]])
    assert nn.utils.clip_grads_with_norm_((p for p in params), 6.5, mg.tensor(13.0)) is None
    assert np.allclose(params[0].grad.array, [1.5, 2]) and np.isclose(params[1].grad.item(), 6)
    nn.utils.clip_grads_with_norm_(params, 6.5, mg.tensor(2.0))
    assert np.allclose(params[0].grad.array, [1.5, 2])


def test_clip_grad_value():
    (p,) = with_grads([-3.0, 0.5, 2.0])
    nn.utils.clip_grad_value_(p, 1)
    assert p.grad.tolist() == [-1, 0.5, 1]


def test_parameters_as_one_vector():
    net = nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (8,) and vector.requires_grad
    nn.utils.vector_to_parameters(mg.arange(8).float(), net.parameters())
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and net.bias.tolist() == [6, 7]
    with pytest.raises(ValueError, match="7 entries for parameters of 8"):
        nn.utils.vector_to_parameters(mg.ones(7), net.parameters())
    with pytest.raises(TypeError):
        nn.utils.vector_to_parameters([1.0] * 8, net.parameters())


# --- PyTorch as the judge -------------------------------------------------------------------------------------------


def architectures(nn):
    """The same networks from either library."""
    block = lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))  # noqa: E731
    yield nn.Linear(3, 2)
    yield nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.Dropout(0.1), nn.Unflatten(1, (3, 1)))
    yield nn.Sequential(OrderedDict(a=block(), b=nn.Sequential(block(), nn.Softmax(dim=-1))))
    yield nn.ModuleList([block(), block(), nn.Linear(3, 3), nn.Linear(3, 3), nn.Tanh()])
    yield nn.ModuleDict({"x": nn.Sigmoid(), "y": nn.ModuleDict(), "z": nn.ModuleList(), "w": nn.Sequential()})
    yield nn.Sequential(nn.GELU(), nn.GELU("tanh"), nn.ELU(0.5), nn.ELU(inplace=True), nn.SiLU(), nn.SiLU(True))
    yield nn.Sequential(nn.Hardtanh(), nn.Hardtanh(0, 2, True), nn.ReLU6(), nn.ReLU6(True), nn.LeakyReLU(0.2))
    yield nn.Sequential(nn.LeakyReLU(inplace=True), nn.Softplus(), nn.Softplus(2, 10), nn.Softsign(), nn.Tanhshrink())
    yield nn.Sequential(nn.LogSoftmax(1), nn.Softmin(), nn.LogSigmoid(), nn.Identity(5))
    yield nn.Sequential(nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.KLDivLoss(), nn.BCELoss())
    yield nn.Sequential(nn.CrossEntropyLoss(), nn.NLLLoss(), nn.BCEWithLogitsLoss())


@pytest.mark.torch
def test_repr_and_state_dict_keys_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(architectures(nn), architectures(torch.nn), strict=True):
        assert repr(ours) == repr(theirs)
        assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
            (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
        ]


@pytest.mark.torch
def test_repr_of_parameter_containers_is_that_of_torch():
    torch = pytest.importorskip("torch")

    def build(lib):
        net = lib.nn.Module()
        net.many = lib.nn.ParameterList([lib.ones(2, 3), lib.ones(4), lib.tensor(1.0), 5])
        net.one = lib.nn.ParameterList([lib.ones(2)])
        net.none = lib.nn.ParameterList()
        return net

    assert repr(build(mg)) == repr(build(torch)).replace("torch.float32", "float32")


@pytest.mark.torch
@pytest.mark.parametrize("norm_type", [0.5, 1, 2, 3, np.inf, -np.inf, 0])
def test_clip_grad_norm_is_that_of_torch(norm_type):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=s).astype(np.float32) for s in [(3, 2), (4,), ()]]
    ours = with_grads(*grads)
    theirs = [torch.nn.Parameter(torch.zeros(g.shape)) for g in grads]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = torch.tensor(g)
    a, b = nn.utils.clip_grad_norm_(ours, 0.1, norm_type), torch.nn.utils.clip_grad_norm_(theirs, 0.1, norm_type)
    assert np.isclose(a.item(), b.item(), rtol=1e-5)
    for p, q in zip(ours, theirs, strict=True):
        assert np.allclose(p.grad.array, q.grad.numpy(), rtol=1e-5)

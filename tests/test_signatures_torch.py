"""Names, orders and defaults of arguments are PyTorch's, wherever it has a signature that can be read."""

import importlib
import inspect

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

ROOMS = """nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations optim
    optim.lr_scheduler optim.swa_utils utils.data utils.checkpoint autograd autograd.functional func""".split()
EXCUSED = {
    "utils.data.random_split generator": "None is the default generator, in PyTorch the default is that object",
    "utils.checkpoint.checkpoint_sequential kwargs": "none of them has an effect",
    "utils.checkpoint.checkpoint context_fn": "None is no context",
    "func.jacrev _preallocate_and_copy": "private",
}


def arguments(function):
    function = function.__init__ if inspect.isclass(function) else function
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


def shown(default):
    """A default as it can be compared: functions and members of both libraries by their last name."""
    return repr(getattr(default, "__name__", default)).rsplit(".", 1)[-1] if not isinstance(default, float) else default


def differences(ours, theirs):
    """What a call that PyTorch understands would find missing or changed, as pairs (argument, what)."""
    ours, theirs = arguments(ours), arguments(theirs)
    named = {p.name: p for p in ours}
    anything = any(p.kind is p.VAR_KEYWORD for p in ours)
    for i, wanted in enumerate(theirs):
        p = named.get(wanted.name)
        if p is None:
            if not anything:
                yield wanted.name, "is missing"
        elif (p.default is p.empty) != (wanted.default is p.empty) or shown(p.default) != shown(wanted.default):
            yield p.name, f"is {p.default} by default, not {wanted.default}"
        elif wanted.kind is p.POSITIONAL_OR_KEYWORD and (p.kind is not wanted.kind or ours.index(p) != i):
            yield p.name, f"cannot be given in place {i}"


def pairs():
    for room in ROOMS:
        here, there = (importlib.import_module(f"{library}.{room}") for library in ("microgradnet", "torch"))
        for name, ours in sorted(vars(here).items()):
            theirs = getattr(there, name, None)
            if callable(ours) and callable(theirs) and not name.startswith("_"):
                try:
                    _, read = arguments(ours), arguments(theirs)
                except (ValueError, TypeError):
                    continue  # an operation of the table, or one written in C: there is no signature
                if {"args", "kwargs"} != {p.name for p in read}:
                    yield f"{room}.{name}", ours, theirs


def test_signatures_are_those_of_torch():
    compared, found = 0, []
    for name, ours, theirs in pairs():
        compared += 1
        found += [f"{name}: {arg} {what}" for arg, what in differences(ours, theirs) if f"{name} {arg}" not in EXCUSED]
    assert compared > 300 and not found, "\n".join(found)


def test_differences_are_found():
    def wanted(input, weight=None, bias=None, *, eps=1e-5):
        pass

    def missing(input, weight=None, *, eps=1e-5):
        pass

    def swapped(input, bias=None, weight=None, *, eps=1e-5):
        pass

    def other_default(input, weight=None, bias=None, *, eps=1e-6):
        pass

    assert not list(differences(wanted, wanted))
    assert list(differences(missing, wanted)) == [("bias", "is missing")]
    assert [arg for arg, _ in differences(swapped, wanted)] == ["weight", "bias"]
    assert list(differences(other_default, wanted)) == [("eps", "is 1e-06 by default, not 1e-05")]

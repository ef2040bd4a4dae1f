"""What is recorded when: no_grad, enable_grad, set_grad_enabled, inference_mode and capture."""

import asyncio
import inspect
import threading

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import recording
from microgradnet.graph import Node, walk
from microgradnet.recording import capture, is_inference_mode_enabled


@pytest.fixture(autouse=True)
def nothing_leaks():
    assert recording._mode.get() is recording._GRAD
    yield
    assert recording._mode.get() is recording._GRAD


@pytest.fixture
def x():
    return mg.tensor([1.0, 2.0], requires_grad=True)


def state():
    return mg.is_grad_enabled(), is_inference_mode_enabled()


ON, OFF, INFERENCE = (True, False), (False, False), (False, True)
MODES = [(mg.no_grad, OFF), (mg.enable_grad, ON), (mg.inference_mode, INFERENCE)]


# --- contexts --------------------------------------------------------------------------------------------------------


def test_what_no_grad_computes_is_not_recorded(x):
    with mg.no_grad():
        y = x * 2
        assert state() == OFF
    assert not y.requires_grad and y.is_leaf and y.node is None and y.grad_fn is None
    assert (x * 2).requires_grad


@pytest.mark.parametrize(("mode", "inside"), MODES)
def test_p21_as_a_context(mode, inside):
    with mode():
        assert state() == inside
    assert state() == ON


def test_p21_enable_grad_nests(x):
    with mg.no_grad():
        with mg.enable_grad():
            assert (x * 2).requires_grad
            with mg.no_grad():
                assert not (x * 2).requires_grad
            assert state() == ON
        assert state() == OFF


def test_p21_one_context_entered_again_and_inside_itself():
    context = mg.no_grad()
    for _ in range(2):
        with context:
            with mg.enable_grad(), context:
                assert state() == OFF
            assert state() == OFF
        assert state() == ON


def test_p21_forgotten_parentheses_are_an_error():
    with pytest.raises(TypeError):
        with mg.no_grad:
            pass


@pytest.mark.parametrize(
    "mode", [mg.no_grad, mg.enable_grad, mg.inference_mode, capture, lambda: mg.set_grad_enabled(False)]
)
def test_p19_an_exception_restores_the_mode(mode):
    for outer in (mg.enable_grad, mg.no_grad):
        with outer():
            before = state()
            for _ in range(5):
                with pytest.raises(KeyError), mode():
                    raise KeyError
                assert state() == before


def test_leaves_made_under_no_grad_may_require_grad():
    with mg.no_grad():
        w = mg.ones(2, requires_grad=True)
    assert w.requires_grad
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2.0, 2.0]


def test_a_recorded_graph_can_be_walked_under_no_grad(x):
    y = (x * x).sum()
    with mg.no_grad():
        y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


# --- set_grad_enabled ------------------------------------------------------------------------------------------------


def test_set_grad_enabled_as_a_call():
    try:
        mg.set_grad_enabled(False)
        assert state() == OFF
    finally:
        mg.set_grad_enabled(True)
    assert state() == ON


@pytest.mark.parametrize("flag", [True, False])
def test_set_grad_enabled_as_a_context(flag):
    for outer in (True, False):
        with mg.set_grad_enabled(outer):
            with mg.set_grad_enabled(flag):
                assert mg.is_grad_enabled() is flag
            assert mg.is_grad_enabled() is outer


def test_set_grad_enabled_as_a_context_that_is_entered_later():
    context = mg.set_grad_enabled(False)
    assert state() == OFF
    with context:
        assert state() == OFF
    assert state() == ON
    with context:
        assert state() == OFF
    assert state() == ON


def test_set_grad_enabled_as_a_decorator_acts_inside_only():
    @mg.set_grad_enabled(False)
    def f():
        return state()

    assert state() == ON and f() == OFF and state() == ON


# --- decorators ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "inside"), MODES)
@pytest.mark.parametrize("parentheses", [True, False])
def test_p21_as_a_decorator(mode, inside, parentheses):
    def f(a, *, b=2):
        """Adds."""
        return a + b, state()

    f = (mode() if parentheses else mode)(f)
    with mg.no_grad() if mode is mg.enable_grad else mg.enable_grad():
        before = state()
        assert f(1) == (3, inside) and f(1, b=5) == (6, inside)
        assert state() == before
    assert f.__name__ == "f" and f.__doc__ == "Adds." and list(inspect.signature(f).parameters) == ["a", "b"]


def test_p21_a_decorated_function_may_recur_and_fail():
    @mg.no_grad()
    def f(n):
        assert state() == OFF
        if n == 0:
            raise KeyError
        with mg.enable_grad():
            f(n - 1)

    with pytest.raises(KeyError):
        f(5)
    assert state() == ON


def test_p21_as_a_decorator_of_methods(x):
    class Model:
        @mg.no_grad()
        def predict(self, x):
            return x * 2

        @staticmethod
        @mg.inference_mode
        def infer(x):
            return x * 2

    assert not Model().predict(x).requires_grad and Model.infer(x).is_inference()


@pytest.mark.parametrize("mode", [mg.no_grad, mg.inference_mode])
@pytest.mark.parametrize("parentheses", [True, False])
def test_p21_around_a_generator_each_step_is_inside_and_each_pause_outside(mode, parentheses):
    inside = dict(MODES)[mode]

    def steps():
        sent = []
        for _ in range(2):
            sent.append((yield state()))
        return sent

    generator = (mode() if parentheses else mode)(steps)()
    assert state() == ON and next(generator) == inside and state() == ON
    assert generator.send("a") == inside and state() == ON
    with pytest.raises(StopIteration) as stop:
        generator.send("b")
    assert stop.value.value == ["a", "b"] and state() == ON


def test_p21_generators_take_exceptions_and_are_closed_inside():
    seen = []

    @mg.no_grad()
    def steps():
        try:
            yield 1
        except KeyError:
            seen.append(state())
            try:
                yield 2
            finally:
                seen.append(state())

    generator = steps()
    next(generator)
    assert generator.throw(KeyError) == 2
    generator.close()
    assert seen == [OFF, OFF] and state() == ON
    generator = steps()
    next(generator)
    with pytest.raises(ValueError, match="mine"):
        generator.throw(ValueError("mine"))
    assert state() == ON


def test_p21_a_generator_that_records_between_its_steps(x):
    @mg.no_grad()
    def batches():
        for k in range(3):
            yield x * k

    results = [(b.requires_grad, (x * 1).requires_grad) for b in batches()]
    assert results == [(False, True)] * 3


def test_p21_a_coroutine_runs_inside_to_its_end():
    @mg.no_grad()
    async def f():
        before = state()
        await asyncio.sleep(0)
        return before, state()

    async def main():
        return await f(), state()

    assert inspect.iscoroutinefunction(f)
    assert asyncio.run(main()) == ((OFF, OFF), ON)


# --- threads and tasks -----------------------------------------------------------------------------------------------


def in_thread(f):
    found = []
    thread = threading.Thread(target=lambda: found.append(f()))
    thread.start()
    thread.join()
    return found[0]


def test_p20_a_new_thread_starts_with_grad_on():
    with mg.no_grad():
        assert in_thread(state) == ON
        assert state() == OFF


def test_p20_no_grad_in_a_thread_stays_there():
    entered, leave = threading.Event(), threading.Event()

    def work():
        with mg.no_grad():
            entered.set()
            leave.wait(5)
            return state()

    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    entered.wait(5)
    here = state()
    leave.set()
    thread.join()
    assert here == ON and found == [OFF]


def test_p20_one_decorator_in_many_threads():
    barrier = threading.Barrier(4, timeout=5)

    @mg.no_grad()
    def work():
        barrier.wait()
        seen = state()
        barrier.wait()
        return seen

    def around():
        return state(), work(), state()

    found = []
    threads = [threading.Thread(target=lambda: found.append(around())) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [(ON, OFF, ON)] * 4


def test_p20_tasks_that_take_turns_keep_their_modes():
    seen = []

    async def quiet():
        with mg.no_grad():
            for _ in range(3):
                seen.append(("quiet", state()))
                await asyncio.sleep(0)

    async def loud():
        for _ in range(3):
            seen.append(("loud", state()))
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(quiet(), loud(), quiet())

    asyncio.run(main())
    assert seen.count(("quiet", OFF)) == 6 and seen.count(("loud", ON)) == 3 and len(seen) == 9


# --- inference_mode --------------------------------------------------------------------------------------------------


def test_what_inference_mode_made_may_not_take_part_in_a_recorded_computation(x):
    with mg.inference_mode():
        y = x * 2
        part = y[0:1]
    assert y.is_inference() and part.is_inference() and not y.requires_grad and not x.is_inference()
    with pytest.raises(RuntimeError, match=r"mul: a tensor made in inference_mode \(2,\) float32 cannot .*clone"):
        x * y
    with pytest.raises(RuntimeError, match="requires_grad cannot be set on a tensor made in inference_mode"):
        y.requires_grad_()
    assert y.detach().is_inference()
    assert (y * 2).tolist() == [4.0, 8.0]  # unrecorded
    assert (x * y.clone()).requires_grad
    with mg.no_grad():
        assert not (x * y).requires_grad


def test_inference_mode_stays_on_inside(x):
    with mg.inference_mode():
        for inner in (mg.no_grad(), mg.enable_grad(), mg.set_grad_enabled(True)):
            with inner:
                assert is_inference_mode_enabled() and (x * 2).is_inference() and not (x * 2).requires_grad
        with mg.inference_mode(False):
            y = x * 2
            assert state() == ON and y.requires_grad and not y.is_inference()
        assert state() == INFERENCE


def test_inference_mode_false_as_a_decorator(x):
    @mg.inference_mode(mode=False)
    def f():
        return x * 2

    with mg.no_grad():
        assert f().requires_grad


# --- capture ---------------------------------------------------------------------------------------------------------


def test_capture_records_what_has_no_derivative():
    with capture():
        x = mg.tensor([3.0, 1.0, 2.0])
        mask = x > 1.5
        best = x.argmax()
        y = mg.where(mask, x, 0.0).sum() + best
    assert [n.op.name for n in walk(y)] == ["gt", "argmax", "where", "sum", "add"]
    assert not y.requires_grad and y.is_leaf and y.grad_fn is None and all(n.needs == () for n in walk(y))


def test_capture_and_gradients():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    data = mg.tensor([3.0, 4.0])
    with capture():
        scaled = data / data.sum()
        y = (w * scaled).sum()
    y.backward()
    np.testing.assert_allclose(w.grad.array, [3 / 7, 4 / 7])
    assert [n.op.name for n in walk(y)] == ["sum", "div", "mul", "sum"]


def test_capture_goes_on_under_no_grad():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    with capture():
        with mg.no_grad():
            y = w * 2
            with mg.enable_grad():
                z = w * 3
        with mg.set_grad_enabled(False):
            s = y.sum()
    assert type(y.node) is Node and not y.requires_grad and z.requires_grad and not s.requires_grad
    assert [n.op.name for n in walk(s)] == ["mul", "sum"]
    assert (w * 2).requires_grad and (w.detach() * 2).node is None


def test_a_captured_result_can_become_a_leaf():
    with capture():
        w = (mg.ones(2) * 3).requires_grad_()
        y = (w * w).sum()
    y.backward()
    assert w.is_leaf and w.grad.tolist() == [6.0, 6.0]


def test_capture_of_parts():
    with capture():
        a, b = mg.arange(4.0).split(2)
        y = a.sum()
    assert [n.op.name for n in walk(y)] == ["split", "item_of", "sum"] and not a.requires_grad and b.node is not None


# --- in PyTorch ------------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_the_modes_nest_as_in_pytorch():
    torch = pytest.importorskip("torch")

    def states(m):
        found = []

        def note():
            w = m.ones(1, requires_grad=True) if not m.is_inference_mode_enabled() else outside
            y = w * 2
            found.append((y.requires_grad, y.is_inference(), m.is_inference_mode_enabled()))

        outside = m.ones(1, requires_grad=True)
        contexts = [m.no_grad, m.enable_grad, m.inference_mode, lambda: m.inference_mode(False),
                    lambda: m.set_grad_enabled(True), lambda: m.set_grad_enabled(False)]
        for first in contexts:
            with first():
                note()
                for second in contexts:
                    with second():
                        note()
                    note()
        return found

    assert states(mg) == states(torch)

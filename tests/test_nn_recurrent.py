"""RNN, LSTM and GRU: unrolled by hand in NumPy, unfused twins, directions, packed sequences; and PyTorch as the judge."""

import numpy as np
import pytest

import microgradnet as mg
from microgradnet import nn
from microgradnet.autograd import gradcheck, gradgradcheck
from microgradnet.nn.utils import rnn as packing
from microgradnet.ops import recurrent

KINDS = {
    "RNN": nn.RNN, "RNN relu": lambda *args, **kwargs: nn.RNN(*args, nonlinearity="relu", **kwargs), "LSTM": nn.LSTM,
    "GRU": nn.GRU,
}  # fmt: skip
EACH = pytest.mark.parametrize("kind", KINDS)


def normal(*shape, seed=0, **kwargs):
    return mg.tensor(np.random.default_rng([seed, *shape]).standard_normal(shape), **kwargs)


def equal(actual, expected, tolerance=1e-12):
    __tracebackhide__ = True
    if isinstance(actual, (tuple, list)):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected):
            equal(a, b, tolerance)
        return
    expected = expected.detach().numpy() if isinstance(expected, mg.Tensor) else expected
    np.testing.assert_allclose(actual.detach().numpy(), expected, tolerance, tolerance)


def build(kind, *args, **kwargs):
    """In float64, with larger parameters than it starts with, so that the gates are at work."""
    net = KINDS[kind](*args, **kwargs).double()
    for k, p in enumerate(net.parameters()):
        p.data = 0.5 * normal(*p.shape, seed=k)
    return net


# --- by hand --------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def hand_step(mode, x, h, c, w_ih, w_hh, b_ih, b_hh):
    """The book's equations, a gate a line."""
    if mode.startswith("RNN"):
        z = w_ih @ x + b_ih + w_hh @ h + b_hh
        return (np.tanh(z) if mode == "RNN_TANH" else np.maximum(z, 0)), c
    own, fed = w_ih @ x + b_ih, w_hh @ h + b_hh
    H = len(h)
    part = lambda z, k: z[k * H : (k + 1) * H]  # noqa: E731
    if mode == "LSTM":
        i, f, o = (sigmoid(part(own, k) + part(fed, k)) for k in (0, 1, 3))
        c = f * c + i * np.tanh(part(own, 2) + part(fed, 2))
        return o * np.tanh(c), c
    r, z = (sigmoid(part(own, k) + part(fed, k)) for k in (0, 1))
    n = np.tanh(part(own, 2) + r * part(fed, 2))
    return (1 - z) * n + z * h, c


@EACH
def test_it_is_what_comes_out_by_hand(kind):
    net = build(kind, 3, 2)
    x, h0, c0 = normal(4, 5, 3), normal(1, 5, 2, seed=1), normal(1, 5, 2, seed=2)
    y, state = net(x, (h0, c0) if kind == "LSTM" else h0)
    weights = [p.detach().numpy() for p in net.parameters()]
    for n in range(5):
        h, c = h0.array[0, n], c0.array[0, n]
        for t in range(4):
            h, c = hand_step(net.mode, x.array[t, n], h, c, *weights)
            equal(y[t, n], h)
        equal([s[0, n] for s in state] if kind == "LSTM" else state[0, n], [h, c] if kind == "LSTM" else h)


def test_the_projection_of_an_lstm_is_what_is_fed_back():
    net = build("LSTM", 3, 4, proj_size=2)
    y, (h, c) = net(normal(5, 1, 3))
    assert y.shape == (5, 1, 2) and h.shape == (1, 1, 2) and c.shape == (1, 1, 4)
    w_ih, w_hh, b_ih, b_hh, w_hr = (p.detach().numpy() for p in net.parameters())
    hand_h, hand_c = np.zeros(2), np.zeros(4)
    for t in range(5):
        z = w_ih @ normal(5, 1, 3).array[t, 0] + b_ih + w_hh @ hand_h + b_hh
        i, f, n, o = z[:4], z[4:8], z[8:12], z[12:]
        hand_c = sigmoid(f) * hand_c + sigmoid(i) * np.tanh(n)
        hand_h = w_hr @ (sigmoid(o) * np.tanh(hand_c))
        equal(y[t, 0], hand_h)
    equal(h[0, 0], hand_h)
    equal(c[0, 0], hand_c)


# --- the fused steps and their readable twins -----------------------------------------------------------------------


def plain_lstm(gates, c):
    i, f, n, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * n.tanh()
    return o.sigmoid() * c.tanh(), c


def plain_gru(x, z, h):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, -1), z.chunk(3, -1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (1 - z) * n + z * h


@pytest.mark.parametrize(
    "fused, plain, shapes",
    [(lambda z, c: recurrent.lstm_cell(recurrent.lstm_gates(z), c), plain_lstm, [(3, 8), (3, 2)]),
     (recurrent.gru_cell, plain_gru, [(3, 6), (3, 6), (3, 2)])],
)  # fmt: skip
def test_the_fused_steps_are_their_definitions(fused, plain, shapes):
    leaves = [normal(*shape, seed=k, requires_grad=True) for k, shape in enumerate(shapes)]
    results = []
    for f in (fused, plain):
        y = f(*leaves)
        outputs = y if isinstance(y, tuple) else (y,)
        seeds = [normal(*o.shape, seed=9 + k) for k, o in enumerate(outputs)]
        first = mg.autograd.grad(outputs, leaves, seeds, create_graph=True)
        second = mg.autograd.grad(sum((g**2).sum() for g in first), leaves)
        results.append([*outputs, *first, *second])
    equal(*results)


def test_gates_do_not_overflow():
    z = mg.tensor([[-1e4] * 4, [1e4] * 4], requires_grad=True)
    h, c = recurrent.lstm_cell(recurrent.lstm_gates(z), mg.ones(2, 1))
    equal(h, [[0], [np.tanh(2)]], 1e-6)
    (h.sum() + c.sum()).backward()
    assert (abs(z.grad) < 1e-30).all()


def test_states_written_into_are_noticed():
    cell = nn.LSTMCell(2, 3)
    h, c = cell(mg.randn(4, 2))
    h2, _ = cell(mg.randn(4, 2), (h, c))
    with mg.no_grad():
        c.zero_()
    with pytest.raises(RuntimeError, match="lstm_cell: .* modified in place"):
        h2.sum().backward()


# --- relations ------------------------------------------------------------------------------------------------------


@EACH
def test_a_net_is_its_cell_step_by_step(kind):
    net = build(kind, 3, 2)
    cell = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind[:4].strip()](3, 2)
    if "relu" in kind:
        cell.nonlinearity = "relu"
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in net.state_dict().items()}, assign=True)
    x, state = normal(4, 5, 3), None
    y, last = net(x)
    for t in range(4):
        state = cell(x[t], state)
        equal(y[t], state[0] if kind == "LSTM" else state)
    equal([s[0] for s in last] if kind == "LSTM" else last[0], state)
    equal(cell(x[0, 0]), [s[0] for s in cell(x[0])] if kind == "LSTM" else cell(x[0])[0])  # without a batch


@EACH
def test_both_directions_are_two_runs(kind):
    both, one = build(kind, 3, 2, bidirectional=True), build(kind, 3, 2)
    x = normal(4, 5, 3)
    y, state = both(x)
    hidden = state[0] if kind == "LSTM" else state
    own = both.state_dict()
    for suffix, turn, part, k in [("", lambda z: z, slice(2), 0), ("_reverse", lambda z: z.flip(0), slice(2, 4), 1)]:
        one.load_state_dict({name: own[name + suffix] for name in one.state_dict()})
        alone, last = one(turn(x))
        equal(y[..., part], turn(alone))
        equal(hidden[k], (last[0] if kind == "LSTM" else last)[0])


@EACH
def test_layers_are_nets_on_top_of_one_another(kind):
    two = build(kind, 3, 2, num_layers=2)
    x = normal(4, 5, 3)
    below, above = build(kind, 3, 2), build(kind, 2, 2)
    own = two.state_dict()
    below.load_state_dict({name: own[name] for name in below.state_dict()})
    above.load_state_dict({name: own[name[:-1] + "1"] for name in above.state_dict()})
    equal(two(x)[0], above(below(x)[0])[0])


@EACH
def test_batch_first_and_single_sequences(kind):
    net, first = build(kind, 3, 2, 2), build(kind, 3, 2, 2, batch_first=True)
    x = normal(4, 5, 3)
    y, state = net(x)
    turned, turned_state = first(x.transpose(0, 1))
    equal(turned.transpose(0, 1), y)
    equal(turned_state, state)
    alone, alone_state = net(x[:, 1])
    equal(alone, y[:, 1])
    equal(alone_state, [s[:, 1] for s in state] if kind == "LSTM" else state[:, 1])
    equal(net(x[:, 1], alone_state)[0], net(x, state)[0][:, 1])


@pytest.mark.slow
@EACH
def test_gradients_of_first_and_second_order(kind):
    net = build(kind, 2, 2, bidirectional=True)
    x = normal(3, 2, 2, requires_grad=True)
    names = list(net.state_dict())

    def run(x, *weights):
        for name, w in zip(names, weights):
            net.__dict__[name] = w
        return net(x)[0]

    leaves = (x, *(p.detach().requires_grad_() for p in net.parameters()))
    if kind == "RNN relu":  # on one side of the kink
        leaves = tuple(leaf.detach().abs().requires_grad_() for leaf in leaves)
    assert gradcheck(run, leaves) and gradgradcheck(run, leaves)


def test_dropout_acts_between_layers_in_training():
    net = nn.GRU(3, 50, num_layers=2, dropout=0.5)
    x = mg.randn(4, 2, 3)
    mg.manual_seed(1)
    a = net(x)[0]
    mg.manual_seed(1)
    equal(net(x)[0], a)
    assert not mg.allclose(net(x)[0], a)
    net.eval()
    equal(net(x)[0], net(x)[0])
    with pytest.warns(UserWarning, match="dropout acts between layers"):
        nn.GRU(3, 2, dropout=0.5)


def test_parameters_start_uniform_within_one_over_the_root_of_the_size():
    net = nn.LSTM(5, 100, 2, bidirectional=True)
    for p in net.parameters():
        assert abs(p).max() <= 0.1 and (p.numel() < 100 or abs(p).max() > 0.09)
    assert [len(weights) for weights in net.all_weights] == [4] * 4 and net.flatten_parameters() is None
    assert list(nn.LSTM(3, 4, proj_size=2, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]


# --- sequences of different lengths -----------------------------------------------------------------------------------

LENGTHS = [3, 5, 1, 3]


def ragged():
    return [normal(n, 3, seed=k) for k, n in enumerate(LENGTHS)]


@EACH
@pytest.mark.parametrize("ordered", [True, False])
def test_packed_sequences_run_as_if_alone(kind, ordered):
    net = build(kind, 3, 2, num_layers=2, bidirectional=True)
    sequences = sorted(ragged(), key=len, reverse=True) if ordered else ragged()
    h0 = normal(4, 4, 2, seed=7)
    given = (h0, h0 + 1) if kind == "LSTM" else h0
    packed, state = net(packing.pack_sequence(sequences, enforce_sorted=ordered), given)
    for n, (out, x) in enumerate(zip(packing.unpack_sequence(packed), sequences)):
        alone = (h0[:, n], h0[:, n] + 1) if kind == "LSTM" else h0[:, n]
        y, last = net(x, alone)
        equal(out, y)
        equal([s[:, n] for s in state] if kind == "LSTM" else state[:, n], last)


def test_nothing_flows_into_padding():
    net = build("GRU", 3, 2, bidirectional=True)
    padded = packing.pad_sequence(ragged(), padding_value=5.0).requires_grad_()
    y, _ = packing.pad_packed_sequence(net(packing.pack_padded_sequence(padded, LENGTHS, enforce_sorted=False))[0])
    y.sum().backward()
    for n, length in enumerate(LENGTHS):
        assert (padded.grad[length:, n] == 0).all() and (padded.grad[:length, n] != 0).any(-1).all()
        assert (y[length:, n] == 0).all()


def test_packing_and_padding_are_inverse():
    sequences = ragged()
    packed = packing.pack_sequence(sequences, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [4, 3, 3, 1, 1] and packed.sorted_indices.tolist() == [1, 0, 3, 2]
    equal(packed.data[:4], [sequences[k].array[0] for k in (1, 0, 3, 2)])
    equal(packing.unpack_sequence(packed), sequences)
    padded, lengths = packing.pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=7)
    assert padded.shape == (4, 7, 3) and lengths.tolist() == LENGTHS
    equal(padded[0, 3:], -np.ones((4, 3)))
    left = packing.pad_sequence(sequences, True, padding_side="left")
    equal(left[0], np.concatenate([np.zeros((2, 3)), sequences[0].array]))
    equal(packing.unpad_sequence(padded, lengths, batch_first=True), sequences)
    assert packed.double() is not packed and packed.float().data.dtype == mg.float32
    leaf = sequences[1].clone().requires_grad_()
    assert gradcheck(lambda s: packing.pad_packed_sequence(packing.pack_sequence([s, sequences[0]]))[0], leaf)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_errors_name_shapes():
    net, cell, x = nn.LSTM(3, 4), nn.GRUCell(3, 4), mg.zeros(5, 2, 3)
    for call, kind, message in [
        (lambda: net(x[..., :2]), RuntimeError, r"Expected 3, got 2 in \(5, 2, 2\)"),
        (lambda: net(x[None]), ValueError, r"2D or 3D.*got \(1, 5, 2, 3\)"),
        (lambda: net(x[:0]), RuntimeError, "larger than 0"),
        (lambda: net(x, (mg.zeros(1, 3, 4),) * 2), RuntimeError, r"Expected hidden size \(1, 2, 4\), got \(1, 3, 4\)"),
        (lambda: net(x[:, 0], (mg.zeros(1, 1, 4),) * 2), RuntimeError, r"Expected hidden size \(1, 4\)"),
        (lambda: net(x, mg.zeros(1, 2, 4)), RuntimeError, r"a tuple \(h, c\)"),
        (lambda: net(x.double()), ValueError, "input dtype float64 does not match weight dtype float32"),
        (lambda: nn.RNN(3, 4, nonlinearity="elu"), ValueError, "Unknown nonlinearity 'elu'"),
        (lambda: nn.GRU(3, 4, dropout=2), ValueError, r"\[0, 1\]"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size 4"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(3.0, 4), TypeError, "input_size should be of type int"),
        (lambda: nn.RNNBase("QRNN", 3, 4), ValueError, "Unrecognized RNN mode"),
        (lambda: cell(x), ValueError, r"1D or 2D.*got \(5, 2, 3\)"),
        (lambda: cell(x[0, :, :2]), RuntimeError, r"\(2, 2\) float32 has inconsistent input_size: expected 3"),
        (lambda: cell(x[0], mg.zeros(3, 4)), RuntimeError, r"a state \(3, 4\).*expected \(2, 4\)"),
        (lambda: nn.LSTMCell(3, 4)(x[0], mg.zeros(2, 4)), TypeError, r"a tuple of two Tensors \(h, c\)"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="elu")(x[0]), RuntimeError, "Unknown nonlinearity 'elu'"),
        (lambda: packing.pack_padded_sequence(x, [1, 3]), RuntimeError, "enforce_sorted=False"),
        (lambda: packing.pack_padded_sequence(x, [3]), RuntimeError, r"1 lengths for 2 sequences \(5, 2, 3\)"),
        (lambda: packing.pack_padded_sequence(x, [3, 0]), RuntimeError, "within 1 and 5, got 0"),
        (lambda: packing.pack_padded_sequence(x, [6, 1]), RuntimeError, "within 1 and 5, got 6"),
        (lambda: packing.pad_sequence([]), RuntimeError, "empty list"),
        (lambda: packing.pad_sequence([x[0], x[0, :, :2]]), RuntimeError, "more than their length"),
        (lambda: packing.pad_packed_sequence(packing.pack_sequence([x]), total_length=2), ValueError, "at least"),
    ]:
        with pytest.raises(kind, match=message):
            call()


# --- PyTorch as the judge -------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "options, shape",
    [({}, (4, 2, 3)), ({"num_layers": 2, "bidirectional": True}, (4, 2, 3)), ({"batch_first": True}, (2, 4, 3)),
     ({"bias": False, "num_layers": 2}, (4, 3)), ({"bidirectional": True}, (1, 1, 3))],
)  # fmt: skip
def test_modules_are_those_of_torch(kind, options, shape):
    twins = pytest.importorskip("twins")
    sides = 2 if options.get("bidirectional") else 1

    class Flat:  # outputs and states in one row, so that the tests of torch's modules can compare them
        def __new__(cls, nn):
            net = getattr(nn, kind)(3, 2, **options)
            forward = net.forward

            def flat(x, *state):
                y, last = forward(x, (tuple(state) if kind == "LSTM" else state[0]) if state else None)
                return (y, *last) if kind == "LSTM" else (y, last)

            net.forward = flat
            return net

    state = twins.normal(options.get("num_layers", 1) * sides, *([] if len(shape) == 2 else [2 if shape[1] != 1 else 1]), 2)
    twins.check_module(Flat, twins.normal(*shape))
    twins.check_module(Flat, twins.normal(*shape), *([state, state + 1] if kind == "LSTM" else [state]))


@pytest.mark.torch
def test_more_modules_are_those_of_torch():
    twins = pytest.importorskip("twins")
    x, h = twins.normal(4, 3), twins.normal(4, 2)
    twins.check_module(lambda nn: nn.RNNCell(3, 2, nonlinearity="relu"), x, h)
    twins.check_module(lambda nn: nn.RNNCell(3, 2, False), x)
    twins.check_module(lambda nn: nn.GRUCell(3, 2), x, h)
    twins.check_module(lambda nn: nn.GRUCell(3, 2, bias=False), x[0], h[0])
    twins.check_module(lambda nn: nn.LSTMCell(3, 2), x)
    assert repr(nn.LSTM(3, 4, 2, False, True, 0.5, True, 2)) == repr(
        twins.torch.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("ordered", [True, False])
def test_packed_runs_are_those_of_torch(kind, ordered):
    twins = pytest.importorskip("twins")
    sequences = sorted(ragged(), key=len, reverse=True) if ordered else ragged()
    arrays = [s.numpy() for s in sequences]
    options = {"proj_size": 1} if kind == "LSTM" else {}

    def run(lib, *given):
        net = getattr(lib.nn, kind)(3, 2, 2, bidirectional=True, dtype=lib.float64, **options)
        net.load_state_dict({name: lib.tensor(twins.normal(*p.shape, seed=k))
                             for k, (name, p) in enumerate(net.state_dict().items())})
        rnn = lib.nn.utils.rnn
        out, last = net(rnn.pack_sequence(list(given), enforce_sorted=ordered))
        padded, lengths = rnn.pad_packed_sequence(out, padding_value=0.5)
        last = last if kind == "LSTM" else (last,)
        indices = [] if ordered else [out.sorted_indices, out.unsorted_indices]
        return [padded, out.data, *last, lengths, out.batch_sizes, *indices]

    twins.check_function(run, *arrays)


@pytest.mark.torch
def test_functions_on_sequences_and_their_errors_are_those_of_torch():
    twins = pytest.importorskip("twins")
    arrays = [s.numpy() for s in ragged()]
    twins.check_function(lambda lib, *xs: lib.nn.utils.rnn.pad_sequence(xs, True, -1.0, "left"), *arrays)
    twins.check_function(
        lambda lib, *xs: lib.nn.utils.rnn.unpack_sequence(lib.nn.utils.rnn.pack_sequence(xs, False)), *arrays)
    twins.check_function(
        lambda lib, x: lib.nn.utils.rnn.pack_padded_sequence(x, lib.tensor([3, 3]), batch_first=True)[0],
        twins.normal(2, 4, 3))
    x = twins.normal(5, 2, 3)
    for call in [
        lambda lib, x: lib.nn.LSTM(3, 4)(x.float()[..., :2]), lambda lib, x: lib.nn.LSTM(3, 4)(x.float()[None]),
        lambda lib, x: lib.nn.LSTM(3, 4)(x.float()[:0]), lambda lib, x: lib.nn.LSTM(3, 4)(x),
        lambda lib, x: lib.nn.GRU(3, 4)(x.float(), lib.zeros(1, 3, 4)), lambda lib, x: lib.nn.GRU(3, 4, dropout=2),
        lambda lib, x: lib.nn.GRU(3, 4)(x.float(), lib.zeros(2, 4)), lambda lib, x: lib.nn.GRU(3, 4, proj_size=1),
        lambda lib, x: lib.nn.GRUCell(3, 4)(x.float()), lambda lib, x: lib.nn.GRUCell(3, 4)(x[0].float(), lib.zeros(3, 4)),
        lambda lib, x: lib.nn.LSTMCell(3, 4)(x[0].float(), lib.zeros(2, 4)), lambda lib, x: lib.nn.RNN(3.5, 4),
        lambda lib, x: lib.nn.RNNCell(3, 4, nonlinearity="elu")(x[0].float()), lambda lib, x: lib.nn.RNN(3, 0),
        lambda lib, x: lib.nn.utils.rnn.pack_padded_sequence(x, [1, 3]),
        lambda lib, x: lib.nn.utils.rnn.pack_padded_sequence(x, [3, 0]),
        lambda lib, x: lib.nn.utils.rnn.pack_padded_sequence(x, [3]),
        lambda lib, x: lib.nn.utils.rnn.pad_sequence([x[0], x[:, 0, :2]]),
    ]:
        twins.check_error(call, x)

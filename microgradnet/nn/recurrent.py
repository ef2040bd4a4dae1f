"""Recurrent networks: one step as a cell, and RNN, LSTM and GRU over whole sequences, stacked and in both directions.

A sequence is packed time step by time step: first the first elements of all sequences, then the second ones of those
that have one, and so on, longest sequences first. A batch of equal lengths is the plain case of that. What the input
gives to the gates needs no state and is computed for all steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..callers import warn
from ..dtypes import check_device, get_default_dtype
from ..graph import ShapeError
from ..ops.creation import empty, zeros
from ..ops.recurrent import gru_cell, lstm, lstm_cell, lstm_gates
from ..tensor import Tensor, describe
from . import init
from .dropout import dropout
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

State = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


# --- one step -------------------------------------------------------------------------------------------------------


def _rnn_step(activation: Callable) -> Callable:
    def step(x: Tensor, state: State, weight: Tensor, _bias: Tensor | None, _projection: Any) -> State:
        return (activation(ops.linear(state[0], weight, x)),)

    return step


def _lstm_step(x: Tensor, state: State, weight: Tensor, _bias: Tensor | None, projection: Tensor | None) -> State:
    h, c = state
    h, c = lstm_cell(lstm_gates(ops.linear(h, weight, x)), c)
    return (h if projection is None else ops.linear(h, projection, None)), c


def _gru_step(x: Tensor, state: State, weight: Tensor, bias: Tensor | None, _projection: Any) -> State:
    return (gru_cell(x, ops.linear(state[0], weight, bias), state[0]),)


# (x, state, weight_hh, bias_hh, weight_hr) to the next state, where x is what the input gives to the gates. But for the
# GRU, whose reset gate multiplies what comes from the state alone, x has both biases in it.
STEPS = {"RNN_TANH": _rnn_step(ops.tanh), "RNN_RELU": _rnn_step(ops.relu), "LSTM": _lstm_step, "GRU": _gru_step}


def _from_input(mode: str, x: Tensor, weight: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor:
    both = bias_ih is not None and bias_hh is not None and mode != "GRU"
    return ops.linear(x, weight, bias_ih + bias_hh if both else bias_ih)  # type: ignore[operator]


def _over_time(step: Callable, parts: tuple[Tensor, ...], state: State, reverse: bool,
               *weights: Tensor | None) -> tuple[Tensor, State]:
    """(outputs, packed as the input; final state), from the input's parts by time step and the initial state."""
    initial, outputs = state, []
    ended: list[State] = []  # the states of sequences that are over, while the batch gets smaller
    order = parts[::-1] if reverse else parts
    state = tuple(s[: len(order[0])] for s in initial) if len(order[0]) < len(initial[0]) else initial
    for part in order:
        n, before = len(part), len(state[0])
        if n < before:
            ended.append(tuple(s[n:] for s in state))
            state = tuple(s[:n] for s in state)
        elif n > before:  # backwards, shorter sequences begin later
            state = tuple(ops.cat([s, s0[before:n]]) for s, s0 in zip(state, initial))
        state = step(part, state, *weights)
        outputs.append(state[0])
    if ended:
        state = tuple(ops.cat(pieces) for pieces in zip(state, *ended[::-1]))
    return ops.cat(outputs[::-1] if reverse else outputs), state


# --- cells ----------------------------------------------------------------------------------------------------------


def _draw(module: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


class RNNCellBase(Module):
    """What the cells share: weight_ih (gates · H, input_size), weight_hh (gates · H, H) and two biases (gates · H,)."""

    mode: str
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__()
        check_device(device)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        dtype = get_default_dtype() if dtype is None else dtype
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform within ±1/√H."""
        _draw(self, self.hidden_size)

    def _step(self, input: Tensor, state: State | None) -> State:
        name = self._get_name()
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, (N, {self.input_size}) or ({self.input_size},), "
                             f"got {describe(input)}")
        if input.shape[-1] != self.input_size:
            raise ShapeError(f"{name}: input {describe(input)} has inconsistent input_size: expected {self.input_size}")
        expected = (*input.shape[:-1], self.hidden_size)
        if state is None:
            state = (zeros(*expected, dtype=input.dtype),) * (2 if self.mode == "LSTM" else 1)
        for s in state:
            if tuple(s.shape) != expected:
                raise ShapeError(f"{name}: a state {describe(s)} does not fit: expected {expected} for input "
                                 f"{describe(input)}")
        x = _from_input(self.mode, input, self.weight_ih, self.bias_ih, self.bias_hh)
        return STEPS[self.mode](x, state, self.weight_hh, self.bias_hh, None)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """h' = tanh(w_ih x + b_ih + w_hh h + b_hh), or relu of it: (N, input_size) and (N, H) to (N, H), or without N."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:  # type: ignore[override]
        """'RNN_TANH' or 'RNN_RELU'."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: Unknown nonlinearity {self.nonlinearity!r}: use 'tanh' or 'relu'")
        return f"RNN_{self.nonlinearity.upper()}"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state; the initial one is zeros by default."""
        return self._step(input, None if hx is None else (hx,))[0]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """c' = σ(f) c + σ(i) tanh(n) and h' = σ(o) tanh(c'), with i, f, n, o = w_ih x + b_ih + w_hh h + b_hh."""

    mode = "LSTM"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """(h', c'); the initial state is zeros by default."""
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"LSTMCell: the state is a tuple of two Tensors (h, c), not {describe(hx)}")
        h, c = self._step(input, None if hx is None else tuple(hx))
        return h, c


class GRUCell(RNNCellBase):
    """h' = (1 - z) n + z h, with r and z sigmoids and n = tanh(w_in x + b_in + r (w_hn h + b_hn))."""

    mode = "GRU"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
                 dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state; the initial one is zeros by default."""
        return self._step(input, None if hx is None else (hx,))[0]


# --- over sequences -------------------------------------------------------------------------------------------------


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    num_layers: as many on top of one another, each but the last followed by dropout with probability `dropout`.
    bidirectional: each layer has a second set of parameters ('_reverse') that runs from the end to the start; its
        outputs are put beside those of the first.
    batch_first: sequences are (N, T, …) in place of (T, N, …).
    proj_size: what an LSTM gives out and feeds back is `weight_hr` h, of this size.
    """

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_device(device)
        if mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode!r}; it is one of {', '.join(GATES)}")
        _check_sizes(mode, input_size, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        if dropout > 0 and num_layers == 1:
            warn(f"{self._get_name()}: dropout acts between layers, so dropout={dropout} does nothing with "
                 "num_layers=1")
        dtype = get_default_dtype() if dtype is None else dtype
        out, rows = proj_size or hidden_size, GATES[mode] * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (2 if bidirectional else 1)
            shapes = [(rows, width), (rows, out), (rows,), (rows,), (proj_size, hidden_size)]
            for suffix in self._suffixes(layer):
                for name, shape in zip(_NAMES, shapes):
                    if self._has(name):
                        setattr(self, name + suffix, Parameter(empty(*shape, dtype=dtype)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _has(self, name: str) -> bool:
        return self.bias if name.startswith("bias") else name != "weight_hr" or self.proj_size > 0

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters by layer and direction."""
        return [[getattr(self, name + suffix) for name in _NAMES if self._has(name)]
                for layer in range(self.num_layers) for suffix in self._suffixes(layer)]

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform within ±1/√hidden_size."""
        _draw(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: it is for the memory of a GPU."""

    def _run(self, input: Any, hx: Any) -> tuple[Any, State]:
        """(outputs, final state (h,) or (h, c)) for a padded or a packed batch, or for a single sequence."""
        if isinstance(input, PackedSequence):
            sizes = input.batch_sizes.tolist()
            self._check_input(input.data)
            state = self._initial(hx, sizes[0], input.data, input.sorted_indices)
            data, state = self._layers(input.data, sizes, state)
            if input.unsorted_indices is not None:
                state = tuple(s.index_select(1, input.unsorted_indices) for s in state)
            return PackedSequence(data, *input[1:]), state
        if input.ndim not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, a sequence or a batch of them, got "
                             f"{describe(input)}")
        single = input.ndim == 2
        x = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        self._check_input(x)
        steps, batch = x.shape[:2]
        if steps == 0:
            raise ShapeError(f"{self._get_name()}: Expected sequence length to be larger than 0, got {describe(input)}")
        state = self._initial(hx, batch, x, None, single)
        y, state = self._layers(x.reshape(steps * batch, self.input_size), [batch] * steps, state)
        y = y.reshape(steps, batch, y.shape[-1])
        if single:
            return y.squeeze(1), tuple(s.squeeze(1) for s in state)
        return (y.transpose(0, 1) if self.batch_first else y), state

    def _layers(self, data: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """The layers in turn on packed data; the state is (layers · directions, N, …), before and after."""
        step, by_layer = STEPS[self.mode], list(zip(*(s.unbind(0) for s in state)))
        final: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self._suffixes(layer):
                w_ih, w_hh, b_ih, b_hh, w_hr = (getattr(self, name + suffix, None) for name in _NAMES)
                x = _from_input(self.mode, data, w_ih, b_ih, b_hh)  # type: ignore[arg-type]
                before, reverse = by_layer[len(final)], suffix.endswith("_reverse")
                if self.mode == "LSTM" and w_hr is None and sizes[-1] == sizes[0]:  # all steps have one size
                    y, *last = lstm(x.reshape(len(sizes), sizes[0], x.shape[-1]), *before, w_hh, reverse=reverse)
                    y = y.reshape(len(x), self.hidden_size)
                else:
                    y, last = _over_time(step, x.split(sizes), before, reverse, w_hh, b_hh, w_hr)
                outputs.append(y)
                final.append(last)
            data = ops.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            if layer < self.num_layers - 1:
                data = dropout(data, self.dropout, self.training)
        return data, tuple(ops.stack(parts) for parts in zip(*final))

    def _initial(self, hx: Any, batch: int, input: Tensor, order: Tensor | None, single: bool = False) -> State:
        """The initial state, checked, with a batch dimension, and in the order of the packed sequences."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]
        if hx is None:
            return tuple(zeros(count, batch, width, dtype=input.dtype) for width in widths)
        given = tuple(hx) if self.mode == "LSTM" else (hx,)
        if len(given) != len(widths):
            raise ShapeError(f"{self._get_name()}: the initial state is a tuple (h, c), got {describe(hx)}")
        for s, width in zip(given, widths):
            expected = (count, width) if single else (count, batch, width)
            if tuple(s.shape) != expected:
                raise ShapeError(f"{self._get_name()}: Expected hidden size {expected}, got {describe(s)}")
        if single:
            given = tuple(s.unsqueeze(1) for s in given)
        return given if order is None else tuple(s.index_select(1, order) for s in given)

    def _check_input(self, x: Tensor) -> None:
        if x.shape[-1] != self.input_size:
            raise ShapeError(f"{self._get_name()}: input.size(-1) must be equal to input_size. Expected "
                             f"{self.input_size}, got {x.shape[-1]} in {describe(x)}")
        dtype = self.weight_ih_l0.dtype
        if x.dtype != dtype:
            raise ValueError(f"{self._get_name()}: input dtype {x.dtype} does not match weight dtype {dtype}; convert "
                             f"the input by .to(), or the module")

    weight_ih_l0: Parameter

    def extra_repr(self) -> str:
        parts = [str(self.input_size), str(self.hidden_size)]
        for name, usual in dict(proj_size=0, num_layers=1, bias=True, batch_first=False, dropout=0,
                                bidirectional=False).items():  # fmt: skip
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def _check_sizes(mode: str, input_size: Any, hidden_size: Any, num_layers: Any, dropout: Any, proj_size: int) -> None:
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero, got {size}")
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout should be a number in range [0, 1], the probability of a zero, got {dropout!r}")
    if proj_size and mode != "LSTM":
        raise ValueError(f"proj_size argument is only supported for LSTM, not RNN or GRU, got {proj_size}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size has to be at least 0 and smaller than hidden_size {hidden_size}, got {proj_size}")


class RNN(RNNBase):
    """h_t = tanh(w_ih x_t + b_ih + w_hh h_(t-1) + b_hh) over sequences, or relu of it; the arguments: see `RNNBase`."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: Any = None, dtype: Any = None, *, proj_size: int = 0) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        self.__dict__["nonlinearity"] = nonlinearity
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, proj_size, device, dtype)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """Sequences (T, N, input_size), packed, or single (T, input_size), and h_0 (layers · directions, N, H), zeros
        by default, to (outputs (T, N, directions · H), h_n)."""
        output, (h,) = self._run(input, hx)
        return output, h


class LSTM(RNNBase):
    """Long short-term memory over sequences: see `LSTMCell`, and `RNNBase` for the arguments."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: Any = None, dtype: Any = None) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        """Sequences (T, N, input_size), packed, or single (T, input_size), and (h_0, c_0), zeros by default, to
        (outputs (T, N, directions · (proj_size or H)), (h_n, c_n))."""
        output, (h, c) = self._run(input, hx)
        return output, (h, c)


class GRU(RNNBase):
    """Gated recurrent units over sequences: see `GRUCell`, and `RNNBase` for the arguments."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
                 dtype: Any = None, *, proj_size: int = 0) -> None:
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """Sequences (T, N, input_size), packed, or single (T, input_size), and h_0 (layers · directions, N, H), zeros
        by default, to (outputs (T, N, directions · H), h_n)."""
        output, (h,) = self._run(input, hx)
        return output, h

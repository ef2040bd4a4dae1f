"""What a recurrent network does at every time step, fused: unfused, it would be a dozen small operations.

H is the size of the hidden state. The unfused twins are in tests/test_nn_recurrent.py.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..graph import Op
from .activation import _sigmoid, sigmoid
from .elementwise import tanh
from .linalg import _linear, _over_examples, _times, linear
from .shape import _unbind, cat, cat_op, stack, unbind


def _parts(x: Any, count: int) -> list:
    """The last dimension in equal parts: i, f, n, o of an LSTM, r, z, n of a GRU."""
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]


def _lstm_gates(z, /):
    y = _sigmoid(z)
    _i, _f, n, _o = _parts(y, 4)
    np.tanh(_parts(z, 4)[2], out=n)
    return y


@functools.lru_cache(maxsize=16)
def _slope(width: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) with σ' = (a - σ) σ + b for sigmoids (a = 1, b = 0) and tanh (a = 0, b = 1), side by side as the gates."""
    b = np.repeat(np.array([0, 0, 1, 0], dtype), width // 4)
    return 1 - b, b


def _lstm_gates_rule(g, y, _z):
    a, b = _slope(y.shape[-1], y.dtype)
    return g * ((a - y) * y + b)


lstm_gates = Op("lstm_gates", _lstm_gates, _lstm_gates_rule,
                doc="The gates of an LSTM from their weighted inputs (…, 4 H): σ(i), σ(f), tanh(n), σ(o).")


def _lstm_cell(gates, c, /):
    i, f, n, o = _parts(gates, 4)
    c = f * c + i * n
    return o * np.tanh(c), c


def _lstm_cell_rule(needs, g, y, gates, c):
    (g_h, g_c), (_, new_c) = g, y
    i, f, n, o = _parts(gates, 4)
    t = tanh(new_c)
    g_c = g_c + g_h * o * (1 - t * t)
    return cat([g_c * n, g_c * c, g_c * i, g_h * t], -1) if 0 in needs else None, g_c * f if 1 in needs else None


lstm_cell = Op("lstm_cell", _lstm_cell, joint=_lstm_cell_rule,
               doc="(h', c') from the gates (…, 4 H) and c (…, H): c' = f c + i n, h' = o tanh(c').")


def _lstm_steps(parts, h, c, weight, product=linear, opened=lstm_gates, cell=lstm_cell):
    """h', c, c' and the gates, each by time step."""
    states, old, new, gates = [], [], [], []
    for part in parts:
        gates.append(opened(product(h, weight, part)))
        old.append(c)
        h, c = cell(gates[-1], c)
        states.append(h)
        new.append(c)
    return states, old, new, gates


def _lstm(x, h, c, weight, /, reverse=False):
    forth = slice(None, None, -1 if reverse else 1)
    states, *kept = _lstm_steps(_unbind(x)[forth], h, c, weight, _linear, _lstm_gates, _lstm_cell)
    return (np.stack(states[forth]), states[-1], kept[1][-1].copy()), kept  # which must not change with the result


def _lstm_rule(needs, g, y, x, h, c, weight, reverse=False, kept=None):
    """Backpropagation through time. All that does not hang on later steps is computed for all steps at once."""
    forth, back = (slice(None, None, step) for step in ((-1, 1) if reverse else (1, -1)))
    old, new, gates = map(stack, kept or _lstm_steps(unbind(x)[forth], h, c, weight)[1:])
    i, f, n, o = _parts(gates, 4)
    a, b = _slope(gates.shape[-1], gates.dtype)
    t = tanh(new)
    slopes = unbind(cat([n, old, i, t], -1) * ((a - gates) * gates + b))  # of what comes out, by the weighted inputs
    through, forget = unbind(o * (1 - t * t)), unbind(f)
    g_states, g_h, g_c = unbind(g[0])[forth], g[1], g[2]
    errors = []
    for k in reversed(range(len(g_states))):
        g_h = g_h + g_states[k]
        g_c = g_c + g_h * through[k]
        errors.append(cat_op(g_c, g_c, g_c, g_h, dim=-1) * slopes[k])
        g_h, g_c = _times(errors[-1], weight), g_c * forget[k]
    to_x = stack(errors[back])
    to_weight = None
    if 3 in needs:
        fed_back = [h, *unbind(y[0])[forth][:-1]]
        to_weight = _over_examples(to_x, stack(fed_back[forth]))
    return [wanted if k in needs else None for k, wanted in enumerate([to_x, g_h, g_c, to_weight])]


lstm = Op("lstm", _lstm, joint=_lstm_rule, keeps=True,
          doc="(h of all steps, h', c') of an LSTM, from the input's part of the gates (T, N, 4 H), h, c, weight.")


def _gru_cell(x, z, h, /):
    """x, z (…, 3 H): what the input and the state give to r, z and n; h (…, H)."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = _parts(x, 3), _parts(z, 3)
    n = np.tanh(x_n + _sigmoid(x_r + h_r) * h_n)
    return n + _sigmoid(x_z + h_z) * (h - n)


def _gru_cell_rule(needs, g, _y, x, z, h):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = _parts(x, 3), _parts(z, 3)
    r, u = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = tanh(x_n + r * h_n)
    g_n = g * (1 - u) * (1 - n * n)
    g_r = g_n * h_n * (r * (1 - r))
    g_u = g * (h - n) * (u * (1 - u))
    return (cat([g_r, g_u, g_n], -1) if 0 in needs else None,
            cat([g_r, g_u, g_n * r], -1) if 1 in needs else None,
            g * u if 2 in needs else None)


gru_cell = Op("gru_cell", _gru_cell, joint=_gru_cell_rule,
              doc="h' = n + z (h - n), n = tanh(x_n + r h_n), with the gates r = σ(x_r + h_r), z = σ(x_z + h_z).")

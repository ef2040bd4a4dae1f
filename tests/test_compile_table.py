"""compile() over the whole table: every operation, with its gradient, gives the bits of eager mode; and long trainings."""

import numpy as np
import pytest
from samples import INTERNAL, TABLE, samples
from test_compile import OPTIMIZERS, SCHEDULERS, Twins, bits, data, mlp

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.compiler.capture import _SHAPED_BY_VALUES
from microgradnet.errors import CompileError


def shaped_by_values(name, sample):
    masks = any(isinstance(a, np.ndarray) and a.dtype.kind == "b" for a in sample.args[1:])
    return name in _SHAPED_BY_VALUES or name in ("getitem", "setitem") and masks


def call_of(name, sample):
    """(a function of the call's tensors that gives the results and the gradients, those tensors)"""
    op, arrays = TABLE[name], [a for a in sample.args if isinstance(a, np.ndarray)]

    def function(*tensors):
        given = iter(tensors)
        result = op(*(next(given) if isinstance(a, np.ndarray) else a for a in sample.args), **sample.params)
        parts = result if isinstance(result, tuple) else (result,)
        wanted = [t for t in tensors if t.requires_grad]
        seeds = [p for p in parts if p.requires_grad]
        if not wanted or not seeds:
            return [p.detach() for p in parts]
        loss = sum((p * mg.arange(1, p.numel() + 1, dtype=p.dtype).view(p.shape)).sum() for p in seeds)
        found = mg.autograd.grad(loss, wanted, allow_unused=True)
        return [p.detach() for p in parts] + [g for g in found if g is not None]

    def tensors():
        return [mg.from_numpy(a.copy(order="K")).requires_grad_(a.dtype.kind == "f") for a in arrays]

    return function, tensors


@pytest.mark.parametrize("some", [slice(2), pytest.param(slice(2, None), marks=pytest.mark.slow)], ids=["some", "rest"])
@pytest.mark.parametrize("name", [name for name in TABLE if name not in INTERNAL])
def test_every_operation_and_its_gradient(name, some, in_pieces):
    for sample in samples(name)[some]:
        function, tensors = call_of(name, sample)
        compiled = mg.compile(function)
        with np.errstate(all="ignore"):
            if shaped_by_values(name, sample):
                with pytest.raises(CompileError, match="shape hangs on the values"):
                    compiled(*tensors())
                continue
            expected = bits(function(*tensors()))
            for _ in range(2):
                assert bits(compiled(*tensors())) == expected, str(sample)
        assert len(compiled.programs) == 1


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_optimizers_and_schedules(seed, in_pieces):
    rng = np.random.default_rng(seed)
    activations = [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.Softplus, nn.ELU]
    widths = [6, *rng.integers(1, 12, rng.integers(1, 5)).tolist(), 3]

    def make():
        layers = []
        for n, m in zip(widths, widths[1:]):
            layers += [nn.Linear(n, m), activations[rng.integers(len(activations))]()]
            layers += [[], [nn.Dropout(0.3)], [nn.LayerNorm(m)], [nn.BatchNorm1d(m)]][rng.integers(4)]
        return nn.Sequential(*layers)

    optimizer, scheduler = (options[sorted(options)[rng.integers(len(options))]] for options in (OPTIMIZERS, SCHEDULERS))
    twins = Twins(make, optimizer, scheduler=scheduler)
    for batch in (4, 4, 4, 7, 4, 7):
        twins.step(*data(batch))
    assert len(twins.compiled.programs) == 2


def test_a_thousand_steps_with_dropout():
    twins = Twins(mlp(nn.ReLU, nn.Dropout(0.5)), lambda p: optim.Adam(p, lr=0.01))
    x, y = data(8)
    for _ in range(1000):
        twins.step(x, y)
    assert len(twins.compiled.programs) == 1

"""What `grad_fn` is called, against PyTorch."""

import numpy as np
import pytest

import microgradnet as mg

CASES = """
x + x; x - x; x * x; x / x; x + 1; x - 1; 1 - x; 2 * x; x / 2; -x; abs(x); x % 2
x**2; x**0.5; x**x; 2**x; x.pow(3); lib.pow(2.0, x); x.square(); x.exp(); x.log(); x.log1p(); x.sqrt(); x.rsqrt()
x.sin(); x.tanh(); x.sigmoid(); x.relu(); x.erf(); x.reciprocal(); x.sign(); x.floor()
x.clamp(0, 1); x.clamp(min=0); x.clamp(min=x); lib.where(x > 0, x, x); lib.maximum(x, x)
x.sum(); x.sum(0); x.sum((0, 1)); x.mean(); x.mean(0); x.prod(); x.prod(0); x.var(); x.std(0); x.norm(); x.max(); x.min()
x.amax(0); x.amin(0); x.logsumexp(0); x.cumsum(0); x.softmax(0); x.log_softmax(0)
x.T; x.mT; x.transpose(0, 1); x.permute(1, 0); x.view(-1); x.reshape(-1); x.flatten(); x.squeeze(); x.squeeze(0)
x.unsqueeze(0); x.expand(2, 3, 4); x.repeat(2, 1); x.clone(); x.double(); x.flip(0); x.split(1)[0]; x.unbind()[0]
x[0]; x[:2]; x[:, 0]; x[0, 1]; x[0, 1:]; x[:2, 0]; x[..., 0]; x[None]; x[:]; x[x > -9]; x[i]; x[i, i]; x[:, i]
x[[0, 1]]; x[1:, 1:]; x[range(2), [0, 1]]; x[...]; x[::2]; x[0:1, None]; x.narrow(0, 0, 1); x.select(0, 0)
x @ x.T; x @ v; v @ v; q @ q; x.mm(x.T); q @ x.T; F.linear(x, x); F.linear(x, x, x[:, 0]); F.linear(v, x)
F.linear(v, x, x[:, 0]); F.linear(q, x); F.linear(q, x, x[:, 0]); lib.cat([x, x]); lib.stack([x, x])
x.gather(1, j); x.index_select(0, i); x.scatter(0, j, 1.0); x.scatter(0, j, x); x.scatter_add(0, j, x)
lib.linalg.inv(s); lib.linalg.det(s); lib.linalg.solve(s, s)
F.relu(x); F.leaky_relu(x); F.elu(x); F.gelu(x); F.silu(x); F.softplus(x); F.hardtanh(x); F.log_softmax(x, 1)
F.mse_loss(x, d); F.mse_loss(x, d, reduction="sum"); F.l1_loss(x, d); F.cross_entropy(x, t)
F.nll_loss(F.log_softmax(x, 1), t); F.conv2d(im, ke); F.max_pool2d(im, 2); F.embedding(i, x); F.dropout(x, 0.5)
"""


def names(lib, source):
    rng = np.random.default_rng(0)
    shapes = {"x": (3, 4), "v": (4,), "q": (2, 4, 4), "im": (2, 2, 4, 4), "ke": (3, 2, 2, 2)}
    given = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    given["s"] = rng.standard_normal((3, 3)) + 3 * np.eye(3)
    known = {name: lib.tensor(array).float().requires_grad_() for name, array in given.items()}
    known.update(lib=lib, F=lib.nn.functional, i=lib.tensor([0, 1]), t=lib.tensor([0, 1, 3]), d=lib.zeros(3, 4),
                 j=lib.tensor([[0, 1, 2, 0], [1, 1, 1, 1], [2, 0, 0, 1]]))
    return {case: eval(case, known).grad_fn.name() for case in source.replace("\n", ";").split(";") if case.strip()}


@pytest.mark.torch
def test_the_names_are_those_of_torch():
    torch = pytest.importorskip("torch")
    cases = "; ".join(line.strip() for line in CASES.strip().splitlines()).replace("; ", ";")
    assert names(mg, cases) == names(torch, cases)


def test_the_names_that_tutorials_show():
    model = mg.nn.Sequential(mg.nn.Linear(3, 2), mg.nn.ReLU(), mg.nn.Linear(2, 2))
    logits = model(mg.ones(4, 3))
    loss = mg.nn.functional.cross_entropy(logits, mg.tensor([0, 1, 0, 1]))
    assert repr(logits).endswith("grad_fn=<AddmmBackward0>)") and repr(loss).endswith("grad_fn=<NllLossBackward0>)")
    loss.backward()
    assert repr(logits).endswith("grad_fn=<AddmmBackward0>)")  # also when the values are given up
    assert repr((logits - 1).pow(2).mean()).endswith("grad_fn=<MeanBackward0>)")

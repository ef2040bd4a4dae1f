"""The cases of the golden arrays: what PyTorch computes for them is kept in golden/arrays.npz.

A case is an expression in the names of `names`, the same in both libraries: add it to CASES, run `python tests/make_golden.py` where
PyTorch is installed, and commit the file it writes. What is kept: every tensor in the result, and the gradients of every
tensor and parameter that the result depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

CASES = """
m.exp(x); m.log(p); m.sqrt(p); m.sin(x); m.cos(x); m.tan(x); m.tanh(x); m.sinh(x); m.cosh(x); m.asin(u); m.acos(u); m.atan(x); m.abs(x)
m.sigmoid(x); m.relu(x); m.erf(x); m.expm1(x); m.log1p(p); m.log2(p); m.log10(p); m.exp2(x); m.rsqrt(p); m.reciprocal(p); m.square(x); m.sign(x)
m.floor(4 * x); m.ceil(4 * x); m.round(4 * x); m.trunc(4 * x)
x + y; x - 2 * y; x * v; x / p; x**2; x**3; p**y; 2**x; x % p; x.detach() // p.detach(); -x; x @ w; v @ w; x @ v; b @ w; m.maximum(x, y); m.minimum(x, v); m.clamp(x, -0.2, 0.3)
m.where(x > y, x, 2 * y); x < y; x == x; m.lerp(x, y, 0.3); m.addcmul(x, y, p, value=0.5); m.addcdiv(x, y, p, value=0.5)
x.sum(); x.sum(1); b.sum((0, 2), keepdim=True); x.mean(); b.mean(-1); x.prod(1); x.var(); x.var(1); x.std(0, correction=0); x.norm(); x.norm(1); x.norm(3, 1)
x.max(); x.max(1); x.min(0); x.amax(1); x.amin((0, 1)); x.argmax(1); x.cumsum(1); m.logsumexp(x, 1); m.softmax(x, 1); m.log_softmax(b, 1); x.any(); (x > 0).all(1)
x.reshape(2, 6); b.permute(2, 0, 1); b.transpose(0, 2); b.flatten(1); x.unsqueeze(1).squeeze(); v.expand(3, 4); m.cat([x, y], 1); m.stack([x, y], 1); x.T; x.flip(0)
x.split(2, 1); x.chunk(2, 1); x.unbind(1); x.repeat(2, 1); m.tril(q); m.triu(q, 1); x[1]; x[:, ::2]; x[[0, 2, 0]]; x[x > 0]; x[..., None, 1:3]; x[i, i]
m.einsum("ij,jk->ki", x, w); m.einsum("bij,jk,bik->b", b, w, m.einsum("bij,jk->bik", b, w)); m.outer(v, v); m.dot(v, v); m.bmm(b, b.transpose(1, 2)); m.addmm(q, x, w)
x.gather(1, j); m.index_select(x, 1, i); x.scatter(1, j, y[:2, :3]); x.scatter_add(1, j, y[:2, :3]); x.index_add(0, i, y); x.masked_fill(x > 0, 2.0)
F.relu(x); F.leaky_relu(x, 0.2); F.elu(x, 0.7); F.selu(x); F.celu(x, 0.5); F.gelu(x); F.gelu(x, approximate="tanh"); F.silu(x); F.mish(x); F.softplus(x, 2); F.softsign(x)
F.hardtanh(3 * x); F.relu6(9 * x); F.hardswish(9 * x); F.hardsigmoid(9 * x).detach(); F.logsigmoid(x); F.softmin(x, 1); F.tanhshrink(x); F.hardshrink(x, 0.3); F.softshrink(x, 0.2)
F.glu(x, 1); F.threshold(x, 0.1, 0.5); F.prelu(x, v.abs()[:1]); F.normalize(x, dim=1); F.linear(x, w.T, v[:3]); F.one_hot(labels, 5); F.cosine_similarity(x, y); F.pairwise_distance(x, y)
F.mse_loss(x, y); F.l1_loss(x, y, reduction="sum"); F.smooth_l1_loss(x, y, beta=0.3); F.huber_loss(x, y, delta=0.3); F.cross_entropy(x, labels); F.cross_entropy(x, labels, label_smoothing=0.1, weight=p.detach()[0])
F.cross_entropy(x, m.softmax(y, 1)); F.nll_loss(m.log_softmax(x, 1), labels, ignore_index=2); F.binary_cross_entropy(u.sigmoid(), y.detach().sigmoid()); F.binary_cross_entropy_with_logits(x, m.sigmoid(y), pos_weight=p.detach()[0])
F.kl_div(m.log_softmax(x, 1), m.softmax(y, 1), reduction="batchmean"); F.kl_div(x, y, log_target=True, reduction="sum")
F.layer_norm(x, (4,)); F.rms_norm(x, (4,)); F.group_norm(b, 3); F.instance_norm(b); F.batch_norm(x, None, None, training=True); F.local_response_norm(b, 2)
F.embedding(i, x); F.dropout(x, 0.5, training=False); F.bilinear(x, y, t); F.pad(x, (1, 2)); F.conv1d(seq, k1, padding=1); F.conv2d(image, k2, stride=2, padding=1); F.conv_transpose1d(seq, k1.transpose(0, 1))
call(nn.Linear(4, 3), x); call(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2), nn.LogSoftmax(1)), x); call(nn.Bilinear(4, 4, 2), x, y); call(nn.Embedding(5, 3, padding_idx=0), labels)
call(nn.LayerNorm(4), x); call(nn.RMSNorm(4), x); call(nn.GroupNorm(3, 3), b); call(nn.BatchNorm1d(4), x); call(nn.BatchNorm1d(3).eval(), b); call(nn.BatchNorm2d(2), image); call(nn.InstanceNorm1d(3, affine=True), b)
call(nn.PReLU(), x); call(nn.Flatten(), b); call(nn.Conv1d(3, 4, 2), seq); call(nn.Conv2d(2, 4, 3, padding=1, groups=2), image); call(nn.ConvTranspose1d(3, 2, 3, stride=2), seq)
call(nn.RNN(4, 3, 2), b); call(nn.LSTM(4, 3, bidirectional=True), b); call(nn.GRU(4, 3, batch_first=True), b); call(nn.RNNCell(4, 2), x); call(nn.LSTMCell(4, 2), x); call(nn.GRUCell(4, 2), x)
call(nn.MSELoss(), x, y); call(nn.CrossEntropyLoss(), x, labels); call(nn.BCEWithLogitsLoss(), x, m.sigmoid(y)); call(nn.NLLLoss(), x, labels); call(nn.SmoothL1Loss(), x, y)
descend(optim.SGD, lr=0.1); descend(optim.SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01); descend(optim.SGD, lr=0.1, momentum=0.9, nesterov=True); descend(optim.Adam, lr=0.05)
descend(optim.Adam, lr=0.05, amsgrad=True, weight_decay=0.1); descend(optim.AdamW, lr=0.05); descend(optim.RMSprop, lr=0.01); descend(optim.RMSprop, lr=0.01, momentum=0.5, centered=True); descend(optim.Adagrad, lr=0.1, lr_decay=0.1)
rates(schedule.StepLR, 3); rates(schedule.MultiStepLR, [2, 5]); rates(schedule.ExponentialLR, 0.9); rates(schedule.CosineAnnealingLR, 6, 0.01); rates(schedule.LinearLR, total_iters=4)
rates(schedule.PolynomialLR, 6, 2.0); rates(schedule.CosineAnnealingWarmRestarts, 3, 2); rates(schedule.OneCycleLR, 1.0, 9); rates(schedule.ConstantLR, 0.5, 3)
"""


def cases() -> list[str]:
    """The expressions, one by one."""
    return [case.strip() for line in CASES.strip().split("\n") for case in line.split("; ")]


def numbers(*shape: int, start: int = 0) -> np.ndarray:
    """As good as random, in (-1, 1), without ties, and the same everywhere."""
    k = np.arange(start, start + int(np.prod(shape, dtype=int)), dtype=np.int64)
    return ((k * 7919 + 1237) % 2003 / 1001.5 - 1.0).reshape(shape)


SHAPES = {"x": (3, 4), "y": (3, 4), "p": (3, 4), "u": (3, 4), "v": (4,), "w": (4, 3), "q": (3, 3), "b": (2, 3, 4), "t": (2, 4, 4), "seq": (2, 3, 5),
          "image": (2, 2, 5, 4), "k1": (4, 3, 3), "k2": (3, 2, 2, 3)}  # fmt: skip


class Names(dict):
    """What a case may name, in the library `m`. Tensors are made when they are asked for, and then listed in `leaves`."""

    def __init__(self, m: Any) -> None:
        self.leaves: dict[str, Any] = {}
        super().__init__(m=m, F=m.nn.functional, nn=m.nn, optim=m.optim, schedule=m.optim.lr_scheduler, call=self.call, descend=self.descend,
                         rates=self.rates, i=m.tensor([0, 2, 1]), j=m.tensor([[0, 1, 3], [3, 2, 0]]), labels=m.tensor([1, 0, 2]))  # fmt: skip

    def __missing__(self, name: str) -> Any:
        if name not in SHAPES:
            raise KeyError(name)  # then Python looks further
        values = numbers(*SHAPES[name], start=100 * list(SHAPES).index(name))
        values = {"p": np.abs(values) + 0.3, "u": 0.9 * values}.get(name, values)
        self[name] = self.leaves[name] = self["m"].tensor(values.tolist(), dtype=self["m"].float64).requires_grad_()
        return self[name]

    def call(self, module: Any, *args: Any) -> Any:
        """The module's output, with weights that both libraries have."""
        m = self["m"]
        module = module.to(m.float64)
        with m.no_grad():
            for k, (name, parameter) in enumerate(module.named_parameters()):
                shape = tuple(parameter.shape)
                parameter.copy_(m.tensor((0.5 * numbers(*shape, start=77 * k)).tolist(), dtype=m.float64).reshape(shape))
                self.leaves[name] = parameter
        return module(*args)

    def descend(self, optimizer: Any, **options: Any) -> list:
        """Ten steps down a crooked valley."""
        a, c = self["x"].detach().clone().requires_grad_(), self["y"].detach()
        descent = optimizer([a], **options)
        found = []
        for _ in range(10):
            descent.zero_grad()
            ((a - c) ** 4 + 0.3 * (a * a.cos()) ** 2).sum().backward()
            descent.step()
            found.append(a.detach().clone())
        return [found[0], found[1], found[-1]]

    def rates(self, scheduler: Any, *args: Any, **options: Any) -> list:
        """The learning rates of eight steps."""
        m = self["m"]
        descent = m.optim.SGD([m.zeros(1)], lr=0.4, momentum=0.9)
        plan = scheduler(descent, *args, **options)
        found = []
        for _ in range(8):
            found.append(plan.get_last_lr()[0])
            descent.step()
            plan.step()
        return [m.tensor(found, dtype=m.float64)]


def tensors(result: Any, m: Any) -> Iterator[Any]:
    """The tensors in a result, however nested."""
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from tensors(part, m)
    elif isinstance(result, m.Tensor):
        yield result
    else:
        yield m.tensor(result)


def outcome(m: Any, case: str) -> dict[str, np.ndarray]:
    """Everything that is compared about a case, by name."""
    names = Names(m)
    results = list(tensors(eval(case, {}, names), m))  # noqa: S307
    found = {f"result {k}": y.detach().numpy() for k, y in enumerate(results)}
    tracked = [y for y in results if y.requires_grad]
    if tracked and names.leaves:
        seeds = [m.tensor(numbers(*y.shape, start=501 + 13 * k).tolist(), dtype=m.float64).reshape(tuple(y.shape)) for k, y in enumerate(tracked)]
        gradients = m.autograd.grad(tracked, list(names.leaves.values()), seeds, allow_unused=True, materialize_grads=True)
        found |= {f"gradient of {name}": g.numpy() for name, g in zip(names.leaves, gradients)}
    return found

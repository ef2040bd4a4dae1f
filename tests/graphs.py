"""Graphs to draw. Their numbers are exact in float32, so the drawings are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

import microgradnet as mg
from microgradnet import nn
from microgradnet.viz import Drawing

GRAPHS: dict[str, Callable[[], Drawing]] = {}


def graph(build: Callable[[], Drawing]) -> Callable[[], Drawing]:
    GRAPHS[build.__name__] = build
    return build


def counting(*shape: int) -> mg.Tensor:
    """-2, -1.5, -1, …"""
    count = 1
    for n in shape:
        count *= n
    return (mg.arange(count).float() / 2 - 2).reshape(*shape)


def filled(module: nn.Module) -> nn.Module:
    with mg.no_grad():
        for parameter in module.parameters():
            parameter.copy_(counting(*parameter.shape))
    return module


def mlp() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))


@graph
def square_plus() -> Drawing:
    x, y = mg.tensor(3.0, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    return mg.draw(x * x + y, params={"x": x, "y": y}, values=True, grads=True)


@graph
def softmax_classifier() -> Drawing:
    x, labels = counting(4, 3), mg.eye(2)[mg.tensor([0, 1, 1, 0])]
    w, b = mg.zeros(3, 2, requires_grad=True), mg.zeros(2, requires_grad=True)
    loss = -(labels * mg.log_softmax(x @ w + b, dim=1)).sum() / 4
    return mg.draw(loss, params={"x": x, "w": w, "b": b, "labels": labels}, name="cost", direction="LR")


@graph
def mlp_loss() -> Drawing:
    difference = mlp()(counting(4, 2)) - mg.ones(4, 1)
    return mg.draw((difference**2).mean(), name="loss")


@graph
def mlp_after_backward() -> Drawing:
    loss = (mlp()(counting(4, 2)) * 0.5).sum()
    loss.backward()
    return mg.draw(loss, name="loss", values=True, grads=True)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.from_x, self.from_h, self.relu = nn.Linear(2, 3), nn.Linear(3, 3, bias=False), nn.ReLU()

    def forward(self, xs: list[mg.Tensor]) -> mg.Tensor:
        h = mg.zeros(1, 3)
        for x in xs:
            h = self.relu(self.from_x(x) + self.from_h(h))
        return h


@graph
def recurrent() -> Drawing:
    return mg.draw(filled(Recurrent())([counting(1, 2), counting(1, 2)]), name="h")


@graph
def several_outputs() -> Drawing:
    x = counting(6, 2).requires_grad_()
    first, second, third = x.split(2)
    return mg.draw({"difference": second - first, "entry": third[0, ::2], "largest": x.amax(dim=1, keepdim=True)})


@graph
def the_last_of_many() -> Drawing:
    x = counting(2).requires_grad_()
    y = x
    for _ in range(40):
        y = (y * x).relu()
    return mg.draw(y.sum(), max_nodes=5, show_shapes=False)

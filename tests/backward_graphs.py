"""Graphs to draw with their backward pass. Their numbers are exact in float32, so the pictures are the same everywhere.

    python tests/backward_graphs.py

writes the picture in the READMEs, docs/four_equations.svg, anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from graphs import counting, filled

import microgradnet as mg
from microgradnet import nn
from microgradnet.viz.drawing import BackwardDrawing

PICTURE = Path(__file__).parents[1] / "docs" / "four_equations.svg"
GRAPHS: dict[str, Callable[[], BackwardDrawing]] = {}


def graph(build: Callable[[], BackwardDrawing]) -> Callable[[], BackwardDrawing]:
    GRAPHS[build.__name__] = build
    return build


def sigmoid_net(*sizes: int) -> nn.Module:
    layers = [part for sides in zip(sizes, sizes[1:]) for part in (nn.Linear(*sides), nn.Sigmoid())]
    return filled(nn.Sequential(*layers))


def cost(net: nn.Module, inputs: int, outputs: int) -> mg.Tensor:
    return nn.functional.mse_loss(net(counting(5, inputs)), counting(5, outputs))


@graph
def backward_equations() -> BackwardDrawing:
    return mg.draw(cost(sigmoid_net(3, 4, 2), 3, 2), backward=True, name="the four equations of backpropagation")


@graph
def backward_by_hand() -> BackwardDrawing:
    x, y = counting(4, 3), counting(4, 2)
    w, b = counting(2, 3).requires_grad_(), mg.zeros(2, requires_grad=True)
    loss = (((x @ w.T + b).relu() - y) ** 2).sum() / 8
    return mg.draw(loss, backward=True, params={"x": x, "y": y}, direction="LR", values="summary")


@graph
def backward_of_fifty_layers() -> BackwardDrawing:
    return mg.draw(cost(sigmoid_net(*[4] * 51), 4, 4), backward=True, theme="dark", show_shapes=False, direction="BT")


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x + self.inner(x)


def residual_net() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(3, 2), *(Residual() for _ in range(6)), nn.Linear(2, 1)))


@graph
def backward_by_module() -> BackwardDrawing:
    loss = residual_net()(counting(4, 3)).mean()
    return mg.draw(loss, backward=True, depth=2, grads=True)


@graph
def backward_of_residuals() -> BackwardDrawing:
    return mg.draw(residual_net()[:2](counting(4, 3)).split(1, dim=1)[0].sum(), backward=True, direction="RL")


if __name__ == "__main__":
    print(GRAPHS["backward_equations"]().save(PICTURE))

"""Backpropagation in closed form: chapter 2 of Michael Nielsen's "Neural Networks and Deep Learning", on NumPy alone.

Nothing in the first four files knows of tensors, graphs or derivative rules, and so what they compute is evidence
against which the automatic derivatives can be held. Reading order:

1. `equations`    the four equations BP1–BP4, and central differences, their referee
2. `activations`  σ and σ'
3. `costs`        C and ∇_a C, and where both collapse to δ^L = a^L − y
4. `network`      the backpropagation algorithm and mini-batch stochastic gradient descent
5. `from_model`   which models of `nn` have a closed form, and the network that is theirs
6. `comparison`   both sides held against each other

Shapes are the same everywhere: w^l is (out, in); one example is a 1-D vector, a batch holds one example per row.
"""

from typing import Any

from . import activations, costs
from .activations import Activation
from .costs import Cost, Partner, one_hot
from .equations import bp1, bp1_jacobian, bp2, bp3, bp4, central_differences
from .network import Gradients, Network, default_weights, large_weights

__all__ = [
    "Activation", "Cost", "Gradients", "Network", "Partner", "activations", "bp1", "bp1_jacobian", "bp2", "bp3",
    "bp4", "central_differences", "costs", "default_weights", "large_weights", "one_hot",
]


def __getattr__(name: str) -> Any:
    """`compare` needs the engine, so it is loaded when it is first asked for."""
    if name in ("NoClosedForm", "Report", "compare"):
        import importlib

        return getattr(importlib.import_module(f"{__name__}.comparison"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

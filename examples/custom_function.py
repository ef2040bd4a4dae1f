"""An operation of one's own with a derivative of one's own: log(1 + exp(x)), without overflow either way.

As autodiff would take it apart, exp(x) overflows for a large x, and the gradient inf / inf is nan. Written by hand,
neither the value nor the derivative overflows; gradcheck holds the two against each other.

    python examples/custom_function.py
"""

import numpy as np

import microgradnet as mg
from microgradnet.autograd import Function, gradcheck


class Log1pExp(Function):
    """log(1 + exp(x)), whose derivative is 1 / (1 + exp(-x))."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return mg.maximum(x, mg.zeros_like(x)) + mg.log1p(mg.exp(-mg.abs(x)))

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * mg.sigmoid(x)


def naive(x):
    return mg.log(1 + mg.exp(x))


for f in (naive, Log1pExp.apply):
    x = mg.tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    with np.errstate(all="ignore"):
        y = f(x)
        y.sum().backward()
    print(f"{'naive' if f is naive else 'by hand':8} value {y.tolist()}, derivative {x.grad.tolist()}")

x = mg.randn(5, dtype=mg.float64, requires_grad=True)
print("gradcheck:", gradcheck(Log1pExp.apply, x))

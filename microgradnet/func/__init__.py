"""Functions that make functions: derivatives, vmap, and modules as functions of their parameters.

Reading order: `derivatives`, `batched`, `calls`; `tree` is what all three know of nested arguments.
"""

from .batched import vmap
from .calls import functional_call, stack_module_state
from .derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, value_and_grad, vjp

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

"""Results with names: tuples that print what is what, as PyTorch's do."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensor import Tensor


class Named(tuple):
    """A tuple whose parts have names, too. It is made of a sequence of its parts."""

    names: Sequence[str] = ()

    def __init_subclass__(cls, names: str = "") -> None:
        cls.names = names.split() or cls.names
        for i, name in enumerate(cls.names):
            setattr(cls, name, property(itemgetter(i)))

    def __repr__(self) -> str:
        parts = ",\n".join(f"{name}={part!r}" for name, part in zip(self.names, self))
        return f"microgradnet.return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)


class Indexed(Named, names="values indices"):
    """Elements chosen along a dimension, and where they were found."""

    values: Tensor
    indices: Tensor


class max(Indexed):
    """What `max` gives along a dimension."""


class min(Indexed):
    """What `min` gives along a dimension."""


class sort(Indexed):
    """What `sort` gives."""


class topk(Indexed):
    """What `topk` gives."""


class kthvalue(Indexed):
    """What `kthvalue` gives."""


class median(Indexed):
    """What `median` gives along a dimension."""


class nanmedian(Indexed):
    """What `nanmedian` gives along a dimension."""


class mode(Indexed):
    """What `mode` gives."""


class cummax(Indexed):
    """What `cummax` gives."""


class cummin(Indexed):
    """What `cummin` gives."""


class aminmax(Named, names="min max"):
    """What `aminmax` gives."""

    min: Tensor
    max: Tensor


class histogram(Named, names="hist bin_edges"):
    """What `histogram` gives."""

    hist: Tensor
    bin_edges: Tensor


class histogramdd(Named, names="hist bin_edges"):
    """What `histogramdd` gives."""

    hist: Tensor
    bin_edges: tuple[Tensor, ...]


class slogdet(Named, names="sign logabsdet"):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


class qr(Named, names="Q R"):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


class svd(Named, names="U S V"):
    """What `svd` gives: V, not Vᵀ."""

    U: Tensor
    S: Tensor
    V: Tensor


class linalg_slogdet(slogdet):
    """What `linalg.slogdet` gives."""


class linalg_qr(qr):
    """What `linalg.qr` gives."""


class linalg_svd(Named, names="U S Vh"):
    """What `linalg.svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class linalg_eigh(Named, names="eigenvalues eigenvectors"):
    """What `linalg.eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class linalg_lstsq(Named, names="solution residuals rank singular_values"):
    """What `linalg.lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


class linalg_lu(Named, names="P L U"):
    """What `linalg.lu` gives."""

    P: Tensor
    L: Tensor
    U: Tensor


class linalg_lu_factor(Named, names="LU pivots"):
    """What `linalg.lu_factor` gives."""

    LU: Tensor
    pivots: Tensor


class linalg_lu_factor_ex(Named, names="LU pivots info"):
    """What `linalg.lu_factor_ex` gives."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class lu_unpack(linalg_lu):
    """What `lu_unpack` gives."""


class triangular_solve(Named, names="solution cloned_coefficient"):
    """What `triangular_solve` gives."""

    solution: Tensor
    cloned_coefficient: Tensor


class linalg_inv_ex(Named, names="inverse info"):
    """What `linalg.inv_ex` gives."""

    inverse: Tensor
    info: Tensor


class linalg_cholesky_ex(Named, names="L info"):
    """What `linalg.cholesky_ex` gives."""

    L: Tensor
    info: Tensor


class linalg_solve_ex(Named, names="result info"):
    """What `linalg.solve_ex` gives."""

    result: Tensor
    info: Tensor


class frexp(Named, names="mantissa exponent"):
    """What `frexp` gives."""

    mantissa: Tensor
    exponent: Tensor

# isort: skip_file
"""The table of operations, a file per family. Reading order: elementwise, shape, reduce, index, linalg, activation,
arithmetic, mathematics; then inplace (writing), methods (the operators of Tensor), fence (NumPy's protocols).
Composed of those: order, cumulative, statistics, counting, scattering, views, rearrange, joining, products.

What a family file defines in public is a function of the package and, given a tensor first, a method; see `public`."""

from typing import TYPE_CHECKING

from . import (
    activation, arithmetic, counting, cumulative, elementwise, index, joining, linalg, mathematics, order, products,
    ranges, rearrange, reduce, scattering, shape, statistics, views,
)  # fmt: skip
from .elementwise import *
from .shape import *
from .index import *
from .reduce import *
from .linalg import *
from .activation import *
from .arithmetic import *
from .mathematics import *
from .views import *
from .order import *
from .cumulative import *
from .statistics import *
from .counting import *
from .scattering import *
from .rearrange import *
from .joining import *
from .products import *
from .ranges import *
from .methods import allclose, equal, isclose

FAMILIES = (elementwise, shape, index, reduce, linalg, activation, arithmetic, mathematics, views, order, cumulative,
            statistics, counting, scattering, rearrange, joining, products, ranges)

if not TYPE_CHECKING:
    __all__ = [*(name for family in FAMILIES for name in family.__all__), "allclose", "equal", "isclose"]

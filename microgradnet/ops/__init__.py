# isort: skip_file
"""The table of operations, a file per family. Reading order: elementwise, shape, reduce, index, linalg, activation;
then inplace (writing), methods (the operators of Tensor), fence (NumPy's protocols). Composed of those: order,
cumulative, statistics, counting, scattering, views, rearrange, joining, products.

What a family file defines in public is a function of the package and, given a tensor first, a method; see `public`."""

from typing import TYPE_CHECKING

from . import (
    activation, counting, cumulative, elementwise, index, joining, linalg, order, products, ranges, rearrange, reduce,
    scattering, shape, statistics, views,
)  # fmt: skip
from .elementwise import *
from .shape import *
from .index import *
from .reduce import *
from .linalg import *
from .activation import *
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
from .inplace import addcdiv, addcmul, lerp
from .methods import allclose, equal, isclose

FAMILIES = (elementwise, shape, index, reduce, linalg, activation, views, order, cumulative, statistics, counting,
            scattering, rearrange, joining, products, ranges)

if not TYPE_CHECKING:
    __all__ = [*(name for family in FAMILIES for name in family.__all__),
               "addcdiv", "addcmul", "lerp", "allclose", "equal", "isclose"]

# isort: skip_file
"""The table of operations, a file per family. Reading order: elementwise, shape, reduce, index, linalg, activation,
arithmetic, mathematics, for nn window, convolution, resample; then inplace (writing), methods (the operators of
Tensor), fence (NumPy's protocols).
Composed of those: order, cumulative, statistics, counting, scattering, views, rearrange, joining, products; and
decomposition, elimination; facts asks what a tensor is.

What a family file defines in public is a function of the package and, given a tensor first, a method; see `public`."""

from typing import TYPE_CHECKING

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
from .decomposition import *
from .elimination import *
from .facts import *
from .methods import FAMILIES, allclose, equal, isclose, facts

from .out import with_out

if not TYPE_CHECKING:
    globals().update({name: with_out(getattr(family, name), name) for family in FAMILIES for name in family.__all__})
    __all__ = [*(name for family in FAMILIES for name in family.__all__), *facts.__all__,
               "allclose", "equal", "isclose"]

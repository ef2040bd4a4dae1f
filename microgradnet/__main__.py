"""`python -m microgradnet` is the command `microgradnet`."""

import sys

from .cli import main

sys.exit(main())

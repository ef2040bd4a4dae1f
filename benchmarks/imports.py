"""What `import microgradnet` costs over `import numpy`: median of fresh interpreters; exits with 1 above the limit."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

IMPORT = "import time, numpy; start = time.perf_counter(); import microgradnet; print(time.perf_counter() - start)"


def import_seconds():
    child = subprocess.run(
        [sys.executable, "-c", IMPORT], stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    return float(child.stdout)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, default=40.0, help="milliseconds (default 40)")
    arguments = parser.parse_args()
    import_seconds()  # writes the byte code
    milliseconds = 1000 * statistics.median(import_seconds() for _ in range(arguments.rounds))
    print(f"import microgradnet over import numpy: {milliseconds:.1f} ms; limit {arguments.limit:g} ms")
    sys.exit(milliseconds > arguments.limit)


if __name__ == "__main__":
    main()

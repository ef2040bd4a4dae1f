"""Write golden/arrays.npz anew: what PyTorch computes for the cases of `golden_cases`. Run it where PyTorch is installed:

    python tests/make_golden.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
from golden_cases import cases, outcome

FILE = Path(__file__).parent / "golden" / "arrays.npz"


def pack(found: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """All numbers in one array, and an index that says where each stands: a member of an archive costs more than its numbers."""
    index, flat, at = {}, [], 0
    for case, arrays in found.items():
        index[case] = {}
        for name, array in arrays.items():
            index[case][name] = [str(array.dtype), list(array.shape), at]
            flat.append(array.astype(np.float64).ravel())
            at += array.size
    return {"numbers": np.concatenate(flat), "index": np.frombuffer(json.dumps(index).encode(), np.uint8)}


def unpack(packed: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """What `pack` was given."""
    numbers = packed["numbers"]
    return {
        case: {name: numbers[at : at + int(np.prod(shape, dtype=int))].reshape(shape).astype(dtype) for name, (dtype, shape, at) in arrays.items()}
        for case, arrays in json.loads(packed["index"].tobytes()).items()
    }


def main() -> None:
    """Compute and write."""
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case: outcome(torch, case) for case in cases()}
    np.savez_compressed(FILE, **pack(found))
    print(f"{len(found)} cases, {FILE.stat().st_size:,} bytes: {FILE}")


if __name__ == "__main__":
    main()

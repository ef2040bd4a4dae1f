"""microgradnet: a mini-PyTorch on NumPy that shows its work.

Reading order, from the idea to its uses:

1. `tensor`: an array, its gradient, and the node that made it.
2. `graph`: what an operation is, what recording one leaves behind, the walk that every interpreter shares;
   `recording`: when one is recorded.
3. `ops.elementwise`, and its neighbours: the table, a NumPy forward and a derivative rule per entry.
4. `autograd.engine`: `loss.backward()`, the chain rule node by node. In `ops.linalg.linear` BP2, BP3 and BP4 come out.
5. `backprop`: the same four equations in closed form, to compare with.
6. `nn`, `optim`, `utils.data`: layers, optimizers and data on top; `viz`: the graph as a picture.
"""

from __future__ import annotations

import builtins
import importlib
from math import e, inf, nan, pi
from typing import Any

from . import autograd, ops
from .dtypes import *  # noqa: F403
from .ops import *  # noqa: F403
from .ops.creation import *  # noqa: F403
from .random import *  # noqa: F403
from .recording import *  # noqa: F403
from .tensor import *  # noqa: F403
from .tensor import Tensor

__version__ = "0.1.0"

_SUBMODULES = {"accelerator", "amp", "autograd", "backends", "backprop", "cli", "cuda", "datasets", "diagnosis", "func",
               "linalg", "nn", "ops", "optim", "random", "special", "utils", "vision", "viz"}
_LAZY = {
    "draw": "viz", "explain": "viz",
    "save": "serialization", "load": "serialization", "save_checkpoint": "serialization",
    "load_checkpoint": "serialization", "CheckpointError": "serialization", "set_printoptions": "printing",
    "get_printoptions": "printing", "autocast": "amp", "GradScaler": "amp",
    "compare": "backprop.comparison", "compile": "compiler.compiled", "CompileError": "errors", "vmap": "func",
    "is_anomaly_enabled": "autograd.anomaly",
    "is_anomaly_check_nan_enabled": "autograd.anomaly",
    "Monitor": "diagnosis", "lint": "lints", "LintWarning": "lints",
}  # fmt: skip
_LAZY |= dict.fromkeys("""
    are_deterministic_algorithms_enabled can_cast channels_last contiguous_format dtype finfo get_default_device
    get_float32_matmul_precision get_num_interop_threads get_num_threads iinfo
    is_deterministic_algorithms_warn_only_enabled is_storage layout preserve_format promote_types set_default_device
    set_float32_matmul_precision set_flush_denormal set_num_interop_threads set_num_threads strided typename
    use_deterministic_algorithms
""".split(), "settings")
_LAZY |= dict.fromkeys("""
    BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor
    set_default_tensor_type
""".split(), "typed")
# What PyTorch has both here and in nn.functional, with the same order of arguments.
_LAZY |= dict.fromkeys("""
    adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d bilinear celu celu_ channel_shuffle conv1d conv2d
    conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity dropout feature_alpha_dropout
    feature_dropout group_norm hardshrink layer_norm max_pool1d max_pool2d max_pool3d pairwise_distance pdist
    pixel_shuffle pixel_unshuffle prelu relu_ rms_norm rrelu rrelu_ selu selu_ threshold threshold_
""".split(), "nn.functional")
_OUT_OF_SCOPE = {
    **dict.fromkeys(["bfloat16", "BFloat16Tensor"], "NumPy has no such dtype; use float32"),
    **dict.fromkeys(["cdouble", "cfloat", "chalf", "complex32", "complex64", "complex128"], "tensors are real"),
    **dict.fromkeys(["sparse", "sparse_coo", "sparse_coo_tensor", "sparse_csr", "sparse_csr_tensor"],
                    "tensors are dense"),
    **dict.fromkeys(["qint8", "quint8", "qint32", "quantization", "quantize_per_tensor"], "tensors are not quantised"),
    **dict.fromkeys(["distributed", "multiprocessing"], "it computes in one process"),
    **dict.fromkeys(["jit", "export", "onnx", "fx"], "a model runs as it is written"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Rooms are entered when they are first asked for, so that the import stays fast."""
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    if name in _OUT_OF_SCOPE:
        raise AttributeError(f"module '{__name__}' has no '{name}': {_OUT_OF_SCOPE[name]}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def is_tensor(obj: Any) -> builtins.bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> builtins.int:
    """The number of elements."""
    return input.numel()

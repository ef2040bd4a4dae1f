"""What of PyTorch's operator database is not held against us, each with the reason; and what is compared in another way.

Names are those of `opdb.full_name`; a star at the end stands for every ending.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

OUT_OF_SCOPE = {
    "complex numbers": """view_as_real view_as_complex complex conj conj_physical resolve_conj resolve_neg imag real polar
        angle isreal cdouble cfloat chalf nn.functional.silu.complex linalg.eig linalg.eigvals""",
    "a dtype that NumPy does not have": "bfloat16",
    "Fourier transforms, whose values are complex": "fft.* stft istft",
    "sparse tensors": "sparse.* to_sparse",
    "strides and storage, which NumPy manages here": """as_strided as_strided.* as_strided_scatter resize_ resize_as_ empty_strided
        new_empty_strided empty_permuted""",
    "undocumented copies of the views, for compilers": """expand_copy diagonal_copy alias_copy as_strided_copy narrow_copy view_copy permute_copy split_with_sizes_copy unbind_copy
        unfold_copy squeeze_copy t_copy transpose_copy unsqueeze_copy""",
    "internals of PyTorch with no name of their own in its documentation": """_softmax_backward_data native_* _native_* _batch_norm_with_update _upsample_bilinear2d_aa
        torch.* max_pool2d_with_indices_backward _unsafe_* unsafe_* _chunk_cat _segment_reduce* constant_pad_nd slice
        grid_sampler_* rsub hash_tensor nonzero_static""",
    "kernels written in CUDA or Triton": "jiterator_* bmm.triton_optimized nn.functional.batch_norm.without_cudnn",
    "a prototype of PyTorch": "masked.*",
    "a form that saves memory, with the values of the plain one but without its second derivatives": "nn.functional.linear_cross_entropy.chunked*",
    "signal processing": "signal.*",
    "functions of physics and statistics without a place in networks": """special.airy_ai special.bessel_* special.modified_bessel_* special.scaled_modified_bessel_*
        special.spherical_bessel_j0 special.chebyshev_* special.shifted_chebyshev_* special.hermite_* special.laguerre_* special.legendre_*
        """,
    "approximations that begin with random numbers, different on every call": "svd_lowrank pca_lowrank",
    "pieces of LAPACK's factorizations": """geqrf ormqr linalg.householder_product linalg.ldl_*""",
    "deprecated in PyTorch, removed from its documentation or replaced by linalg": "triangular_solve",
}

# Their results are drawn: shape and dtype are compared here, the distribution in test_random.py.
RANDOM = {
    "cauchy", "exponential", "geometric", "log_normal", "normal", "uniform", "randn", "randn_like", "rand_like", "randint", "randint_like",
    "multinomial", "bernoulli", "empty", "empty_like", "new_empty", "nn.functional.dropout", "nn.functional.dropout2d",
    "nn.functional.dropout3d", "nn.functional.alpha_dropout", "nn.functional.feature_alpha_dropout", "nn.functional.rrelu",
    "nn.functional.fractional_max_pool2d", "nn.functional.fractional_max_pool3d",
}  # fmt: skip

# Where 1e-9 is too much to ask of float64.
TOLERANCES = {
    "nn.functional.hardsigmoid": 1e-6,  # PyTorch's gradient is 1/6 rounded to float32
}

# Those in scope that do not agree in every sample, at which point, and why; test_op_db.py holds this to be all of them.
EXPLAINED = {
    "cholesky_inverse": ("wrong gradient", "only one triangle of the factor is read: the gradient of the other is 0 here, in PyTorch it is not"),
    "cholesky_solve": ("wrong gradient", "only one triangle of the factor is read: the gradient of the other is 0 here, in PyTorch it is not"),
    "histogramdd": ("error", "edges that do not ascend are an error here, in PyTorch they count something"),
    "linalg.norm": ("wrong second gradient", "the second derivative at 0, and of nothing, is nan in PyTorch and 0 here, as the first is"),
    "linalg.norm.subgradients_at_zero": ("wrong second gradient", "the second derivative at 0 is nan in PyTorch and 0 here, as the first is"),
}


def reason(name: str) -> str | None:
    """Why an entry is out of scope; None for those in scope."""
    for why, names in OUT_OF_SCOPE.items():
        if any(fnmatchcase(name, pattern) for pattern in names.split()):
            return why
    return None

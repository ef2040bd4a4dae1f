"""The operations of samples_linalg.py in PyTorch, where their names or forms differ there."""

import numpy as np
import torch


def cofactors(x):
    return torch.linalg.det(x)[..., None, None] * torch.linalg.inv(x).mT


def lu(x):
    n = x.shape[-1]
    low, upper = torch.eye(n, dtype=x.dtype) + 0 * x, x
    for k in range(n - 1):
        factors = torch.zeros_like(x[..., :1]).squeeze(-1)
        factors = torch.cat([factors[..., : k + 1], upper[..., k + 1 :, k] / upper[..., k, k, None]], -1)
        column = torch.nn.functional.one_hot(torch.tensor(k), n).to(x.dtype)
        low = low + factors[..., :, None] * column
        upper = upper - factors[..., :, None] * upper[..., k, None, :]
    return low, upper.triu()


def signs(vectors, like):
    """For each column the sign that makes it the one here: vectors are determined up to that."""
    return torch.sign((vectors.detach() * torch.from_numpy(like)).sum(-2))[..., None, :]


def eigh(x, upper=False):
    w, v = torch.linalg.eigh(x, UPLO="U" if upper else "L")
    return w, v * signs(v, np.linalg.eigh(x.detach().numpy(), "U" if upper else "L")[1])


def svd(x, full_matrices=False):
    u, s, vh = torch.linalg.svd(x, full_matrices=full_matrices)
    sign = signs(u, np.linalg.svd(x.detach().numpy(), full_matrices)[0])
    return u * sign, s, vh * sign.mT


SAME = {
    "inv": torch.linalg.inv, "det": torch.linalg.det, "cofactors": cofactors, "slogdet": torch.linalg.slogdet,
    "pinv": torch.linalg.pinv, "solve": torch.linalg.solve, "cholesky": torch.linalg.cholesky,
    "lu": lu, "qr": torch.linalg.qr, "eigh": eigh, "svd": svd,
}  # fmt: skip

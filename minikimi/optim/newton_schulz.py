"""Newton-Schulz orthogonalisation: replace every singular value of a matrix by one near 1, with matrix products only.

Lesson 08 builds it. Source: Moonlight report (arXiv 2502.16982), section 2.1; the quintic's coefficients are those of
Keller Jordan's Muon. They trade exactness for speed: after five steps singular values lie in about [0.7, 1.2].
"""

import torch
from torch import Tensor

from minikimi.model import ops

QUINTIC = (3.4445, -4.7750, 2.0315)  # x -> a x + b x^3 + c x^5; slope at zero as large as stability allows
EPS = 1e-7  # keeps a zero matrix at zero instead of 0 / 0
BF16_MIN_SIDE = 64  # on CPU with AVX512-BF16, batches of smaller matrices are no faster in bf16


def newton_schulz(G: Tensor, steps: int = 5, dtype: torch.dtype | None = None) -> Tensor:
    """Orthogonalise each matrix of a batch: G = U diag(s) V^T becomes nearly U V^T.

    Args:
        G: (..., A, B); every leading dimension is a batch of separate matrices.
        steps: quintic iterations; 5 in the report (10 are more exact and train no better).
        dtype: precision of the iteration; None picks `iteration_dtype(G)`.

    Returns:
        (..., A, B) in the dtype of G. A zero matrix stays zero.

    Raises:
        ValueError: G has fewer than two dimensions.
    """
    if G.ndim < 2:
        raise ValueError(f"newton_schulz needs matrices (..., A, B), got shape {tuple(G.shape)}")
    tall = G.size(-2) > G.size(-1)
    X = G.mT if tall else G  # rows <= columns makes X X^T the smaller of the two Gram matrices
    X = X / (torch.linalg.matrix_norm(X, keepdim=True) + EPS)  # Frobenius norm >= spectral norm: all s <= 1
    shape = X.shape
    X = X.to(dtype or iteration_dtype(G)).reshape(-1, *shape[-2:])
    a, b, c = QUINTIC
    for _ in range(steps):
        S = X @ X.mT
        P = torch.baddbmm(S, S, S, beta=b, alpha=c)  # b S + c S^2
        X = torch.baddbmm(X, P, X, beta=a)  # a X + P X
    X = X.reshape(shape).to(G.dtype)
    return X.mT if tall else X


def iteration_dtype(G: Tensor) -> torch.dtype:
    """Fastest precision that trains as well: bf16 on GPUs, and on CPUs that multiply bf16 in hardware.

    float64 stays float64, so that tests can compare with exact linear algebra.
    """
    if G.dtype == torch.float64:
        return torch.float64
    if G.is_cuda:
        return torch.bfloat16
    large = min(G.size(-2), G.size(-1)) >= BF16_MIN_SIDE
    if G.device.type == "cpu" and large and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def orthogonalise(matrices: Tensor, steps: int, dtype: torch.dtype | None) -> Tensor:
    """What Muon calls: matrices (B, n, m) by the Triton kernel or by `newton_schulz`.

    The kernel (fp16, triangular tiles) is for CUDA, and where no `dtype` is asked for.
    """
    if dtype is None and matrices.is_cuda and ops.triton_chosen(matrices):
        return ops.kernel("muon.newton_schulz", "newton_schulz")(matrices, steps).to(matrices.dtype)
    return newton_schulz(matrices, steps, dtype)

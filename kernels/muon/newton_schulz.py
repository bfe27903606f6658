"""Muon's Newton-Schulz orthogonalisation for batches of matrices, with symmetric products (lessons 8 and 16).

X <- a X + (b S + c S^2) X with S = X X^T, five times (Moonlight, arXiv 2502.16982, and its published toy example). All
experts of a layer go through one sequence of launches. Two savings over plain batched products:

- X X^T, b S + c S^2 and every other n x n matrix here are symmetric: only tiles on and below the diagonal are computed,
  each stored twice, the second time transposed. 66 of 121 tiles of 128 x 128 for n = 1408.
- the Gram form iterates on the n x n matrix G = X X^T alone, for G -> P G P with P = a I + b G + c G^2, and collects
  the polynomial Q = P_k ... P_1; X is touched once per segment (X <- Q X). Rounding errors in small eigenvalues of G
  grow twelvefold per iteration, so G is computed anew from X once, after iteration 2 (the restart).

Cost with n <= m, r = m / n, five steps, per matrix: plain 5 (4 r + 2) n^3 FLOP, symmetric 5 (3 r + 1) n^3, Gram with
one restart (14 + 6 r) n^3.
"""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..common import card
from ..tiles import dot

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7
RESTART = 2  # iterations before the Gram matrix is computed anew
ALIGNMENT = 8  # descriptors need rows of a multiple of 16 bytes

NORMALISE_BLOCK = 64
OUTSIDE = tl.constexpr(2**30)  # a row beyond every matrix: descriptors do not write there


@triton.jit
def _normalise_kernel(
    x_ptr,
    scale_ptr,
    out_ptr,
    n,
    m,
    batch_stride,
    row_stride,
    column_stride,
    rows,
    columns,
    tiles_n,
    BLOCK: tl.constexpr,
):
    """One tile of out (B, rows, columns) = scale x (B, n, m), zero where x has no element, from any strides of x."""
    tiles_m = tl.cdiv(rows, BLOCK)
    matrix = (tl.program_id(0) // (tiles_m * tiles_n)).to(tl.int64)
    row = tl.program_id(0) // tiles_n % tiles_m * BLOCK + tl.arange(0, BLOCK)[:, None]
    column = tl.program_id(0) % tiles_n * BLOCK + tl.arange(0, BLOCK)[None, :]
    offsets = matrix * batch_stride + row * row_stride + column * column_stride
    x = tl.load(x_ptr + offsets, mask=(row < n) & (column < m), other=0.0).to(tl.float32)
    out = (x * tl.load(scale_ptr + matrix)).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + (matrix * rows + row) * columns + column, out, mask=(row < rows) & (column < columns))


@triton.jit
def _triangle(tile):
    """Row and column of the tile-th tile on or below the diagonal, counted row by row."""
    row = ((tl.sqrt(8.0 * tile + 1.0) - 1.0) / 2.0).to(tl.int32)
    row = tl.where(row * (row + 1) // 2 > tile, row - 1, row)
    row = tl.where((row + 1) * (row + 2) // 2 <= tile, row + 1, row)
    return row, tile - row * (row + 1) // 2


@triton.jit
def _symmetric_kernel(
    a_desc, b_desc, added_desc, out_desc, K, tiles_per_matrix, alpha, beta, diagonal, HAS_ADDED: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """out = alpha A B^T + beta added + diagonal I for a product known to be symmetric: lower tiles, then mirrored."""
    matrix = tl.program_id(0) // tiles_per_matrix  # matrix-major, so that one Gram matrix stays in L2
    row, column = _triangle(tl.program_id(0) % tiles_per_matrix)
    acc = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for k in tl.range(0, K, BLOCK_K):
        a = a_desc.load([matrix, row * BLOCK, k]).reshape(BLOCK, BLOCK_K)
        b = b_desc.load([matrix, column * BLOCK, k]).reshape(BLOCK, BLOCK_K)
        acc = dot(a, b.T, acc)
    acc = acc * alpha
    if HAS_ADDED:
        added = added_desc.load([matrix, row * BLOCK, column * BLOCK]).reshape(BLOCK, BLOCK)
        acc += beta * added.to(tl.float32)
    rows, columns = row * BLOCK + tl.arange(0, BLOCK), column * BLOCK + tl.arange(0, BLOCK)
    acc += tl.where(rows[:, None] == columns[None, :], diagonal, 0.0)
    result = acc.to(out_desc.dtype)
    out_desc.store([matrix, row * BLOCK, column * BLOCK], result.reshape(1, BLOCK, BLOCK))
    mirrored_row = tl.where(row == column, OUTSIDE, column * BLOCK)  # a diagonal tile is its own mirror image
    out_desc.store([matrix, mirrored_row, row * BLOCK], result.T.reshape(1, BLOCK, BLOCK))


@triton.jit
def _product_kernel(
    a_desc, x_desc, out_desc, K, tiles_n, tiles_per_matrix, tiles,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """out = A X with A (B, n, n), X (B, n, m).

    Persistent, one program per multiprocessor, its two loops flattened into one: the loads of the next tile start
    under the stores of this one.
    """
    for index in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True):
        matrix = index // tiles_per_matrix
        row = (index % tiles_per_matrix) // tiles_n * BLOCK_M
        column = index % tiles_n * BLOCK_N
        acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for k in tl.range(0, K, BLOCK_K):
            a = a_desc.load([matrix, row, k]).reshape(BLOCK_M, BLOCK_K)
            x = x_desc.load([matrix, k, column]).reshape(BLOCK_K, BLOCK_N)
            acc = dot(a, x, acc)
        out_desc.store([matrix, row, column], acc.to(out_desc.dtype).reshape(1, BLOCK_M, BLOCK_N))


def _tile(size: int, largest: int) -> int:
    """A power of two of at least 16 that is no larger than needed for `size`."""
    return min(largest, max(16, triton.next_power_of_2(size)))


def _largest(x: torch.Tensor) -> int:
    """Side of a tile: cards before Hopper multiply from registers, which hold no 128 x 128 sums for four warps."""
    return 128 if card(x.device).has_large_shared_memory else 64


def symmetric_product(
    a: torch.Tensor,
    b: torch.Tensor,
    alpha: float = 1.0,
    added: torch.Tensor | None = None,
    beta: float = 0.0,
    diagonal: float = 0.0,
) -> torch.Tensor:
    """alpha A B^T + beta added + diagonal I, for operands (B, n, K) whose product A B^T is symmetric; (B, n, n).

    Only tiles on and below the diagonal are computed: n^2 K FLOP instead of 2 n^2 K.
    """
    batch, n, depth = a.shape
    out = a.new_empty(batch, n, n)
    words = a.element_size() // 2  # fp32 tiles must be half as deep to fit
    block, block_k = _tile(n, _largest(a)), _tile(depth, 64 // words)
    side = triton.cdiv(n, block)
    per_matrix = side * (side + 1) // 2
    operand, square = [1, block, block_k], [1, block, block]
    pairs = [(a, operand), (b, operand), (out if added is None else added, square), (out, square)]
    _symmetric_kernel[(batch * per_matrix,)](
        *[TensorDescriptor.from_tensor(tensor, tile) for tensor, tile in pairs],
        depth, per_matrix, alpha, beta, diagonal,
        HAS_ADDED=added is not None, BLOCK=block, BLOCK_K=block_k, num_warps=4, num_stages=3,
    )  # fmt: skip
    return out


def product(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A X for A (B, n, n) and X (B, n, m); 2 n^2 m FLOP a matrix."""
    batch, n, m = x.shape
    out = torch.empty_like(x)
    words = x.element_size() // 2
    block_m, block_n, block_k = _tile(n, _largest(x)), _tile(m, 2 * _largest(x) // words), _tile(n, 64 // words)
    tiles_n = triton.cdiv(m, block_n)
    per_matrix = triton.cdiv(n, block_m) * tiles_n
    tiles = batch * per_matrix
    pairs = [(a, [1, block_m, block_k]), (x, [1, block_k, block_n]), (out, [1, block_m, block_n])]
    _product_kernel[(min(tiles, card(x.device).multiprocessors),)](
        *[TensorDescriptor.from_tensor(tensor, tile) for tensor, tile in pairs],
        n, tiles_n, per_matrix, tiles,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=8, num_stages=3,
    )  # fmt: skip
    return out


def _symmetric_form(x: torch.Tensor, steps: int) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = symmetric_product(x, x)
        x = product(symmetric_product(gram, gram, alpha=c, added=gram, beta=b, diagonal=a), x)
    return x


def _gram_segment(x: torch.Tensor, steps: int) -> torch.Tensor:
    """`steps` iterations on the Gram matrix of x, applied to x at the end. All factors commute."""
    a, b, c = COEFFICIENTS
    gram, collected = symmetric_product(x, x), None
    for step in range(steps):
        polynomial = symmetric_product(gram, gram, alpha=c, added=gram, beta=b, diagonal=a)
        collected = polynomial if collected is None else symmetric_product(polynomial, collected)
        if step < steps - 1:
            gram = symmetric_product(symmetric_product(polynomial, gram), polynomial)
    return x if collected is None else product(collected, x)


def newton_schulz(
    x: torch.Tensor, steps: int = 5, form: str = "gram", dtype: torch.dtype = torch.float16
) -> torch.Tensor:
    """Approximate U V^T of each matrix of x = U S V^T by Newton-Schulz iteration.

    Args:
        x: (B, n, m), any float dtype and strides; every matrix on its own, e.g. all experts of a layer.
        steps: iterations; 5 in Moonlight.
        form: "gram" (iterate on the Gram matrix, one restart) or "symmetric" (the textbook iteration).
        dtype: of the iterates and the result. fp16 holds three more bits than bf16 at the same speed, and its range is
            enough: every iterate has a spectral norm below 1.3, every collected polynomial one below 41. With bf16 the
            Gram form is less exact than plain bf16 products, with fp16 it is more exact than they are.

    Returns:
        (B, n, m) of `dtype`; a transposed view where n > m. Zero matrices stay zero.

    Raises:
        ValueError: for an unknown form or an x without three dimensions.
    """
    if form not in ("gram", "symmetric"):
        raise ValueError(f"newton_schulz: form {form!r} is unknown; use 'gram' or 'symmetric'")
    if x.dim() != 3:
        raise ValueError(f"newton_schulz: x has shape {tuple(x.shape)}; expected (batch, rows, columns)")
    if x.numel() == 0:
        return x.to(dtype)
    if x.shape[1] > x.shape[2]:
        return newton_schulz(x.mT, steps, form, dtype).mT
    iterate = _normalised(x, dtype)
    if form == "symmetric":
        iterate = _symmetric_form(iterate, steps)
    else:
        iterate = _gram_segment(_gram_segment(iterate, min(RESTART, steps)), max(0, steps - RESTART))
    return iterate[:, : x.shape[1], : x.shape[2]]


def _normalised(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x / (||x||_F + eps) as contiguous `dtype`, zero-padded to aligned rows (zero rows and columns stay zero).

    x is read twice, written once; a transposed view is turned in the same pass.
    """
    batch, n, m = x.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    scale = 1.0 / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True, dtype=wide) + EPS)
    rows, columns = (triton.cdiv(size, ALIGNMENT) * ALIGNMENT for size in (n, m))
    out = torch.empty(batch, rows, columns, dtype=dtype, device=x.device)
    block = _tile(columns, NORMALISE_BLOCK)
    tiles_n = triton.cdiv(columns, block)
    grid = (batch * triton.cdiv(rows, block) * tiles_n,)
    _normalise_kernel[grid](x, scale, out, n, m, *x.stride(), rows, columns, tiles_n, BLOCK=block, num_warps=8)
    return out


def newton_schulz_reference(x: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The textbook iteration in the dtype of x, shape (..., n, m): what the kernels must reproduce.

    5 (4 r + 2) n^3 FLOP a matrix with r = m / n, n <= m.
    """
    a, b, c = COEFFICIENTS
    transposed = x.shape[-2] > x.shape[-1]
    x = x.mT if transposed else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + EPS)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if transposed else x

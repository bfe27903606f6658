"""Loading, multiplying and storing tiles whose sides the matrix does not have."""

import pytest
import torch
import triton
import triton.language as tl
from minikimi_kernels.common import relative_error
from minikimi_kernels.tiles import dot, load_tile, store_tile, tile_width


@triton.jit
def _gram_kernel(x, out, limit, WIDTH: tl.constexpr, CHECK: tl.constexpr, ROWS: tl.constexpr):
    """out = x xᵀ for the first `limit` rows, by loading x from wider rows."""
    rows = tl.arange(0, ROWS)
    tile = load_tile(x, rows, 2 * WIDTH, limit, WIDTH, CHECK)
    store_tile(out, rows, ROWS, limit, dot(tile, tile.T), ROWS)


@pytest.mark.parametrize("width", [8, 16, 24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_of_loaded_tiles(width, dtype, device):
    """Channels past the width and rows past the limit hold NaN: a missing mask shows. bf16 must be widened."""
    x = torch.full((16, 2 * width), float("nan"), device=device, dtype=dtype)
    x[:13, :width] = torch.randn(13, width, device=device).to(dtype)
    out = torch.zeros(16, 16, device=device)
    _gram_kernel[(1,)](x, out, 13, WIDTH=width, CHECK=True, ROWS=16)
    expected = x[:13, :width].double() @ x[:13, :width].double().T
    assert relative_error(out[:13, :13], expected) < 1e-6
    assert out[13:].abs().max() == 0


def test_without_a_row_check_all_rows_are_read(device):
    x, out = torch.randn(16, 32, device=device), torch.zeros(16, 16, device=device)
    _gram_kernel[(1,)](x, out, 16, WIDTH=16, CHECK=False, ROWS=16)
    assert relative_error(out, x[:, :16].double() @ x[:, :16].double().T) < 1e-6


def test_tile_widths():
    assert [tile_width(w) for w in (1, 8, 16, 17, 64, 72, 128)] == [16, 16, 16, 32, 64, 128, 128]

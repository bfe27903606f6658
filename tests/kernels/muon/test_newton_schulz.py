"""Batched Newton-Schulz against the textbook iteration in float64."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.muon.newton_schulz import newton_schulz, newton_schulz_reference, product, symmetric_product

FORMS = ["symmetric", "gram"]


def conditioned(rows: int, columns: int, smallest: float) -> torch.Tensor:
    """A matrix with singular values from 1 down to `smallest`, evenly in their logarithm."""
    rank = min(rows, columns)
    left = torch.linalg.qr(torch.randn(rows, rank, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(columns, rank, dtype=torch.float64)).Q
    values = torch.logspace(0, torch.tensor(smallest).log10().item(), rank, dtype=torch.float64)
    return left * values @ right.T


# Wide, tall (transposed inside), square, ragged against 16-byte rows, more than one 128-tile with a rest, one element.
@pytest.mark.parametrize("shape", [(3, 40, 72), (2, 72, 40), (2, 32, 32), (2, 13, 27), (1, 130, 264), (1, 1, 1)])
@pytest.mark.parametrize("form", FORMS)
def test_equals_the_textbook_iteration(shape, form, device):
    torch.manual_seed(0)
    x = torch.randn(shape, device=device)
    out = newton_schulz(x, form=form, dtype=torch.float32)
    assert out.shape == x.shape
    assert relative_error(out, newton_schulz_reference(x.double())) < 2e-5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_any_number_of_steps(form, steps, device):
    """Steps before, at and after the restart of the Gram form."""
    torch.manual_seed(1)
    x = torch.randn(1, 24, 48, device=device)
    expected = newton_schulz_reference(x.double(), steps)
    assert relative_error(newton_schulz(x, steps, form, torch.float32), expected) < 1e-5


def test_published_coefficients(device):
    """On a 1 x 1 matrix the iteration is a x + b x^3 + c x^5, from x = 1: once 3.4445 - 4.7750 + 2.0315 = 0.7010."""
    x = torch.full((1, 1, 1), 5.0, device=device)
    assert newton_schulz(x, steps=1, dtype=torch.float32).item() == pytest.approx(0.7010, abs=1e-5)
    assert newton_schulz_reference(x, steps=1).item() == pytest.approx(0.7010, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("smallest", [1e-1, 1e-3])
def test_half_precision_stays_closer_than_plain_bf16(form, smallest, device):
    """Small singular values are where the Gram form could break down; bf16 products are what Muon is trained with."""
    torch.manual_seed(2)
    x = conditioned(96, 160, smallest)[None].to(device)
    expected = newton_schulz_reference(x)
    plain = relative_error(newton_schulz_reference(x.bfloat16()), expected)
    assert relative_error(newton_schulz(x, form=form), expected) < plain


@pytest.mark.parametrize("form", FORMS)
def test_zero_matrix_stays_zero_beside_others(form, device):
    torch.manual_seed(3)
    x = torch.randn(3, 24, 40, device=device)
    x[1] = 0
    out = newton_schulz(x, form=form)
    assert out[1].abs().max() == 0
    assert relative_error(out, newton_schulz_reference(x.double())) < 5e-3


def test_scale_of_the_input_does_not_matter(device):
    """Every matrix is divided by its own Frobenius norm: gradients of 1e-6 and of 1e3 give the same update."""
    torch.manual_seed(4)
    x = torch.randn(1, 24, 40, device=device)
    out = newton_schulz(torch.cat([x * 1e-3, x, x * 1e3]), dtype=torch.float32)
    assert relative_error(out[0], out[1]) < 1e-4 and relative_error(out[2], out[1]) < 1e-4


def test_strided_bf16_input_and_empty_batch(device):
    """The gate half of a stacked (E, 2F, D) bf16 momentum is a strided view."""
    torch.manual_seed(5)
    stacked = torch.randn(2, 48, 40, device=device).bfloat16()
    out = newton_schulz(stacked[:, :24], dtype=torch.float32)
    assert relative_error(out, newton_schulz_reference(stacked[:, :24].double())) < 1e-5
    assert newton_schulz(torch.empty(0, 4, 8, device=device)).shape == (0, 4, 8)


def test_epilogues(device):
    """alpha A B^T + beta C + diagonal I over several tiles, each term with its own factor, and A X."""
    torch.manual_seed(6)
    a = torch.randn(2, 136, 24, device=device)
    c = a @ a.mT
    out = symmetric_product(a, a, alpha=0.5, added=c, beta=-2.0, diagonal=3.0)
    expected = 0.5 * c.double() - 2.0 * c.double() + 3.0 * torch.eye(136, device=device)
    assert relative_error(out, expected) < 1e-5
    assert torch.equal(out, out.mT)
    x = torch.randn(2, 136, 48, device=device)
    assert relative_error(product(c, x), c.double() @ x.double()) < 1e-5


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="form 'qr'"):
        newton_schulz(torch.ones(1, 2, 2), form="qr")
    with pytest.raises(ValueError, match="batch, rows, columns"):
        newton_schulz(torch.ones(2, 2))

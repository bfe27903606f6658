"""Newton-Schulz against float64 singular value decompositions."""

import pytest
import torch

from minikimi.optim.newton_schulz import QUINTIC, iteration_dtype, newton_schulz

SHAPES = [(8, 8), (5, 17), (17, 5), (1, 9), (9, 1), (33, 99)]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_keeps_singular_vectors_and_maps_each_value_by_the_quintic(shape: tuple[int, int]) -> None:
    # The independent reference: an odd polynomial of a matrix acts on the singular values alone.
    G = random(*shape)
    U, s, Vh = torch.linalg.svd(G, full_matrices=False)
    a, b, c = QUINTIC
    s = s / G.norm()
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    torch.testing.assert_close(newton_schulz(G), U @ s.diag() @ Vh, atol=1e-5, rtol=0)  # 1e-7 in the norm, amplified


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_lie_in_the_band_of_the_quintic(dtype: torch.dtype) -> None:
    # Plain SGD with momentum would pass a loss test; its singular values would not pass this one.
    s = torch.linalg.svdvals(newton_schulz(random(48, 96).float(), dtype=dtype).double())
    assert s.min() > 0.65 and s.max() < 1.25


def test_zero_matrix_stays_zero_and_its_neighbour_is_not_touched() -> None:
    G = torch.stack([torch.zeros(4, 6, dtype=torch.float64), random(4, 6)])
    O = newton_schulz(G)  # noqa: E741
    assert torch.equal(O[0], torch.zeros_like(O[0]))
    torch.testing.assert_close(O[1], newton_schulz(G[1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_commutes_with_transposition(shape: tuple[int, int]) -> None:
    G = random(*shape)
    torch.testing.assert_close(newton_schulz(G.mT), newton_schulz(G).mT)


def test_leading_dimensions_are_separate_matrices() -> None:
    # Flattening the stack to one tall matrix, a real bug elsewhere, gives another answer.
    G = random(2, 3, 6, 4)
    one_by_one = torch.stack([newton_schulz(g) for g in G.flatten(0, 1)]).view_as(G)
    torch.testing.assert_close(newton_schulz(G), one_by_one)
    assert not torch.allclose(newton_schulz(G.flatten(0, 2)).view_as(G), one_by_one, atol=0.1)


def test_does_not_depend_on_the_gradient_scale() -> None:
    # Powers of two: the normalised matrix is the same number, so bf16 would underflow only if it came too early.
    G = random(8, 12)
    torch.testing.assert_close(newton_schulz(G * 2.0**-10), newton_schulz(G), atol=1e-3, rtol=0)
    torch.testing.assert_close(newton_schulz(G * 2.0**20), newton_schulz(G), atol=1e-5, rtol=0)


def test_precision_of_the_iteration() -> None:
    G = random(64, 64)
    assert iteration_dtype(G) == torch.float64
    assert iteration_dtype(G[:63].float()) == torch.float32  # small: bf16 is no faster
    fast = torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
    assert iteration_dtype(G.float()) == fast
    assert newton_schulz(G.float()).dtype == torch.float32
    assert newton_schulz(G.bfloat16()).dtype == torch.bfloat16


def test_input_is_left_alone_and_vectors_are_refused() -> None:
    G = random(6, 4)
    kept = G.clone()
    newton_schulz(G)
    assert torch.equal(G, kept)
    with pytest.raises(ValueError, match=r"matrices.*\(7,\)"):
        newton_schulz(torch.zeros(7))
    assert newton_schulz(torch.zeros(0, 3, 4)).shape == (0, 3, 4)  # a rank without experts

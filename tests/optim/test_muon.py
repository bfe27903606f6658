"""One step of Muon and AdamW against torch's optimizers, against itself taken apart, and against wrong versions."""

import math

import pytest
import torch
from torch import nn

from minikimi.optim import Muon, newton_schulz
from minikimi.optim import muon as muon_module

LR, DECAY = 0.02, 0.1


def leaf(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Parameter:
    p = nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype))
    p.grad = torch.randn(*shape, generator=torch.Generator().manual_seed(seed + 100), dtype=dtype)
    return p


def stepped(*params: nn.Parameter, steps: int = 1, use_muon: bool = True, **options) -> list[torch.Tensor]:
    """The parameters after `steps` steps in which the gradient changes with the step."""
    group = {"params": list(params), "use_muon": use_muon, "row_blocks": options.pop("row_blocks", 1)}
    optimizer = Muon([group], **({"lr": LR, "weight_decay": DECAY} | options))
    for k in range(steps):
        for p in params:
            p.grad = p.grad.roll(k, 0)
        optimizer.step()
    return [p.detach() for p in params]


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12)])
def test_equals_torch_muon_on_plain_matrices(shape: tuple[int, int]) -> None:
    # torch averages its momentum and always iterates in bf16: the same direction up to bf16 noise, measured at 1 %.
    p, q = leaf(*shape, dtype=torch.float32), leaf(*shape, dtype=torch.float32)
    start = p.detach().clone()
    reference = torch.optim.Muon([q], lr=LR, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    (got,) = stepped(p, steps=4, ns_dtype=torch.bfloat16)
    for k in range(4):
        q.grad = q.grad.roll(k, 0)
        reference.step()
    moved = (q.detach() - start).norm()
    assert (got - q.detach()).norm() / moved < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torch_adamw_exactly(dtype: torch.dtype) -> None:
    # A gradient of 1e-9 makes eps 1e-8 matter, so adding eps before the bias correction is caught; see below.
    p, q = leaf(7, 5, dtype=dtype), leaf(7, 5, dtype=dtype)
    p.grad[0], q.grad[0] = 1e-9, 1e-9
    reference = torch.optim.AdamW([q], lr=LR, weight_decay=DECAY, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    (got,) = stepped(p, steps=5, use_muon=False)
    for k in range(5):
        q.grad = q.grad.roll(k, 0)
        reference.step()
    assert torch.equal(got, q.detach())


def test_first_adamw_step_by_hand() -> None:
    # g = 1e-9, eps = 1e-8, no decay: corrected m = g, corrected v = g^2, so the step is lr g / (g + eps) = lr / 11.
    # Moonlight's script divides by sqrt(v) + eps before correcting: lr g / (g + eps / sqrt(0.05)) = lr / 45.7.
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    p.grad = torch.full_like(p, 1e-9)
    (got,) = stepped(p, use_muon=False)
    assert got.item() == pytest.approx(-LR / 11)


def formula(p: torch.Tensor, g: torch.Tensor, **wrong) -> torch.Tensor:
    """The report's first step, spelt out, and what it becomes with one thing wrong."""
    rows, columns = p.shape
    scale = wrong.get("scale", 0.2 * math.sqrt(max(rows, columns)))
    decay = 1 - LR * wrong.get("decay_scale", 1.0) * DECAY
    return p * decay - LR * scale * newton_schulz(wrong.get("direction", g))


def test_one_step_is_the_report_and_no_wrong_version() -> None:
    p = leaf(6, 100)  # 0.2 sqrt(100) = 2: far from 1, so that both uses of the scale show
    start, g = p.detach().clone(), p.grad.clone()
    (got,) = stepped(p)
    torch.testing.assert_close(got, formula(start, g))
    wrong = {
        "decay uses the adjusted rate": {"decay_scale": 0.2 * math.sqrt(100)},
        "no decay": {"decay_scale": 0.0},
        "scale of the original Muon": {"scale": math.sqrt(max(1, 6 / 100))},
        "scale by the rows": {"scale": 0.2 * math.sqrt(6)},
        "one scale for all, from a width of 24": {"scale": 0.2 * math.sqrt(24)},
        "the update norm's 0.2 without the side": {"scale": 0.2},
    }
    for what, change in wrong.items():
        assert not torch.allclose(got, formula(start, g, **change), rtol=1e-4, atol=1e-6), what


def test_nesterov_looks_ahead() -> None:
    # Two unlike gradients tell V = G + mu M from plain momentum and from no momentum; after one step they agree.
    p = leaf(5, 8)
    first = p.grad.clone()
    optimizer = Muon([{"params": [p], "use_muon": True}], lr=LR, weight_decay=0.0)
    optimizer.step()
    middle = p.detach().clone()
    second = p.grad = first.flip(0) * 0.5
    optimizer.step()
    M = 0.95 * first + second
    no_decay = {"decay_scale": 0.0}
    torch.testing.assert_close(p.detach(), formula(middle, second + 0.95 * M, **no_decay))
    assert not torch.allclose(p.detach(), formula(middle, M, **no_decay), atol=1e-4)
    assert not torch.allclose(p.detach(), formula(middle, second, **no_decay), atol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (32, 128), (128, 32), (4, 32, 64), (48, 3, 4, 4)])
def test_update_rms_is_a_fifth(shape: tuple[int, ...]) -> None:
    # Exactly 0.2 if all singular values were 1; the quintic leaves them in 0.7..1.2, with a mean square near 0.8..1.
    p = leaf(*shape)
    start = p.detach().clone()
    (got,) = stepped(p, weight_decay=0.0)
    rms = ((got - start) / LR).square().mean().sqrt().item()
    assert 0.16 < rms < 0.22


def test_batched_equals_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [(6, 8), (8, 6), (6, 8), (3, 6, 8), (6, 2, 2, 2), (6, 8)]
    together = stepped(*(leaf(*s, seed=i) for i, s in enumerate(shapes)))
    alone = [stepped(leaf(*s, seed=i))[0] for i, s in enumerate(shapes)]
    monkeypatch.setattr(muon_module, "BATCH_NUMEL", 100)  # two matrices of 48 entries at most
    in_chunks = stepped(*(leaf(*s, seed=i) for i, s in enumerate(shapes)))
    for a, b, c in zip(together, alone, in_chunks, strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, c)


def test_batches_hold_one_shape_and_stay_under_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon_module, "BATCH_NUMEL", 100)
    params = [torch.zeros(6, 8), torch.zeros(8, 6), torch.zeros(6, 8), torch.zeros(6, 8), torch.zeros(5, 6, 8)]
    batches = list(muon_module.same_shape_batches(params, 1))
    assert sorted(len(b) for b in batches) == [1, 1, 1, 2]
    assert {id(p) for b in batches for p in b} == {id(p) for p in params}


def test_stacked_experts_are_separate_matrices() -> None:
    p = leaf(4, 6, 10)
    alone = [nn.Parameter(e.clone()) for e in p.detach()]
    for expert, g in zip(alone, p.grad, strict=True):
        expert.grad = g.clone()
    (got,) = stepped(p)
    torch.testing.assert_close(got, torch.stack([stepped(e)[0] for e in alone]))


def test_fused_gate_up_equals_its_parts() -> None:
    p = leaf(3, 8, 10)  # E = 3, 2F = 8: four gate rows above four up rows
    gate, up = (nn.Parameter(part.clone()) for part in p.detach().chunk(2, dim=1))
    gate.grad, up.grad = (part.clone() for part in p.grad.chunk(2, dim=1))
    whole = leaf(3, 8, 10)
    (got,) = stepped(p, row_blocks=2)
    parts = torch.cat(stepped(gate, up), dim=1)
    torch.testing.assert_close(got, parts)
    assert not torch.allclose(stepped(whole)[0], parts, atol=1e-4)  # one 8 x 10 matrix per expert is another update


def test_convolution_is_its_flattened_matrix() -> None:
    kernel, flat = leaf(8, 3, 2, 2), leaf(8, 12)
    with torch.no_grad():
        flat.copy_(kernel.flatten(1))
    flat.grad = kernel.grad.flatten(1).clone()
    torch.testing.assert_close(stepped(kernel)[0].flatten(1), stepped(flat)[0])


def test_missing_gradient_skips_the_parameter() -> None:
    for use_muon in (True, False):
        still, moving = leaf(4, 4), leaf(4, 4, seed=1)
        still.grad = None
        kept = still.detach().clone()
        optimizer = Muon([{"params": [still, moving], "use_muon": use_muon}], lr=LR)
        optimizer.step()
        assert torch.equal(still.detach(), kept)  # not even decayed
        assert all(not value.any() for value in optimizer.state[still].values())
        assert any(value.any() for value in optimizer.state[moving].values())


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        ([{"params": [torch.zeros(2, 2)]}], {}, "use_muon"),
        ([torch.zeros(2, 2)], {}, "use_muon"),
        ([{"params": [torch.zeros(3)], "use_muon": True}], {}, r"\(3,\) holds no matrices"),
        ([{"params": [torch.zeros(2, 2)], "use_muon": True}], {"lr": -1.0}, "lr -1.0"),
        ([{"params": [torch.zeros(2, 2)], "use_muon": True}], {"momentum": 1.0}, "momentum 1.0"),
    ],
)
def test_bad_arguments(groups: list, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Muon(groups, **options)

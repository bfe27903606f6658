"""The attention kernel under MLA and MoonViT: parts, masks and the log-sum that the backward pass needs."""

import pytest
import torch
from minikimi_kernels.attention.packed import FLOAT32, INTERPRETED, SMALL, Blocks, Kind, attend, choose_blocks, launch
from minikimi_kernels.common import INTERPRET, relative_error

SCALE = 0.2


def run(q, k, v, widths, causal, lengths):
    bounds = torch.tensor([0, *lengths], dtype=torch.int32, device=v[0].device).cumsum(0, dtype=torch.int32)
    out = tuple(torch.empty_like(x) for x in v)
    kind = Kind(*widths, causal)
    config = choose_blocks(Blocks(*[launch(64, 64, 4, 1)] * 3), v[0]).forward
    lse = attend(q, k, v, out, bounds, max(lengths), SCALE, kind, config)
    return torch.cat(out, -1), lse


@pytest.mark.parametrize("causal", [False, True])
def test_output_and_log_sum(causal, device):
    """The base-2 logarithm of each row's sum of e^score, within its segment and mask."""
    q, k, v = torch.randn(3, 90, 2, 16, device=device)
    out, lse = run((q,), (k,), (v,), ((16,), (16,)), causal, [70, 20])
    for part in (slice(0, 70), slice(70, 90)):
        scores = torch.einsum("qhd,khd->hqk", q[part].double(), k[part].double()) * SCALE
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores[0]).triu(1).bool(), float("-inf"))
        assert relative_error(lse[:, part], scores.logsumexp(-1) / torch.tensor(2.0).log()) < 1e-5
        expected = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v[part].double())
        assert relative_error(out[part], expected) < 1e-5


@pytest.mark.parametrize("causal", [False, True])
def test_parts_are_one_head_however_they_lie(causal, device):
    """24 channels as one part, as 16 and the next 8 of one tensor, and as two tensors: the same output."""
    q, k, v = torch.randn(3, 50, 2, 24, device=device)
    whole = run((q,), (k,), (v,), ((24,), (24,)), causal, [50])
    behind = run((q,), (k,), (v,), ((16, 8), (16, 8)), causal, [50])
    apart = run(
        (q[..., :16], q[..., 16:]), (k[..., :16], k[..., 16:].clone()), (v,), ((16, 8), (24,)), causal, [50]
    )  # fmt: skip
    for other in (behind, apart):
        assert relative_error(other[0], whole[0]) < 1e-6 and relative_error(other[1], whole[1]) < 1e-6


def test_a_key_part_shared_by_all_heads(device):
    q, k, v = torch.randn(3, 30, 3, 16, device=device)
    q_shared, shared = torch.randn(30, 3, 16, device=device), torch.randn(30, 16, device=device)
    copied = shared[:, None].expand(-1, 3, -1)
    widths = ((16, 16), (16,))
    first = run((q, q_shared), (k, shared), (v,), widths, True, [30])[0]
    assert torch.equal(first, run((q, q_shared), (k, copied.contiguous()), (v,), widths, True, [30])[0])


def test_blocks_follow_card_and_dtype(monkeypatch, device):
    measured = Blocks(*[launch(128, 64, 8, 3)] * 3)
    x = torch.empty(1, device=device)
    if INTERPRET:
        assert choose_blocks(measured, x) is INTERPRETED
    monkeypatch.setattr("minikimi_kernels.attention.packed.INTERPRET", False)
    for capability, expected in ((89, SMALL), (90, measured)):
        card = type("Card", (), {"capability": capability, "has_large_shared_memory": capability >= 90})
        monkeypatch.setattr("minikimi_kernels.attention.packed.card", lambda device, card=card: card)
        assert choose_blocks(measured, x.bfloat16()) == expected
        assert choose_blocks(measured, x) is FLOAT32

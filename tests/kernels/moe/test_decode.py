"""The experts of a few tokens, without sorting, against float64."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.decode import moe_decode
from minikimi_kernels.moe.experts import moe_reference


def make(tokens, d, f, experts, top_k, device, dtype=torch.float32):
    topk_idx = torch.stack([torch.randperm(experts)[:top_k] for _ in range(tokens)]).to(device)
    x, gate_up = torch.randn(tokens, d), torch.randn(experts, 2 * f, d) / d**0.5
    down, topk_weight = torch.randn(experts, d, f) / f**0.5, torch.rand(tokens, top_k) + 0.2
    x, topk_weight, gate_up, down = (t.to(device, dtype) for t in (x, topk_weight, gate_up, down))
    return [x, topk_idx, topk_weight, gate_up, down]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_reference(dtype, device):
    """D = 72 and F = 80 leave a remainder in both the columns and the sum; 5 tokens share 4 experts."""
    arguments = make(5, 72, 80, 4, 3, device, dtype)
    exact = moe_reference(*[t.double() if t.is_floating_point() else t for t in arguments])
    assert relative_error(moe_decode(*arguments), exact) < (2e-6 if dtype == torch.float32 else 1e-2)


def test_no_tokens_and_misfits(device):
    x, topk_idx, topk_weight, gate_up, down = make(3, 16, 8, 4, 2, device)
    assert moe_decode(x[:0], topk_idx[:0], topk_weight[:0], gate_up, down).shape == (0, 16)
    with pytest.raises(ValueError, match="down_proj has shape"):
        moe_decode(x, topk_idx, topk_weight, gate_up, down.transpose(1, 2))

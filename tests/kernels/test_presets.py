"""The kernels at the widths of every preset, fp32 and bf16, against float64.

Head sizes, ranks, expert widths and vocabularies as the models have them, most of them no powers of two; few tokens, so
that Triton's interpreter is done in seconds.
"""

from collections.abc import Callable

import pytest
import torch
from minikimi_kernels.attention.mla import mla_attention, mla_attention_reference
from minikimi_kernels.attention.mla_decode import mla_decode, mla_decode_reference
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.rms_norm import rms_norm, rms_norm_reference
from minikimi_kernels.elementwise.rotary import rotary, rotary_reference
from minikimi_kernels.elementwise.swiglu import swiglu, swiglu_reference
from minikimi_kernels.loss.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_reference
from minikimi_kernels.moe.decode import moe_decode
from minikimi_kernels.moe.experts import moe_experts, moe_reference
from minikimi_kernels.muon.newton_schulz import newton_schulz, newton_schulz_reference
from minikimi_kernels.vision.attention import vision_attention, vision_attention_reference

from minikimi.model.config import PRESETS

LARGE = ["base", "kimi-vl-a3b"]  # their widths take the interpreter some seconds
EVERY_PRESET = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in PRESETS]
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2.5e-2}

pytestmark = [
    pytest.mark.parametrize("preset", EVERY_PRESET),
    pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "bfloat16"]),
]


def check(kernel: Callable, reference: Callable, tensors: list[torch.Tensor], dtype: torch.dtype, *rest) -> None:
    """Output and every gradient of kernel(*tensors, *rest) against reference(*tensors, *rest) in float64."""
    leaves = [x.to(dtype).requires_grad_() for x in tensors]
    exact = [x.detach().double().requires_grad_() for x in leaves]
    found, expected = kernel(*leaves, *rest), reference(*exact, *(x.double() if _angles(x) else x for x in rest))
    upstream = torch.randn_like(found)
    assert relative_error(found, expected) < TOLERANCE[dtype]
    grads = torch.autograd.grad(found, leaves, upstream)
    for a, b in zip(grads, torch.autograd.grad(expected, exact, upstream.double()), strict=True):
        assert relative_error(a, b) < TOLERANCE[dtype]


def _angles(x: object) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def needs_gpu(preset: str, device: torch.device) -> None:
    if preset == "kimi-vl-a3b" and device.type == "cpu":
        pytest.skip("the official matrices are some minutes of work for the interpreter; they need a GPU")


def bounds(*at: int, device: torch.device) -> torch.Tensor:
    return torch.tensor(at, dtype=torch.int32, device=device)


def test_attention(preset, dtype, device):
    t = PRESETS[preset].text_config
    nope, rope, value, scale = t.qk_nope_head_dim, t.qk_rope_head_dim, t.v_head_dim, t.qk_head_dim**-0.5
    shapes = [(70, 2, nope), (70, 2, rope), (70, 2, nope), (70, rope), (70, 2, value)]
    cu_seqlens = bounds(0, 67, 70, device=device)
    check(
        lambda *x: mla_attention(*x, cu_seqlens, 67, scale), lambda *x: mla_attention_reference(*x, cu_seqlens, scale),
        [torch.randn(shape, device=device) for shape in shapes], dtype,
    )  # fmt: skip


def test_decoding(preset, dtype, device):
    t = PRESETS[preset].text_config
    rank, rope, lengths = t.kv_lora_rank, t.qk_rope_head_dim, bounds(70, 3, device=device)
    shapes = [(2, t.num_attention_heads, rank), (2, t.num_attention_heads, rope), (2, 80, rank + rope)]
    inputs = [torch.randn(shape, device=device).to(dtype) for shape in shapes]
    expected = mla_decode_reference(*(x.double() for x in inputs), lengths, t.qk_head_dim**-0.5)
    for splits in (1, 2):
        assert relative_error(mla_decode(*inputs, lengths, t.qk_head_dim**-0.5, splits), expected) < TOLERANCE[dtype]


def test_vision_attention(preset, dtype, device):
    width, cu_seqlens = PRESETS[preset].vision_config.head_dim, bounds(0, 67, 70, device=device)
    angles = 6.28 * torch.rand(70, width // 2, device=device)
    check(
        lambda qkv, cos, sin: vision_attention(qkv, cos, sin, cu_seqlens, 67),
        lambda qkv, cos, sin: vision_attention_reference(qkv, cos, sin, cu_seqlens),
        [torch.randn(70, 3, 2, width, device=device)], dtype, angles.cos(), angles.sin(),
    )  # fmt: skip


def test_experts(preset, dtype, device):
    """Fewer experts than the model has, at its widths: what a tile sees."""
    needs_gpu(preset, device)
    t = PRESETS[preset].text_config
    width, hidden, experts, top_k, tokens = t.hidden_size, t.moe_intermediate_size, 3, 2, 20
    indices = torch.stack([torch.randperm(experts)[:top_k] for _ in range(tokens)]).to(device)
    x, weights = torch.randn(tokens, width, device=device), torch.rand(tokens, top_k, device=device) + 0.2
    gate_up = torch.randn(experts, 2 * hidden, width, device=device) / width**0.5
    down = torch.randn(experts, width, hidden, device=device) / hidden**0.5
    check(
        lambda x, w, gate_up, down: moe_experts(x, indices, w, gate_up, down),
        lambda x, w, gate_up, down: moe_reference(x, indices, w, gate_up, down), [x, weights, gate_up, down], dtype,
    )  # fmt: skip
    few = [x[:2].to(dtype), indices[:2], weights[:2], gate_up.to(dtype), down.to(dtype)]
    expected = moe_reference(*(x.double() if x.is_floating_point() else x for x in few))
    assert relative_error(moe_decode(*few), expected) < TOLERANCE[dtype]


def test_loss(preset, dtype, device):
    """The kernel sees the number of classes alone, so a narrow hidden state saves gigabytes."""
    classes = PRESETS[preset].text_config.vocab_size
    hidden, weight = torch.randn(5, 32, device=device), torch.randn(classes, 32, device=device) * 32**-0.5
    labels = torch.tensor([0, classes - 1, -100, 17, 900], device=device)
    check(linear_cross_entropy, linear_cross_entropy_reference, [hidden, weight], dtype, labels)


def test_layers_bound_by_memory(preset, dtype, device):
    t = PRESETS[preset].text_config
    x = torch.randn(9, t.hidden_size, device=device)
    check(rms_norm, rms_norm_reference, [x, torch.randn(t.hidden_size, device=device)], dtype)
    gate, up = torch.randn(2, 9, t.n_shared_experts * t.moe_intermediate_size, device=device)
    check(swiglu, swiglu_reference, [gate, up], dtype)
    angles = 6.28 * torch.rand(9, t.qk_rope_head_dim // 2, device=device)
    check(
        rotary,
        rotary_reference,
        [torch.randn(9, 3, t.qk_rope_head_dim, device=device)],
        dtype,
        angles.cos(),
        angles.sin(),
    )


def test_newton_schulz(preset, dtype, device):
    """The iterates are fp16 for either dtype."""
    needs_gpu(preset, device)
    t = PRESETS[preset].text_config
    x = torch.randn(2, t.moe_intermediate_size, t.hidden_size, device=device).to(dtype)
    assert relative_error(newton_schulz(x), newton_schulz_reference(x.double())) < 5e-3

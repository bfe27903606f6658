"""MoonViT attention against float64 and torch's own attention: packed images, rotation inside, forward and gradient.

Image sizes are chosen around the interpreter's 64-patch tiles: several tiles with a partial last, exactly one, a single
patch, an empty slot. The angles are random, so rotating half-split pairs (x_m, x_m+d/2) instead of adjacent ones (x_2m,
x_2m+1), dropping a sign, or rotating v as well would change the output by far more than the 1e-5 allowed.
"""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.common import relative_error
from minikimi_kernels.vision.attention import split_width, vision_attention, vision_attention_reference


def make_inputs(patches, heads, width, device, seed=0):
    torch.manual_seed(seed)
    qkv = torch.randn(patches, 3, heads, width, dtype=torch.float64).to(device).requires_grad_()
    angles = (torch.rand(patches, width // 2, dtype=torch.float64) * 6.28).to(device)
    return qkv, angles.cos(), angles.sin()


def offsets(lengths, device):
    return torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(device)


@pytest.mark.parametrize(
    ("lengths", "heads", "width"),
    [
        ([150, 0, 1, 64], 2, 72),  # MoonViT's width: 64 + 8
        ([1, 1, 1], 2, 72),  # single-patch images: the output is the value itself
        ([70, 20], 3, 16),
        ([0, 40], 1, 8),  # narrower than a tile
        ([65], 2, 40),  # 32 + 8
        ([33, 30], 1, 52),  # 32 + 20 would cost as much as 64: one padded dot
    ],
)
def test_output_and_gradient_match_float64(lengths, heads, width, device):
    qkv, cos, sin = make_inputs(sum(lengths), heads, width, device)
    cu_seqlens = offsets(lengths, device)
    expected = vision_attention_reference(qkv, cos, sin, cu_seqlens)
    upstream = torch.randn_like(expected)
    leaf = qkv.detach().float().requires_grad_()
    found = vision_attention(leaf, cos.float(), sin.float(), cu_seqlens, max(lengths))
    assert relative_error(found, expected) < 1e-5
    (gradient,) = torch.autograd.grad(found, leaf, upstream.float())
    for part, wanted in zip(gradient.unbind(1), torch.autograd.grad(expected, qkv, upstream)[0].unbind(1), strict=True):
        assert relative_error(part, wanted) < 1e-5
    if max(lengths) == 1:
        assert torch.allclose(found, leaf[:, 2])


def rotate_pair_by_pair(x, cos, sin):
    """The definition, one adjacent pair at a time."""
    out = torch.empty_like(x)
    for m in range(x.shape[-1] // 2):
        c, s = cos[:, None, m], sin[:, None, m]
        out[..., 2 * m] = x[..., 2 * m] * c - x[..., 2 * m + 1] * s
        out[..., 2 * m + 1] = x[..., 2 * m] * s + x[..., 2 * m + 1] * c
    return out


def test_matches_torch_attention_of_each_image(device):
    lengths = [90, 40]
    qkv, cos, sin = (x.detach().float() for x in make_inputs(sum(lengths), 2, 72, device))
    found = vision_attention(qkv, cos, sin, offsets(lengths, device), max(lengths))
    rotated = [rotate_pair_by_pair(qkv[:, i], cos, sin) for i in (0, 1)]
    parts = [x.transpose(0, 1).split(lengths, 1) for x in (*rotated, qkv[:, 2])]
    expected = [F.scaled_dot_product_attention(*image) for image in zip(*parts, strict=True)]
    assert relative_error(found, torch.cat(expected, 1).transpose(0, 1)) < 1e-5


def test_non_contiguous_input_and_broadcast_gradient(device):
    qkv, cos, sin = (x.detach().float() for x in make_inputs(30, 2, 24, device))
    wide = torch.cat([qkv, qkv], -1)[..., :24].requires_grad_()
    leaf = qkv.clone().requires_grad_()
    cu_seqlens = offsets([10, 20], device)
    first, second = (vision_attention(x, cos, sin, cu_seqlens, 20) for x in (wide, leaf))
    assert torch.equal(first, second)
    grads = torch.autograd.grad(first.sum(), wide)[0], torch.autograd.grad(second.sum(), leaf)[0]
    assert torch.equal(*grads)


def test_images_do_not_see_each_other(device):
    qkv, cos, sin = (x.detach().float() for x in make_inputs(70, 2, 72, device))
    cu_seqlens = offsets([30, 40], device)
    clean = vision_attention(qkv, cos, sin, cu_seqlens, 40)
    qkv[30:] = float("nan")
    assert torch.equal(vision_attention(qkv, cos, sin, cu_seqlens, 40)[:30], clean[:30])


def test_bfloat16_gradients(device):
    qkv, cos, sin = make_inputs(80, 2, 72, device)
    qkv = (2 * qkv).detach().bfloat16().double().requires_grad_()
    cu_seqlens = offsets([50, 30], device)
    expected = vision_attention_reference(qkv, cos, sin, cu_seqlens)
    leaf = qkv.detach().bfloat16().requires_grad_()
    found = vision_attention(leaf, cos.float(), sin.float(), cu_seqlens, 50)
    upstream = torch.randn_like(expected).bfloat16()
    assert found.dtype == torch.bfloat16
    assert relative_error(found, expected) < 2e-2
    wanted = torch.autograd.grad(expected, qkv, upstream.double())[0]
    assert relative_error(torch.autograd.grad(found, leaf, upstream)[0], wanted) < 2e-2


def test_widths_split_into_powers_of_two():
    assert split_width(72) == (64, 8)
    assert split_width(80) == (64, 16)
    assert split_width(40) == (32, 8)
    assert split_width(52) == (52,)  # 32 + 20 would cost as much as 64
    assert split_width(64) == (64,)
    assert split_width(120) == (120,)
    assert split_width(8) == (8,)


def test_no_images_and_wrong_shapes(device):
    qkv, cos, sin = (x.detach().float() for x in make_inputs(0, 2, 8, device))
    leaf = qkv.requires_grad_()
    out = vision_attention(leaf, cos, sin, offsets([], device), 0)
    assert out.shape == (0, 2, 8)
    assert torch.autograd.grad(out.sum(), leaf)[0].shape == leaf.shape
    with pytest.raises(ValueError, match=r"cos \(0, 3\)"):
        vision_attention(leaf, cos[:, :3], sin, offsets([], device), 0)
    with pytest.raises(ValueError, match="even d"):
        vision_attention(leaf[..., :7], cos, sin, offsets([], device), 0)

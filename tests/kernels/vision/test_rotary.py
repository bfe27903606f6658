"""The rotation of MoonViT's q and k, and of their gradients back."""

import torch
from minikimi_kernels.vision.rotary import rotate_gradients_back, rotate_queries_and_keys


def test_rotation_keeps_lengths_and_depends_on_the_angle_difference_only(device):
    """q·k after rotation by a and b equals q·k after rotation by a - b and 0: the property rotary embedding is made
    for.
    """
    torch.manual_seed(0)
    x = torch.randn(1, 3, 2, 16, device=device).expand(2, -1, -1, -1).contiguous()
    angles = torch.rand(2, 8, device=device)
    q, k = rotate_queries_and_keys(x, angles.cos(), angles.sin()).unbind(1)
    assert torch.allclose(q.norm(dim=-1), x[:, 0].norm(dim=-1))
    difference = torch.stack([angles[0] - angles[1], torch.zeros_like(angles[0])])
    q2, k2 = rotate_queries_and_keys(x, difference.cos(), difference.sin()).unbind(1)
    assert torch.allclose((q[0] * k[1]).sum(-1), (q2[0] * k2[1]).sum(-1), atol=1e-5)


def test_gradients_turn_back_and_values_stay(device):
    """More patches and columns than a program takes; the value's gradient is not touched."""
    qkv = torch.randn(300, 3, 4, 72, device=device)
    angles = 6.28 * torch.rand(300, 36, device=device)
    rotated = rotate_queries_and_keys(qkv, angles.cos(), angles.sin())
    grads = torch.cat([rotated, qkv[:, 2:]], 1)
    rotate_gradients_back(grads, angles.cos(), angles.sin())
    torch.testing.assert_close(grads, qkv, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(rotated, qkv[:, :2])

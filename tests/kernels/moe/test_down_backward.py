"""Backward through combine, down projection and SwiGLU, against autograd of those three steps."""

import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.down_backward import down_backward
from minikimi_kernels.moe.routing import route


def test_three_gradients_at_once(device):
    indices = torch.tensor([[0, 2], [2, 1], [0, 1], [2, 0]], device=device)
    plan = route(indices, 3, 16)
    w, weights = torch.randn(3, 40, 24, device=device), torch.rand(4, 2, device=device) + 0.2
    h, grad_out = torch.randn(8, 48, device=device), torch.randn(4, 40, device=device)
    dh, wa, dweight = down_backward(grad_out, w, h, weights, plan)
    slot, token = plan.slot_of_row.long(), plan.token_of_row.long()
    wide_h, wide_weights = h.double().requires_grad_(), weights.double().requires_grad_()
    gate, up = wide_h.chunk(2, -1)
    activation = torch.nn.functional.silu(gate) * up
    y = torch.einsum("rf,rdf->rd", activation, w[indices.flatten()[slot]].double())
    out = torch.zeros(4, 40, dtype=torch.float64, device=device)
    out = out.index_add(0, token, y * wide_weights.flatten()[slot, None])
    expected = torch.autograd.grad(out, (wide_h, wide_weights), grad_out.double())
    assert relative_error(dh, expected[0]) < 1e-6 and relative_error(dweight, expected[1]) < 1e-6
    assert relative_error(wa, activation * wide_weights.flatten()[slot, None]) < 1e-6

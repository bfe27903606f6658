"""The up projection with its SwiGLU, row by row."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.routing import route
from minikimi_kernels.moe.up_swiglu import up_swiglu


@pytest.mark.parametrize("save_h", [True, False])
def test_activation_and_what_training_keeps(save_h, device):
    indices = torch.tensor([[0, 2], [2, 1], [0, 1], [2, 0]], device=device)
    plan = route(indices, 3, 16)
    x, w = torch.randn(4, 40, device=device), torch.randn(3, 2 * 24, 40, device=device)
    a, h = up_swiglu(x, w, plan, save_h=save_h)
    expert = indices.flatten()[plan.slot_of_row.long()]
    exact = torch.einsum("rd,rfd->rf", x[plan.token_of_row.long()].double(), w[expert].double())
    gate, up = exact.chunk(2, -1)
    assert relative_error(a, torch.nn.functional.silu(gate) * up) < 1e-6
    assert (h is None) != save_h
    if save_h:
        assert relative_error(h, exact) < 1e-6

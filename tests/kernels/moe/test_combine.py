"""Adding up the rows of each token."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.combine import combine
from minikimi_kernels.moe.routing import route


@pytest.mark.parametrize("weighted", [True, False])
def test_rows_return_to_their_tokens(weighted, device):
    """Columns are no power of two; 20 tokens are more than a program of the interpreter takes."""
    indices = torch.stack([torch.randperm(5)[:3] for _ in range(20)]).to(device)
    plan = route(indices, 5, 16)
    y, weights = torch.randn(60, 33, device=device), torch.rand(20, 3, device=device)
    found = combine(y, plan, 3, weights if weighted else None)
    rows = y[plan.row_of_slot.long()].double().view(20, 3, 33)
    factor = weights.double() if weighted else torch.ones_like(weights).double()
    assert relative_error(found, (rows * factor[..., None]).sum(1)) < 1e-6

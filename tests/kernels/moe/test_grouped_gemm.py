"""Grouped products against a loop over the experts, with an empty and a one-row group."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.grouped_gemm import multiply_rows, weight_gradient
from minikimi_kernels.moe.routing import route

EXPERTS, TOP_K = 4, 1


def plan_of(device):
    """30 tokens: expert 0 has 29 of them, expert 2 one, the others none."""
    indices = torch.zeros(30, TOP_K, dtype=torch.int64, device=device)
    indices[7] = 2
    return route(indices, EXPERTS, 16)


def groups(plan):
    ends = plan.offsets.tolist()
    return [slice(ends[e], ends[e + 1]) for e in range(EXPERTS)]


@pytest.mark.parametrize("transposed", [True, False])
def test_rows_meet_their_experts_matrix(transposed, device):
    plan, rows = plan_of(device), torch.randn(30, 40, device=device)
    w = torch.randn(EXPERTS, *((72, 40) if transposed else (40, 72)), device=device)
    found = multiply_rows(rows, w, plan, transposed=transposed)
    matrices = w.double().mT if transposed else w.double()
    expected = torch.cat([rows[g].double() @ matrices[e] for e, g in enumerate(groups(plan))])
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize("gather_left", [True, False])
@pytest.mark.parametrize("accumulate", [True, False])
def test_weight_gradient_adds_or_replaces(gather_left, accumulate, device):
    plan = plan_of(device)
    left, right = torch.randn(30, 24, device=device), torch.randn(30, 40, device=device)
    out = torch.randn(EXPERTS, 24, 40, device=device)
    before = out.double() if accumulate else torch.zeros_like(out).double()
    weight_gradient(left, right, plan, gather_left=gather_left, out=out, accumulate=accumulate)
    token = plan.token_of_row.long()
    rows = (left[token] if gather_left else left).double(), (right if gather_left else right[token]).double()
    expected = before + torch.stack([rows[0][g].T @ rows[1][g] for g in groups(plan)])
    assert relative_error(out, expected) < 1e-6

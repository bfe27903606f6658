"""How tensors become kernel arguments."""

import torch
import triton.language as tl
from minikimi_kernels.attention.parts import heads


def test_strides_of_heads_and_of_what_all_share():
    """A stride that 16 does not divide is a constant of the kernel, so that its divisors are known."""
    wide, narrow, shared = torch.empty(5, 2, 64), torch.empty(5, 2, 72), torch.empty(5, 64)
    assert heads((wide,))[0][1:] == (128, 64)
    assert heads((shared,))[0][1:] == (64, 0)
    constant = heads((narrow,))[0].head
    assert isinstance(constant, tl.constexpr) and constant.value == 72

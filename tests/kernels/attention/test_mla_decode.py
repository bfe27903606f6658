"""Absorbed MLA decoding: against float64, against the expanded attention it stands for, and with any number of splits.

Lengths cover one token, the whole cache, none, and the middle of a tile (the interpreter's tile is 64 tokens). The
unused part of the cache holds NaN in every test, because a real cache holds leftovers there.
"""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.attention.mla_decode import choose_splits, mla_decode, mla_decode_reference
from minikimi_kernels.common import relative_error

CAPACITY = 200


def make_inputs(heads, rank, rope, lengths, device):
    torch.manual_seed(0)
    q_latent = torch.randn(len(lengths), heads, rank, device=device)
    q_rope = torch.randn(len(lengths), heads, rope, device=device)
    cache = torch.randn(len(lengths), CAPACITY, rank + rope, device=device)
    for row, length in enumerate(lengths):
        cache[row, length:] = float("nan")
    return q_latent, q_rope, cache, torch.tensor(lengths, dtype=torch.int32, device=device)


@pytest.mark.parametrize(("heads", "rank", "rope"), [(4, 32, 16), (3, 48, 8), (16, 64, 16), (20, 16, 16)])
@pytest.mark.parametrize("splits", [None, 1, 3])
def test_matches_float64(heads, rank, rope, splits, device):
    q_latent, q_rope, cache, lengths = make_inputs(heads, rank, rope, [1, CAPACITY, 77], device)
    expected = mla_decode_reference(q_latent.double(), q_rope.double(), cache.double(), lengths, 0.25)
    found = mla_decode(q_latent, q_rope, cache, lengths, 0.25, splits)
    assert relative_error(found, expected) < 1e-5


def test_any_number_of_splits_gives_the_same(device):
    """More splits than tiles leaves some programs without tokens: their part must weigh nothing, and be no NaN."""
    inputs = make_inputs(4, 32, 16, [1, CAPACITY, 65], device)
    single = mla_decode(*inputs, 0.3, splits=1)
    for splits in (2, 4, 7):
        assert relative_error(mla_decode(*inputs, 0.3, splits=splits), single) < 1e-6


@pytest.mark.parametrize("splits", [1, 4])
def test_length_zero_gives_zeros(splits, device):
    out = mla_decode(*make_inputs(4, 32, 16, [0, 5], device), 0.3, splits=splits)
    assert (out[0] == 0).all()
    assert out[1].isfinite().all() and (out[1] != 0).all()


def test_equals_attention_with_expanded_keys_and_values(device):
    """Absorbing is exact: queries times W_UK against latents equals queries against keys expanded by W_UK, and so for
    values.
    """
    torch.manual_seed(1)
    heads, rank, nope, rope, length = 4, 32, 24, 16, 90
    up_key, up_value = (torch.randn(heads, nope, rank, device=device) for _ in range(2))
    q_nope, q_rope = torch.randn(1, heads, nope, device=device), torch.randn(1, heads, rope, device=device)
    cache = torch.randn(1, CAPACITY, rank + rope, device=device)
    scale = (nope + rope) ** -0.5
    q_latent = torch.einsum("bhd,hdr->bhr", q_nope, up_key)
    lengths = torch.tensor([length], dtype=torch.int32, device=device)
    found = torch.einsum("bhr,hdr->bhd", mla_decode(q_latent, q_rope, cache, lengths, scale), up_value)
    latent, key = cache[:, :length].split([rank, rope], -1)
    k = torch.cat([torch.einsum("blr,hdr->bhld", latent, up_key), key[:, None].expand(-1, heads, -1, -1)], -1)
    q = torch.cat([q_nope, q_rope], -1)[:, :, None]
    v = torch.einsum("blr,hdr->bhld", latent, up_value)
    expected = F.scaled_dot_product_attention(q, k, v, scale=scale)[:, :, 0]
    assert relative_error(found, expected) < 1e-5


def test_strided_inputs(device):
    """The queries are slices of one projection; the cache of a layer may be a slice of the cache of all layers."""
    q_latent, q_rope, cache, lengths = make_inputs(4, 32, 16, [9, 100], device)
    joined = torch.cat([q_latent, q_rope], -1)
    layers = torch.stack([cache, cache], 1)
    found = mla_decode(joined[..., :32], joined[..., 32:], layers[:, 1], lengths, 0.3)
    assert torch.equal(found, mla_decode(q_latent, q_rope, cache, lengths, 0.3))


def test_bfloat16(device):
    q_latent, q_rope, cache, lengths = (
        x.bfloat16() if x.is_floating_point() else x for x in make_inputs(16, 64, 16, [130, 64], device)
    )
    expected = mla_decode_reference(q_latent.double(), q_rope.double(), cache.double(), lengths, 0.2)
    for splits in (1, 2):
        found = mla_decode(q_latent, q_rope, cache, lengths, 0.2, splits)
        assert found.dtype == torch.bfloat16
        assert relative_error(found, expected) < 1e-2


@pytest.mark.parametrize(("query", "stored"), [(torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)])
def test_query_and_cache_of_unlike_dtype(query, stored, device):
    """Under autocast queries are bf16 while the cache keeps the model's float32; the query's dtype decides."""
    q_latent, q_rope, cache, lengths = make_inputs(4, 32, 16, [130, 64], device)
    q_latent, q_rope, cache = q_latent.to(query), q_rope.to(query), cache.to(stored)
    expected = mla_decode_reference(q_latent.double(), q_rope.double(), cache.double(), lengths, 0.2)
    for splits in (1, 2):
        found = mla_decode(q_latent, q_rope, cache, lengths, 0.2, splits)
        assert found.dtype == query
        assert relative_error(found, expected) < 2e-2  # the interpreter cuts float32 to bf16 instead of rounding


def test_splits_fill_the_chip_but_leave_each_some_tokens():
    assert choose_splits(1, 32768, 132) == 64  # the cap
    assert choose_splits(1, 300, 132) == 1  # too short to share
    assert choose_splits(8, 8192, 132) == 16
    assert choose_splits(128, 4096, 132) == 1  # the batch alone fills the chip: no join
    assert choose_splits(0, 4096, 132) >= 1


def test_empty_batch_and_mismatched_shapes(device):
    q_latent, q_rope, cache, lengths = make_inputs(4, 32, 16, [3], device)
    assert mla_decode(q_latent[:0], q_rope[:0], cache[:0], lengths[:0], 1.0).shape == (0, 4, 32)
    with pytest.raises(ValueError, match="do not fit"):
        mla_decode(q_latent, q_rope, cache[..., :40], lengths, 1.0)

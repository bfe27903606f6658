"""Three ways to decode are one: the full forward pass, expanded decoding from the cache, absorbed decoding from the
cache."""

import pytest
import torch
from tiny_models import PAD, random_images, random_text, text_with_images, tiny_model

from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import KimiVL

LENGTHS = [9, 1, 5]  # unequal prompts, one of a single token
STEPS = 6


def full_forward(model: KimiVL, prompts: list[torch.Tensor], new: torch.Tensor) -> torch.Tensor:
    """Logits (B, STEPS, V) at each new token, recomputed from scratch for each sequence."""
    logits = []
    for prompt, tokens in zip(prompts, new, strict=True):
        out = model(torch.cat([prompt, tokens])[None]).logits[0]
        logits.append(out[len(prompt) :])
    return torch.stack(logits)


def stepwise(model: KimiVL, prompts: list[torch.Tensor], new: torch.Tensor, absorbed: bool, side: str) -> torch.Tensor:
    width = max(map(len, prompts))
    ids, mask = torch.full((len(prompts), width), PAD), torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        where = slice(width - len(prompt), width) if side == "left" else slice(0, len(prompt))
        ids[row, where], mask[row, where] = prompt, 1
    weight = model.language_model.lm_head.weight
    cache = LatentCache(model.config.text_config, len(prompts), width + STEPS, weight.device, weight.dtype)
    model(ids, attention_mask=mask, cache=cache)
    assert cache.lengths.tolist() == [len(p) for p in prompts]
    decoder, head, logits = model.language_model.model, model.language_model.lm_head, []
    for step in range(STEPS):
        logits.append(head(decoder.decode(decoder.embed_tokens(new[:, step]), cache, absorbed)))
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 2e-6)])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("absorbed", [False, True])
@torch.no_grad()
def test_cached_equals_uncached(absorbed: bool, side: str, dtype: torch.dtype, tolerance: float) -> None:
    """In float64 the norms and rotations still run in float32 by design, hence no tighter bound."""
    model = tiny_model(0).to(dtype)
    prompts = [random_text(n, n) for n in LENGTHS]
    new = torch.stack([random_text(STEPS, 50 + n) for n in LENGTHS])
    expected = full_forward(model, prompts, new).to(dtype)
    measured = stepwise(model, prompts, new, absorbed, side)
    torch.testing.assert_close(measured, expected, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_cache_holds_the_latent_and_one_shared_key_per_token() -> None:
    """20 + 8 numbers per token and layer, whatever the number of heads; the rest of the buffer is untouched."""
    model = tiny_model(1)
    cache = LatentCache(model.config.text_config, 1, 10, model.device, torch.float32)
    model(random_text(4)[None], cache=cache)
    assert [tuple(layer.shape) for layer in cache.layers] == [(1, 10, 28)] * 3
    assert cache.layers[0][0, :4].abs().sum(-1).min() > 0
    assert not cache.layers[0][0, 4:].any()
    # The latent is stored after its norm: its rows, divided by the norm's weight, have root mean square 1.
    latent = cache.layers[2][0, :4, :20] / model.language_model.model.layers[2].self_attn.kv_a_layernorm.weight
    torch.testing.assert_close(latent.square().mean(-1), torch.ones(4), atol=1e-4, rtol=0)


@torch.no_grad()
def test_images_are_needed_in_the_first_pass_only() -> None:
    model = tiny_model(2)
    grids = [(2, 4), (4, 2)]
    ids = text_with_images(5, grids, 2)[None]
    pixels, grid_hws = random_images(grids, 2)
    new = model.generate(ids, pixel_values=pixels, image_grid_hws=grid_hws, max_new_tokens=5, stop_ids=())
    for n in range(5):
        so_far = torch.cat([ids, new[:, :n]], dim=1)
        logits = model(so_far, pixels, grid_hws).logits[0, -1]
        logits[61] = -torch.inf
        assert logits.argmax() == new[0, n]

"""MoonViT and the projector against transformers' Kimi K2.5 with one frame."""

import pytest
import torch
from convert import part, projector_to_k25, vision_to_k25
from reference import vision_reference, whole_config, with_time
from tiny_models import random_images, tiny_model
from transformers.models.kimi_k25.modeling_kimi_k25 import Kimi_K25MultimodalProjection

TOLERANCE = dict(atol=1e-4, rtol=1e-4)

# Not square, several images, two alike, larger and smaller than the 5 x 5 table; and the table's own size where 2 x 2
# blocks allow it.
BATCHES = [
    ([(4, 6), (2, 8), (4, 6), (6, 4)], {}),
    ([(2, 2)], {}),
    ([(10, 2), (2, 12)], {}),
    ([(4, 4), (8, 4)], dict(init_pos_emb_height=4, init_pos_emb_width=4)),
    ([(6, 2)], dict(num_attention_heads=4, init_pos_emb_height=9, init_pos_emb_width=9)),
]


@pytest.mark.parametrize("grids, config", BATCHES)
def test_tower_values_and_gradients(grids: list[tuple[int, int]], config: dict) -> None:
    model = tiny_model(1, vision=config)
    reference = vision_reference(model)
    pixels, grid_hws = random_images(grids, seed=1)
    expected = reference(pixels, grid_thw=with_time(grid_hws))
    patches = model.vision_tower.patches(pixels, grid_hws)
    blocks = model.vision_tower(pixels, grid_hws)
    torch.testing.assert_close(patches, expected.last_hidden_state, **TOLERANCE)
    torch.testing.assert_close(blocks, expected.pooler_output, **TOLERANCE)

    probe = torch.randn(blocks.shape, generator=torch.Generator().manual_seed(7))
    (blocks * probe).mean().backward()
    (expected.pooler_output * probe).mean().backward()
    grads = {n: p.grad for n, p in model.vision_tower.named_parameters()}
    ours = vision_to_k25(grads, model.config.vision_config.num_attention_heads)
    for name, p in reference.named_parameters():
        scale = p.grad.abs().max().item()
        torch.testing.assert_close(
            ours[name], p.grad, atol=1e-4 * max(scale, 1e-3), rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_projector_values_and_gradients() -> None:
    model = tiny_model(2)
    reference = Kimi_K25MultimodalProjection(whole_config(model.config))
    state = projector_to_k25(part(model.state_dict(), "multi_modal_projector."))
    reference.load_state_dict({n: t.clone() for n, t in state.items()})
    blocks = torch.randn(9, 4, 48, generator=torch.Generator().manual_seed(2))
    expected = reference(blocks).squeeze(1)
    out = model.multi_modal_projector(blocks)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    out.square().mean().backward()
    expected.square().mean().backward()
    ours = projector_to_k25({n: p.grad for n, p in model.multi_modal_projector.named_parameters()})
    for name, p in reference.named_parameters():
        torch.testing.assert_close(ours[name], p.grad, atol=1e-5, rtol=1e-4)

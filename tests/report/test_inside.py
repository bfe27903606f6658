"""A look inside MoonViT: attention, patches to look from, positions."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from minikimi.model.kimi_vl import KimiVL
from minikimi.model.patches import image_cu_seqlens
from minikimi.model.rope import rotary_2d
from minikimi.processor.images.processing import ImageProcessor
from minikimi.report import inside


@pytest.fixture(scope="module")
def model() -> KimiVL:
    torch.manual_seed(3)
    return KimiVL.from_preset("nano").eval()


@pytest.fixture
def picture() -> Image.Image:
    """White but for a noisy square: the patch in row 1, column 4 of a 4 x 6 grid."""
    image = Image.new("RGB", (84, 56), "white")
    image.paste(Image.effect_noise((14, 14), 120), (56, 14))
    return image


def test_attention_is_the_block_s_own(model: KimiVL, picture: Image.Image) -> None:
    # Weights times values, output matrix and MLP must give what the block itself gives, so angles, scale and order of
    # heads are right. The last layer: the ones before must be passed through, too.
    tower = model.vision_tower
    pixels, grid = ImageProcessor()(picture)
    layer = len(tower.encoder.blocks) - 1
    weights = inside.attention_weights(tower, pixels, grid, layer)
    cos, sin = rotary_2d(grid, tower.encoder.head_dim)
    with torch.no_grad():
        x = tower.patch_embed(pixels, grid)
        for block in tower.encoder.blocks[:layer]:
            x = block(x, cos, sin, image_cu_seqlens(grid), len(x))
        last = tower.encoder.blocks[layer]
        values = last.wqkv(last.norm0(x)).chunk(3, dim=-1)[2].unflatten(-1, (last.num_heads, -1))
        mid = x + last.wo(torch.einsum("hpq,qhd->phd", weights, values).flatten(1))
        expected = last(x, cos, sin, image_cu_seqlens(grid), len(x))
    torch.testing.assert_close(mid + last.mlp(last.norm1(mid)), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))


def test_the_most_focused_head_is_found() -> None:
    even, sharp = torch.full((4, 4), 0.25), torch.eye(4)
    assert inside.most_focused(torch.stack([even, sharp, even])) == 1


def test_patches_to_look_from(picture: Image.Image) -> None:
    # The noise, something far from it, something calm; in a picture that fills only 3 of 4 rows, none from the padding,
    # whose edge has the greatest contrast of all.
    picture.paste("black", (0, 50, 84, 56))
    pixels, grid = ImageProcessor()(picture)
    assert int(pixels.flatten(1).std(dim=1).argmax()) >= 18
    first, second, calm = inside.query_patches(pixels, int(grid[0, 1]), (3, 6))
    assert first == 1 * 6 + 4 and max(abs(second // 6 - 1), abs(second % 6 - 4)) >= 2
    assert calm != first and max(first, second, calm) < 18


def test_rotary_similarity_is_one_in_the_middle_and_depends_on_distance_alone(model: KimiVL) -> None:
    rotary, learned = inside.position_similarity(model.vision_tower, (9, 9))
    assert float(rotary[4, 4]) == pytest.approx(1) == pytest.approx(float(learned[4, 4]))
    assert float(rotary.max()) == pytest.approx(1) and int(rotary.argmax()) == 40
    torch.testing.assert_close(rotary, rotary.flip(0))
    torch.testing.assert_close(rotary, rotary.flip(1))
    torch.testing.assert_close(rotary, rotary.T)  # rows and columns turn at the same frequencies
    # By hand: head width 32 has 8 frequencies a direction; one step to the side turns the column pairs, half of all.
    angles = 10000.0 ** (-torch.arange(8) / 8)
    assert float(rotary[4, 5]) == pytest.approx(float((angles.cos().mean() + 1) / 2), abs=1e-6)
    # The table is asked at the grid's own size: no interpolation at 8 x 8.
    _, learned = inside.position_similarity(model.vision_tower, (8, 8))
    table = model.vision_tower.patch_embed.pos_emb.weight.detach()
    expected = torch.cosine_similarity(table[4, 4], table[2, 7], dim=0)
    assert float(learned[2, 7]) == pytest.approx(float(expected), abs=1e-6)

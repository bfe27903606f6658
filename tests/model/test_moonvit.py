"""MoonViT: packed images keep apart, equal grids share a table, no image is no trouble."""

import pytest
import torch
from tiny_models import random_images, tiny_model

from minikimi.model import moonvit
from minikimi.model.rope import interpolate_table


@pytest.mark.parametrize("keep", [[0, 1, 2, 3], [3, 1, 0, 2], [2], [1, 3]])
def test_images_do_not_see_each_other(keep: list[int]) -> None:
    model = tiny_model(1)
    grids = [(2, 4), (4, 2), (6, 6), (2, 4)]
    images = [random_images([g], i) for i, g in enumerate(grids)]
    alone = [model.vision_tower(px, g) for px, g in images]
    packed = model.vision_tower(torch.cat([images[i][0] for i in keep]), torch.cat([images[i][1] for i in keep]))
    torch.testing.assert_close(packed, torch.cat([alone[i] for i in keep]), atol=2e-6, rtol=1e-5)


def test_a_patch_sees_its_whole_image() -> None:
    """Another last patch changes the first block of the same image, although patches come one after another."""
    tower, (pixels, grids) = tiny_model(0).vision_tower, random_images([(4, 4), (2, 2)])
    changed = pixels.clone()
    changed[15] += 1
    difference = (tower(changed, grids) - tower(pixels, grids)).abs().amax(dim=(1, 2))
    assert difference[0] > 1e-3 and difference[4] == 0


def test_equal_grids_share_one_interpolation(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []

    def counted(table: torch.Tensor, height: int, width: int) -> torch.Tensor:
        made.append((height, width))
        return interpolate_table(table, height, width)

    monkeypatch.setattr(moonvit, "interpolate_table", counted)
    table = tiny_model(0).vision_tower.patch_embed.pos_emb
    positions = table(torch.tensor([[2, 4], [6, 2], [2, 4]]))
    assert made == [(2, 4), (6, 2)]
    assert torch.equal(positions[:8], positions[20:]) and not torch.equal(positions[:8], positions[8:16])


def test_no_image_gives_no_block() -> None:
    tower = tiny_model(0).vision_tower
    assert tower(*random_images([])).shape == (0, 4, 48)

"""Larger pictures than in training: the verdict, labels, and the two kinds of positions."""

import numpy as np
import torch
from finding_checks import check_verdict

from minikimi.findings import resolution
from minikimi.findings.finding import Measurement
from minikimi.findings.resolution import CELL, TESTED, Neighbours, scenes, tiles

SHOWN: Measurement = {"with": [99.0, 98.0, 97.0], "without": [99.0, 40.0, 30.0]}
TURNED: list[Measurement] = [{"with": [99.0, 40.0, 30.0], "without": [99.0, 98.0, 97.0]}]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(resolution.judge, SHOWN, TURNED)


def test_neighbour_labels_and_the_two_kinds_of_positions() -> None:
    """The label of a cell is the thing drawn to its right. Without rotation and table, patches in another order give
    the same outputs in that order; with rotation they do not."""
    pixels, grids, labels = scenes(np.random.default_rng(0), (3, 3), 1)
    image = pixels.unflatten(0, (6, 6)).permute(2, 0, 3, 1, 4).reshape(3, 3 * CELL, 3 * CELL)
    for i, label in enumerate(labels.view(3, 3)[:, :2].flatten().tolist()):
        row, column = divmod(i, 2)
        shown = image[:, row * CELL : (row + 1) * CELL, (column + 1) * CELL : (column + 2) * CELL]
        assert torch.equal(shown, tiles()[label])
    assert (labels.view(3, 3)[:, 2] == -100).all() and TESTED[0] == 4
    torch.manual_seed(0)
    with_rotation, without = Neighbours(True), Neighbours(False)
    without.load_state_dict(with_rotation.state_dict())
    for model in (with_rotation, without):
        torch.nn.init.zeros_(model.vision_tower.patch_embed.pos_emb.weight)
    swapped = pixels.unflatten(0, (6, 6)).flip(1).flatten(0, 1)  # columns of patches in reverse order
    mixed = without.vision_tower.patches(swapped, grids).unflatten(0, (6, 6)).flip(1).flatten(0, 1)
    assert torch.allclose(mixed, without.vision_tower.patches(pixels, grids), atol=1e-4)
    turned = with_rotation.vision_tower.patches(swapped, grids).unflatten(0, (6, 6)).flip(1).flatten(0, 1)
    assert not torch.allclose(turned, with_rotation.vision_tower.patches(pixels, grids), atol=1e-4)

"""Prompts and responses in one row: each image once, each sequence with its own."""

from dataclasses import replace

import pytest
import torch
from rl_toys import prompts
from tiny_models import MEDIA, tiny_model

from minikimi.rl.batch import hidden_states, join


def test_placeholders_and_image_features_must_agree() -> None:
    """Twice expanded, or cut: both are refused by name."""
    good = prompts()
    counts = [int(p.grid_hws.prod(1).sum()) // 4 for p in good]
    batch = join(good, [0, 0, 1, 2], [[1], [2], [3], [4]], [0] * 4, MEDIA)
    assert int((batch.input_ids == MEDIA).sum()) == 2 * counts[0] + counts[2] == len(batch.feature_index)
    for change in (torch.cat([good[0].input_ids, torch.tensor([MEDIA])]), good[0].input_ids[:2]):
        wrong = replace(good[0], input_ids=change, labels=torch.full_like(change, -100))
        with pytest.raises(ValueError, match="image placeholders in the sequences"):
            join([wrong], [0], [[1]], [0], MEDIA)


def test_shared_images_are_those_of_the_model_itself() -> None:
    """Each sequence alone through the model's own forward pass, with its own copy of its images."""
    model = tiny_model(8)
    owners, tails = [2, 0, 1, 2], [[1], [2, 3], [4], [5, 6, 7]]
    batch = join(prompts(), owners, tails, [0] * 4, MEDIA)
    hidden, _ = hidden_states(model, batch)
    for s, part in enumerate(hidden.split(batch.cu_seqlens.diff().tolist())):
        prompt = prompts()[owners[s]]
        images = (prompt.pixel_values, prompt.grid_hws) if len(prompt.grid_hws) else (None, None)
        ids = torch.cat([prompt.input_ids, torch.tensor(tails[s])])
        torch.testing.assert_close(part, model(ids[None], *images).hidden, atol=1e-5, rtol=1e-4)


def test_labels_stand_on_the_newest_segment_only() -> None:
    batch = join(prompts(), [1, 0], [[1, 2, 3], [4, 5]], [1, 0], MEDIA)
    first, second = batch.labels.split(batch.cu_seqlens.diff().tolist())
    assert first[-3:].tolist() == [-100, 2, 3] and (first[:-3] == -100).all()
    assert second[-2:].tolist() == [4, 5] and (second[:-2] == -100).all()

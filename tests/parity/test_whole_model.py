"""The assembled model against `Kimi_K25ForConditionalGeneration`: logits, loss, all gradients, images in a batch."""

import pytest
import torch
from reference import converted_gradients, whole_reference, with_time
from tiny_models import MEDIA, PAD, random_images, text_with_images, tiny_model

GRIDS = [(4, 6), (2, 2), (2, 8)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_conversation_with_three_images(seed: int) -> None:
    model = tiny_model(seed)
    reference = whole_reference(model)
    ids = text_with_images(14, GRIDS, seed)[None]
    pixels, grid_hws = random_images(GRIDS, seed)
    labels = ids.masked_fill(ids == MEDIA, -100)
    expected = reference(input_ids=ids, pixel_values=pixels, image_grid_thw=with_time(grid_hws), labels=labels)
    out = model(ids, pixels, grid_hws, labels=labels)
    torch.testing.assert_close(out.logits, expected.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.loss, expected.loss, atol=1e-5, rtol=1e-5)

    expected.loss.backward()
    out.loss.backward()
    ours = converted_gradients(model)
    theirs = {n: p.grad for n, p in reference.named_parameters()}
    assert set(ours) == set(theirs)
    for name, grad in theirs.items():
        # The temporal table of K2.5 is no parameter, so every gradient has a partner. k biases get none but rounding
        # (softmax ignores them).
        scale = max(grad.abs().max().item(), 1e-2)
        torch.testing.assert_close(ours[name], grad, atol=1e-4 * scale, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_padded_batch_with_images_in_row_order() -> None:
    """Unequal rows, images belonging to rows 0, 0 and 2: features go to the placeholders in row-major order."""
    model = tiny_model(3)
    reference = whole_reference(model)
    rows = [text_with_images(6, GRIDS[:2], 1), text_with_images(9, [], 2), text_with_images(5, GRIDS[2:], 3)]
    width = max(len(r) for r in rows)
    ids, mask = torch.full((3, width), PAD), torch.zeros(3, width, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :], mask[i, width - len(row) :] = row, 1
    pixels, grid_hws = random_images(GRIDS, 3)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    expected = reference(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        pixel_values=pixels,
        image_grid_thw=with_time(grid_hws),
    ).logits
    logits = model(ids, pixels, grid_hws, attention_mask=mask).logits
    torch.testing.assert_close(logits[mask.bool()], expected[mask.bool()], atol=1e-4, rtol=1e-4)

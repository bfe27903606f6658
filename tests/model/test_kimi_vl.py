"""Packed = one at a time = padded: a sequence's result never depends on its neighbours, and padding takes no part."""

import pytest
import torch
import torch.nn.functional as F
from tiny_models import MEDIA, PAD, random_images, random_text, text_with_images, tiny_model

from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import next_token_targets, place_features
from minikimi.model.patches import cumulative_lengths

# Three samples: two images, no image, one image; the second is a single token, the shortest sequence there is.
GRIDS = [[(2, 4), (4, 4)], [], [(6, 2)]]
WORDS = [7, 1, 5]
CLOSE = dict(atol=2e-6, rtol=1e-5)


def samples() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(ids, pixels, grids) each."""
    return [
        (text_with_images(w, g, i), *random_images(g, i)) for i, (w, g) in enumerate(zip(WORDS, GRIDS, strict=True))
    ]


def pack(parts: list) -> dict[str, torch.Tensor]:
    ids, pixels, grids = (torch.cat(x) for x in zip(*parts, strict=True))
    return dict(
        input_ids=ids,
        pixel_values=pixels,
        image_grid_hws=grids,
        cu_seqlens=cumulative_lengths(torch.tensor([len(p[0]) for p in parts])),
    )


def labels_of(ids: torch.Tensor) -> torch.Tensor:
    return ids.masked_fill(ids == MEDIA, -100)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [0, 2], [1], [0, 0, 1]])
def test_a_sequence_does_not_depend_on_its_neighbours(order: list[int]) -> None:
    """Hidden states in float64, since rounding does depend on the shape of a matrix product. What is float32 by
    definition (norms, rotary, router) leaves 2e-7.
    """
    model = tiny_model(0).double()
    alone = [model(ids[None], px, g).hidden for ids, px, g in samples()]
    packed = model(**pack([samples()[i] for i in order])).hidden
    assert packed.dtype == torch.float64
    torch.testing.assert_close(packed, torch.cat([alone[i] for i in order]), atol=5e-7, rtol=0)


@pytest.mark.parametrize("changed", [0, 2])
def test_changing_a_neighbour_changes_nothing(changed: int) -> None:
    """Same layout, other content, in the sample before (which causality alone would not hide) and in the one after. To
    rounding: other tokens go to other experts, so the matrix products have other numbers of rows.
    """
    model, parts = tiny_model(0), samples()
    ids, pixels, grids = parts[changed]
    other = list(parts)
    other[changed] = (random_text(len(ids), 9).where(ids != MEDIA, ids), torch.randn_like(pixels), grids)
    ends = [0, *pack(parts)["cu_seqlens"].tolist()[1:]]
    a, b = (model(**pack(each)).hidden for each in (parts, other))
    for i in range(3):
        difference = (a - b)[ends[i] : ends[i + 1]].abs().max()
        assert difference > 0.1 if i == changed else difference < 1e-6


def test_the_future_is_hidden() -> None:
    model = tiny_model(0)
    ids = random_text(12, 3)
    later = torch.cat([ids[:8], random_text(4, 4)])
    torch.testing.assert_close(model(ids[None]).hidden[:8], model(later[None]).hidden[:8], atol=1e-6, rtol=0)


def test_packed_loss_and_gradients_are_the_token_weighted_mean() -> None:
    model = tiny_model(2)
    batch = pack(samples())
    labels = labels_of(batch["input_ids"])
    labels[2] = -100
    model(**batch, labels=labels).loss.backward()
    packed = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    packed_loss = model(**batch, labels=labels).loss
    model.zero_grad()

    bounds, total, targets = batch["cu_seqlens"].tolist(), 0.0, 0
    for (ids, px, g), a, b in zip(samples(), bounds, bounds[1:], strict=False):
        n = int((labels[a + 1 : b] != -100).sum())
        if n:
            total = total + model(ids[None], px, g, labels=labels[a:b][None]).loss * n
            targets += n
    (total / targets).backward()
    torch.testing.assert_close(packed_loss, total / targets, **CLOSE)
    for name, p in model.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(packed[name], p.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_takes_no_part(side: str) -> None:
    """Logits at real positions, loss and gradients equal those of the packed form; the padded ids and labels may be
    anything."""
    model = tiny_model(3)
    parts = samples()
    batch = pack(parts)
    width = max(len(p[0]) for p in parts) + 3
    ids, mask = torch.full((3, width), PAD), torch.zeros(3, width, dtype=torch.long)
    labels = torch.randint(0, 60, (3, width))  # nonsense under the padding
    for row, (real, _, _) in enumerate(parts):
        start = {"left": width - len(real), "right": 0, "both": 1}[side]
        ids[row, start : start + len(real)] = real
        labels[row, start : start + len(real)] = labels_of(real)
        mask[row, start : start + len(real)] = 1
    images = dict(pixel_values=batch["pixel_values"], image_grid_hws=batch["image_grid_hws"])
    expected = model(**batch, labels=labels_of(batch["input_ids"]))
    out = model(ids, **images, attention_mask=mask, labels=labels)
    torch.testing.assert_close(out.loss, expected.loss, **CLOSE)
    torch.testing.assert_close(out.logits[mask.bool()], expected.logits, **CLOSE)
    assert not out.logits[~mask.bool()].any()


def test_next_token_targets_by_hand() -> None:
    """Segments [5 6 7], [8], [], [9 4]: no target at a segment's end, above all not the first token of the next one."""
    labels = torch.tensor([5, 6, 7, 8, 9, 4])
    targets = next_token_targets(labels, torch.tensor([0, 3, 4, 4, 6]))
    assert targets.tolist() == [6, 7, -100, -100, 4, -100]
    assert labels.tolist() == [5, 6, 7, 8, 9, 4]  # the caller's labels are left alone


def test_loss_against_cross_entropy_of_the_logits() -> None:
    """Mean over the targets that count, where a target under a zero of the attention mask does not (right padding, as
    released)."""
    model = tiny_model(4)
    ids = torch.stack([random_text(9, 0), random_text(9, 1)])
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    labels = ids.clone()
    labels[0, :4] = -100
    out = model(ids, attention_mask=mask, labels=labels)
    shifted = labels[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    expected = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), shifted.flatten())
    torch.testing.assert_close(out.loss, expected)


def test_no_target_at_all_gives_zero_loss_and_zero_gradients() -> None:
    model = tiny_model(5)
    ids = random_text(6)[None]
    loss = model(ids, labels=torch.full_like(ids, -100)).loss
    loss.backward()
    assert loss.item() == 0
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)


def test_text_only_batch_equals_one_without_images() -> None:
    """Packing text samples gives pixel_values (0, 3, 14, 14): as good as none."""
    model = tiny_model(6)
    ids = random_text(5)[None]
    pixels, grids = random_images([])
    assert torch.equal(model(ids, pixels, grids).logits, model(ids).logits)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(pixel_values=None, image_grid_hws=None), "2 image placeholders but no pixel_values"),
        (dict(image_grid_hws=None), "without image_grid_hws"),
        (
            dict(zip(["pixel_values", "image_grid_hws"], random_images([(2, 2)]), strict=True)),
            "2 image placeholders in the text, 1",
        ),
        (dict(image_grid_hws=torch.tensor([[2, 2]])), "name 4 patches, pixel_values holds 8"),
        (dict(image_grid_hws=torch.tensor([[8, 1]])), "multiples of 2x2"),
        (dict(image_grid_hws=torch.tensor([[1, 2, 4]])), "expected \\(N, 2\\)"),
        (dict(image_grid_hws=torch.tensor([[-2, -4]])), "positive sides"),
        (dict(attention_mask=torch.ones(1, 3)), "attention_mask"),
        (dict(labels=torch.ones(2, 3)), "labels"),
        (dict(cu_seqlens=torch.tensor([0, 6])), "input_ids"),
    ],
)
def test_inputs_that_do_not_fit_together(change: dict, message: str) -> None:
    model = tiny_model(7)
    pixels, grids = random_images([(2, 4)])
    inputs = dict(input_ids=text_with_images(4, [(2, 4)])[None], pixel_values=pixels, image_grid_hws=grids)
    with pytest.raises(ValueError, match=message):
        model(**(inputs | change))


def test_packed_bounds_must_cover_the_tokens() -> None:
    with pytest.raises(ValueError, match="ends at 4, but there are 6"):
        tiny_model(7)(random_text(6), cu_seqlens=torch.tensor([0, 2, 4]))


def test_position_ids_and_cache_exclude_each_other() -> None:
    model = tiny_model(3)
    cache = LatentCache(model.config.text_config, 1, 8, model.device, torch.float32)
    with pytest.raises(ValueError, match="position_ids and cache"):
        model(random_text(4)[None], position_ids=torch.arange(3, 7)[None], cache=cache)


@torch.no_grad()
def test_position_ids_move_all_positions() -> None:
    """Rotary scores depend on differences: shifting all positions changes nothing, stretching them does."""
    model = tiny_model(4)
    ids = random_text(8)[None]
    plain = model(ids).logits
    shifted = model(ids, position_ids=torch.arange(8)[None] + 20).logits
    torch.testing.assert_close(shifted, plain, atol=1e-4, rtol=1e-4)
    stretched = model(ids, position_ids=torch.arange(8)[None] * 2).logits
    assert (stretched - plain).abs().max() > 0.05


def test_features_go_to_their_places_and_leave_the_embeddings_alone() -> None:
    x, features = torch.zeros(5, 2), torch.tensor([[1.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    placed = place_features(x, torch.tensor([3, 9, 4, 9, 5]), features, placeholder=9)
    assert placed[:, 0].tolist() == [0, 1, 0, 2, 0] and placed.dtype == x.dtype
    assert not x.any()
    with pytest.raises(ValueError, match="2 image placeholders in the text, 1 image features"):
        place_features(x, torch.tensor([3, 9, 4, 9, 5]), features[:1], placeholder=9)


@torch.no_grad()
def test_two_sequences_share_one_image() -> None:
    """`feature_index` takes the four features twice, the second time for another sequence."""
    model = tiny_model(8)
    pixels, grids = random_images([(4, 4)])
    ids = [text_with_images(4, [(4, 4)], seed) for seed in range(2)]
    bounds = cumulative_lengths(torch.tensor([len(i) for i in ids]))
    index = torch.arange(4).repeat(2)
    shared = model(torch.cat(ids), pixels, grids, cu_seqlens=bounds, feature_index=index).hidden
    alone = torch.cat([model(i[None], pixels, grids).hidden for i in ids])
    torch.testing.assert_close(shared, alone, atol=5e-6, rtol=1e-5)
    swapped = model(torch.cat(ids), pixels, grids, cu_seqlens=bounds, feature_index=index.flip(0)).hidden
    assert (swapped - shared).abs().max() > 0.05


def test_no_patch_leaves_the_tower_without_a_gradient() -> None:
    """As without pixel_values: an optimizer must not move what took no part."""
    model, (pixels, grids) = tiny_model(9), random_images([])
    ids = random_text(6)[None]
    model(ids, pixels, grids, labels=ids).loss.backward()
    assert all(p.grad is None for p in model.vision_tower.parameters())

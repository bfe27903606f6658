"""Packed = one at a time = padded: a sequence's result never depends on its neighbours, and padding takes no part."""

import pytest
import torch
import torch.nn.functional as F
from tiny_models import MEDIA, PAD, random_images, random_text, text_with_images, tiny_model

from minikimi.model.kimi_vl import next_token_targets
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


@pytest.mark.parametrize("keep", [[0, 1, 2, 3], [3, 1, 0, 2], [2], [1, 3]])
def test_images_do_not_see_each_other(keep: list[int]) -> None:
    model = tiny_model(1)
    grids = [(2, 4), (4, 2), (6, 6), (2, 4)]
    images = [random_images([g], i) for i, g in enumerate(grids)]
    alone = [model.vision_tower(px, g) for px, g in images]
    packed = model.vision_tower(torch.cat([images[i][0] for i in keep]), torch.cat([images[i][1] for i in keep]))
    torch.testing.assert_close(packed, torch.cat([alone[i] for i in keep]), **CLOSE)


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


def test_wide_vocabulary_loss_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss works through chunks of tokens with recomputation; value and gradients are those of one piece."""
    from minikimi.model import ops

    monkeypatch.setattr(ops, "LOSS_CHUNK", 4 * 9)  # 4 tokens of 9 classes
    g = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(11, 6, generator=g), torch.randn(9, 6, generator=g)
    labels = torch.randint(0, 9, (11,), generator=g)
    labels[[0, 5]] = -100
    ours, plain = [[t.clone().requires_grad_() for t in (hidden, weight)] for _ in range(2)]
    loss = ops.linear_cross_entropy(*ours, labels)
    expected = F.cross_entropy(F.linear(*plain), labels)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


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

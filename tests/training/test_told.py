"""Words of a picture that share vectors: which ones may, what a shared position is, and what the loss makes of it."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from minikimi.data.forms import encode
from minikimi.data.packing import PackedBatch, pack
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.training import told
from minikimi.training.objectives import NextToken
from minikimi.training.told import ToldAsSeen, between_marks, join
from minikimi.world import PictureWorld


def batch_of(tasks: dict[str, float], names: str = "abcdef") -> PackedBatch:
    processor, world = Processor.small(), PictureWorld(3, "train", tasks)
    return pack([encode(processor, world[i], "told") for i in range(len(names))], list(names))


@pytest.fixture(scope="module")
def model() -> KimiVL:
    torch.manual_seed(0)
    return KimiVL.from_preset("nano")


def told_words(ids: list[int], processor: Processor) -> Iterator[bool]:
    """One by one, with a state: what `between_marks` says at once."""
    inside = False
    for token in ids:
        inside = inside and token != processor.tokenizer.special_id("<|media_end|>")
        yield inside
        inside = inside or token == processor.tokenizer.special_id("<|media_content|>")


def test_between_marks_are_the_words_of_pictures_alone(model: KimiVL) -> None:
    batch, processor = batch_of({"pages": 1, "story": 1, "where": 1}), Processor.small()
    shown = between_marks(batch.input_ids, model.config.media_placeholder_token_id)
    assert shown.tolist() == list(told_words(batch.input_ids.tolist(), processor))
    assert 0 < shown.sum() < len(shown)


def test_joined_rows_are_summed_at_the_length_of_one() -> None:
    x = torch.arange(10.0).view(5, 2)
    left, n, place = join(x, torch.tensor([False, True, True, False, True]))
    assert n.tolist() == [3, 2] and place.tolist() == [0, 0, 0, 1, 1]
    assert torch.allclose(left, torch.stack([x[:3].sum(0) / 3**0.5, x[3:].sum(0) / 2**0.5]))
    assert torch.equal(join(x, torch.zeros(5, dtype=torch.bool))[0], x)


def test_without_pictures_it_is_next_token_training(model: KimiVL) -> None:
    batch = batch_of({"story": 1, "arithmetic": 1})
    ours, plain = ToldAsSeen(aux_loss=0.3, noise=0.5).loss(model, batch), NextToken(aux_loss=0.3).loss(model, batch)
    torch.testing.assert_close(ours.total, plain.total)
    torch.testing.assert_close(ours.parts, plain.parts)


def test_loss_is_that_of_the_joined_sequences(model: KimiVL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token by token and sample by sample, with what was drawn; nothing joins outside a picture or across its mark."""
    batch, drawn = batch_of({"pages": 1, "where": 1, "receipt": 1}), []
    monkeypatch.setattr(told, "join", lambda x, joins: drawn.append(joins) or join(x, joins))
    loss = ToldAsSeen(aux_loss=0.0).loss(model, batch).total
    shown = list(told_words(batch.input_ids.tolist(), Processor.small()))
    embed, head, losses = model.language_model.model.embed_tokens.weight, model.language_model.lm_head, []
    for begin, end in zip(batch.cu_seqlens[:-1].tolist(), batch.cu_seqlens[1:].tolist(), strict=True):
        groups: list[list[int]] = []
        for t in range(begin, end):
            if drawn[0][t]:
                assert shown[t] and shown[t - 1]
                groups[-1].append(t)
            else:
                groups.append([t])
        x = torch.stack([embed[batch.input_ids[group]].sum(0) / len(group) ** 0.5 for group in groups])
        bounds = torch.tensor([0, len(x)], dtype=torch.int32)
        hidden, _ = model.language_model.model(x, torch.arange(len(x)), bounds, len(x))
        for i, group in enumerate(groups[1:]):
            label = batch.labels[group[0]]
            if len(group) == 1 and label >= 0:
                losses.append(-head(hidden[i]).log_softmax(-1)[label])
    assert drawn[0].any()
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_samples_differ_in_how_much_joins(model: KimiVL, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, drawn = batch_of({"desktop": 1}, "abcdefghijklmnopqrstuvwxyz"), []
    monkeypatch.setattr(told, "join", lambda x, joins: drawn.append(joins) or join(x, joins))
    ToldAsSeen().loss(model, batch)
    shown = between_marks(batch.input_ids, model.config.media_placeholder_token_id)
    possible = (shown & shown.roll(1)).split(batch.cu_seqlens.diff().tolist())
    shares = [
        float(joins[where].float().mean())
        for joins, where in zip(drawn[0].split(batch.cu_seqlens.diff().tolist()), possible, strict=True)
        if where.sum() >= 8
    ]
    assert min(shares) < 0.3 and max(shares) > 0.7


def losses(objective: ToldAsSeen, model: KimiVL, batches: list[PackedBatch]) -> list[Tensor]:
    return [objective.loss(model, batch).total for batch in batches]


def test_what_is_drawn_follows_from_the_samples_alone(model: KimiVL) -> None:
    batches = [batch_of({"pages": 1}), batch_of({"pages": 1}, "zbcdef")]
    torch.manual_seed(1)
    first = losses(ToldAsSeen(noise=0.5), model, batches)
    torch.manual_seed(2)
    assert torch.equal(torch.stack(first), torch.stack(losses(ToldAsSeen(noise=0.5), model, batches)))
    assert first[0] != first[1]


def test_noise_is_relative_to_the_words_and_spares_the_rest(model: KimiVL, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, seen = batch_of({"pages": 1}), []
    monkeypatch.setattr(told, "join", lambda x, joins: seen.append(x) or join(x, joins))
    for noise in (0.0, 0.5):
        ToldAsSeen(noise=noise).loss(model, batch)
    shown = between_marks(batch.input_ids, model.config.media_placeholder_token_id)
    plain, noisy = (x.detach() for x in seen)
    assert torch.equal(plain[~shown], noisy[~shown])
    size = (noisy - plain)[shown].square().mean(-1).sqrt() / plain[shown].square().mean(-1).sqrt()
    assert abs(float(size.mean()) - 0.5) < 0.03

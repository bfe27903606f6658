"""The lens: attention that is the model's own, experts that are the router's, and a score that knows chance."""

import pytest
import torch
from einops import rearrange
from tiny_models import MEDIA, random_images, text_with_images, tiny_model

from minikimi.inference.lens import attention_weights, box_score, look, overlap
from minikimi.model.moe import Router
from minikimi.model.patches import cumulative_lengths
from minikimi.processor.processor import Encoded

ANSWER = [7, 3, 11]


@pytest.fixture(scope="module")
def prompt() -> Encoded:
    grids = [(4, 6), (2, 4)]
    ids = text_with_images(9, grids)
    pixels, grid_hws = random_images(grids)
    return Encoded(ids, torch.full_like(ids, -100), pixels, grid_hws)


def test_the_weights_are_those_that_the_layer_attends_with() -> None:
    attention = tiny_model().language_model.model.layers[1].self_attn
    x, bounds = torch.randn(13, 40, generator=torch.Generator().manual_seed(0)), cumulative_lengths(torch.tensor([13]))
    cos, sin = tiny_model().language_model.model.rotary(torch.arange(13))
    with torch.no_grad():
        weights = attention_weights(attention, x, cos, sin, torch.arange(13))
        _, values = attention.expand(attention.latents(x, cos, sin)[0])
        out = attention.o_proj(rearrange(torch.einsum("aht,thd->ahd", weights, values), "a h d -> a (h d)"))
        expected, _ = attention(x, cos, sin, bounds, 13)
    torch.testing.assert_close(out, expected)


def test_attention_is_of_the_positions_that_said_the_answer(prompt: Encoded) -> None:
    seen = look(tiny_model(), prompt, ANSWER)
    total, asked = len(prompt.input_ids) + len(ANSWER), len(prompt.input_ids)
    assert seen.attention.shape == (3, total)
    torch.testing.assert_close(seen.attention.sum(dim=1), torch.ones(3))
    for i in range(3):  # token i is said by the position before it, which sees nothing behind itself
        assert (seen.attention[i, asked + i :] == 0).all() and seen.attention[i, asked + i - 1] > 0


def test_the_mean_is_the_mean_over_layers_and_heads(prompt: Encoded) -> None:
    model = tiny_model()
    whole = look(model, prompt, ANSWER).attention
    each = torch.stack([look(model, prompt, ANSWER, i, h).attention for i in range(3) for h in range(3)])
    torch.testing.assert_close(each.mean(dim=0), whole)
    torch.testing.assert_close(each[3:6].mean(dim=0), look(model, prompt, ANSWER, layer=1).attention)


def test_a_picture_has_the_grid_of_its_own_tokens(prompt: Encoded) -> None:
    seen = look(tiny_model(), prompt, ANSWER)
    assert [m.shape for m in seen.maps()] == [(3, 2, 3), (3, 1, 2)]
    media = (prompt.input_ids == MEDIA).nonzero()[:, 0]
    assert torch.cat(seen.places).tolist() == media.tolist()
    torch.testing.assert_close(seen.maps()[0][2, 1, 2], seen.attention[2, media[5]])


def test_experts_and_candidates_are_those_of_the_pass(prompt: Encoded) -> None:
    model, chosen = tiny_model(), []
    seen = look(model, prompt, ANSWER)
    routers = [m for m in model.modules() if isinstance(m, Router)]
    handles = [r.register_forward_hook(lambda m, i, routing: chosen.append(routing.indices)) for r in routers]
    row = prompt.followed_by(ANSWER)
    with torch.no_grad():
        logits = model(row.input_ids[None], row.pixel_values, row.grid_hws).logits[0, -4:-1]
    for handle in handles:
        handle.remove()
    assert torch.equal(seen.experts, torch.stack([c[-4:-1] for c in chosen], dim=1))
    torch.testing.assert_close(seen.probabilities, logits.softmax(-1).topk(5).values)
    torch.testing.assert_close(seen.said, logits.softmax(-1)[range(3), ANSWER])
    load = seen.load(8)
    torch.testing.assert_close(load.sum(dim=1), torch.ones(2))
    assert load[1, seen.experts[0, 1, 0]] > 0


def test_what_does_not_exist_is_named(prompt: Encoded) -> None:
    with pytest.raises(ValueError, match="layer 3 does not exist; choose 0 to 2"):
        look(tiny_model(), prompt, ANSWER, layer=3)
    with pytest.raises(ValueError, match="head -1"):
        look(tiny_model(), prompt, ANSWER, head=-1)
    with pytest.raises(ValueError, match="answer is empty"):
        look(tiny_model(), prompt, [])
    assert not any(m._forward_hooks for m in tiny_model().modules())


def test_even_attention_scores_chance_and_looking_there_scores_one() -> None:
    even, there = torch.full((1, 4, 4), 1 / 16), torch.zeros(1, 4, 4)
    there[0, 1, 2] = 0.3  # the rest of the mass lies on words
    box = (0.5, 0.25, 0.75, 0.5)
    assert box_score(even, [box], (1.0, 1.0)) == ([1 / 16], 1 / 16)
    assert box_score(there, [box], (1.0, 1.0))[0] == pytest.approx([1.0])
    assert box_score(there, [(0.0, 0.0, 0.5, 1.0)], (1.0, 1.0))[0] == [0.0]


def test_padding_and_halves_are_counted() -> None:
    even = torch.ones(2, 2, 2)
    # The picture covers the upper half of the grid; its left quarter is half of the first token.
    shares, chance = box_score(even, [(0.0, 0.0, 0.25, 1.0)], (0.5, 1.0))
    assert shares == pytest.approx([1 / 8, 1 / 8]) and chance == pytest.approx(1 / 8)
    twice, _ = box_score(even, [(0, 0, 1, 1), (0, 0, 1, 1)], (1.0, 1.0))
    assert twice == [1.0, 1.0]
    assert overlap(0.5, 2.25, 3).tolist() == [0.5, 1.0, 0.25]

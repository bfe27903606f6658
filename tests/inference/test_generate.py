"""Generation: greedy is the argmax of the full forward pass; stopping, padding and refusals."""

import pytest
import torch
from tiny_models import EOS, MEDIA, PAD, random_images, random_text, text_with_images, tiny_model


def full_argmax(model, prompt: torch.Tensor, steps: int, *images: torch.Tensor) -> list[int]:
    """Greedy continuation without any cache."""
    ids = prompt
    for _ in range(steps):
        logits = model(ids[None], *images).logits[0, -1]
        logits[MEDIA] = -torch.inf
        ids = torch.cat([ids, logits.argmax()[None]])
    return ids[len(prompt) :].tolist()


@pytest.mark.parametrize("absorbed", [True, False])
@torch.no_grad()
def test_greedy_is_the_argmax_of_the_full_pass(absorbed: bool) -> None:
    """A left-padded batch of unequal prompts, the first with an image."""
    model = tiny_model(0)
    images = random_images([(2, 4)])
    prompts = [text_with_images(6, [(2, 4)], 1), random_text(3, 2)]
    ids, mask = torch.full((2, 8), PAD), torch.zeros(2, 8, dtype=torch.long)
    for row, p in enumerate(prompts):
        ids[row, 8 - len(p) :], mask[row, 8 - len(p) :] = p, 1
    new = model.generate(
        ids, pixel_values=images[0], image_grid_hws=images[1], attention_mask=mask, max_new_tokens=7, stop_ids=(),
        absorbed=absorbed,
    )  # fmt: skip
    assert new[0].tolist() == full_argmax(model, prompts[0], 7, *images)
    assert new[1].tolist() == full_argmax(model, prompts[1], 7)


@torch.no_grad()
def test_stop_ids_are_returned_and_followed_by_padding() -> None:
    """Stop at something that only the first row says: it is padded while the second row goes on."""
    model = tiny_model(1)
    ids = torch.stack([random_text(5, 0), random_text(5, 1)])
    free = model.generate(ids, max_new_tokens=8, stop_ids=())
    stop = next(t for t in free[0].tolist() if t not in free[1])
    new = model.generate(ids, max_new_tokens=8, stop_ids=(stop,))
    for row in range(2):
        line = free[row].tolist()
        end = line.index(stop) + 1 if stop in line else 8
        assert new[row].tolist() == (line[:end] + [PAD] * 8)[: new.shape[1]]
    assert (new[0] == PAD).any()


@torch.no_grad()
def test_default_stop_is_eos_and_the_id_after_it() -> None:
    """<|im_end|> follows [EOS] in every Kimi-VL vocabulary. The head is bent so that the model says it at once."""
    for stop in (EOS, EOS + 1):
        model = tiny_model(2)
        prompt = random_text(4)[None]
        model.language_model.lm_head.weight[stop] = model(prompt).hidden[-1] * 100
        new = model.generate(prompt, max_new_tokens=9)
        assert new.tolist() == [[stop]]


@torch.no_grad()
def test_the_placeholder_is_never_sampled() -> None:
    model = tiny_model(3)
    prompt = random_text(4)[None]
    model.language_model.lm_head.weight[MEDIA] = model(prompt).hidden[-1] * 100
    assert model(prompt).logits[0, -1].argmax() == MEDIA
    for temperature in (0.0, 2.0):
        assert MEDIA not in model.generate(prompt.expand(8, -1), max_new_tokens=6, temperature=temperature, stop_ids=())


@torch.no_grad()
def test_sampling_is_reproducible_and_varies() -> None:
    model = tiny_model(4)
    prompt = random_text(4)[None].expand(4, -1)

    def draw(seed: int) -> torch.Tensor:
        g = torch.Generator().manual_seed(seed)
        return model.generate(prompt, max_new_tokens=10, temperature=1.0, stop_ids=(), generator=g)

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert len({tuple(row) for row in draw(0).tolist()}) == 4  # rows draw independently


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(max_new_tokens=0), "max_new_tokens 0"),
        (dict(temperature=-0.1), "temperature -0.1"),
        (dict(top_p=0.0), "top_p 0.0"),
        (dict(top_p=1.5), "top_p 1.5"),
        (dict(max_new_tokens=253), "4 prompt tokens \\+ 253 new ones exceed the context of 256"),
        (dict(attention_mask=torch.zeros(1, 4, dtype=torch.long)), "prompt is empty"),
    ],
)
def test_refusals(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model(5).generate(random_text(4)[None], **options)


def test_the_last_context_position_can_be_used() -> None:
    model = tiny_model(5, text=dict(max_position_embeddings=10))
    assert model.generate(random_text(4)[None], max_new_tokens=6, stop_ids=()).shape == (1, 6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes(dtype: torch.dtype) -> None:
    model = tiny_model(6).to(dtype)
    assert model.generate(random_text(4)[None], max_new_tokens=3, stop_ids=()).shape == (1, 3)


def test_generation_builds_no_graph_and_leaves_the_model_as_it_was() -> None:
    model = tiny_model(7).train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    new = model.generate(random_text(4)[None], max_new_tokens=3)
    assert not new.requires_grad and model.training
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())

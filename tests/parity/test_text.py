"""The language model against transformers' `DeepseekV3ForCausalLM`: logits, loss and gradients."""

import pytest
import torch
from convert import official, part, text_to_deepseek
from reference import text_reference
from tiny_models import VOCAB, random_text, tiny_model

TOLERANCE = dict(atol=1e-4, rtol=1e-4)

CONFIGS = {
    "tiny": {},
    "one expert per token": dict(num_experts_per_tok=1, n_routed_experts=4, n_shared_experts=1),
    "two dense layers, official theta": dict(first_k_dense_replace=2, rope_theta=800000.0, routed_scaling_factor=2.446),
    "short theta, no dense layer": dict(rope_theta=100.0, first_k_dense_replace=0, qk_rope_head_dim=4, v_head_dim=16),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_loss_and_gradients_agree(name: str, seed: int) -> None:
    model = tiny_model(seed, text=CONFIGS[name])
    reference = text_reference(model)
    ids = torch.stack([random_text(17, seed), random_text(17, seed + 100)])
    labels = ids.clone()
    labels[0, :5] = -100  # a masked prompt

    expected = reference(input_ids=ids, labels=labels)
    out = model(ids, labels=labels)
    torch.testing.assert_close(out.logits, expected.logits, **TOLERANCE)
    torch.testing.assert_close(model.language_model(ids), expected.logits, **TOLERANCE)
    torch.testing.assert_close(out.loss, expected.loss, atol=1e-5, rtol=1e-5)
    assert out.logits.std() > 0.3  # else a small tolerance would prove little

    expected.loss.backward()
    out.loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    ours = text_to_deepseek(part(official(grads), "language_model."))
    theirs = {n: p.grad for n, p in reference.named_parameters()}
    assert set(ours) == set(theirs)
    for key, grad in theirs.items():
        scale = grad.abs().max().item()
        assert scale > 0, key
        torch.testing.assert_close(
            ours[key], grad, atol=1e-4 * max(scale, 1e-2), rtol=1e-4, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_the_same_experts_are_chosen() -> None:
    """Agreement is no accident of near-ties: every token's choice is the reference's, in every expert layer."""
    model = tiny_model(3)
    reference = text_reference(model)
    chosen = []
    for layer in reference.model.layers[1:]:
        layer.mlp.gate.register_forward_hook(lambda _m, _i, out: chosen.append(out[-1]))
    ids = random_text(40, 3)[None]
    reference(input_ids=ids)
    for routing, theirs in zip(model(ids).routings, chosen, strict=True):
        assert torch.equal(routing.indices.sort(-1).values, theirs.reshape(-1, 3).sort(-1).values)


def test_pinned_routing_reproduces_and_can_differ() -> None:
    """Pinning the model's own choice changes nothing; pinning another choice is obeyed, with weights of the pinned
    experts."""
    model = tiny_model(4)
    ids = random_text(12, 4)[None]
    free = model(ids)
    own = [r.indices for r in free.routings]
    assert torch.equal(model(ids, pinned=own).logits, free.logits)
    other = [(i + 1) % 8 for i in own]
    forced = model(ids, pinned=other)
    assert torch.equal(forced.routings[0].indices, other[0])
    torch.testing.assert_close(forced.routings[1].weights.sum(-1), torch.full((12,), 1.7))
    assert (forced.logits - free.logits).abs().max() > 0.1


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_batch_agrees(side: str) -> None:
    model = tiny_model(5)
    reference = text_reference(model)
    ids, mask = torch.full((3, 11), 64), torch.zeros(3, 11, dtype=torch.long)
    for row, length in enumerate([11, 4, 1]):
        where = slice(11 - length, 11) if side == "left" else slice(0, length)
        ids[row, where], mask[row, where] = random_text(length, row), 1
    position_ids = (mask.cumsum(1) - 1).clamp(min=0)
    expected = reference(input_ids=ids, attention_mask=mask, position_ids=position_ids).logits
    logits = model(ids, attention_mask=mask).logits
    assert logits.shape == (3, 11, VOCAB)
    torch.testing.assert_close(logits[mask.bool()], expected[mask.bool()], **TOLERANCE)


def test_reference_cache_decoding_agrees_with_ours() -> None:
    """Greedy continuation with both caches: the latent cache of transformers and ours give the same ids."""
    model = tiny_model(6)
    reference = text_reference(model)
    ids = random_text(7, 6)[None]
    theirs = reference.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=None, suppress_tokens=[61])
    ours = model.generate(ids, max_new_tokens=12, stop_ids=(VOCAB + 1,))
    assert theirs[0, 7:].tolist() == ours[0].tolist()

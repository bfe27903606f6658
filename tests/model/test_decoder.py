"""The decoder: dense layers first, one routing per expert layer, and the language model on its own."""

import torch
from tiny_models import TEXT, random_text, tiny_model

from minikimi.model.moe import MoE, SwiGLU
from minikimi.model.patches import cumulative_lengths, segment_positions


def test_the_first_layers_are_dense_and_the_others_route() -> None:
    decoder = tiny_model(0, text=dict(first_k_dense_replace=2)).language_model.model
    assert [type(layer.mlp) for layer in decoder.layers] == [SwiGLU, SwiGLU, MoE]
    bounds = cumulative_lengths(torch.tensor([4, 3]))
    hidden, routings = decoder(decoder.embed_tokens(random_text(7)), segment_positions(bounds), bounds, 4)
    assert hidden.shape == (7, TEXT.hidden_size) and len(routings) == 1
    assert routings[0].indices.shape == (7, TEXT.num_experts_per_tok)


def test_pinned_experts_are_the_ones_that_work() -> None:
    """The choice of another text changes the result; its own choice does not."""
    model, ids = tiny_model(1), random_text(6)[None]
    free = model(ids)
    own = model(ids, pinned=[routing.indices for routing in free.routings])
    assert torch.equal(own.hidden, free.hidden)
    foreign = [routing.indices for routing in model(random_text(6, 5)[None]).routings]
    other = model(ids, pinned=foreign)
    assert all(torch.equal(routing.indices, choice) for routing, choice in zip(other.routings, foreign, strict=True))
    assert (other.hidden - free.hidden).abs().max() > 1e-3


def test_a_layer_adds_to_its_stream() -> None:
    """With the two output matrices at zero, a layer is the identity."""
    layer = tiny_model(2).language_model.model.layers[0]
    torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    x, (cos, sin) = torch.randn(5, TEXT.hidden_size), tiny_model(2).language_model.model.rotary(torch.arange(5))
    out, entries, routing = layer(x, cos, sin, torch.tensor([0, 5], dtype=torch.int32), 5)
    assert torch.equal(out, x) and routing is None
    assert entries.shape == (5, TEXT.kv_lora_rank + TEXT.qk_rope_head_dim)


@torch.no_grad()
def test_the_language_model_alone_is_the_whole_model_without_images() -> None:
    model = tiny_model(3)
    ids = torch.stack([random_text(6, 0), random_text(6, 1)])
    torch.testing.assert_close(model.language_model(ids), model(ids).logits)

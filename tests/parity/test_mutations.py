"""The parity comparison can fail: likely wrong versions, each applied for one test, must be seen.

The model is made sensitive first. An epsilon shows only where the variance is as small as the epsilon, a GELU variant
only around |x| = 2, a leak between images only if there are two. The right version passes on the same model and inputs
with the same tolerance.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from reference import whole_reference, with_time
from tiny_models import MEDIA, random_images, text_with_images, tiny_model

from minikimi.model import attention, decoder, moe, moonvit, ops, projector, rope
from minikimi.model.kimi_vl import KimiVL

TOLERANCE = 2e-4
GRIDS = [(4, 6), (2, 8)]


@torch.no_grad()
def sensitive_model() -> KimiVL:
    model = tiny_model(11)
    tower, text = model.vision_tower, model.language_model.model
    tower.patch_embed.proj.weight *= 0.003  # variance near the LayerNorm epsilon
    tower.patch_embed.proj.bias *= 0.003
    tower.patch_embed.pos_emb.weight *= 0.006
    tower.encoder.blocks[0].wo.weight *= 0.02
    tower.encoder.blocks[0].wo.bias *= 0.02
    for block in tower.encoder.blocks:
        block.mlp.fc0.weight *= 2  # into the range where the two GELUs differ
        block.wqkv.weight *= 1.5  # sharper attention: positions matter
    tower.encoder.final_layernorm.weight *= 0.004  # small variance in front of the projector's norm
    tower.encoder.final_layernorm.bias *= 0.004
    model.multi_modal_projector.linear_1.weight *= 2
    text.embed_tokens.weight *= 0.006
    for layer in text.layers:
        layer.self_attn.kv_a_proj_with_mqa.weight[: layer.self_attn.rank] *= 0.003
    return model


def difference(model: KimiVL, expected: torch.Tensor) -> float:
    ids = text_with_images(20, GRIDS, 5)[None]
    pixels, grid_hws = random_images(GRIDS, 5)
    with torch.no_grad():
        return (model(ids, pixels, grid_hws).logits - expected).abs().max().item()


@pytest.fixture(scope="module")
def expected() -> torch.Tensor:
    ids = text_with_images(20, GRIDS, 5)[None]
    pixels, grid_hws = random_images(GRIDS, 5)
    with torch.no_grad():
        return whole_reference(sensitive_model())(
            input_ids=ids, pixel_values=pixels, image_grid_thw=with_time(grid_hws)
        ).logits


Mutation = Callable[[pytest.MonkeyPatch, KimiVL], None]


def each(model: KimiVL, kind: type) -> list:
    return [m for m in model.modules() if isinstance(m, kind)]


def kv_norm_eps(mp, model):
    for layer in each(model, attention.LatentAttention):
        layer.kv_a_layernorm.eps = 1e-5


def text_norm_eps(mp, model):
    for layer in each(model, decoder.DecoderLayer):
        layer.input_layernorm.eps = 1e-6


def vision_norm_eps(mp, model):
    for block in each(model, moonvit.VisionBlock):
        block.norm0.eps = block.norm1.eps = 1e-6


def projector_norm_eps(mp, model):
    model.multi_modal_projector.pre_norm.eps = 1e-6


def erf_gelu_in_tower(mp, model):
    mp.setattr(moonvit.VisionMLP, "forward", lambda self, x: self.fc1(F.gelu(self.fc0(x))))


def tanh_gelu_in_projector(mp, model):
    def forward(self, blocks):
        return self.linear_2(F.gelu(self.linear_1(self.pre_norm(blocks).flatten(1)), approximate="tanh"))

    mp.setattr(projector.Projector, "forward", forward)


def half_split(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def half_split_in_tower(mp, model):
    mp.setattr(ops, "apply_rotary", half_split)


def half_split_in_text(mp, model):
    mp.setattr(ops, "rotary", half_split)


def height_first(mp, model):
    right = rope.patch_coordinates
    mp.setattr(rope, "patch_coordinates", lambda grids: right(grids)[::-1])


def tower_theta_of_the_text(mp, model):
    right = rope.rotary_2d
    mp.setattr(moonvit, "rotary_2d", lambda grids, dim: right(grids, dim, theta=800000.0))


def text_theta_of_the_tower(mp, model):
    right = rope.rotary_1d
    mp.setattr(decoder, "rotary_1d", lambda positions, dim, theta: right(positions, dim, 10000.0))


def rows_and_columns_in_halves(mp, model):
    def tables(grids, dim):
        rows, columns = rope.patch_coordinates(grids)
        f = rope.inverse_frequencies(dim // 2, 10000.0)
        angles = torch.cat([columns[:, None] * f, rows[:, None] * f], dim=-1)  # not taking turns
        return angles.cos(), angles.sin()

    mp.setattr(moonvit, "rotary_2d", tables)


def attention_across_images(mp, model):
    mp.setattr(moonvit, "image_cu_seqlens", lambda grids: torch.tensor([0, int(grids.prod(1).sum())]))


def corners_aligned(mp, model):
    def table(weight, h, w):
        resized = F.interpolate(weight.permute(2, 0, 1)[None], size=(h, w), mode="bicubic", align_corners=True)
        return resized[0].permute(1, 2, 0).flatten(0, 1)

    mp.setattr(moonvit, "interpolate_table", table)


def bilinear_table(mp, model):
    def table(weight, h, w):
        resized = F.interpolate(weight.permute(2, 0, 1)[None], size=(h, w), mode="bilinear", align_corners=False)
        return resized[0].permute(1, 2, 0).flatten(0, 1)

    mp.setattr(moonvit, "interpolate_table", table)


def pixel_unshuffle_order(mp, model):
    def forward(self, blocks):  # channel-major: what F.pixel_unshuffle gives
        return self.linear_2(F.gelu(self.linear_1(self.pre_norm(blocks).transpose(1, 2).flatten(1))))

    mp.setattr(projector.Projector, "forward", forward)


def merge_of_four_in_a_row(mp, model):
    mp.setattr(moonvit, "merge_patches", lambda x, grids, kernel: x.unflatten(0, (-1, 4)))


def norm_after_merging(mp, model):
    def forward(self, blocks):
        merged = blocks.flatten(1)
        normed = F.layer_norm(
            merged, merged.shape[1:], self.pre_norm.weight.repeat(4), self.pre_norm.bias.repeat(4), 1e-5
        )
        return self.linear_2(F.gelu(self.linear_1(normed)))

    mp.setattr(projector.Projector, "forward", forward)


def router(rule):
    def mutate(mp, model):
        def forward(self, x, pinned=None):
            scores = F.linear(x, self.weight).sigmoid()
            return moe.Routing(scores, *rule(self, scores))

        mp.setattr(moe.Router, "forward", forward)

    return mutate


def choose(gate, scores):
    return (scores + gate.e_score_correction_bias).topk(gate.top_k).indices


def _bias_in_weights(gate, scores):
    weights, indices = (scores + gate.e_score_correction_bias).topk(gate.top_k)
    return indices, weights / weights.sum(-1, keepdim=True) * gate.scaling


def _no_bias(gate, scores):
    weights, indices = scores.topk(gate.top_k)
    return indices, weights / weights.sum(-1, keepdim=True) * gate.scaling


def _no_scaling(gate, scores):
    weights = scores.gather(1, choose(gate, scores))
    return choose(gate, scores), weights / weights.sum(-1, keepdim=True)


def _no_normalisation(gate, scores):
    return choose(gate, scores), scores.gather(1, choose(gate, scores)) * gate.scaling


def _normalised_over_all(gate, scores):
    weights = scores / scores.sum(-1, keepdim=True) * gate.scaling
    return choose(gate, scores), weights.gather(1, choose(gate, scores))


def softmax_scores(mp, model):
    def forward(self, x, pinned=None):
        scores = F.linear(x, self.weight).softmax(-1)
        weights = scores.gather(1, choose(self, scores))
        return moe.Routing(scores, choose(self, scores), weights / weights.sum(-1, keepdim=True) * self.scaling)

    mp.setattr(moe.Router, "forward", forward)


def scaled_shared_experts(mp, model):
    def forward(self, x, pinned=None):
        routing = self.gate(x, pinned)
        return self.experts(x, routing) + self.gate.scaling * self.shared_experts(x), routing

    mp.setattr(moe.MoE, "forward", forward)


def up_before_gate(mp, model):
    for experts in each(model, moe.Experts):
        experts.gate_up_proj.data = torch.cat(experts.gate_up_proj.data.chunk(2, dim=1)[::-1], dim=1)


def scale_without_rotary_part(mp, model):
    for layer in each(model, attention.LatentAttention):
        layer.scale = layer.nope**-0.5


def values_before_keys(mp, model):
    def expand(self, latent):
        v, k = self.kv_b_proj(latent).unflatten(-1, (self.num_heads, -1)).split([self.v_dim, self.nope], dim=-1)
        return k, v

    mp.setattr(attention.LatentAttention, "expand", expand)


def unnormed_latent(mp, model):
    mp.setattr(ops, "rms_norm", lambda x, w, eps: x * w if x.shape[-1] == 20 else _rms(x, w, eps))


def _rms(x, w, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w


def images_in_reverse(mp, model):
    right = KimiVL.image_features
    mp.setattr(KimiVL, "image_features", lambda self, *a: right(self, *a).flip(0))


def not_causal(mp, model):
    right = ops.segment_attention
    mp.setattr(ops, "segment_attention", lambda *args, causal: right(*args[:5], False))


MUTATIONS: dict[str, Mutation] = {
    f.__name__: f
    for f in [
        kv_norm_eps, text_norm_eps, vision_norm_eps, projector_norm_eps, erf_gelu_in_tower, tanh_gelu_in_projector,
        half_split_in_tower, half_split_in_text, height_first, tower_theta_of_the_text, text_theta_of_the_tower,
        rows_and_columns_in_halves, attention_across_images, corners_aligned, bilinear_table, pixel_unshuffle_order,
        merge_of_four_in_a_row, norm_after_merging, softmax_scores, scaled_shared_experts, up_before_gate,
        scale_without_rotary_part, values_before_keys, unnormed_latent, images_in_reverse, not_causal,
    ]
} | {
    f.__name__.strip("_"): router(f)
    for f in [_bias_in_weights, _no_bias, _no_scaling, _no_normalisation, _normalised_over_all]
}  # fmt: skip


def test_the_right_version_agrees(expected: torch.Tensor) -> None:
    assert difference(sensitive_model(), expected) < TOLERANCE
    assert (text_with_images(20, GRIDS, 5) == MEDIA).any()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_wrong_version_is_seen(name: str, expected: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = sensitive_model()
    MUTATIONS[name](monkeypatch, model)
    measured = difference(model, expected)
    print(f"{name}: {measured:.1e}")
    assert measured > 2 * TOLERANCE

"""Lesson 07: the cases that answers are tried on, how models are built and run, and common wrong answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from minikimi.data.packing import PackedBatch
from minikimi.lab.exercise import Case, Misfit
from minikimi.model.attention import LatentCache
from minikimi.model.checkpoint import DERIVED, official_tensors
from minikimi.model.config import KimiVLConfig
from minikimi.model.decoder import DecoderLayer
from minikimi.model.kimi_vl import KimiVL, Packed, next_token_targets, pack_batch, place_features
from minikimi.model.rope import rotary_1d
from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.tokenizer import small_tokenizer

Parts = list[tuple[str, str | int]]
tokenizer = cache(small_tokenizer)
NANO = KimiVLConfig.preset("nano")
PAD = NANO.media_placeholder_token_id


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def filled(make: Callable[..., nn.Module], *args, seed: int = 100):
    """A module with weights that depend on their place only; norms are not 1 and biases are not 0."""
    with torch.random.fork_rng(devices=[]):  # building draws random numbers: leave the lesson's alone
        module = make(*args)
    with torch.no_grad():
        for i, (_, parameter) in enumerate(sorted(module.named_parameters())):
            parameter.copy_(numbers(seed + i, *parameter.shape) * max(parameter.shape[-1], 4) ** -0.5)
    return module.eval()


# 7.1 ------------------------------------------------------------------------------------------------------------------
def turn_ids(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    """One turn as ids; parts are ("text", words) and ("image", number of tokens)."""
    special = tokenizer.special_id
    ids = [special(f"<|im_{role}|>"), *tokenizer.encode(role), special("<|im_middle|>")]
    for kind, value in parts:
        if kind == "text":
            ids += tokenizer.encode(value)
        else:
            ids += [special("<|media_start|>"), *tokenizer.encode("image"), special("<|media_content|>")]
            ids += [special("<|media_pad|>")] * value + [special("<|media_end|>")]
    return [*ids, special("<|im_end|>")]


def turn_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The first user types a control token's name; pictures of different sizes stand between words.
    return [
        ("user", [("text", "What does <|im_end|> do?")]),
        ("user", [("image", 3 + seed), ("text", "or"), ("image", 2), ("text", "Which is larger?")]),
        ("assistant", [("text", "the first")]),
    ]


def run_turn(answer, role: str, parts: Parts) -> list[int]:
    return answer(role, parts, tokenizer())


def token_name(i: int) -> str:
    return tokenizer().decode([i], skip_special_tokens=False) if 0 <= i < tokenizer().vocab_size else "nothing"


def token_by_token(run, role: str, parts: Parts) -> None:
    mine, right = list(run(role, parts)), turn_ids(role, parts, tokenizer())
    for place, (m, r) in enumerate(zip(mine, right, strict=False)):
        if m != r:
            raise Misfit(
                f"in a turn of {role}, token {place} is {token_name(m)!r} ({m}); expected {token_name(r)!r} ({r})"
            )
    if len(mine) != len(right):
        raise Misfit(f"a turn of {role} has {len(mine)} tokens; expected {len(right)}")


def _as_text(role: str, parts: Parts) -> str:
    image = "<|media_start|>image<|media_content|>{}<|media_end|>"
    inner = "".join(str(v) if kind == "text" else image.format("<|media_pad|>" * int(v)) for kind, v in parts)
    return f"<|im_{role}|>{role}<|im_middle|>{inner}<|im_end|>"


def control_tokens_found_in_text(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    names = re.compile("(" + "|".join(map(re.escape, tokenizer.special_tokens)) + ")")
    pieces = [piece for piece in names.split(_as_text(role, parts)) if piece]
    return [i for p in pieces for i in ([tokenizer.special_tokens.get(p)] if names.match(p) else tokenizer.encode(p))]


def all_typed_out(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return tokenizer.encode(_as_text(role, parts))


def one_placeholder(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return turn_ids(role, [(kind, 1 if kind == "image" else value) for kind, value in parts], tokenizer)


def new_line_behind(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return turn_ids(role, parts, tokenizer) + tokenizer.encode("\n")


def begins_with_bos(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.special_id("[BOS]"), *turn_ids(role, parts, tokenizer)]


# 7.2 ------------------------------------------------------------------------------------------------------------------
Turns = list[tuple[str, list[int]]]


def answer_labels(turns: Turns, opening: int = 3) -> Tensor:
    """Turns (role, ids) to labels (T,): the id where the loss looks, -100 elsewhere; not shifted."""
    labels: list[int] = []
    for role, ids in turns:
        skipped = opening if role == "assistant" else len(ids)
        labels += [-100] * skipped + ids[skipped:]
    return torch.tensor(labels)


def conversation_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    def turn(role: str, words: str) -> tuple[str, list[int]]:
        return role, turn_ids(role, [("text", words)], tokenizer())

    first = [turn("user", "What is this?"), turn("assistant", "a cat" if seed else "a small dog")]
    return [(first,), ([turn("system", "Be brief"), *first, turn("user", "Where?"), turn("assistant", "left")],)]


def _labelled(opening: int = 3, roles: Sequence[str] = ("assistant",), unlearnt_end: int = 0):
    def answer(turns: Turns) -> Tensor:
        labels: list[int] = []
        for role, ids in turns:
            start, end = (opening, len(ids) - unlearnt_end) if role in roles else (len(ids), len(ids))
            labels += [-100] * start + ids[start:end] + [-100] * (len(ids) - end)
        return torch.tensor(labels)

    return answer


def shifted_already(turns: Turns) -> Tensor:
    labels = answer_labels(turns).roll(-1)
    labels[-1] = -100
    return labels


def one_label_each(run, turns: Turns) -> None:
    labels, length = run(turns), sum(len(ids) for _, ids in turns)
    if len(labels) != length:
        raise Misfit(f"{length} tokens need {length} labels, one beside each token; you return {len(labels)}")
    tokens = [(role, i) for role, ids in turns for i in ids]
    for t, (mine, right) in enumerate(zip(labels.tolist(), answer_labels(turns).tolist(), strict=True)):
        if mine != right:
            role, token = tokens[t]
            raise Misfit(f"token {t}, {token_name(token)!r} in a turn of {role}, has label {mine}, expected {right}")


# 7.3 ------------------------------------------------------------------------------------------------------------------
def placing_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Two pictures with words between them; then one feature for three places, which torch would spread over all of
    # them, and too many features. Features are float32 whatever the embeddings are.
    ids = torch.tensor([4, 9, 9, 7 + seed, 1, 9, 9, 9, 2])
    other = torch.tensor([9, 3, 9, 9])
    return [
        (numbers(seed, 9, 4, dtype=dtype), ids, numbers(seed + 1, 5, 4), 9),
        (numbers(seed, 4, 4, dtype=dtype), other, numbers(seed + 1, 1, 4), 9),
        (numbers(seed, 4, 4, dtype=dtype), other, numbers(seed + 1, 4, 4), 9),
    ]


def run_place(answer, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int):
    """What comes back, and the embeddings as they are afterwards; "ValueError" if the answer raises one."""
    try:
        return answer(x, input_ids, features, placeholder), x
    except ValueError:
        return "ValueError", x


def refuses_other_numbers(run, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> None:
    places = int((input_ids == placeholder).sum())
    result = run(x, input_ids, features, placeholder)[0]
    if places != len(features) and not isinstance(result, str):
        raise Misfit(
            f"{places} placeholders go through with {len(features)} feature(s); raise a ValueError with both numbers"
        )
    if places == len(features) and isinstance(result, str):
        raise Misfit(f"{places} placeholders and {places} features agree, yet it raises a ValueError")


def leaves_the_embeddings(run, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> None:
    if not torch.equal(run(x, input_ids, features, placeholder)[1], x):
        raise Misfit("the embeddings x that came in have changed; return a new tensor and leave x as it was")


def placed_unchecked(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return x.index_put(((input_ids == placeholder).nonzero()[:, 0],), features.to(x.dtype))


def placed_in_place(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    x.copy_(place_features(x, input_ids, features, placeholder))
    return x


def added(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return x + place_features(torch.zeros_like(x), input_ids, features, placeholder)


def own_dtype(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return place_features(x.float(), input_ids, features, placeholder)


def at_the_front(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return place_features(x, (input_ids == placeholder).sort(descending=True, stable=True).values.long(), features, 1)


# 7.4 ------------------------------------------------------------------------------------------------------------------
def target_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Every sequence begins with a label that counts, so a prediction across a border shows; one has a single token.
    long = torch.tensor([11, 12, -100, 14, 21 + seed, 31, 32, 33, -100, 35])
    return [
        (torch.tensor([5, 6, 7, 8, 9 + seed]), torch.tensor([0, 2, 5], dtype=torch.int32)),
        (long, torch.tensor([0, 4, 5, 10], dtype=torch.int32)),
    ]


def nothing_crosses(run, labels: Tensor, cu_seqlens: Tensor) -> None:
    targets = run(labels, cu_seqlens)
    if targets.shape != labels.shape:
        raise Misfit(f"{len(labels)} labels give {len(targets)} targets; keep the length, -100 marks no target")
    for s, end in enumerate(cu_seqlens[1:].tolist()):
        if int(targets[end - 1]) != -100:
            raise Misfit(
                f"the last token of sequence {s} is asked for {int(targets[end - 1])}; nothing follows it in its own "
                "sequence, so it has no target"
            )


def across_borders(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    targets = labels.roll(-1)
    targets[-1] = -100
    return targets


def not_shifted(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return labels.clone()


def shifted_backwards(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    targets = labels.roll(1)
    targets[cu_seqlens[:-1].long()] = -100
    return targets


def firsts_removed(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    targets = labels.roll(-1)
    targets[cu_seqlens[:-1].long()] = -100
    return targets


def one_shorter(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return next_token_targets(labels, cu_seqlens)[:-1]


# 7.5 ------------------------------------------------------------------------------------------------------------------
def batch_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Padded on the left (generation) and on the right (some training code); then packed already.
    ids = torch.arange(15).reshape(3, 5) + 40 * seed
    left = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=torch.bool)
    bounds = torch.tensor([0, 2, 2 + seed + 1, 9], dtype=torch.int32)
    return [(ids, left, None, None), (ids, left.flip(1), None, None), (torch.arange(9), None, None, bounds)]


def run_pack(answer, *case):
    packed = answer(*case)
    return packed.input_ids, packed.positions, packed.cu_seqlens, packed.max_seqlen


def starts_at_zero(run, ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, bounds: Tensor | None) -> None:
    input_ids, positions, cu_seqlens, _ = run(ids, keep, position_ids, bounds)
    real = len(ids) if keep is None else int(keep.sum())
    if len(input_ids) != real:
        raise Misfit(f"there are {real} real tokens, but you pack {len(input_ids)}")
    if len(cu_seqlens) < 2 or int(cu_seqlens[0]) != 0 or int(cu_seqlens[-1]) != real:
        raise Misfit(f"the bounds must begin with 0 and end with {real}; yours are {cu_seqlens.tolist()}")
    for s, start in enumerate(cu_seqlens[:-1].tolist()):
        if int(positions[start]) != 0:
            raise Misfit(f"the first real token of sequence {s} must stand at position 0, yours at {positions[start]}")


def _changed_pack(**change):
    def answer(
        input_ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None
    ) -> Packed:
        packed = pack_batch(input_ids, keep, position_ids, cu_seqlens)
        if keep is None:
            return packed
        return replace(packed, **{name: make(packed, input_ids, keep) for name, make in change.items()})

    return answer


def padding_kept(ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None) -> Packed:
    return pack_batch(ids, None if keep is None else torch.ones_like(keep), position_ids, cu_seqlens)


padding_counted = _changed_pack(positions=lambda p, ids, keep: torch.arange(ids.shape[1]).expand_as(ids)[keep])
running_on = _changed_pack(positions=lambda p, ids, keep: torch.arange(len(p.positions)))
from_one = _changed_pack(positions=lambda p, ids, keep: p.positions + 1)
without_zero = _changed_pack(cu_seqlens=lambda p, ids, keep: p.cu_seqlens[1:])


# 7.6 ------------------------------------------------------------------------------------------------------------------
def layer_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Layer 0 has a dense MLP, layer 1 experts; two sequences, so that the bounds matter.
    bounds = torch.tensor([0, 4, 7], dtype=torch.int32)
    return [(0, numbers(seed, 7, 64), bounds), (1, numbers(seed + 5, 7, 64), bounds)]


@torch.no_grad()
def run_layer(cls, index: int, x: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """Output and cache entries of a layer with fixed weights."""
    text = NANO.text_config
    positions = torch.cat([torch.arange(n) for n in cu_seqlens.diff().tolist()])
    cos, sin = rotary_1d(positions, text.qk_rope_head_dim, text.rope_theta)
    y, entries, _ = filled(cls, text, index)(x, cos, sin, cu_seqlens, int(cu_seqlens.diff().max()))
    return y, entries


class PostNorm(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(x, cos, sin, cu_seqlens, max_seqlen)
        x = self.input_layernorm(x + attended)
        y = self.mlp(x)
        return self.post_attention_layernorm(x + (y[0] if isinstance(y, tuple) else y)), entries, None


class NoResidual(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        y, routing = self.feed_forward(attended, pinned)
        return y - attended, entries, routing


class ResidualOfTheNorm(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        return super().forward(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen, pinned)


class Parallel(DecoderLayer):
    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        y, routing = self.feed_forward(x, pinned)
        return y + attended, entries, routing


class OneNorm(DecoderLayer):
    def feed_forward(self, x, pinned=None):
        self.post_attention_layernorm = self.input_layernorm
        return super().feed_forward(x, pinned)


# 7.7 ------------------------------------------------------------------------------------------------------------------
def packed_logits(model: KimiVL, batch: PackedBatch) -> Tensor:
    """Three parts and one placing: a packed batch of T tokens to logits (T, V), float32."""
    decoder = model.language_model.model
    features = model.multi_modal_projector(model.vision_tower(batch.pixel_values, batch.grid_hws))
    x = decoder.embed_tokens(batch.input_ids)
    x = place_features(x, batch.input_ids, features, model.config.media_placeholder_token_id)
    longest = int(batch.cu_seqlens.diff().max())
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, longest)
    return model.language_model.lm_head(hidden).float()


def pack_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Three conversations, pictures of unlike shapes in the first two; a batch of one would hide most mistakes.
    ids = torch.tensor([5, PAD, PAD, 8, 3 + seed, PAD, PAD, PAD, 1, 70, 2, 9])
    bounds = torch.tensor([0, 5, 9, 12], dtype=torch.int32)
    grids = torch.tensor([[2, 4], [6, 2]])
    return [
        (PackedBatch(ids, bounds, ids, numbers(seed, 20, 3, 14, 14), grids, ["a", "b", "c"]),),
        (PackedBatch(ids[:5], bounds[:2], ids[:5], numbers(seed + 1, 8, 3, 14, 14), grids[:1], ["a"]),),
    ]


@torch.no_grad()
def run_model(answer, batch: PackedBatch) -> Tensor:
    return answer(filled(KimiVL, NANO), batch)


def no_fence(model: KimiVL, batch: PackedBatch) -> Tensor:
    return packed_logits(model, replace(batch, cu_seqlens=batch.cu_seqlens[[0, -1]]))


def added_features(model: KimiVL, batch: PackedBatch) -> Tensor:
    embed, decoder = model.language_model.model.embed_tokens, model.language_model.model
    features = model.multi_modal_projector(model.vision_tower(batch.pixel_values, batch.grid_hws))
    x = added(embed(batch.input_ids), batch.input_ids, features, PAD)
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, int(batch.cu_seqlens.diff().max()))
    return model.language_model.lm_head(hidden).float()


def pictures_left_out(model: KimiVL, batch: PackedBatch) -> Tensor:
    decoder = model.language_model.model
    x = decoder.embed_tokens(batch.input_ids)
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, int(batch.cu_seqlens.diff().max()))
    return model.language_model.lm_head(hidden).float()


def norm_twice(model: KimiVL, batch: PackedBatch) -> Tensor:
    head, norm = model.language_model.lm_head, model.language_model.model.norm
    keep = head.forward
    head.forward = lambda hidden: keep(norm(hidden))  # type: ignore[method-assign]
    return packed_logits(model, batch)


# 7.8 ------------------------------------------------------------------------------------------------------------------
@torch.inference_mode()
def greedy(
    model: KimiVL,
    input_ids: Tensor,
    pixel_values: Tensor | None,
    image_grid_hws: Tensor | None,
    stop_ids: Sequence[int],
    limit: int,
) -> list[int]:
    """Continue one prompt (1, T) with the likeliest token each time: at most `limit` new ids, the stop id included."""
    decoder, head = model.language_model.model, model.language_model.lm_head
    capacity = input_ids.shape[1] + limit
    cache = LatentCache(model.config.text_config, 1, capacity, model.device, head.weight.dtype)
    out = model(input_ids, pixel_values, image_grid_hws, cache=cache)  # prefill: the only pass that sees pixels
    logits = head(out.hidden[-1:]).float()  # (1, V)
    new: list[int] = []
    for _ in range(limit):
        logits[:, model.config.media_placeholder_token_id] = -torch.inf
        token = logits.argmax(dim=-1)
        new.append(int(token))
        if new[-1] in stop_ids:
            break
        logits = head(decoder.decode(decoder.embed_tokens(token), cache)).float()
    return new


def prompt_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The stop id is the third token that the fixed weights say, so stopping shows; `tempting` is the first, and the
    # placeholder is made likelier than it.
    cases = []
    for i in (seed, seed + 7):
        prompt = torch.tensor([[5, PAD, PAD, 8 + i, 3]]), numbers(i, 8, 3, 14, 14), torch.tensor([[2, 4]])
        free = run_greedy(greedy, *prompt, (), 6, None)
        cases.append((*prompt, (free[2], 1023), 6, free[0]))
    return cases


def run_greedy(answer, ids: Tensor, pixels: Tensor, grids: Tensor, stop_ids, limit: int, tempting: int | None):
    model = filled(KimiVL, NANO)
    if tempting is not None:
        with torch.no_grad():
            model.language_model.lm_head.weight[PAD] = 2 * model.language_model.lm_head.weight[tempting]
    return answer(model, ids, pixels, grids, stop_ids, limit)


def only_words_and_an_end(run, *case) -> None:
    new, stop_ids = run(*case), case[3]
    if PAD in new:
        raise Misfit(f"new token {new.index(PAD)} is the image placeholder, and no picture stands behind it")
    for place, token in enumerate(new[:-1]):
        if token in stop_ids:
            raise Misfit(f"new token {place} is a stop id, but {len(new) - place - 1} more follow it")


def placeholder_sampled(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    model.config = replace(model.config, media_placeholder_token_id=0)  # bans another token than the placeholder
    prompt = torch.where(input_ids == PAD, 0, input_ids)
    return greedy(model, prompt, pixel_values, image_grid_hws, stop_ids, limit)


def never_stops(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    return greedy(model, input_ids, pixel_values, image_grid_hws, (), limit)


def stop_id_swallowed(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    new = greedy(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit)
    return new[:-1] if new[-1] in stop_ids else new


def prompt_fed_again(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    decoder = model.language_model.model
    decode, last = decoder.decode, decoder.embed_tokens(input_ids[0, -1:]).detach()
    decoder.decode = lambda x, cache: decode(last, cache)
    return greedy(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit)


# 7.9 ------------------------------------------------------------------------------------------------------------------
def name_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(3 + seed,), (2,)]


@torch.no_grad()
def run_names(answer, experts: int) -> tuple[list[str], list[Tensor], float]:
    """Names in order, expert matrices, and the share of the stacked weights that changes when these are written to."""
    text = replace(NANO.text_config, n_routed_experts=experts, num_experts_per_tok=2, num_hidden_layers=2)
    model = filled(KimiVL, replace(NANO, text_config=text))
    found = dict(answer(model))
    names = sorted(found)
    matrices = [found[name].clone() for name in names if ".experts." in name]
    for name in names:
        found[name].fill_(7.0)
    stacks = [tensor for name, tensor in model.state_dict().items() if ".experts." in name]
    written = sum(float((stack == 7).sum()) for stack in stacks) / sum(stack.numel() for stack in stacks)
    return names, matrices, written


def names_and_views(run, experts: int) -> None:
    names, _, written = run(experts)
    right = run_names(official_tensors, experts)[0]
    wrong, missing = sorted(set(names) - set(right)), sorted(set(right) - set(names))
    if wrong or missing:
        what = f"{wrong[0]} is no official name" if wrong else f"{missing[0]} is missing"
        raise Misfit(f"{what} ({len(wrong)} names too many, {len(missing)} missing)")
    if written < 1:
        raise Misfit("filling your tensors does not fill the model: give views into the stack, not copies")


def _by_expert(split: Callable[[Tensor], tuple[Tensor, Tensor]], suffix: str = ".weight", copy: bool = False):
    def answer(model: KimiVL) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in model.state_dict().items():
            prefix, _, kind = name.rpartition("experts.")
            if kind not in ("gate_up_proj", "down_proj"):
                yield name, tensor
                continue
            for e, matrix in enumerate(tensor.clone() if copy else tensor):
                halves = split(matrix) if kind == "gate_up_proj" else (matrix,)
                labels = ("gate_proj", "up_proj") if kind == "gate_up_proj" else ("down_proj",)
                for label, part in zip(labels, halves, strict=True):
                    yield f"{prefix}experts.{e}.{label}{suffix}", part

    return answer


up_rows_first = _by_expert(lambda matrix: (matrix.chunk(2)[1], matrix.chunk(2)[0]))
rows_take_turns = _by_expert(lambda matrix: (matrix[0::2], matrix[1::2]))
without_suffix = _by_expert(lambda matrix: (matrix.chunk(2)[0], matrix.chunk(2)[1]), suffix="")
copies = _by_expert(lambda matrix: (matrix.chunk(2)[0], matrix.chunk(2)[1]), copy=True)


def left_stacked(model: KimiVL) -> Iterator[tuple[str, Tensor]]:
    yield from model.state_dict().items()


# 7.10 -----------------------------------------------------------------------------------------------------------------
Shapes = dict[str, list[int]]


def key_report(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    """Names (sorted) that are missing, unexpected or misshapen; what follows from the config is ignored."""
    found = {name: shape for name, shape in found.items() if not DERIVED.fullmatch(name)}
    return {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "misshapen": sorted(name for name in set(expected) & set(found) if expected[name] != found[name]),
    }


def report_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    layer = "language_model.model.layers.{}.self_attn.{}"
    expected = {layer.format(i, "q_proj.weight"): [96, 64] for i in range(3)} | {"lm_head.weight": [1024, 64]}
    found = {layer.format(i, "rotary_emb.inv_freq"): [8] for i in range(3)} | dict(expected)
    other = dict(found) | {"lm_head.weight": [1024 + seed + 1, 64], "head.bias": [64], layer.format(0, "sinks"): [2]}
    del other[layer.format(1 + seed % 2, "q_proj.weight")]
    return [(expected, found), (expected, other)]


def list_by_list(run, expected: Shapes, found: Shapes) -> None:
    mine, right = run(expected, found), key_report(expected, found)
    if not isinstance(mine, dict) or set(mine) != set(right):
        raise Misfit("return a dictionary with the keys missing, unexpected and misshapen")
    for kind, names in right.items():
        if mine[kind] != names:
            raise Misfit(f"{kind!r} is {mine[kind]}, expected {names}")


def report_swapped(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"missing": report["unexpected"], "unexpected": report["missing"]}


def derived_reported(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"unexpected": sorted(set(found) - set(expected))}


def shapes_ignored(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    return key_report(expected, found) | {"misshapen": []}


def misshapen_missing_too(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"missing": sorted(report["missing"] + report["misshapen"])}


# 7.11 -----------------------------------------------------------------------------------------------------------------
BEGINNINGS = {
    "vision_tower.": "vision tower",
    "multi_modal_projector.": "projector",
    "language_model.lm_head.": "output head",
    "language_model.model.embed_tokens.": "embedding",
}


def model_part(name: str) -> str:
    """The part of the model that an official parameter name belongs to."""
    for beginning, part in BEGINNINGS.items():
        if name.startswith(beginning):
            return part
    if ".self_attn." in name:
        return "attention"
    if ".mlp.experts." in name:
        return "routed experts"
    return "other MLPs" if "_proj." in name else "norms and routers"


@cache
def all_names() -> tuple[str, ...]:
    with torch.device("meta"):
        return tuple(name for name, _ in official_tensors(KimiVL(NANO)))


def part_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(all_names()[seed::3],), (all_names()[seed::2],)]


def run_parts(answer, names: Sequence[str]) -> list[str]:
    return [answer(name) for name in names]


def names_the_name(run, names: Sequence[str]) -> None:
    for name, part in zip(names, run(names), strict=True):
        if part != model_part(name):
            raise Misfit(f"{name} does not belong to {part!r}")


def shared_as_routed(name: str) -> str:
    return "routed experts" if "experts." in name else model_part(name)


def router_as_mlp(name: str) -> str:
    return "other MLPs" if ".mlp.gate." in name and name.startswith("language_model") else model_part(name)


def norms_together(name: str) -> str:
    return "norms and routers" if "norm" in name else model_part(name)


def first_layer_as_routed(name: str) -> str:
    return "routed experts" if ".layers.0.mlp." in name else model_part(name)

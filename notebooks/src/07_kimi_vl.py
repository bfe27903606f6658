# ---
# title: Kimi-VL assembled
# goal: Join tower, projector and decoder into one model, train it, let it speak, and account for every parameter.
# minutes: 45
# prerequisites: ["03", "04", "05", "06"]
# difficulty: 3
# builds: minikimi/model/decoder.py, minikimi/model/kimi_vl.py and minikimi/model/checkpoint.py
# ---
# %%
import math
import tempfile
import textwrap
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn

from minikimi import KimiVL, KimiVLConfig, Processor, UserError
from minikimi.data.packing import pack
from minikimi.lab import check, photo, progress, setup
from minikimi.model import kimi_vl, ops
from minikimi.model.attention import LatentAttention, LatentCache
from minikimi.model.checkpoint import DERIVED
from minikimi.model.kimi_vl import Packed
from minikimi.model.moe import MoE, SwiGLU
from minikimi.model.norm import RMSNorm
from minikimi.model.patches import cumulative_lengths
from minikimi.model.rope import apply_rotary
from minikimi.optim import Muon, param_groups
from minikimi.sample import question_and_answer
from minikimi.world import PictureWorld

setup("07")

# %% [markdown]
# ## A picture: one stream of tokens
#
# All parts are built: MoonViT sees (lessons 01 to 03), the projector translates (04), latent attention and experts
# think (05, 06). What joins them is smaller than you may expect. A conversation with two pictures becomes **one row of
# tokens**; for each picture it holds a stretch of a token called `<|media_pad|>`, the *placeholder*. The model looks
# up an embedding for every token, then puts what the projector says about the pictures in the placeholders' places.
#
# A `Processor` does the preparing: it cuts pictures into patches and writes the conversation as ids.

# %%
processor = Processor.small()  # a tokenizer of 1,024 ids; the official one has 163,840


def as_picture(tensor):
    return Image.fromarray((tensor * 255).byte().permute(1, 2, 0).numpy())


temple, flower = as_picture(photo("china", 56, 84)), as_picture(photo("flower", 84, 84))
conversation = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "or"}, {"type": "image"},
                                 {"type": "text", "text": "Which one is a plant?"}]},
    {"role": "assistant", "content": "the second"},
]  # fmt: skip
encoded = processor.encode(conversation, [temple, flower])
print("grids of patches, (h, w):", encoded.grid_hws.tolist())
print(f"{len(encoded.pixel_values)} patches, {len(encoded.input_ids)} tokens")

# %% [hidden]
control_names = {i: name for name, i in processor.tokenizer.special_tokens.items()}
KINDS = {"control token": "C7", "place of an image feature": "C2", "words": "C0", "words to be learnt": "C1"}


def kind_of(token, label):
    if control_names.get(token) == "<|media_pad|>":
        return "place of an image feature"
    return "words to be learnt" if label != -100 else "control token" if token in control_names else "words"


fig, ax = plt.subplots(figsize=(10, 2.9))
shown = set()
for t, (token, label) in enumerate(zip(encoded.input_ids.tolist(), encoded.labels.tolist(), strict=True)):
    row, column = divmod(t, 12)
    kind = kind_of(token, label)
    ax.barh(-row, 0.94, left=column, height=0.8, color=KINDS[kind], alpha=0.75, label=None if kind in shown else kind)
    shown.add(kind)
    text = control_names.get(token, repr(processor.decode([token]))).strip("<|>")
    ax.text(column + 0.47, -row, text, ha="center", va="center", fontsize=7)
ax.set(
    title="Two pictures and a question are one row of tokens (read line by line)", xticks=[], yticks=[], xlim=(0, 12)
)
ax.spines[["left", "bottom"]].set_visible(False)
ax.grid(False)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4)
plt.show()

# %% [markdown]
# A grid of 4 × 6 patches takes 6 places, since the projector merges 2 × 2 patches into one feature (lesson 04); the
# 6 × 6 patches of the second take 9.
#
# **Predict.** (a) A user *types* `<|im_end|>`, the control token that closes a turn. Is the turn over? (b) Several
# conversations are trained in one row. You remove one of them: how much do the others' answers change? (c) Which part
# holds most of the 16.4 billion parameters: the vision tower, attention, the vocabulary, or the experts?
#
# <details><summary>Answer</summary>
#
# (a) It must not be, and exercise 7.1 sees to it. (b) Not at all, if three things are done right; we measure what
# happens otherwise. (c) The experts, by far. The last picture shows it.
#
# </details>
#
# ## Chat format: by id, never by text
#
# A turn of Kimi-VL's chat format is
#
# `<|im_ROLE|>` ROLE `<|im_middle|>` content `<|im_end|>`
#
# where ROLE is system, user or assistant. There is nothing between two turns, and no token in front of a conversation.
# An image in the content is `<|media_start|>` image `<|media_content|>` `<|media_pad|>` ... `<|media_end|>`, with
# "image" as an ordinary word.
#
# The names in brackets are not text. Each is one id that no text can produce:

# %%
tokenizer = processor.tokenizer
typed = tokenizer.encode("<|im_end|>")
print("typed:", [tokenizer.decode([i]) for i in typed])
print(
    "meant:",
    tokenizer.special_id("<|im_end|>"),
    "which is the id of",
    control_names[tokenizer.special_id("<|im_end|>")],
)
assert max(typed) < min(control_names), "encode gives ordinary ids only, whatever the text is"

# %% [markdown]
# If you wrote the turn as one *string* and searched it for control tokens, as many programs do, a user could type
# `<|im_end|><|im_assistant|>...` and put words into the assistant's mouth. So assemble lists of ids.
#
# @exercise 7.1
#
# `parts` is a list of `("text", words)` and `("image", number of tokens)`. `special(name)` gives a control token's id,
# `tokenizer.encode(words)` a list of ordinary ids.


# %%
def turn_ids(role, parts, tokenizer):
    """One turn as a list of ids; parts are ("text", words) and ("image", number of tokens)."""
    special = tokenizer.special_id
    # BEGIN SOLUTION 7.1
    ids = [special(f"<|im_{role}|>"), *tokenizer.encode(role), special("<|im_middle|>")]
    for kind, value in parts:
        if kind == "text":
            ids += tokenizer.encode(value)
        else:
            ids += [special("<|media_start|>"), *tokenizer.encode("image"), special("<|media_content|>")]
            ids += [special("<|media_pad|>")] * value + [special("<|media_end|>")]
    return [*ids, special("<|im_end|>")]
    # END SOLUTION


turn_ids = check("7.1", turn_ids)

# %% [markdown]
# Training teaches the *answers*: the orange tokens above. Which tokens count is written as **labels**, one beside each
# token: the id itself where the loss looks, and -100 elsewhere. A turn opens with three tokens (control token, role,
# control token) that the program writes; the rest of an assistant's turn is the model's, its `<|im_end|>` included.
#
# @exercise 7.2
#
# `turns` is a list of `(role, ids)`. Return the labels of the whole conversation as one tensor.


# %%
def answer_labels(turns, opening=3):
    """Turns (role, list of ids) to labels (T,): the id where the loss looks, -100 elsewhere; not shifted."""
    labels = []
    # BEGIN SOLUTION 7.2
    for role, ids in turns:
        skipped = opening if role == "assistant" else len(ids)
        labels += [-100] * skipped + ids[skipped:]
    # END SOLUTION
    return torch.tensor(labels)


answer_labels = check("7.2", answer_labels)

# %%
question = [("image", 6), ("text", "or"), ("image", 9), ("text", "Which one is a plant?")]
turns = [("user", turn_ids("user", question, tokenizer)),
         ("assistant", turn_ids("assistant", [("text", "the second")], tokenizer))]  # fmt: skip
assert [i for _, ids in turns for i in ids] == encoded.input_ids.tolist()
assert torch.equal(answer_labels(turns), encoded.labels)
print("ids and labels equal the processor's")

# %% [markdown]
# ## Features into the stream
#
# Suppose the projector has made 15 features, 6 for the first picture and 9 for the second. They are already in the
# order in which their placeholders stand. So placing is one assignment, with two precautions. *Count first*: if text
# and pictures disagree, every later feature would stand in a wrong place. And *do not write into the embeddings you
# were given*: training differentiates through them.
#
# @exercise 7.3
#
# Raise a `ValueError` with both numbers if they differ. The result has the dtype of `x`.


# %%
def place_features(x, input_ids, features, placeholder):
    """Embeddings (T, D) with the features (M, D) in the places of the M placeholders, in order; a new tensor."""
    # BEGIN SOLUTION 7.3
    places = (input_ids == placeholder).nonzero()[:, 0]
    if len(places) != len(features):
        raise ValueError(
            f"{len(places)} image placeholders in the text, {len(features)} image features; they must agree"
        )
    return x.index_put((places,), features.to(x.dtype))
    # END SOLUTION


place_features = check("7.3", place_features)

# %% [markdown]
# ## Many conversations in one row
#
# Training packs conversations into one row without padding, as lesson 01 packed images. `cu_seqlens` holds the bounds:
# sequence $s$ is `[cu_seqlens[s], cu_seqlens[s + 1])`.
#
# The model predicts *the next* token, so the target of place $t$ is the label of place $t + 1$. By hand, for two tiny
# sequences, "a cat sat" and "no dog", all of whose tokens count:

# %%
words, bounds = ["a", "cat", "sat", "no", "dog"], [0, 3, 5]
for t, word in enumerate(words):
    if t + 1 in bounds:
        print(f"{word:>4} -> nothing: its sequence ends here")
    else:
        print(f"{word:>4} -> {words[t + 1]}")

# %% [markdown]
# Without the exception, "sat" would have to predict "no", the beginning of a stranger's sentence. As a loop:


# %%
def targets_loop(labels, cu_seqlens):
    targets = torch.full_like(labels, -100)
    for start, end in zip(cu_seqlens[:-1].tolist(), cu_seqlens[1:].tolist(), strict=True):
        for t in range(start, end - 1):
            targets[t] = labels[t + 1]
    return targets


print(targets_loop(torch.tensor([10, 11, 12, 20, 21]), torch.tensor([0, 3, 5])).tolist())

# %% [markdown]
# @exercise 7.4
#
# The same without a loop.


# %%
def next_token_targets(labels, cu_seqlens, ignore_index=-100):
    """Shift labels (T,) by one within each packed sequence; a sequence's last position has no target."""
    # BEGIN SOLUTION 7.4
    targets = labels.roll(-1)
    targets[cu_seqlens[1:].long() - 1] = ignore_index
    return targets
    # END SOLUTION


next_token_targets = check("7.4", next_token_targets)

# %% [markdown]
# When a model *answers*, users come in batches: a rectangle `(B, T)` of ids where short rows are filled with padding.
# We do not teach the model to ignore padding; we remove it, and everything below runs on packs.
#
# @exercise 7.5
#
# `keep` `(B, T)` is True at real tokens; the padding may be on either side. Write two parts. In `segment_positions`:
# positions `(T,)` that count 0, 1, ... from each start in `cu_seqlens`. In `pack_batch`: `cu_seqlens` and the packed
# `input_ids`, real tokens only. `cumulative_lengths` (lesson 01) turns lengths `(S,)` into bounds `(S + 1,)`.


# %%
def segment_positions(cu_seqlens):
    """Positions (T,) int64 within each segment of the bounds (S + 1,): 0, 1, 2, ... from every segment's start."""
    # BEGIN SOLUTION 7.5
    starts = cu_seqlens[:-1].long().repeat_interleave(cu_seqlens.diff())
    return torch.arange(len(starts), device=cu_seqlens.device) - starts
    # END SOLUTION


def pack_batch(input_ids, keep, position_ids, cu_seqlens):
    """Bring both input forms to one: drop the padding of (B, T), or take packed (T,) with its bounds as it is."""
    if keep is not None:
        # BEGIN SOLUTION 7.5
        cu_seqlens = cumulative_lengths(keep.sum(dim=1))
        input_ids = input_ids[keep]
        # END SOLUTION
        position_ids = None if position_ids is None else position_ids.expand_as(keep)[keep]
    assert cu_seqlens is not None
    positions = segment_positions(cu_seqlens) if position_ids is None else position_ids
    return Packed(input_ids, positions, cu_seqlens, int(cu_seqlens.diff().max()))


pack_batch = check("7.5", pack_batch)

# %% [markdown]
# ## The decoder layer
#
# The decoder is a stack of layers over a **stream** `x` `(T, D)`. Each layer adds to it twice: what attention makes of
# the *normed* stream, then what the MLP makes of the normed stream. The first layer's MLP is dense, the others are
# experts (lesson 06).
#
# $$x \leftarrow x + \mathrm{attention}(\mathrm{norm}_1(x)) \qquad x \leftarrow x + \mathrm{mlp}(\mathrm{norm}_2(x))$$
#
# @exercise 7.6
#
# Write both methods. `self.self_attn(normed, cos, sin, cu_seqlens, max_seqlen)` returns its output and the entries for
# the cache (lesson 05); `max_seqlen` is the longest sequence's length. An `MoE` is called with `(h, pinned)` and
# returns its output and the routing; a dense MLP takes `h` alone, and its routing is `None`. (`pinned` is a given
# choice of experts, or `None`. Just pass it on.)


# %%
class DecoderLayer(nn.Module):
    """x += attention(norm(x)); x += mlp(norm(x))."""

    def __init__(self, config, index):
        super().__init__()
        dense = index < config.first_k_dense_replace
        self.self_attn = LatentAttention(config)
        self.mlp: SwiGLU | MoE = SwiGLU(config.hidden_size, config.intermediate_size) if dense else MoE(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, cos, sin, cu_seqlens, max_seqlen, pinned=None):
        """Packed tokens (T, D) to (T, D), the cache entries (T, R + d_rope), and the routing of an expert layer."""
        # BEGIN SOLUTION 7.6
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        x, routing = self.feed_forward(x + attended, pinned)
        return x, entries, routing
        # END SOLUTION

    def decode(self, x, cos, sin, cache, layer, absorbed):
        """One new token per sequence: (B, D) to (B, D)."""
        attend = self.self_attn.decode_absorbed if absorbed else self.self_attn.decode
        return self.feed_forward(x + attend(self.input_layernorm(x), cos, sin, cache, layer))[0]

    def feed_forward(self, x, pinned=None):
        """The second half: (T, D) to (T, D), and the routing or None."""
        # BEGIN SOLUTION 7.6
        h = self.post_attention_layernorm(x)
        if isinstance(self.mlp, MoE):
            y, routing = self.mlp(h, pinned)
            return x + y, routing
        return x + self.mlp(h), None
        # END SOLUTION


DecoderLayer = check("7.6", DecoderLayer)

# %% [markdown]
# ## The whole model
#
# `KimiVL` holds three modules under their official names. A `PackedBatch` holds what they need: `input_ids`,
# `positions`, `cu_seqlens`, `pixel_values` `(P, 3, 14, 14)` of all pictures' patches, and `grid_hws` `(N, 2)`.
#
# * `model.vision_tower(pixel_values, grid_hws)`, then `model.multi_modal_projector(...)`: one feature per placeholder;
# * `model.language_model.model`: the decoder, with `embed_tokens(ids)`; called with `(x, positions, cu_seqlens,
#   longest)` it returns normed hidden states and the routings;
# * `model.language_model.lm_head`: hidden states to logits over the vocabulary.
#
# @exercise 7.7
#
# Return the logits `(T, V)` in float32, with `place_features` from above. `longest` is the length of the longest
# sequence, and `model.config.media_placeholder_token_id` is the placeholder's id.


# %%
def packed_logits(model, batch):
    """Three parts and one placing: a packed batch of T tokens to logits (T, V), float32."""
    decoder = model.language_model.model
    # BEGIN SOLUTION 7.7
    features = model.multi_modal_projector(model.vision_tower(batch.pixel_values, batch.grid_hws))
    x = decoder.embed_tokens(batch.input_ids)
    x = place_features(x, batch.input_ids, features, model.config.media_placeholder_token_id)
    longest = int(batch.cu_seqlens.diff().max())
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, longest)
    return model.language_model.lm_head(hidden).float()
    # END SOLUTION


packed_logits = check("7.7", packed_logits)

# %% [markdown]
# That is all of Kimi-VL. Behind the placing, nothing knows about pictures: plain positions 0, 1, 2, ..., plain causal
# attention. (Other models give image tokens two-dimensional positions, or attention layers of their own.)
#
# ## Same as the library
#
# Eight scenes of the *picture world*, small drawings with known captions. They serve for the rest of the lesson, all
# shrunk to 112 × 112 pixels and all with the same question, so that only the pixels tell one from another.

# %%
world, scenes = PictureWorld(seed=7, tasks={"caption": 1}), {}
for i in range(1000):
    sample = world[i]
    if len(sample.images) == 1 and sample.answer.count(",") == 1:  # two things in one picture
        scenes.setdefault(sample.answer, sample.images[0].resize((112, 112)))
    if len(scenes) == 8:
        break
captions, pictures = list(scenes), list(scenes.values())
QUESTION = "Describe the picture."
examples = [processor.encode(question_and_answer(QUESTION, caption), [scenes[caption]]) for caption in captions]
batch = pack(examples, captions)
print(f"{len(captions)} conversations in one row of {batch.tokens} tokens, {len(batch.pixel_values)} patches")

# %% [markdown]
# The same eight conversations in three forms: packed, one at a time, and as a padded batch. Same logits, and the same
# loss from your labels as from the library's.

# %%
torch.manual_seed(0)
model = KimiVL.from_preset("nano").eval()
with torch.no_grad():
    packed = packed_logits(model, batch)
    alone = torch.cat([packed_logits(model, pack([example], ["one"])) for example in examples])
    padded = processor(
        [question_and_answer(QUESTION, caption) for caption in captions], [[picture] for picture in pictures]
    )
    library = model(**padded).logits[padded["attention_mask"].bool()]
    targets = next_token_targets(batch.labels, batch.cu_seqlens)
    loss = nn.functional.cross_entropy(packed, targets)
    out = model(batch.input_ids, batch.pixel_values, batch.grid_hws, labels=batch.labels, cu_seqlens=batch.cu_seqlens)
scale = float(packed.abs().max())
for name, other in (("one at a time", alone), ("a padded batch", library)):
    assert float((packed - other).abs().max()) < 1e-4 * scale
    print(f"packed and {name}: logits equal up to rounding")
assert abs(float(loss) - float(out.loss)) < 1e-4
mine, theirs = (
    f(padded["input_ids"], padded["attention_mask"].bool(), None, None) for f in (pack_batch, kimi_vl.pack_batch)
)
assert torch.equal(mine.positions, theirs.positions) and torch.equal(mine.cu_seqlens, theirs.cu_seqlens)
print(f"loss: mine and the library's agree; untrained it is near ln 1024 = {math.log(1024):.2f}")

# %% [markdown]
# ## Speaking: the cache loop
#
# Generation has two phases. **Prefill**: one pass over the prompt, pictures included, which fills the latent cache of
# lesson 05. **Decode**: one token at a time; its stretch of the stream is one row long, and pixels are no longer
# needed, since everything that was seen is in the cache.
#
# @exercise 7.8
#
# Prefill is given. Write the loop: never choose the placeholder; take the likeliest id; keep it in `new`; leave at a
# stop id; else `decoder.decode(x, cache)` takes the new token's embedding `(1, D)`, adds an entry to the cache, and
# returns the hidden state `(1, D)` for the next logits.


# %%
@torch.inference_mode()
def greedy(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit):
    """Continue one prompt (1, T) with the likeliest token each time: at most `limit` new ids, the stop id included."""
    decoder, head = model.language_model.model, model.language_model.lm_head
    capacity = input_ids.shape[1] + limit
    cache = LatentCache(model.config.text_config, 1, capacity, model.device, head.weight.dtype)
    out = model(input_ids, pixel_values, image_grid_hws, cache=cache)  # prefill: the only pass that sees pixels
    logits = head(out.hidden[-1:]).float()  # (1, V)
    new = []
    # BEGIN SOLUTION 7.8
    for _ in range(limit):
        logits[:, model.config.media_placeholder_token_id] = -torch.inf
        token = logits.argmax(dim=-1)
        new.append(int(token))
        if new[-1] in stop_ids:
            break
        logits = head(decoder.decode(decoder.embed_tokens(token), cache)).float()
    # END SOLUTION
    return new


greedy = check("7.8", greedy)

# %% [markdown]
# ## Measured: it learns, and it looks
#
# The claim: *the assembled model learns to caption these pictures, and it does so by looking.* A model of the smallest
# size is trained twice on the eight scenes: once as it should be, once **blind**, with all pixels set to 0.
#
# How far can a blind model get? To it all eight conversations begin alike, so the probabilities it gives to the eight
# captions add up to at most 1. The best it can do is 1/8 each: $\ln 8$ per caption, spread over the caption's tokens.
# That is a floor which no training can break:
#
# $$\mathrm{floor} = \frac{8 \ln 8}{\mathrm{number\ of\ targets}}$$
#
# (The optimizer is Muon, Kimi-VL's own; lesson 08 builds it. Learning eight pictures by heart says nothing about new
# ones: that takes more data, lessons 09 to 11.)

# %%
STEPS = 48


def learn_captions(pixel_values):
    """A fresh model after 48 steps on all eight conversations, and its losses."""
    torch.manual_seed(0)
    model, losses = KimiVL.from_preset("nano"), []
    optimizer = Muon(param_groups(model, 0.02, 0.1), lr=0.02)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 10) * (1 - step / STEPS))
    for _ in range(STEPS):
        out = model(batch.input_ids, pixel_values, batch.grid_hws, labels=batch.labels, cu_seqlens=batch.cu_seqlens)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(out.loss.item())
    return model.eval(), losses


floor = len(captions) * math.log(len(captions)) / int((targets != -100).sum())
seeing, seen_losses = learn_captions(batch.pixel_values)
blind, blind_losses = learn_captions(torch.zeros_like(batch.pixel_values))

# %% [hidden]
fig, ax = plt.subplots(figsize=(8, 2.8))
ax.plot(seen_losses, label="seeing")
ax.plot(blind_losses, label="blind")
ax.axhline(floor, color="gray", ls=":", label="floor of the blind")
ax.set(title="Both learn the language; only one sees which picture it is", xlabel="training step", yscale="log")
ax.set(ylabel="loss per target (nat)")
ax.legend()
plt.show()

# %%
STOP = (tokenizer.special_id("[EOS]"), tokenizer.special_id("<|im_end|>"))


def caption_of(model, picture, blank=False):
    """Ask for a caption with the loop of exercise 7.8."""
    prompt = processor(question_and_answer(QUESTION, "")[:1], [picture], add_generation_prompt=True)
    pixels = prompt["pixel_values"] * (not blank)
    return processor.decode(greedy(model, prompt["input_ids"], pixels, prompt["image_grid_hws"], STOP, limit=40))


said = [caption_of(seeing, picture) for picture in pictures]
said_blind = [caption_of(blind, picture, blank=True) for picture in pictures]
right, right_blind = (sum(a == b for a, b in zip(s, captions, strict=True)) for s in (said, said_blind))
print(f"captions right: seeing {right} of 8, blind {right_blind} of 8")
assert seen_losses[-1] < floor / 4, "it must use the pixels to get this far below the floor of the blind"
assert min(blind_losses) > 0.99 * floor, "no blind model can do better"
assert right >= 6 and right_blind <= 1

questions = [question_and_answer(QUESTION, "")[:1] for _ in pictures]
together = processor(questions, [[picture] for picture in pictures], add_generation_prompt=True)
assert processor.decode(seeing.generate(**together, max_new_tokens=40)) == said
print("the library's loop, all eight in one batch: the same captions")

# %% [hidden]
fig, axes = plt.subplots(2, 4, figsize=(10, 4.6))
for ax, picture, text, truth in zip(axes.flatten(), pictures, said, captions, strict=True):
    ax.imshow(picture)
    ax.set_title(text.replace(", ", ",\n"), fontsize=9, color="black" if text == truth else "C3")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
fig.suptitle("What the trained model says (red: wrong). Pictures: OpenMoji, CC BY-SA 4.0", fontsize=11)
plt.show()

# %% [markdown]
# The blind model learns one caption's *form* and repeats one answer. Beware of such models: by text alone they score
# well wherever questions give answers away. (Had we kept the pictures' own sizes, even the *number of placeholders*
# would have told some of them apart.)
#
# ## Measured: who sees whom
#
# Now the claim of prediction (b): *removing a neighbour from a pack changes nothing*. Three fences keep conversations
# apart: bounds in the text attention, bounds in the vision attention, and targets that do not cross (7.4). We take the
# trained model and break one of the first two:
#
# * **text without bounds**: positions still start at 0 in each conversation, but attention runs through the pack;
# * **the eager mask**: one version of the released vision code *adds 1* to allowed scores where it should set the
#   others to minus infinity (lesson 03).


# %%
def leaky_attention(qkv, cos, sin, cu_seqlens, max_seqlen):
    """Vision attention with the eager mask: images of a pack see each other."""
    q, k, v = qkv.unbind(1)
    q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    scores = torch.einsum("qhd,khd->hqk", q, k) * q.shape[-1] ** -0.5 + (image[:, None] == image[None])
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v)


@torch.no_grad()
def run_variant(name, batch, pixel_values=None, input_ids=None):
    """The trained model's output for a pack, with one fence broken or none."""
    pixel_values = batch.pixel_values if pixel_values is None else pixel_values
    input_ids = batch.input_ids if input_ids is None else input_ids
    bounds = batch.cu_seqlens[[0, -1]] if name == "text without bounds" else batch.cu_seqlens
    vision = leaky_attention if name == "eager mask" else ops.vision_attention
    with mock.patch.object(ops, "vision_attention", vision):
        return seeing(input_ids, pixel_values, batch.grid_hws, None, batch.positions, batch.labels, bounds)


VARIANTS = ("all fences", "text without bounds", "eager mask")
last = int(batch.cu_seqlens[-2])  # where the last conversation begins
changed, losses = {}, {}
for name in VARIANTS:
    together, single = run_variant(name, batch), run_variant(name, pack(examples[-1:], ["last"]))
    in_pack, alone = together.logits[last:].detach(), single.logits.detach()
    changed[name] = float((in_pack - alone).abs().max() / alone.abs().max())
    losses[name] = together.loss.item()
    print(f"{name:<20} logits change by {'nothing but rounding' if changed[name] < 1e-3 else 'more than 1 %'}, "
          f"loss of the pack {'below' if losses[name] < floor else 'above'} the floor of the blind")  # fmt: skip
assert changed["all fences"] < 1e-3, "seven neighbours removed, nothing changes"
assert min(changed["text without bounds"], changed["eager mask"]) > 0.01
assert losses["all fences"] < 0.5 * min(losses["text without bounds"], losses["eager mask"])

# %% [markdown]
# Neither broken fence raises an error. So look at the mask, as *measured*: two conversations with small photographs
# are packed. For each token we change the input at its place (the id, or the four patches behind a placeholder) and
# note which places' outputs move.


# %%
def influence(name, batch):
    """(T, T): True where the output of row t moves when the input of column s is changed."""
    base, columns, patch_sets = run_variant(name, batch).hidden, [], []
    start = 0
    for h, w in batch.grid_hws.tolist():
        index = torch.arange(start, start + h * w).reshape(h // 2, 2, w // 2, 2)
        patch_sets += list(index.permute(0, 2, 1, 3).reshape(-1, 4))  # the four patches of each placeholder
        start += h * w
    for s, token in enumerate(batch.input_ids.tolist()):
        ids, pixels = batch.input_ids.clone(), batch.pixel_values.clone()
        if token == seeing.config.media_placeholder_token_id:
            pixels[patch_sets.pop(0)] += 2.0
        else:
            ids[s] = (token + 7) % 900
        moved = run_variant(name, batch, pixels, ids).hidden - base
        columns.append(moved.norm(dim=-1) / base.norm(dim=-1) > 1e-5)
    return torch.stack(columns, dim=1)


two = pack([processor.encode(question_and_answer("What?", "a temple"), [temple]),
            processor.encode(question_and_answer("What?", "a flower"), [flower])], ["temple", "flower"])  # fmt: skip
masks = {name: influence(name, two) for name in VARIANTS}

# %% [hidden]
border, place = int(two.cu_seqlens[1]), two.input_ids == seeing.config.media_placeholder_token_id
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
for ax, name in zip(axes, VARIANTS, strict=True):
    shown = masks[name].float() * (1 + place[None].float())  # 1: through a word, 2: through a picture
    ax.imshow(shown, cmap=plt.matplotlib.colors.ListedColormap(["white", "C0", "C2"]), vmin=0, vmax=2)
    ax.axhline(border - 0.5, color="black", lw=1)
    ax.axvline(border - 0.5, color="black", lw=1)
    ax.set(title=name, xlabel="input at place s (green: pixels)")
    ax.grid(False)
axes[0].set_ylabel("output at place t moves")
plt.show()

# %%
first, second = slice(0, border), slice(border, None)
own = masks["all fences"]
assert not own[first, second].any() and not own[second, first].any(), "two islands"
assert masks["text without bounds"][second, first].any() and not masks["text without bounds"][first, second].any()
assert masks["eager mask"][first, second].any() and masks["eager mask"][second, first].any()
print("all fences: two islands. Text without bounds: the second reads the first. Eager mask: each sees the other.")

# %% [markdown]
# **Read the masks.** Left: two islands. Each is a triangle (causal) plus a square where the picture is, because
# *inside* the tower every patch sees every other. Middle: the lower left rectangle fills; the second conversation reads
# the first. Right: green spills over *both* ways, even from the later picture to the earlier conversation: the tower
# knows no before and after.
#
# ## Official names
#
# A checkpoint is a dictionary from names to tensors. Our names are the official ones, with one exception: minikimi
# keeps the experts of a layer stacked (lesson 06), while the official file has three matrices for each expert, such as
# `language_model.model.layers.1.mlp.experts.0.gate_proj.weight`.
#
# @exercise 7.9
#
# Hand out pairs of official name and tensor: `prefix` (which ends in `experts.`), the expert's number, and one of
# `gate_proj.weight`, `up_proj.weight`, `down_proj.weight`. In `gate_up_proj` `(E, 2F, D)` the gate rows come first.
# Views, no copies: then the same function serves saving (read the tensors) and loading (write to them).


# %%
def official_tensors(model):
    """Pairs of official name and tensor. Expert matrices are views into the stacked tensors, so writing to them
    writes to the model.
    """
    for name, tensor in model.state_dict().items():
        if name.endswith("experts.gate_up_proj"):
            prefix = name.removesuffix("gate_up_proj")
            # BEGIN SOLUTION 7.9
            for e, matrix in enumerate(tensor.unbind(0)):
                gate, up = matrix.chunk(2)
                yield f"{prefix}{e}.gate_proj.weight", gate
                yield f"{prefix}{e}.up_proj.weight", up
            # END SOLUTION
        elif name.endswith("experts.down_proj"):
            prefix = name.removesuffix("down_proj")
            # BEGIN SOLUTION 7.9
            for e, matrix in enumerate(tensor.unbind(0)):
                yield f"{prefix}{e}.down_proj.weight", matrix
            # END SOLUTION
        else:
            yield name, tensor


official_tensors = check("7.9", official_tensors)

# %% [markdown]
# Loading must be strict. A tensor that is skipped leaves random numbers in the model, and random numbers raise no
# error. One exception is known: the released file also stores 27 tables `...rotary_emb.inv_freq` (lesson 02), which
# follow from the config.
#
# @exercise 7.10
#
# Compare two dictionaries from name to shape; return sorted lists of names. `DERIVED.fullmatch(name)` finds the
# derived tables.


# %%
def key_report(expected, found):
    """{"missing": [...], "unexpected": [...], "misshapen": [...]}: sorted names; derived tables are ignored."""
    # BEGIN SOLUTION 7.10
    found = {name: shape for name, shape in found.items() if not DERIVED.fullmatch(name)}
    return {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "misshapen": sorted(name for name in set(expected) & set(found) if expected[name] != found[name]),
    }
    # END SOLUTION


key_report = check("7.10", key_report)

# %% [markdown]
# The round trip: save the trained model, load it, ask again. And once with a config that does not belong to the
# weights:

# %%
with tempfile.TemporaryDirectory() as folder:
    seeing.save_pretrained(folder)
    print("written:", ", ".join(sorted(path.name for path in Path(folder).iterdir())))
    loaded = KimiVL.from_pretrained(folder)
    assert all(
        torch.equal(a, b) for a, b in zip(seeing.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert caption_of(loaded, pictures[0]) == said[0]
    print("loaded: every tensor equal bit for bit, the same caption")
    config = Path(folder) / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    try:
        KimiVL.from_pretrained(folder)
    except UserError as error:
        print(textwrap.fill(str(error).replace(folder, "FOLDER"), 110))
    else:
        raise AssertionError("a third layer without weights must be refused")

# %% [markdown]
# ## What it costs at 16B
#
# The full model, on the `meta` device: all names and shapes, no memory.
#
# @exercise 7.11
#
# Say to which part an official name belongs: `"vision tower"`, `"projector"`, `"embedding"`, `"output head"`,
# `"attention"` (all of `self_attn`), `"routed experts"`, `"other MLPs"` (shared experts and the dense first layer), or
# `"norms and routers"` (the rest). The first four are given by their beginnings.

# %%
BEGINNINGS = {
    "vision_tower.": "vision tower",
    "multi_modal_projector.": "projector",
    "language_model.lm_head.": "output head",
    "language_model.model.embed_tokens.": "embedding",
}


def model_part(name):
    """The part of the model that an official parameter name belongs to."""
    # BEGIN SOLUTION 7.11
    for beginning, part in BEGINNINGS.items():
        if name.startswith(beginning):
            return part
    if ".self_attn." in name:
        return "attention"
    if ".mlp.experts." in name:
        return "routed experts"
    return "other MLPs" if "_proj." in name else "norms and routers"
    # END SOLUTION


model_part = check("7.11", model_part)

# %%
big = KimiVL.from_preset("kimi-vl-a3b", device="meta")
counts = dict.fromkeys([*BEGINNINGS.values(), "attention", "routed experts", "other MLPs", "norms and routers"], 0)
names = 0
for name, tensor in official_tensors(big):
    counts[model_part(name)] += tensor.numel()
    names += 1
total = sum(counts.values())
for part, count in counts.items():
    print(f"{part:<18} {count:>14,}  {100 * count / total:5.1f} %")
print(f"{'all':<18} {total:>14,}  in {names:,} tensors, {2 * total / 2**30:.1f} GiB in bfloat16")
assert total == 16_407_656_048 and names == 5_652
trained = sum(p.numel() for p in big.parameters())
print(f"{total - trained:,} of them are no parameters but selection biases (26 layers x 64 experts, lesson 06)")

# %% [hidden]
text = KimiVLConfig.preset("kimi-vl-a3b").text_config
share = text.num_experts_per_tok / text.n_routed_experts
used = dict(counts) | {"routed experts": counts["routed experts"] * share, "embedding": text.hidden_size}  # one row
fig, ax = plt.subplots(figsize=(8, 2.9))
rows = list(range(len(counts)))[::-1]
ax.barh(rows, [count / 1e9 for count in counts.values()], color="C0", alpha=0.35, label="held")
ax.barh(rows, [count / 1e9 for count in used.values()], color="C0", label="used by one text token")
ax.barh(rows[:2], [count / 1e9 for count in list(counts.values())[:2]], color="C2", label="used by pictures only")
for row, count in zip(rows, counts.values(), strict=True):
    ax.text(count / 1e9 + 0.1, row, f"{count / 1e9:.2f}", va="center", fontsize=9)
ax.set(title="Seven eighths of the model are routed experts; a token uses 6 of 64", xlabel="billion parameters")
ax.set(yticks=rows, yticklabels=counts, xlim=(0, 16.5))
ax.legend(loc="upper right")
plt.show()

# %%
decoder_parts = ("attention", "routed experts", "other MLPs", "norms and routers")
active = round(sum(used[part] for part in decoder_parts))
assert active == 2_243_687_552
print(f"one text token uses {active:,} parameters of the decoder: about {2 * active / 1e9:.1f} GFLOP")
patches = 64 * 64  # a picture of 896 x 896 pixels
vision = 2 * counts["vision tower"] * patches / 1e12
prefill = 2 * active * (patches // 4) / 1e12
print(f"a picture of 896 x 896: {patches:,} patches, {patches // 4:,} places in the stream")
print(f"  tower about {vision:.1f} TFLOP, decoder prefill about {prefill:.1f} TFLOP (attention's own products aside)")

# %% [markdown]
# The report speaks of 2.8 billion activated parameters (section 2.1); the decoder alone makes 2.24, and with the output
# head 2.58. Which sum gives 2.8 is not published.
#
# ## Takeaways
#
# * Kimi-VL is three modules and one assignment: features take the places of `<|media_pad|>`, in order, *after* the
#   numbers have been compared.
# * Control tokens are placed by id; text is encoded as text. So nobody can type the end of a turn.
# * Labels stand beside their own tokens; the shift happens once, within each sequence. Only answers count, their
#   `<|im_end|>` included.
# * A pack is right if removing a neighbour changes nothing. Test that: a broken fence raises no error.
# * A loss below the blind floor proves that the model looks.
# * Load strictly: missing, unexpected and misshapen names must each be an error.
#
# ## Stretch
#
# 1. Give the model `position_ids` that run on through the whole pack (`torch.arange`), with the bounds as they are. The
#    logits do not change. Why? And why does the library restart them nevertheless? (Lessons 02 and 05.)
# 2. Train on the eight captions with two pictures per conversation, and ask about "the second picture". Does the model
#    know the order? What in its input tells it?
# 3. Exchange the pictures of two prompts without touching the text. Then exchange only half of the patches.

# %%
progress()

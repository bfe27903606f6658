# ---
# title: Multi-head latent attention
# goal: Write Kimi-VL's attention in its three forms, show that they compute the same, and say when each one pays.
# minutes: 45
# prerequisites: ["02"]
# difficulty: 3
# builds: minikimi/model/attention.py and minikimi/model/norm.py
# ---
# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch.utils.flop_counter import FlopCounterMode

from minikimi.lab import check, knob, progress, setup
from minikimi.model import ops
from minikimi.model.attention import LatentAttention, LatentCache
from minikimi.model.config import KimiVLConfig
from minikimi.model.norm import RMSNorm
from minikimi.model.rope import apply_rotary, rotary_1d

setup("05")

# %% [markdown]
# ## A picture: what a language model does again and again
#
# A language model writes one **token** (a piece of a word) at a time; this is called **decoding**. For each new token,
# every attention layer compares the token's **query** with the **keys** of all tokens before it, and takes a weighted
# mean of their **values**. Row $t$ of the left picture is the work for token $t$. The last row (orange) is the only new
# one: the rows above will never be needed again. But its *columns* are: the keys and values of every earlier token. So
# they are kept, in the **KV cache**.
#
# The right picture shows, to scale, what one token leaves in the cache of one layer of the 16B model: above in
# ordinary multi-head attention, below in **multi-head latent attention** (MLA). It was invented for DeepSeek-V2 (its
# report, section 2.1); Moonlight, the language model inside Kimi-VL, has it too (Kimi-VL report, section 2.1).

# %% [hidden]
text = KimiVLConfig.preset("kimi-vl-a3b").text_config
fig, axes = plt.subplots(1, 2, figsize=(8.5, 2.9), width_ratios=[1, 2.2])
seen = torch.ones(12, 12).tril() * 0.35
seen[-1] = 1.0
axes[0].imshow(seen.masked_fill(seen == 0, torch.nan), cmap="YlOrBr", vmin=0, vmax=1.6)
axes[0].set(title="one new row per token", xlabel="keys and values of token", ylabel="query of token")
axes[0].set(xticks=[0, 5, 11], yticks=[0, 5, 11])
axes[0].grid(False)
x = 0
for _ in range(text.num_attention_heads):
    for width, color in [(text.qk_nope_head_dim, "C0"), (text.qk_rope_head_dim, "C3"), (text.v_head_dim, "C2")]:
        axes[1].add_patch(Rectangle((x, 1), width, 0.6, color=color, ec="white", lw=0.4))
        x += width
axes[1].add_patch(Rectangle((0, 0), text.kv_lora_rank, 0.6, color="C4"))
axes[1].add_patch(Rectangle((text.kv_lora_rank, 0), text.qk_rope_head_dim, 0.6, color="C3"))
axes[1].text(x, 1.68, f"16 heads: key (blue, red) and value (green), {x:,} numbers", ha="right")
axes[1].text(680, 0.2, "latent (violet) and one rotary key (red): 576 numbers", va="center")
axes[1].set(title="What one token leaves in one layer", xlim=(0, x), ylim=(-0.1, 2.1), yticks=[], xlabel="numbers")
axes[1].grid(False)
plt.show()

# %% [markdown]
# The idea: do not store 16 keys and 16 values. Store one small vector, the **latent** $c$ of 512 numbers, from which
# all of them can be *made* by a matrix. Beside it stands one **rotary key** of 64 numbers that carries the position;
# why it has to stand apart, you will measure below.
#
# **Predict.** (a) The model has 27 layers and stores numbers of 2 bytes; its weights take 31 GiB. How many tokens does
# a conversation need until an *ordinary* cache is heavier than the model itself? (b) Suppose the heads were doubled to
# 32. What happens to each of the two caches? (c) Reading keys and values out of a latent: is that an approximation,
# as JPEG is one of a picture?
#
# <details><summary>Answer</summary>
#
# (a) About 119,000 tokens, less than the 131,072 that Kimi-VL can read. (b) The ordinary cache doubles. The latent
# cache stays as it is: it does not know the number of heads. (c) No. Nothing existing is compressed: the model is
# *defined* and trained with keys and values that are linear functions of the latent. What it costs is freedom (4,096
# numbers of keys and values are made of 512), not exactness.
#
# </details>
#
# ## By hand: a bracket moves
#
# A key is made of a latent by a matrix, $k = W c$. The score of a query with it is $q \cdot (W c)$. Now move the
# bracket:
#
# $$q \cdot (W c) = (W^T q) \cdot c$$
#
# On the left, the matrix meets *every cached token*. On the right, it meets *one query*. The number is the same.

# %%
q = torch.tensor([1.0, 2.0, -1.0])
W = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, -3.0]])
cached = torch.tensor([[1.0, 1.0], [0.5, -1.0], [2.0, 0.0], [-1.0, 4.0]])  # 4 tokens, latents of 2 numbers
for c in cached:
    left, right = float(q @ (W @ c)), float((W.T @ q) @ c)
    print(f"key {[int(2 * k) / 2 for k in W @ c]}: q·(Wc) = {left:5.1f}   (Wᵀq)·c = {right:5.1f}")
print(f"multiplications for 4 tokens: {4 * (3 * 2 + 3)} on the left, {3 * 2 + 4 * 2} on the right")

# %% [markdown]
# This is the whole lesson. The rest is care: norms, positions, heads, and the order of things.
#
# ## A loop first
#
# @exercise 5.1
#
# One query of one head looks back over $L$ keys and values. Scores are dot products times `scale`; a softmax makes
# weights of them; the answer is the weighted sum of the values. A Python loop is right here.


# %%
def attend_one(q, keys, values, scale):
    """One query (d,) over the keys (L, d) and values (L, d_v) of one head: the weighted mean of the values, (d_v,)."""
    # BEGIN SOLUTION 5.1
    scores = torch.stack([q @ key * scale for key in keys])
    weights = scores.softmax(dim=0)
    out = torch.zeros_like(values[0])
    for weight, value in zip(weights, values, strict=True):
        out += weight * value
    return out
    # END SOLUTION


attend_one = check("5.1", attend_one)

# %% [markdown]
# ## What is cached
#
# Between the matrix that makes the latent and the one that reads it stands a norm: **RMSNorm**, which divides a vector
# by the root of its mean square and multiplies each channel by a learnt weight:
#
# $$y_i = w_i \, \frac{x_i}{\sqrt{\mathrm{mean}(x^2) + \epsilon}}$$
#
# The small $\epsilon$ guards against division by zero. The order matters in bfloat16: norm in float32, cast back,
# *then* multiply.
#
# @exercise 5.2
#
# Write it. (The library's `ops.rms_norm` is the same with a door to a GPU kernel.)


# %%
def rms_normalise(x, weight, eps):
    """x (..., D) divided by its root mean square in float32, cast back to x's dtype, times weight (D,)."""
    # BEGIN SOLUTION 5.2
    normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight
    # END SOLUTION


rms_normalise = check("5.2", rms_normalise)

# %% [markdown]
# Here is a trap that gives no error. All other RMSNorms of Kimi-VL's language model have $\epsilon = 10^{-5}$. The one
# on the latent has $10^{-6}$: the released code leaves it at its default. Does it matter? Give the library's norm
# vectors of different size:

# %%
sizes = torch.logspace(-4, 0, 33)
unit = torch.randn(512, generator=torch.Generator().manual_seed(0))
unit = unit / unit.square().mean().sqrt()
after = {}
fig, ax = plt.subplots(figsize=(8, 2.6))
for i, eps in enumerate((1e-6, 1e-5)):
    after[eps] = RMSNorm(512, eps)(sizes[:, None] * unit).square().mean(-1).sqrt().detach()
    ax.semilogx(sizes, after[eps], color=f"C{i}", label=f"eps {eps:.0e}" + (", as released" if i == 0 else ""))
ax.set(title="A wrong eps shrinks small latents, and only those", xlabel="root mean square before the norm")
ax.set(ylabel="after the norm")
ax.legend()
plt.show()
ratio = after[1e-5] / after[1e-6]
assert ratio[0] < 0.5 and abs(ratio[16] - 0.958) < 0.01 and abs(ratio[-1] - 1) < 1e-4
for i in (0, 8, 16, 24, 32):
    print(f"latent of size {sizes[i]:.4f}: with eps 1e-5 it becomes {ratio[i]:.3f} times what it should be")

# %% [markdown]
# So a rewriting with the wrong value may pass tests on random inputs of size 1, and drift on real ones. Several public
# ones had it wrong. A test must use *small* inputs.
#
# Now the two things that a token leaves behind. One matrix, `kv_a_proj_with_mqa`, makes both: rows 0 to $R-1$ the
# latent of width $R$ (512 at 16B), the last $d_{rope}$ rows the rotary key. (`mqa` stands for multi-query attention:
# one key for all the heads.)
#
# @exercise 5.3
#
# Return the normed latent and the turned key. `gain` is the norm's weight, the eps is `1e-6`. `apply_rotary` is the
# function that you wrote in lesson 02; it expects a head axis: `(T, 1, d_rope)`.


# %%
def latents(x, weight, gain, cos, sin):
    """x (T, D), weight (R + d_rope, D), gain (R,) to the normed latent (T, R) and the one turned key (T, d_rope)."""
    rank = len(gain)
    # BEGIN SOLUTION 5.3
    latent, k_rope = F.linear(x, weight).split([rank, len(weight) - rank], dim=-1)
    return rms_normalise(latent, gain, 1e-6), apply_rotary(k_rope[:, None], cos, sin)[:, 0]
    # END SOLUTION


latents = check("5.3", latents)

# %% [markdown]
# ## From latents to keys and values
#
# A second matrix, `kv_b_proj`, reads a latent. Its rows are sorted by head, and within a head first the key's, then
# the value's:
#
# | rows at 16B | 0–127 | 128–255 | 256–383 | 384–511 | ... |
# |---|---|---|---|---|---|
# | | key of head 0 | value of head 0 | key of head 1 | value of head 1 | ... |
#
# @exercise 5.4
#
# Return the keys without position `(..., H, nope)` and the values `(..., H, d_v)`. "Nope" is the field's own word: no
# positional encoding.


# %%
def expand(latent, weight, heads, nope):
    """Latents (..., R) and weight (H * (nope + d_v), R) to keys without position (..., H, nope) and values."""
    # BEGIN SOLUTION 5.4
    kv = F.linear(latent, weight).unflatten(-1, (heads, -1))
    k_nope, v = kv.split([nope, kv.shape[-1] - nope], dim=-1)
    return k_nope, v
    # END SOLUTION


expand = check("5.4", expand)

# %% [markdown]
# ## The training form
#
# In training all tokens of a sequence are there at once. A query has two parts, `q_nope` and `q_rope`, for every head.
# The key has two parts as well: `k_nope` for every head, and the rotary key, **one for all heads**. Joining two vectors
# end to end adds their dot products, so a score is
#
# $$s_{hts} = (q^{nope}_{th} \cdot k^{nope}_{sh} + q^{rope}_{th} \cdot k^{rope}_{s}) / \sqrt{d_{nope} + d_{rope}}$$
#
# @exercise 5.5
#
# Write it for one sequence, with the causal mask (token $t$ sees tokens $0 \ldots t$). Softmax in float32; cast the
# weights to the values' dtype. Packed sequences run the same, one after the other (lesson 01).


# %%
def attend(q_nope, q_rope, k_nope, k_rope, v):
    """q_nope, k_nope (T, H, nope), q_rope (T, H, d_rope), k_rope (T, d_rope), v (T, H, d_v) to (T, H, d_v)."""
    # BEGIN SOLUTION 5.5
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    scores = torch.einsum("thd,shd->hts", q_nope, k_nope) + torch.einsum("thd,sd->hts", q_rope, k_rope)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = (scores.float() * scale).masked_fill(future, -torch.inf).softmax(dim=-1).to(v.dtype)
    return torch.einsum("hts,shd->thd", weights, v)
    # END SOLUTION


attend = check("5.5", attend)

# %% [markdown]
# ## Why the position stands apart
#
# Why not simply turn the keys that are made of the latent? Then no rotary key would be needed at all. But the bracket
# would no longer move. With a rotation $R_m$ at position $m$ the score is
#
# $$(R_m q) \cdot (R_n W c) = (W^T R_{m-n} q) \cdot c$$
#
# The matrix $W^T R_{m-n}$ is *another one for every distance*. There is no single small query that fits all cached
# tokens: one would need one per token, and the saving is gone. How different are these matrices?

# %%
heads_rope, rank = 32, 64
W_key = torch.randn(heads_rope, rank, generator=torch.Generator().manual_seed(1))
distances = torch.arange(0, 65)
cos, sin = rotary_1d(distances, heads_rope, 50000.0)
turned = torch.stack(
    [
        apply_rotary(W_key.T[:, None], c.expand(rank, -1), s.expand(rank, -1))[:, 0]
        for c, s in zip(cos, sin, strict=True)
    ]
)
change = (turned - turned[0]).flatten(1).norm(dim=1) / turned[0].norm()
fig, ax = plt.subplots(figsize=(8, 2.6))
ax.plot(distances, change, color="C0", label="position in the expanded keys")
ax.plot(distances, 0 * change, color="C1", label="position in a key of its own")
ax.set(title="With rotary keys, each distance would need a matrix of its own", xlabel="distance in tokens")
ax.set(ylabel="change of the matrix", ylim=(-0.05, 1.3))
ax.legend(loc="lower right", bbox_to_anchor=(1, 0.08))
plt.show()
assert change[1] > 0.2 and change[64] > 0.7, "one step changes the matrix, far tokens need quite another one"
print(f"relative change after 1 token: {change[1]:.2f}, after 64 tokens: {change[64]:.2f}")

# %% [markdown]
# So MLA splits the work: most of a key (128 channels) says *what* the token is and knows no position; a small part (64
# channels) says *where*, is turned once and cached as it is. DeepSeek-V2 calls it decoupled RoPE (section 2.1.3).
#
# ## The cache
#
# A batch of $B$ conversations shares one buffer of fixed size per layer, `(B, capacity, R + d_rope)`; `lengths` says
# how much of each row is filled.
#
# @exercise 5.6
#
# Write one new entry per conversation, *in place*, and return the buffer.


# %%
def put(buffer, entries, lengths):
    """Write entries (B, W) into the buffer (B, capacity, W), sequence b's at place lengths[b]; returns the buffer."""
    # BEGIN SOLUTION 5.6
    buffer[torch.arange(len(entries)), lengths.long()] = entries
    return buffer
    # END SOLUTION


put = check("5.6", put)

# %% [markdown]
# @exercise 5.7
#
# Decode one token per conversation the plain way: split the buffer, `expand` *all* of it, attend to the first `lengths`
# entries (the new token is among them). `ops.masked_softmax(scores, lengths)` is a softmax of `(B, H, L)` over the
# first `lengths` places.


# %%
def decode_expanded(q_nope, q_rope, buffer, lengths, weight):
    """q_nope (B, H, nope), q_rope (B, H, d_rope), buffer (B, L, R + d_rope), lengths (B,) to (B, H, d_v)."""
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    # BEGIN SOLUTION 5.7
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    k_nope, v = expand(latent, weight, heads, nope)  # (B, L, H, nope), (B, L, H, d_v)
    scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * (nope + rope) ** -0.5, lengths).to(v.dtype)
    return torch.einsum("bhl,blhd->bhd", weights, v)
    # END SOLUTION


decode_expanded = check("5.7", decode_expanded)

# %% [markdown]
# This stores little, but it works a lot: every step makes the keys and values of the whole past again. Now move the
# brackets, at both ends. Queries go through the key half of each head's matrix into the latent space; the weighted mean
# is taken of *latents*; and the value half brings it out:
#
# $$\sum_s w_s \, (W^V c_s) = W^V \left(\sum_s w_s \, c_s\right)$$
#
# The matrix is **absorbed** into the query and the output. What is left looks like attention with *one* key of 576
# numbers and *one* value of 512 for all heads.
#
# @exercise 5.8
#
# Write it. The check counts your multiplications: no key, no value may be made.


# %%
def decode_absorbed(q_nope, q_rope, buffer, lengths, weight):
    """As decode_expanded, but the query goes into the latent space and the answer comes back from it: (B, H, d_v)."""
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    # BEGIN SOLUTION 5.8
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    per_head = weight.unflatten(0, (heads, -1))  # (H, nope + d_v, R)
    w_key, w_value = per_head[:, :nope], per_head[:, nope:]
    q_latent = torch.einsum("bhd,hdr->bhr", q_nope, w_key)
    scores = torch.einsum("bhr,blr->bhl", q_latent, latent) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * (nope + rope) ** -0.5, lengths).to(latent.dtype)
    out_latent = torch.einsum("bhl,blr->bhr", weights, latent)
    return torch.einsum("bhr,hdr->bhd", out_latent, w_value)
    # END SOLUTION


decode_absorbed = check("5.8", decode_absorbed)

# %% [markdown]
# ## Same as the library
#
# One layer of the library in `small`, the size that this project trains on a laptop (4 heads of 32 + 16, values of 32,
# latent of 64), and two conversations of 9 and 6 tokens, packed. First all at once, in the training form: the
# library's and yours.

# %%
small = KimiVLConfig.preset("small").text_config
layer = LatentAttention(small).requires_grad_(False)
layer.kv_a_layernorm.weight.uniform_(0.5, 1.5)
lengths = [9, 6]
positions = torch.cat([torch.arange(n) for n in lengths])
cos, sin = rotary_1d(positions, small.qk_rope_head_dim, small.rope_theta)
x = torch.randn(sum(lengths), small.hidden_size)
cu_seqlens = torch.tensor([0, 9, 15], dtype=torch.int32)
at_once, entries = layer(x, cos, sin, cu_seqlens, max(lengths))

q_nope, q_rope = layer.queries(x, cos, sin)
latent, k_rope = latents(x, layer.kv_a_proj_with_mqa.weight, layer.kv_a_layernorm.weight, cos, sin)
k_nope, v = expand(latent, layer.kv_b_proj.weight, small.num_attention_heads, small.qk_nope_head_dim)
parts = [attend(*(t[a:b] for t in (q_nope, q_rope, k_nope, k_rope, v))) for a, b in ((0, 9), (9, 15))]
mine = layer.o_proj(torch.cat(parts).flatten(1))
assert torch.allclose(entries, torch.cat([latent, k_rope], dim=-1), atol=1e-6)
assert torch.allclose(mine, at_once, atol=1e-6)
print("training form: cache entries and outputs agree with the library")

# %% [markdown]
# Now token by token. Both conversations grow together; when the shorter one has ended, the longer one goes on alone.
# Every step's output must be the row that the training form gave.

# %%
buffer = torch.full((2, 12, entries.shape[1]), 7.0)  # filled with rubbish: nobody may read beyond the lengths
filled = torch.zeros(2, dtype=torch.int32)
worst = {"expanded": 0.0, "absorbed": 0.0}
for t in range(9):
    active = [b for b in range(2) if t < lengths[b]]
    rows = torch.tensor([int(cu_seqlens[b]) + t for b in active])
    view = buffer[: len(active)]
    put(view, entries[rows], filled[: len(active)])
    filled[: len(active)] += 1
    for name, decode in (("expanded", decode_expanded), ("absorbed", decode_absorbed)):
        out = decode(q_nope[rows], q_rope[rows], view, filled[: len(active)], layer.kv_b_proj.weight)
        difference = layer.o_proj(out.flatten(1)) - at_once[rows]
        worst[name] = max(worst[name], float(difference.abs().max()))
assert max(worst.values()) < 1e-5 < 0.05 < at_once.abs().mean()
print("at once = cached and expanded = cached and absorbed, to float32 rounding: below 0.00001")

# %% [markdown]
# **A misconception to drop here:** absorbed decoding is not an approximation. It is the same sum with other brackets.
# In bfloat16 the *rounding* differs, as it does between any two orders of a sum.
#
# ## What it costs at 16B
#
# @exercise 5.9
#
# `text` is a `TextConfig` (`num_attention_heads`, `qk_head_dim` = nope + rope, `v_head_dim`, `kv_lora_rank`,
# `qk_rope_head_dim`, `num_hidden_layers`). Return the bytes in bfloat16 of an ordinary cache and of a latent cache for
# `tokens` tokens, all layers together.


# %%
def cache_bytes(text, tokens):
    """Bytes in bfloat16, over all layers, that `tokens` tokens take as full keys and values, and as latents."""
    # BEGIN SOLUTION 5.9
    full = text.num_attention_heads * (text.qk_head_dim + text.v_head_dim)
    latent = text.kv_lora_rank + text.qk_rope_head_dim
    per_number = 2 * text.num_hidden_layers * tokens
    return per_number * full, per_number * latent
    # END SOLUTION


cache_bytes = check("5.9", cache_bytes)

# %%
model_gib = 2 * 16_407_656_048 / 2**30  # all parameters, counted in lesson 07
full, latent_bytes = cache_bytes(text, 131072)
print(f"a token: {cache_bytes(text, 1)[0]:,} bytes as keys and values, {cache_bytes(text, 1)[1]:,} as latents")
print(
    f"131,072 tokens: {full / 2**30:.1f} GiB against {latent_bytes / 2**30:.1f} GiB, {full / latent_bytes:.1f} times "
    "less"
)
tokens = model_gib * 2**30 / cache_bytes(text, 1)[0]
print(f"an ordinary cache outweighs the model ({model_gib:.1f} GiB) from {tokens:,.0f} tokens on")

# %% [markdown]
# And the arithmetic? We do not trust our formula but count what the library's two decoding methods really multiply, for
# one layer of the 16B model. On the `meta` device tensors have shapes but no numbers, so a cache of 131,072 tokens
# costs nothing here.


# %%
def multiplications(tokens, absorbed):
    """What one decoding step of one 16B layer multiplies, with a cache of `tokens` tokens."""
    with torch.device("meta"):
        big = LatentAttention(text)
        x, angle = torch.empty(1, text.hidden_size), torch.empty(1, text.qk_rope_head_dim // 2)
    cache = LatentCache(text, 1, tokens, torch.device("meta"), torch.float32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        (big.decode_absorbed if absorbed else big.decode)(x, angle, angle, cache, 0)
    return counter.get_total_flops() // 2


contexts = [1024, 4096, 16384, 65536, 131072]
counted = {way: [multiplications(n, way == "absorbed") for n in contexts] for way in ("expanded", "absorbed")}
ordinary = [n * text.num_attention_heads * (text.qk_head_dim + text.v_head_dim) for n in contexts]

fig, axes = plt.subplots(1, 2, figsize=(8.5, 3))
for i, name in enumerate(("ordinary keys and values", "latents")):
    axes[0].plot(
        [n / 1024 for n in contexts],
        [cache_bytes(text, n)[i] / 2**30 for n in contexts],
        "o-",
        color=f"C{3 * i + 1}",
        label=name,
    )
axes[0].axhline(model_gib, color="gray", ls=":", label="the model's weights")
axes[0].set(
    title="Memory: latents stay small", xlabel="context, thousands of tokens", ylabel="cache, GiB", ylim=(-2, 50)
)
axes[0].legend(fontsize=9)
for i, (way, numbers) in enumerate(counted.items()):
    axes[1].loglog(contexts, numbers, "os"[i] + "-", color=("C0", "C4")[i], label=f"latents, {way}")
axes[1].loglog(contexts, ordinary, "^--", color="C1", label="ordinary attention alone")
axes[1].set(
    title="Work: absorbing removes most", xlabel="context, tokens", ylabel="multiplications a layer", ylim=(2e6, 3e14)
)
axes[1].legend(fontsize=9)
plt.show()

ratio = counted["expanded"][-1] / counted["absorbed"][-1]
assert ratio > 80, "expanding costs two orders of magnitude more at long context"
print(
    f"131,072 tokens, one layer, one new token: {counted['expanded'][-1]:,} expanded, {counted['absorbed'][-1]:,} "
    "absorbed"
)
print(
    f"expanding takes {ratio:.0f} times the work; absorbing takes {1088 / 320:.1f} times ordinary attention's per "
    "pair and head"
)

# %% [markdown]
# Question (b) of the prediction, with a knob (it needs a running kernel): the two caches for another number of heads.


# %%
def explore(heads):
    changed = replace(text, num_attention_heads=heads)
    _, ax = plt.subplots(figsize=(6, 2.8))
    for i, name in enumerate(("ordinary keys and values", "latents")):
        sizes = [cache_bytes(changed, n)[i] / 2**30 for n in contexts]
        ax.plot([n / 1024 for n in contexts], sizes, "o-", color=f"C{3 * i + 1}", label=name)
    ax.axhline(model_gib, color="gray", ls=":", label="the model's weights")
    ax.set(title=f"{heads} heads", xlabel="context, thousands of tokens", ylabel="cache, GiB", ylim=(-2, 180))
    ax.legend(fontsize=9)
    plt.show()


knob(explore, "heads", [16, 4, 8, 32, 64])

# %% [markdown]
# **Read the numbers.** Per cached token and head, absorbed attention multiplies 576 + 512 = 1,088 times, ordinary
# attention 192 + 128 = 320 times. So latents do *not* save arithmetic, they spend 3.4 times as much. They save
# *reading*: 576 numbers per token and layer, used by all 16 heads, instead of 5,120. And while one conversation is
# decoded, a GPU mostly waits for memory, so arithmetic is nearly free.
#
# In training it is the other way round. All $T$ queries need the same keys, so they are expanded once and used $T$
# times: the expansion is shared, and 320 beats 1,088. Hence two forms of one layer: **expanded in training and when a
# prompt is read, absorbed when decoding.**
#
# ## Takeaways
#
# * MLA caches a normed latent of 512 numbers and one turned key of 64, per token and layer. The number of heads does
#   not enter.
# * The latent is part of the model, not a compression put on top. Absorbed decoding is exact: only brackets move.
# * Position must stand in a key of its own, shared by all heads, because a rotation between the two matrices would keep
#   the bracket from moving.
# * The scale is $192^{-1/2}$ in every form, also when the vectors compared have 576 numbers. The norm's eps is
#   $10^{-6}$, unlike all others.
# * Latents save memory and traffic, not arithmetic.
#
# ## Stretch
#
# 1. Make one matrix of `q_proj` and the key half of `kv_b_proj` per head, once and for all. How many numbers would it
#    have at 16B, against the two it replaces? Why does nobody do it?
# 2. Four conversations share a system prompt of 4,000 tokens. Which part of `LatentCache` would you change so that it
#    is stored once?
# 3. Reading a prompt of $T$ tokens on top of a cache of $L$ tokens: from which $T$ on is it better to expand? (Count
#    multiplications per head: expansion costs $L \cdot 512 \cdot 256$, then 320 instead of 1,088 per pair.)

# %%
progress()

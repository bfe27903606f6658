# ---
# title: Mixture of experts and its routing
# goal: Write the router that picks 6 of 64 experts, keep them evenly busy by a bias, and explain the number 2.446.
# minutes: 45
# prerequisites: ["02"]
# difficulty: 3
# builds: minikimi/model/moe.py
# ---
# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from minikimi.lab import check, photo, progress, setup
from minikimi.model import moe
from minikimi.model.config import KimiVLConfig

setup("06")

# %% [markdown]
# ## A picture: who gets what
#
# A transformer layer ends with an MLP, and every token goes through it. A **mixture of experts** (MoE) has many small
# MLPs, the *experts*, and a tiny linear layer, the *router*, that picks a few of them for each token. Kimi-VL's
# language model has 64 experts in a layer and each token uses 6 (Kimi-VL report, section 2.1; the design is
# DeepSeek-V3's, section 2.1.2 there).
#
# Below, a router with random weights looks at the patches of a photograph, as bare pixels. It has learnt nothing, and
# picks 2 of 16 experts for each patch. The colour shows its first choice.

# %% [hidden]
image = photo("china", 224, 336)
patches = image.unflatten(1, (16, 14)).unflatten(3, (24, 14)).permute(1, 3, 0, 2, 4).flatten(2).flatten(0, 1)
pixels = 2 * patches - 1  # (384, 588), in [-1, 1]
random_router = 0.02 * torch.randn(16, 588, generator=torch.Generator().manual_seed(4))
first_scores = (pixels @ random_router.T).sigmoid()
first_counts = first_scores.topk(2).indices.flatten().bincount(minlength=16)
fig, axes = plt.subplots(1, 3, figsize=(9.5, 2.4), width_ratios=[1.5, 1.5, 1.2])
axes[0].imshow(image.permute(1, 2, 0))
axes[1].imshow(first_scores.argmax(dim=-1).reshape(16, 24), cmap="tab20", vmin=0, vmax=19)
axes[2].bar(range(16), first_counts, color="C0")
axes[2].axhline(384 * 2 / 16, color="gray", ls=":")
axes[2].set(title="Few experts get most patches", xlabel="expert", ylabel="patches")
for ax, title in zip(axes[:2], ("384 patches", "first choice of each"), strict=True):
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)
plt.show()

# %% [markdown]
# Patches that look alike go to the same expert: that is what makes experts special. But look at the bars. The dotted
# line is the even share. In a large model, experts live on different GPUs, and everyone waits for the busiest.
#
# **Predict.** (a) Training moves the router. Will the load even out by itself? (b) If you *force* it to be even, what
# could go wrong? Write two sentences down; we measure (a) at the end.
#
# <details><summary>Answer</summary>
#
# (a) No. An expert that gets more tokens gets more gradient, improves faster, and is chosen more: the rich get richer.
# (b) The usual cure is an extra loss term for balance. Its gradients have nothing to do with language, and they flow
# into the same weights: too weak and the load stays uneven, too strong and the model gets worse. Kimi-VL's language
# model balances *without gradients*: with a handicap for each expert, as in a horse race.
#
# </details>
#
# ## By hand: one token, four experts
#
# A token scores four experts. Expert 3 has been idle, so it carries a handicap of +0.6. Choose two:

# %%
scores, bias = torch.tensor([0.9, 0.8, 0.6, 0.3]), torch.tensor([0.0, -0.1, 0.0, 0.6])
print("score + bias:", " ".join(f"{v:.1f}" for v in scores + bias), " -> the race is won by experts 0 and 3")
w = scores[[0, 3]]
print("their bare scores:", " ".join(f"{v:.1f}" for v in w), " -> shares", " ".join(f"{v:.2f}" for v in w / w.sum()))
print("with the bias left in, the shares would be", " ".join(f"{v:.2f}" for v in torch.tensor([0.9, 0.9]) / 1.8))

# %% [markdown]
# Expert 3 takes part because of its handicap, but it speaks with the voice of its own score: 0.25, not 0.50. *Choose
# with the bias, weigh without it* is the most misread line of this design. All of the routing:
#
# $$s = \sigma(W x) \qquad \mathrm{chosen} = \mathrm{topk}(s + b) \qquad w_e = 2.446 \, \frac{s_e}{\sum_{chosen} s}$$
#
# $$y = \sum_{chosen} w_e \, \mathrm{Expert}_e(x) + \mathrm{Shared}(x)$$
#
# The **shared experts** see every token; their output is added as it is, with no weight. They hold what all tokens
# need, so that the routed ones can specialise.
#
# @exercise 6.1
#
# Return the scores of all tokens for all experts, in float32 whatever the input is.


# %%
def expert_scores(x, weight):
    """Tokens (T, D) and router weight (E, D) to scores (T, E), float32."""
    # BEGIN SOLUTION 6.1
    return F.linear(x.float(), weight.float()).sigmoid()
    # END SOLUTION


expert_scores = check("6.1", expert_scores)

# %% [markdown]
# @exercise 6.2
#
# Return the indices of the `top_k` experts of each token. Their order does not matter.


# %%
def choose_experts(scores, bias, top_k):
    """Scores (T, E) and selection bias (E,) to the chosen experts (T, K)."""
    # BEGIN SOLUTION 6.2
    return (scores + bias).topk(top_k, dim=-1, sorted=False).indices
    # END SOLUTION


choose_experts = check("6.2", choose_experts)

# %% [markdown]
# @exercise 6.3
#
# Return the weights of the chosen experts: renormalised over the chosen, then scaled. (The released code adds 1e-20
# to the sum.) You receive all that the router has; use what you need.


# %%
def expert_weights(scores, bias, indices, scaling):
    """What each chosen expert's output is multiplied by: (T, E), (E,), (T, K), a number to (T, K)."""
    # BEGIN SOLUTION 6.3
    weights = scores.gather(1, indices)
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scaling
    # END SOLUTION


expert_weights = check("6.3", expert_weights)

# %% [markdown]
# A trap that a public implementation has fallen into. With one expert per token, the renormalised weight is
# $s / s = 1$, whatever the score. What then does the router learn from the loss?

# %%
x, W = torch.randn(64, 8), torch.randn(4, 8, requires_grad=True)
values = torch.randn(64, 4)  # stands for the experts' outputs
gradients = []
for top_k in (1, 2):
    s = expert_scores(x, W)
    chosen = choose_experts(s, torch.zeros(4), top_k)
    y = (expert_weights(s, torch.zeros(4), chosen, 1.0) * values.gather(1, chosen)).sum()
    gradients.append(float(torch.autograd.grad(y, W)[0].norm()))
assert gradients[0] < 1e-5 < 0.1 < gradients[1]
print(f"size of the router's gradient: {gradients[0]:.5f} with 1 expert per token, {gradients[1]:.1f} with 2")

# %% [markdown]
# Nothing. A router learns by comparing the experts it has chosen; with one alone there is nothing to compare.
#
# ## Where 2.446 comes from
#
# Moonlight's report (appendix C) scales the weights by 2.446. Why that number? At the start of training the experts
# are unrelated, so their outputs are nearly perpendicular vectors $v_e$ of about one length. Then a sum with shares
# $p_e$ has length
#
# $$|\sum_e p_e v_e| = |p| \, |v| \quad \mathrm{with} \quad |p| = \sqrt{\sum_e p_e^2}$$
#
# and $|p| < 1$: averaging shrinks. Multiplying by $1/|p|$ gives the routed sum the size of one expert's output, so
# that it stands on equal terms with the shared one. The report takes the mean of $1/|p|$ over Gaussian logits.
#
# @exercise 6.4
#
# Return that mean for logits of shape `(T, E)`: the `top_k` largest sigmoids of each row, divided by their sum, are
# $p$. A scalar tensor.


# %%
def mean_inverse_norm(logits, top_k):
    """Logits (T, E) to the mean over tokens of 1 / |p|, p the top-k sigmoids divided by their sum."""
    # BEGIN SOLUTION 6.4
    top = logits.sigmoid().topk(top_k, dim=-1).values
    p = top / top.sum(dim=-1, keepdim=True)
    return (1 / p.norm(dim=-1)).mean()
    # END SOLUTION


mean_inverse_norm = check("6.4", mean_inverse_norm)

# %%
generator = torch.Generator().manual_seed(0)
for name in ("nano", "small", "kimi-vl-a3b"):
    text = KimiVLConfig.preset(name).text_config
    experts, top_k = text.n_routed_experts, text.num_experts_per_tok
    factor = float(mean_inverse_norm(torch.randn(50_000, experts, generator=generator), top_k))
    print(f"{name:<12} {top_k} of {experts:>2}: measured {factor:.2f}, config {text.routed_scaling_factor}")
    assert abs(factor - text.routed_scaling_factor) < 0.005

# %% [markdown]
# The number is measured, not tuned. It could never exceed $\sqrt{6} = 2.449$, which it would be if the six shares
# were equal. They nearly are: the best six of 64 Gaussian draws are all large, and the sigmoid flattens large values.
# With 16 experts to choose 4 from, the shares differ more:

# %% [hidden]
fig, ax = plt.subplots(figsize=(8, 2.6))
for i, (experts, top_k) in enumerate([(8, 2), (16, 4), (64, 6)]):
    top = torch.randn(20_000, experts, generator=generator).sigmoid().topk(top_k).values
    inverse = 1 / (top / top.sum(dim=-1, keepdim=True)).norm(dim=-1)
    ax.hist(inverse / top_k**0.5, bins=60, range=(0.94, 1), histtype="step", lw=2, color=f"C{i}",
            label=f"{top_k} of {experts}: mean {float(inverse.mean()):.2f}")  # fmt: skip
ax.set(title="Six of 64: the shares are nearly equal", xlabel="(1 / |p|) / √K, 1 = equal shares")
ax.set(ylabel="tokens", yticks=[])
ax.legend()
plt.show()

# %% [markdown]
# ## The experts, as a loop
#
# An expert is a SwiGLU: $\mathrm{down}(\mathrm{silu}(\mathrm{gate}\,x) \cdot \mathrm{up}\,x)$. minikimi stacks all
# experts of a layer: `gate_up_proj` is `(E, 2F, D)`, the $F$ gate rows first, then the $F$ up rows; `down_proj` is
# `(E, D, F)`.
#
# @exercise 6.5
#
# Sum each token's chosen experts, weighted. Two Python loops are right here; the outer ones are given.


# %%
def experts_loop(x, indices, weights, gate_up_proj, down_proj):
    """Token by token, expert by expert: x (T, D), indices and weights (T, K) to (T, D)."""
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(indices[t].tolist(), weights[t], strict=True):
            # BEGIN SOLUTION 6.5
            gate, up = (gate_up_proj[e] @ x[t]).chunk(2)
            out[t] += weight * (down_proj[e] @ (F.silu(gate) * up))
            # END SOLUTION
    return out


experts_loop = check("6.5", experts_loop)

# %% [markdown]
# ## Vectorised: turn the loops around
#
# With 6 experts for each of thousands of tokens, that loop reads an expert's three matrices from memory again for
# every token. So *group*: for each expert, gather its tokens, do one product for all of them, and add the results
# back where they belong. No token is dropped, however uneven the load.
#
# @exercise 6.6
#
# Same result, with one loop over the experts.


# %%
def experts_grouped(x, indices, weights, gate_up_proj, down_proj):
    """Expert by expert, all of its tokens at once: (T, D) to (T, D)."""
    out = torch.zeros_like(x)
    # BEGIN SOLUTION 6.6
    for e in range(len(gate_up_proj)):
        token, slot = (indices == e).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[e]).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, down_proj[e])
        out.index_add_(0, token, weights[token, slot, None] * y)
    # END SOLUTION
    return out


experts_grouped = check("6.6", experts_grouped)

# %% [markdown]
# ## Same as the library
#
# All pieces together against `minikimi.model.moe.MoE`, with a bias that is not zero. (The library sorts the tokens by
# expert instead of searching for them; lesson 16 does that in a kernel.) And the claim about size: the routed sum is
# about as large as the output of one expert alone.

# %%
text = KimiVLConfig.preset("nano").text_config
torch.manual_seed(1)
layer = moe.MoE(text)
layer.gate.e_score_correction_bias.copy_(0.1 * torch.randn(8))
x = torch.randn(500, text.hidden_size)
with torch.no_grad():
    s = expert_scores(x, layer.gate.weight)
    chosen = choose_experts(s, layer.gate.e_score_correction_bias, text.num_experts_per_tok)
    w = expert_weights(s, layer.gate.e_score_correction_bias, chosen, text.routed_scaling_factor)
    mine = experts_grouped(x, chosen, w, layer.experts.gate_up_proj, layer.experts.down_proj) + layer.shared_experts(x)
    theirs, routing = layer(x)
    assert torch.equal(chosen.sort().values, routing.indices.sort().values)
    assert torch.allclose(mine, theirs, atol=1e-7, rtol=1e-4)
    routed = theirs - layer.shared_experts(x)
    alone = experts_grouped(x, chosen[:, :1], torch.ones(500, 1), layer.experts.gate_up_proj, layer.experts.down_proj)
ratio = float(routed.norm(dim=-1).mean() / alone.norm(dim=-1).mean())
assert 0.9 < ratio < 1.1
print(f"equal to the library; routed sum / one expert alone, by size: {ratio:.2f} (unscaled it would be "
      f"{ratio / text.routed_scaling_factor:.2f})")  # fmt: skip

# %% [markdown]
# ## Balance
#
# First the measure. The **maximal violation** is the busiest expert's count over the even share, minus 1: 0 is
# perfect, 1 means that one expert has twice its share.
#
# @exercise 6.7
#
# Return it for `counts` `(E,)`, the tokens that each expert got.


# %%
def max_violation(counts):
    """Tokens per expert (E,) to how far the busiest expert lies above the even share: a scalar tensor."""
    # BEGIN SOLUTION 6.7
    return counts.max() / counts.float().mean() - 1
    # END SOLUTION


max_violation = check("6.7", max_violation)

# %% [markdown]
# Now the cure. After each training step, move every bias by a small fixed amount: up if the expert had fewer tokens
# than the mean, down if it had more (Moonlight report, appendix C):
#
# $$b_e \leftarrow b_e + u \, (\mathrm{sign}_e - \mathrm{mean}(\mathrm{sign})) \qquad \mathrm{sign}_e =
# \mathrm{sign}(\mathrm{mean\ count} - \mathrm{count}_e)$$
#
# Only the *choice* sees this bias, so no gradient is needed, and none flows. Moonlight uses $u = 0.001$, and 0 in its
# final phase, the cooldown.
#
# @exercise 6.8
#
# Change `router.e_score_correction_bias` in place; return nothing.


# %%
@torch.no_grad()
def update_selection_bias(router, counts, rate):
    """Move the bias by `rate` towards even load; `counts` (E,) are the tokens each expert got since the last update."""
    # BEGIN SOLUTION 6.8
    sign = (counts.float().mean() - counts.float()).sign()
    router.e_score_correction_bias += rate * (sign - sign.mean())
    # END SOLUTION


update_selection_bias = check("6.8", update_selection_bias)

# %% [markdown]
# Try it on the photograph. The router's weights stay as they were, random; only the bias moves, 1,000 times.

# %%
photo_router = moe.Router(replace(text, hidden_size=588, n_routed_experts=16))
violations = []
for _ in range(1000):
    chosen = choose_experts(first_scores, photo_router.e_score_correction_bias, 2)
    counts = chosen.flatten().bincount(minlength=16)
    violations.append(float(max_violation(counts)))
    update_selection_bias(photo_router, counts, 0.001)
settled = sum(violations[-100:]) / 100
print(f"maximal violation: {violations[0]:.1f} at first, {settled:.1f} over the last 100 updates")
assert violations[0] > 2 > 0.6 > settled

# %% [hidden]
fig, axes = plt.subplots(1, 3, figsize=(9.5, 2.4), width_ratios=[1.5, 1.2, 1.5])
final = (first_scores + photo_router.e_score_correction_bias).argmax(dim=-1)
axes[0].imshow(final.reshape(16, 24), cmap="tab20", vmin=0, vmax=19)
axes[0].set(title="first choice, with the bias", xticks=[], yticks=[])
axes[0].grid(False)
axes[1].bar(range(16), counts, color="C2")
axes[1].axhline(384 * 2 / 16, color="gray", ls=":")
axes[1].set(title="Even load", xlabel="expert", ylabel="patches", ylim=(0, float(first_counts.max())))
axes[2].plot(violations, color="C2")
axes[2].set(title="A thermostat at work", xlabel="update", ylabel="maximal violation", ylim=(0, None))
plt.show()

# %% [markdown]
# The sky is now shared by several experts, yet neighbours still tend to travel together: the bias shifts borders, it
# does not shuffle. It never comes to rest exactly: like a thermostat it goes a step too far and a step back.
#
# The bias is float32 in every precision of the model. In bfloat16, a bias near 0.5 cannot take a step of 0.001: it
# would stand still for ever.
#
# ## The other cure: a loss, within each sequence
#
# The released code also has a loss term, with a tiny factor (`aux_loss_alpha` = 0.001), against *one sequence* using
# few experts. With $T$ tokens in the sequence:
#
# $$L = \sum_e f_e P_e \qquad f_e = \mathrm{count}_e \frac{E}{T K} \qquad P_e = \mathrm{mean}_t \, s_{t,e}$$
#
# averaged over the sequences. Counts $f_e$ have no gradient, but mean scores $P_e$ do. So a busy expert has its scores
# pushed down in proportion to how busy it is. Whether Kimi-VL trained with this term is not published.
#
# @exercise 6.9
#
# Packed sequences lie one after the other, with bounds `cu_seqlens` `(S + 1,)`. The segment number of each token and
# the 0/1 matrix of choices are given; write the two sums, each of shape `(S, E)`. Empty sequences must not divide by
# zero: `steps` sees to that.


# %%
def sequence_aux_loss(routing, cu_seqlens):
    """Balance within each sequence: mean over sequences of sum_e f_e P_e."""
    experts, top_k = routing.scores.shape[1], routing.indices.shape[1]
    lengths = cu_seqlens.diff().long()
    segment = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)  # (T,)
    chosen = torch.zeros_like(routing.scores).scatter_(1, routing.indices, 1.0)  # (T, E)
    zeros = routing.scores.new_zeros(len(lengths), experts)
    steps = lengths.clamp(min=1)[:, None]
    # BEGIN SOLUTION 6.9
    frequency = zeros.index_add(0, segment, chosen) * experts / (steps * top_k)
    mean_score = zeros.index_add(0, segment, routing.scores) / steps
    # END SOLUTION
    return (frequency * mean_score).sum() / (lengths > 0).sum().clamp(min=1)


sequence_aux_loss = check("6.9", sequence_aux_loss)

# %% [markdown]
# ## Measured: load during training
#
# The claim: *trained by its task alone, the router leaves the load uneven; with the bias, the load is even.* A toy:
# tokens from 12 kinds, some common and some rare (the $n$-th kind $1/n$ as often as the first). Each kind asks for
# another linear map. One MoE layer with 2 of 8 experts learns them from three seeds, without and with the bias. Our run
# is short, so the bias moves faster than Moonlight's: $u = 0.01$.


# %%
def train_experts(seed, rate, steps=300, tokens=256):
    """Maximal violation at each step, summed counts of the last 100 steps, mean loss of the last 100 steps."""
    g = torch.Generator().manual_seed(seed)
    kinds, maps = 2 * torch.randn(12, 16, generator=g), torch.randn(12, 16, 16, generator=g) / 4
    frequency = 1 / torch.arange(1, 13)
    torch.manual_seed(seed)
    small = replace(text, hidden_size=16, moe_intermediate_size=16, initializer_range=0.2)
    layer = moe.MoE(small)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=5e-3)
    violations, losses, total = [], [], torch.zeros(8)
    for step in range(steps):
        kind = frequency.multinomial(tokens, replacement=True, generator=g)
        x = kinds[kind] + torch.randn(tokens, 16, generator=g)
        y, routing = layer(x)
        loss = F.mse_loss(y, torch.einsum("tij,tj->ti", maps[kind], x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_selection_bias(layer.gate, routing.counts(), rate)
        violations.append(float(max_violation(routing.counts())))
        if step >= steps - 100:
            losses.append(float(loss.detach()))
            total += routing.counts()
    return violations, total, sum(losses) / len(losses)


runs = {rate: [train_experts(seed, rate) for seed in range(3)] for rate in (0.0, 0.01)}
for rate, name in ((0.0, "without bias"), (0.01, "with bias")):
    late = [sum(violations[-100:]) / 100 for violations, _, _ in runs[rate]]
    print(f"{name:<12}: maximal violation of three seeds", "  ".join(f"{v:.1f}" for v in late))

# %% [hidden]
fig, axes = plt.subplots(1, 2, figsize=(9, 2.8), width_ratios=[1.4, 1])
for i, (rate, name) in enumerate(((0.0, "without bias"), (0.01, "with bias"))):
    for seed, (violations, *_) in enumerate(runs[rate]):
        smooth = torch.tensor(violations).unfold(0, 15, 1).mean(dim=-1)
        axes[0].plot(smooth, color=f"C{1 - i}", label=name if seed == 0 else None)
    axes[1].bar(torch.arange(8) + 0.4 * i, runs[rate][0][1] / runs[rate][0][1].mean(), 0.4, color=f"C{1 - i}")
axes[0].set(title="The bias evens the load within 100 steps", xlabel="training step", ylabel="maximal violation")
axes[0].set(ylim=(0, None))
axes[0].legend()
axes[1].axhline(1, color="gray", ls=":")
axes[1].set(title="Load at the end, first seed", xlabel="expert", ylabel="times the even share")
plt.show()

# %%
ratios = []
for without, with_bias in zip(runs[0.0], runs[0.01], strict=True):
    before, after = (sum(violations[-100:]) / 100 for violations, *_ in (without, with_bias))
    assert before > 2 * after and after < 0.6, "the bias at least halves the violation"
    ratios.append(with_bias[2] / without[2])
print("measured in all three seeds: the violation at least halved")
print("loss with the bias over loss without, three seeds:", "  ".join(f"{r:.1f}" for r in ratios))

# %% [markdown]
# **Read the plot.** Without the bias nothing pulls the load back: common kinds keep their favourite experts. With it,
# the violation falls as far as the noise of a batch of 256 tokens lets it.
#
# Now read the last line: evenness is not free in a toy. One token in three is of the commonest kind, which one pair of
# experts could serve; even load spreads it over more of them than it needs. In a language model no single kind is so
# large, and idle experts are the greater waste. A toy of 8 experts says nothing about the *loss* at 16B, only that the
# mechanism works.
#
# And balance over a whole batch is not balance within a sequence: a page of code may still use few experts. That is
# what the loss of exercise 6.9 is for.
#
# ## What it costs at 16B
#
# @exercise 6.10
#
# `text` is a `TextConfig`. Return two integers: the parameters of one MoE layer (router, routed and shared experts),
# and how many of them one token uses.


# %%
def moe_parameters(text):
    """Parameters of one MoE layer, and how many of them one token uses. Neither counts the selection bias."""
    # BEGIN SOLUTION 6.10
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    always = text.n_routed_experts * text.hidden_size + text.n_shared_experts * expert
    return always + text.n_routed_experts * expert, always + text.num_experts_per_tok * expert
    # END SOLUTION


moe_parameters = check("6.10", moe_parameters)

# %%
text = KimiVLConfig.preset("kimi-vl-a3b").text_config
total, active = moe_parameters(text)
with torch.device("meta"):  # shapes only, no memory
    assert total == sum(p.numel() for p in moe.MoE(text).parameters())
layers = text.num_hidden_layers - text.first_k_dense_replace
print(f"one layer: {total:,} parameters ({2 * total / 2**30:.2f} GiB in bfloat16), a token uses {active:,}")
print(f"{layers} layers: {layers * total / 1e9:.1f} billion held, {layers * active / 1e9:.2f} billion used: "
      f"{100 * active / total:.0f} %")  # fmt: skip
print(f"multiplications per token and layer: {active:,}; for the router alone: {64 * text.hidden_size:,}")
for tokens in (1, 8, 64, 512):
    idle = (1 - text.num_experts_per_tok / text.n_routed_experts) ** tokens
    print(f"a batch of {tokens:>3} tokens reads about {64 * (1 - idle):.0f} of 64 experts, if the load is even")

# %% [markdown]
# The last lines are why MoE models are cheap to serve to many and dear to serve to one. A single token reads 6
# experts; 64 tokens already read all 64, and then every further token is nearly free to *load*.
#
# ## Takeaways
#
# * Sigmoid scores, in float32. Choose by score **plus bias**; weigh by the score **alone**, renormalised over the
#   chosen, times 2.446. Shared experts are added unscaled.
# * 2.446 is the mean of $1/|p|$: it gives a sum of unrelated experts the size of one of them. Other $(E, K)$ need
#   another number.
# * The bias is no parameter. A rule moves it by a fixed step after each training step; it evens the load without a
#   gradient.
# * Renormalised weights with one expert per token leave the router without a gradient.
# * Memory is paid for all experts, arithmetic for the chosen ones.
#
# ## Stretch
#
# 1. Train the toy with `sequence_aux_loss` instead of the bias, with factors of 0.001, 0.01 and 0.1. Where does the
#    violation become as small as with the bias, and what has the loss done by then?
# 2. Set the rate $u$ to 0.1 and to 0.0001. What do you see in the plot, and which of the two would you fear in a run
#    of a month?
# 3. Give the toy one expert per token and measure how much the router's weights move.

# %%
progress()

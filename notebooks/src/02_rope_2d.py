# ---
# title: 2-D RoPE and interpolated positions
# goal: Write both ways in which MoonViT tells a patch where it is, and show by measurement why it needs both.
# minutes: 45
# prerequisites: ["01"]
# difficulty: 2
# builds: minikimi/model/rope.py
# ---
# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from minikimi.lab import check, knob, photo, progress, setup
from minikimi.model import rope
from minikimi.model.config import KimiVLConfig

setup("02")

# %% [markdown]
# ## A picture: what attention cannot see
#
# Lesson 01 cut a picture into patches of 14 × 14 pixels and laid them in a row. Attention compares patches by their
# *content*; it has no idea where a patch came from. Shuffle the patches and every patch still receives the same answer.
#
# Left the picture, right the same patches in another order. Without positions, both are the same thing to a
# transformer.

# %% [hidden]
image = photo("china", 112, 168)
h, w = 8, 12
patches = image.unflatten(1, (h, 14)).unflatten(3, (w, 14)).permute(1, 3, 0, 2, 4).flatten(0, 1)  # (P, 3, 14, 14)
shuffled = patches[torch.randperm(h * w, generator=torch.Generator().manual_seed(3))]
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
for ax, order, title in zip(axes, (patches, shuffled), ("as taken", "the same set of patches"), strict=True):
    ax.imshow(order.unflatten(0, (h, w)).permute(0, 3, 1, 4, 2).reshape(h * 14, w * 14, 3))
    ax.set(title=title, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# MoonViT (Kimi-VL report, section 2.1) tells each patch its place in **two** ways:
#
# 1. a **learned table**: one vector per place, *added* to the patch once, at the entrance. Pictures come in all sizes,
#    so the table is resized to each picture's grid;
# 2. a **rotary embedding** (RoPE): in every attention layer, queries and keys are *turned* by angles that grow with
#    the row and the column.
#
# **Predict.** Which of the two still works on a picture twice as large as any in training, if the task is "look at your
# right-hand neighbour"? And if the task is "am I in the upper left quarter"? Write your guess down; we measure both at
# the end.
#
# ## By hand: two channels, one angle
#
# Take a vector of two channels and turn it by position × 1 radian. Below, a query stands at position $m$, a key at
# position $n$.

# %%
q, k = torch.tensor([1.0, 0.5]), torch.tensor([0.8, -0.2])


def turn(x, angle):
    c, s = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
    return torch.stack([x[0] * c - x[1] * s, x[0] * s + x[1] * c])


for m, n in [(0, 0), (7, 7), (3, 1), (9, 7), (100, 98)]:
    print(f"query at {m:>3}, key at {n:>3}, distance {m - n}: product {turn(q, float(m)) @ turn(k, float(n)):.3f}")

# %% [markdown]
# The product depends on the distance alone. That is the whole idea: turning two vectors by $m\theta$ and $n\theta$
# changes the angle *between* them by $(m-n)\theta$, and a dot product sees only lengths and the angle between.
#
# One angle is not enough: it repeats after $2\pi$, about 6 positions. So the $d$ channels of a head form $d/2$ pairs,
# and each pair turns at a speed of its own, from 1 radian per position down to nearly $1/\theta$:
#
# $$f_i = \theta^{-2i/d}, \quad i = 0, 1, \ldots, d/2 - 1$$
#
# @exercise 2.1
#
# Return the $d/2$ frequencies as float32. (`device` is where the model lives; pass it to the tensor you create.)


# %%
def inverse_frequencies(dim, theta, device=None):
    """theta^(-2i/dim) for each pair i: (dim/2,), float32."""
    # BEGIN SOLUTION 2.1
    return theta ** (-torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
    # END SOLUTION


inverse_frequencies = check("2.1", inverse_frequencies)

# %%
fig, ax = plt.subplots(figsize=(8, 2.6))
for i, f in enumerate(inverse_frequencies(16, 10000.0)[:5]):
    ax.plot((torch.arange(0, 60, 0.25) * f).cos(), color=f"C{i}", label=f"pair {i}: one turn in {2 * torch.pi / f:.0f}")
ax.set(title="Fast pairs tell neighbours apart, slow pairs tell regions apart", ylabel="cosine", yticks=[-1, 0, 1])
ax.set(xticks=range(0, 241, 40), xticklabels=range(0, 61, 10), xlabel="position")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## A loop first
#
# Which two channels make a pair? There are two conventions. Kimi-VL turns **neighbours**: (0, 1), (2, 3), ... Llama's
# code turns channel $i$ with channel $i + d/2$. Both are fine models, but *not with each other's weights*: loading a
# checkpoint with the wrong one gives no error and a broken model.
#
# @exercise 2.2
#
# Turn pair `i` of `x`, that is `(x[2i], x[2i+1])`, by `angles[i]`. A Python loop is right here.


# %%
def rotate_vector(x, angles):
    """Turn each adjacent pair of x (d,) by its angle (d/2,); returns a new (d,)."""
    out = torch.empty_like(x)
    # BEGIN SOLUTION 2.2
    for i, angle in enumerate(angles):
        a, b = x[2 * i], x[2 * i + 1]
        out[2 * i] = a * angle.cos() - b * angle.sin()
        out[2 * i + 1] = a * angle.sin() + b * angle.cos()
    # END SOLUTION
    return out


rotate_vector = check("2.2", rotate_vector)

# %% [markdown]
# ## Vectorised: text positions
#
# A text token has one position. The model needs the cosine and the sine of *position × frequency* for every token and
# pair; they are computed once and used by all layers and heads.
#
# @exercise 2.3
#
# Return the cosines and sines, `(T, dim/2)` each. The positions are given: in packed text they start again with each
# document.


# %%
def rotary_1d(positions, dim, theta):
    """Positions (T,) to cosines and sines, (T, dim/2) each, float32."""
    # BEGIN SOLUTION 2.3
    angles = positions.float()[:, None] * inverse_frequencies(dim, theta, positions.device)
    return angles.cos(), angles.sin()
    # END SOLUTION


rotary_1d = check("2.3", rotary_1d)

# %% [markdown]
# Why float32 and never bfloat16? bfloat16 keeps 8 significant bits. At position 1,001 it cannot even store the
# position:

# %%
positions = torch.tensor([1000, 1001, 1002, 1003])
print("as bfloat16:", [int(p) for p in positions.bfloat16()])

# %% [markdown]
# @exercise 2.4
#
# Now turn all heads of all tokens at once: `x` is `(T, H, d)`, the tables are `(T, d/2)`. Work in float32, return
# `x`'s own dtype.


# %%
def apply_rotary(x, cos, sin):
    """Turn the adjacent channel pairs of x (T, H, d) by the angles of (T, d/2); returns x's dtype."""
    # BEGIN SOLUTION 2.4
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)  # (T, H, d/2) each
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)
    # END SOLUTION


apply_rotary = check("2.4", apply_rotary)

# %% [markdown]
# ## From one dimension to two
#
# A patch has two positions, its row and its column. Numbering the patches 0, 1, 2, ... like words would put the patch
# *below* $w$ steps away, and $w$ differs from picture to picture. So half of the pairs turn with the column and half
# with the row.
#
# First the coordinates. Patches lie in **raster order** (row by row, left to right), picture after picture. A grid is
# `(h, w)`: rows first.
#
# @exercise 2.5
#
# Return the row and the column of every packed patch, for `grid_hws` of shape `(N, 2)`. Every picture starts again at
# (0, 0).


# %%
def patch_coordinates(grid_hws):
    """Grids (N, 2) of (h, w) to rows (P,) and columns (P,)."""
    rows, columns = [], []
    # BEGIN SOLUTION 2.5
    for h, w in grid_hws.tolist():
        rows.append(torch.arange(h, device=grid_hws.device).repeat_interleave(w))
        columns.append(torch.arange(w, device=grid_hws.device).repeat(h))
    # END SOLUTION
    empty = grid_hws.new_zeros(0)
    return torch.cat(rows or [empty]), torch.cat(columns or [empty])


patch_coordinates = check("2.5", patch_coordinates)

# %% [markdown]
# With width $d$ there are $d/2$ pairs: $d/4$ for the columns, $d/4$ for the rows, and both axes use the *same* $d/4$
# frequencies $f_i = \theta^{-4i/d}$. In the released weights the axes take turns, **column first**:
#
# | pair | 0 | 1 | 2 | 3 | ... |
# |---|---|---|---|---|---|
# | turns with | column | row | column | row | ... |
# | frequency | $f_0$ | $f_0$ | $f_1$ | $f_1$ | ... |
#
# @exercise 2.6
#
# Return the cosines and sines, `(P, dim/2)` each. The guard for absurd grids is given.

# %%
MAX_GRID_SIDE = 512  # the official table of angles covers 512 x 512 patches


def rotary_2d(grid_hws, dim, theta=10000.0):
    """Grids (N, 2) to cosines and sines, (P, dim/2) each, float32."""
    if grid_hws.numel() and int(grid_hws.max()) > MAX_GRID_SIDE:
        raise ValueError(f"image grid {grid_hws.max().item()} patches wide: the position table ends at {MAX_GRID_SIDE}")
    # BEGIN SOLUTION 2.6
    frequencies = inverse_frequencies(dim // 2, theta, grid_hws.device)  # (dim/4,)
    rows, columns = patch_coordinates(grid_hws)
    angles = torch.stack([columns[:, None] * frequencies, rows[:, None] * frequencies], dim=-1).flatten(1)
    return angles.cos(), angles.sin()
    # END SOLUTION


rotary_2d = check("2.6", rotary_2d)

# %% [markdown]
# Drawn over a grid of 16 × 24 patches: even pairs vary from left to right, odd pairs from top to bottom, and each
# next couple more slowly.

# %% [hidden]
cos, sin = rotary_2d(torch.tensor([[16, 24]]), 72)
fig, axes = plt.subplots(2, 4, figsize=(8, 3.1))
for i, ax in enumerate(axes.T.flatten()):
    pair = 2 * (3 * (i // 2)) + i % 2
    ax.imshow(cos[:, pair].reshape(16, 24), vmin=-1, vmax=1)
    ax.set(title=f"pair {pair}: {'column' if pair % 2 == 0 else 'row'}", xticks=[], yticks=[])
    ax.grid(False)
plt.show()

# %% [markdown]
# And the property we wanted, in two dimensions: the score of two patches depends only on how far apart they are, right
# and down. Below, one query and one key vector stand at all pairs of places of a grid of 9 × 9. For each offset we
# collect all pairs of places that have it: their scores must not differ.

# %%
g = torch.Generator().manual_seed(0)
query, key = torch.randn(1, 1, 72, generator=g), torch.randn(1, 1, 72, generator=g)
cos, sin = rotary_2d(torch.tensor([[9, 9]]), 72)
scores = apply_rotary(query.expand(81, 1, 72), cos, sin)[:, 0] @ apply_rotary(key.expand(81, 1, 72), cos, sin)[:, 0].T
rows, columns = patch_coordinates(torch.tensor([[9, 9]]))
down, right = rows[None] - rows[:, None], columns[None] - columns[:, None]
spread = max(float(scores[(down == y) & (right == x)].std(correction=0)) for y in range(-8, 9) for x in range(-8, 9))
assert spread < 1e-4 < scores.std()
print(f"scores differ by {scores.std():.1f} overall, among pairs of equal offset by less than 0.0001")

# %% [markdown]
# How sharply can such a score point at one offset? Take query = key = a vector of ones. With the fastest couple of
# pairs alone, the score repeats every 6 patches: a wallpaper. Each slower couple removes copies, and with all 36 pairs
# one peak is left.


# %%
def agreement(pairs, side=33):
    """Score of two equal vectors over offsets of up to 16 patches each way, with the first `pairs` pairs only."""
    ones = torch.zeros(side * side, 1, 72)
    ones[..., : 2 * pairs] = 1
    turned = apply_rotary(ones, *rotary_2d(torch.tensor([[side, side]]), 72))[:, 0]
    return (turned @ turned[side * side // 2] / (2 * pairs)).reshape(side, side)


def explore(pairs):
    _, axes = plt.subplots(1, len(pairs), figsize=(2.7 * len(pairs), 2.7), squeeze=False)
    for ax, n in zip(axes[0], pairs, strict=True):
        ax.imshow(agreement(n), vmin=-1, vmax=1, extent=(-16.5, 16.5, 16.5, -16.5))
        ax.set(title=f"{n} pairs", xlabel="columns apart", xticks=[-16, 0, 16], yticks=[-16, 0, 16])
        ax.grid(False)
    axes[0, 0].set_ylabel("rows apart")
    plt.show()


explore([2, 6, 36])

# %% [markdown]
# Turn the knob (it needs a running kernel):

# %%
knob(lambda pairs: explore([pairs]), "pairs", list(range(2, 37, 2)))

# %% [markdown]
# ## The learned table
#
# The second way is older: a table of $64 \times 64$ vectors, learnt by the image encoder SigLIP from which MoonViT
# starts. For a picture of $h \times w$ patches the table is *resized* like a photograph with `D` colour channels. The
# released code does it bicubically.
#
# @exercise 2.7
#
# Return the table for a grid, `(height * width, D)` in raster order. When the grid fits, the table itself is the
# answer.


# %%
def interpolate_table(table, height, width):
    """Resize a table (H0, W0, D) to (height * width, D), in raster order."""
    if table.shape[:2] == (height, width):
        return rearrange(table, "h w d -> (h w) d")
    # BEGIN SOLUTION 2.7
    image = rearrange(table, "h w d -> 1 d h w")
    resized = F.interpolate(image, size=(height, width), mode="bicubic", align_corners=False)
    return rearrange(resized, "1 d h w -> (h w) d")
    # END SOLUTION


interpolate_table = check("2.7", interpolate_table)

# %% [hidden]
axis = torch.linspace(-1, 1, 8)
table = torch.stack([(axis[None] * 4).sin() * axis[:, None].cos(), axis[:, None] + 0 * axis[None]], dim=-1)
fig, axes = plt.subplots(1, 3, figsize=(8, 2.4), width_ratios=[1, 1.5, 1.5])
for ax, (th, tw) in zip(axes, [(8, 8), (16, 24), (5, 14)], strict=True):
    ax.imshow(interpolate_table(table, th, tw)[:, 0].reshape(th, tw), extent=(0, tw, th, 0), vmin=-1, vmax=1)
    ax.set(title=f"{th} x {tw} patches" + (", as learnt" if th == tw == 8 else ""), xticks=[0, tw], yticks=[0, th])
    ax.grid(False)
plt.show()

# %% [markdown]
# One channel of a table, as learnt and resized to two grids. The pattern keeps its place *relative to the picture*: the
# middle stays the middle. But a step of one patch is now a smaller step in the table.
#
# ## Same as the library
#
# Two pictures of different shapes, in the head width of the real model (72), in bfloat16:

# %%
grids = torch.tensor([[4, 6], [10, 2]])
x = torch.randn(44, 16, 72, generator=g).bfloat16()
mine, theirs = apply_rotary(x, *rotary_2d(grids, 72)), rope.apply_rotary(x, *rope.rotary_2d(grids, 72))
assert mine.dtype == torch.bfloat16 and torch.equal(mine, theirs)
wide = torch.randn(64, 64, 12, generator=g)
assert torch.equal(interpolate_table(wide, 30, 45), rope.interpolate_table(wide, 30, 45))
print("equal bit for bit: rotary tables, turned heads, resized table")

# %% [markdown]
# ## The measurement: train on small pictures, test on large ones
#
# The report says (section 2.1) that the resized table alone serves large pictures less and less well, and that RoPE is
# added for that. We can measure it in seconds, with the smallest model that can use positions: one attention layer over
# "pictures" whose patches carry one of 8 symbols. Training sees only grids of 8 × 8. Two tasks:
#
# * **neighbour**: every patch must name the symbol of the patch one step right and one step down;
# * **place**: every patch must say in which quarter of the picture it lies.


# %%
class Probe(nn.Module):
    """One attention layer over symbols, with the table, the rotary embedding, or both."""

    def __init__(self, positions, symbols=8, dim=32, side=8):
        super().__init__()
        self.rotary, self.dim = positions != "table", dim
        self.table = nn.Parameter(0.5 * torch.randn(side, side, dim)) if positions != "RoPE" else None
        self.embed, self.qkv, self.head = nn.Embedding(symbols, dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, symbols)

    def forward(self, x, h, w):
        x = self.embed(x)  # (B, P, D)
        if self.table is not None:
            x = x + interpolate_table(self.table, h, w)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.rotary:  # the batch takes the place of the heads: all share the grid
            cos, sin = rotary_2d(torch.tensor([[h, w]]), self.dim)
            q, k = (apply_rotary(t.transpose(0, 1), cos, sin).transpose(0, 1) for t in (q, k))
        return self.head((q @ k.mT * self.dim**-0.5).softmax(dim=-1) @ v)


def symbol_pictures(task, h, w, generator, batch=16):
    """Random symbols (B, P) and what each patch must answer (B, P); -100 where there is no answer."""
    symbols = torch.randint(8, (batch, h, w), generator=generator)
    answers = torch.full_like(symbols, -100)
    if task == "neighbour":
        answers[:, :-1, :-1] = symbols[:, 1:, 1:]
    else:
        quarter = 2 * (torch.arange(h) >= h / 2)[:, None] + (torch.arange(w) >= w / 2)[None]
        answers[:] = quarter
    return symbols.flatten(1), answers.flatten(1)


def train_probe(task, positions, steps=300, lr=1e-2):
    torch.manual_seed(0)
    probe, generator = Probe(positions), torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=lr, weight_decay=0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (steps - step) / (0.3 * steps)))
    for _ in range(steps):
        symbols, answers = symbol_pictures(task, 8, 8, generator)
        loss = F.cross_entropy(probe(symbols, 8, 8).flatten(0, 1), answers.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe


@torch.no_grad()
def probe_accuracy(probe, task, h, w):
    symbols, answers = symbol_pictures(task, h, w, torch.Generator().manual_seed(99))
    asked = answers != -100
    return float((probe(symbols, h, w).argmax(-1) == answers)[asked].float().mean())


sizes = [8, 10, 12, 14, 16]
results = {}
for task in ("neighbour", "place"):
    for positions in ("table", "RoPE", "both"):
        probe = train_probe(task, positions)
        results[task, positions] = [probe_accuracy(probe, task, s, s) for s in sizes]
        print(
            f"{task:>9}, {positions:<5}: "
            + "  ".join(f"{s}x{s} {a:.2f}" for s, a in zip(sizes, results[task, positions], strict=True))
        )

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3), sharey=True)
for ax, task, chance in zip(axes, ("neighbour", "place"), (1 / 8, 1 / 4), strict=True):
    for i, positions in enumerate(("table", "RoPE", "both")):
        ax.plot(sizes, results[task, positions], "os^"[i] + "-", ms=8 - 2 * i, color=f"C{i}", label=positions)
    ax.axhline(chance, color="gray", ls=":", label="guessing")
    ax.set(title=f"task: {task}", xlabel="patches per side (trained on 8)", ylim=(0, 1.05), xticks=sizes)
axes[0].set_ylabel("right answers")
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Read the plot.** "My neighbour" is a matter of *offset*. RoPE says it in patches, so it holds on pictures twice as
# wide. The resized table says it in fractions of the picture: on a grid of 16 the learnt step covers two patches, and
# accuracy falls to guessing.
#
# "My quarter" is a matter of *place*. The table knows it at every size. And a surprise: RoPE alone solves it on 8 × 8,
# though it only ever compares two patches. It has found the *borders*: a patch that sees little to its right must be at
# the right. But that rule counts patches, so it breaks on other sizes.
#
# With both, the probe has both, and pays a little: what it learnt with the table's help suffers when the table is
# stretched. This is a toy; the report's statement is about an encoder of 400 million parameters.

# %%
at_16 = {key: accuracies[-1] for key, accuracies in results.items()}
assert at_16["neighbour", "RoPE"] > 0.9 > 0.4 > at_16["neighbour", "table"], "RoPE carries offsets to larger pictures"
assert at_16["place", "table"] > 0.8 > 0.6 > at_16["place", "RoPE"], "the table carries places to larger pictures"
assert at_16["neighbour", "both"] > at_16["neighbour", "table"] + 0.3, "adding RoPE mends the table's weakness"
print("measured: RoPE carries offsets, the table carries places")

# %% [markdown]
# ## What it costs at 16B
#
# @exercise 2.8
#
# `vision` is a `VisionConfig` (look at its fields: `init_pos_emb_height`, `hidden_size`, ...). Return three integers:
# the parameters of the learned table, its bytes in bfloat16, and the multiplications that turning queries and keys
# costs one patch over all layers.


# %%
def position_cost(vision):
    """Parameters of the table, their bytes in bfloat16, multiplications of RoPE for one patch in all layers."""
    # BEGIN SOLUTION 2.8
    parameters = vision.init_pos_emb_height * vision.init_pos_emb_width * vision.hidden_size
    rotary = 4 * vision.hidden_size // 2 * 2 * vision.num_hidden_layers  # 4 per pair, queries and keys
    return parameters, 2 * parameters, rotary
    # END SOLUTION


position_cost = check("2.8", position_cost)

# %%
vision = KimiVLConfig.preset("kimi-vl-a3b").vision_config
parameters, size, rotary = position_cost(vision)
d, m = vision.hidden_size, vision.intermediate_size
layers = vision.num_hidden_layers * (4 * d * d + 2 * d * m)  # multiplications of the matrices, one patch
print(f"table: {parameters:,} parameters, {size / 2**20:.1f} MiB in bfloat16")
print(f"RoPE: 0 parameters, {rotary:,} multiplications a patch, {100 * rotary / layers:.3f} % of the layers' matrices")
print(
    f"angles of one picture of 64 x 64 patches: {2 * 64 * 64 * vision.head_dim // 2 * 4 / 2**20:.1f} MiB, used by "
    "all layers"
)

# %% [markdown]
# Positions are nearly free to compute. On a GPU they are not free to *move*: turning reads and writes every query and
# key once more, which is why lesson 16 does it inside a kernel.
#
# ## Takeaways
#
# * RoPE turns pairs of channels; a dot product then depends on the offset alone, and nothing becomes longer or shorter.
# * Kimi-VL pairs neighbours, and patches use the column first, the row second, taking turns. Any other order is
#   another model.
# * Angles are float32 whatever the model's dtype.
# * The learned table says *where in the picture*, RoPE says *how far from each other*. MoonViT has both.
#
# ## Stretch
#
# 1. At 24 × 24 the RoPE probe finds its neighbour only half the time. Which patches does it mistake for the neighbour?
#    (Its fastest pair turns once in about 6 patches, the next in 20.) What would train it out?
# 2. Train the table probe on grids of *mixed* sizes. Does the neighbour task become learnable with a table alone?
# 3. Replace `F.interpolate` by cutting out the table's upper left corner. Which of the two tasks now survives a
#    larger grid, and why?

# %%
progress()

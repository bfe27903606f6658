# ---
# title: Pixel shuffle and the projector
# goal: Turn four neighbouring patches into one word of the language model, and know which details break silently.
# minutes: 40
# prerequisites: ["01", "03"]
# difficulty: 2
# builds: minikimi/model/projector.py
# ---
# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from minikimi.lab import check, photo, progress, setup
from minikimi.model import projector
from minikimi.model.config import KimiVLConfig

setup("04")

# %% [markdown]
# ## A picture: from patches to words
#
# MoonViT (lesson 03) gives one vector for every patch of 14 × 14 pixels. The language model reads **tokens**, vectors
# of its own width. A picture of 1,792 × 1,792 pixels has 16,384 patches; so many tokens would fill an eighth of the
# longest context that Kimi-VL can read. So four patches, two by two, are joined into *one* token. The report (section
# 2.1) calls this step **pixel shuffle**; a two-layer network, the **projector**, then maps the joined vector into the
# language model's space.

# %% [hidden]
image = photo("flower", 112, 168)
fig, axes = plt.subplots(1, 2, figsize=(8, 2.8))
for ax, step, title in zip(axes, (14, 28), ("96 patches of 14 x 14 pixels", "24 tokens of 2 x 2 patches"), strict=True):
    ax.imshow(image.permute(1, 2, 0))
    for x in range(0, 169, step):
        ax.axvline(x - 0.5, color="white", lw=1)
    for y in range(0, 113, step):
        ax.axhline(y - 0.5, color="white", lw=1)
    ax.set(title=title, xticks=[], yticks=[], xlim=(-0.5, 167.5), ylim=(111.5, -0.5))
    ax.grid(False)
plt.show()

# %% [markdown]
# **Predict.** (a) The image processor lets a picture have at most 4,096 patches before padding. How many tokens is
# that? (b) Which of these loses information: averaging the four vectors, laying them side by side, or the projector's
# last matrix, which goes from 4,608 numbers to 2,048? (c) If you lay the four vectors side by side in *another order*
# than the released model, what will you notice when you load its weights?
#
# <details><summary>Answer</summary>
#
# (a) 1,024. (b) Averaging loses which patch was where. Laying side by side loses nothing: it only moves numbers. The
# last matrix can lose something, but it *learns* what. (c) Nothing: all shapes fit, no error, no warning. The model
# just sees nonsense. That is why this lesson is about order.
#
# </details>
#
# @exercise 4.1
#
# `grid_hws` is `(N, 2)`: height and width of each picture in patches. Return the number of tokens of each, `(N,)`. The
# kernel is `(2, 2)` in Kimi-VL; write it for any. Both sides are multiples of it (the image processor pads).


# %%
def token_counts(grid_hws, kernel):
    """Grids (N, 2) in patches to the number of tokens of each picture (N,), with blocks of kernel = (kh, kw)."""
    kh, kw = kernel
    # BEGIN SOLUTION 4.1
    return (grid_hws[:, 0] // kh) * (grid_hws[:, 1] // kw)
    # END SOLUTION


token_counts = check("4.1", token_counts)

# %% [markdown]
# ## By hand: a grid of 4 × 6
#
# Patches lie in **raster order**: row by row, and in a row from left to right. Here are their numbers, and the blocks.
# Read the first block: 0, 1, 6, 7. Its patches are *not* neighbours in memory.

# %%
h, w = 4, 6
for row in range(h):
    print("   ".join(" ".join(f"{row * w + column:2d}" for column in (c, c + 1)) for c in range(0, w, 2)))
    if row == 1:
        print()

# %% [markdown]
# ## One patch at a time
#
# @exercise 4.2
#
# For the patch at `(row, column)` of a grid that is `width` patches wide, return two numbers: which 2 × 2 block it
# falls into (blocks are numbered in raster order), and its place in there: 0 upper left, 1 upper right, 2 lower left, 3
# lower right.


# %%
def block_and_place(row, column, width):
    """The patch at (row, column) of a grid `width` patches wide: the number of its 2 x 2 block, its place in there."""
    # BEGIN SOLUTION 4.2
    return (row // 2) * (width // 2) + column // 2, (row % 2) * 2 + column % 2
    # END SOLUTION


block_and_place = check("4.2", block_and_place)

# %% [markdown]
# With it, a loop can list all patches block by block. It is slow, but obviously right; we keep it to check the fast
# one.


# %%
def loop_order(h, w):
    """Numbers of the patches of one picture, block by block: a list of h * w."""
    order = [0] * (h * w)
    for row in range(h):
        for column in range(w):
            block, place = block_and_place(row, column, w)
            order[4 * block + place] = row * w + column
    return order


print(loop_order(4, 6))

# %% [markdown]
# ## Vectorised: two axes hide four
#
# The row number hides two numbers: the row of the *block*, and the row *inside* the block. So does the column. One
# pattern of `rearrange` (lesson 01) can name all four, put them into another order, and forget them again:
#
# | | axis 0 | axis 1 | axis 2 | axis 3 |
# |---|---|---|---|---|
# | as patches lie | block row | row inside | block column | column inside |
# | as we want them | block row | block column | row inside | column inside |
#
# @exercise 4.3
#
# Write the body of the loop: numbers of the patches of one picture, block by block, and the `start` of the next
# picture. The refusal of odd grids is given.


# %%
def merge_order(grid_hws, kernel=(2, 2)):
    """Where each patch goes: indices (P,) that list the packed patches block by block."""
    kh, kw = kernel
    orders, start = [grid_hws.new_zeros(0)], 0
    for h, w in grid_hws.tolist():
        if h % kh or w % kw:
            raise ValueError(f"image grid {h}x{w}: both sides must be multiples of {kh}x{kw}; pad the image first")
        # BEGIN SOLUTION 4.3
        index = torch.arange(start, start + h * w, device=grid_hws.device)
        orders.append(rearrange(index, "(h kh w kw) -> (h w kh kw)", h=h // kh, kh=kh, kw=kw))
        start += h * w
        # END SOLUTION
    return torch.cat(orders)


merge_order = check("4.3", merge_order)
assert merge_order(torch.tensor([[4, 6]])).tolist() == loop_order(4, 6)
assert merge_order(torch.tensor([[2, 4], [4, 6]]))[8:].tolist() == [8 + i for i in loop_order(4, 6)]
print("equal to the loop, also for the second of two packed pictures")

# %% [markdown]
# @exercise 4.4
#
# Group packed patches `(P, D)` into blocks `(P / 4, 4, D)`.


# %%
def merge_patches(x, grid_hws, kernel=(2, 2)):
    """Group packed patches (P, D) in blocks: (P / 4, 4, D) for a 2 x 2 kernel."""
    # BEGIN SOLUTION 4.4
    kh, kw = kernel
    return rearrange(x[merge_order(grid_hws, kernel).to(x.device)], "(m k) d -> m k d", k=kh * kw)
    # END SOLUTION


merge_patches = check("4.4", merge_patches)

# %% [markdown]
# ## The order as colours
#
# Below, patches of one colour go into one token; the number is the place inside. Left what you wrote, right what you
# get if you only `unflatten` without reordering: four patches of one row. On this grid of 6 × 10, whose width is no
# multiple of four, such "blocks" even tear: they begin at the right border and end at the left.

# %% [hidden]
grid = torch.tensor([[6, 10]])
right_order = merge_order(grid)
tokens = torch.empty(2, 60, dtype=torch.long)
places = torch.empty(2, 60, dtype=torch.long)
for i, order in enumerate((right_order, torch.arange(60))):
    tokens[i, order] = torch.arange(60) // 4
    places[i, order] = torch.arange(60) % 4
shades = torch.randperm(15, generator=torch.Generator().manual_seed(4))
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3))
for i, (ax, title) in enumerate(
    zip(axes, ("pixel shuffle: squares", "unflatten alone: strips that tear"), strict=True)
):
    ax.imshow(shades[tokens[i]].reshape(6, 10), cmap="tab20", vmin=0, vmax=19)
    for p in range(60):
        ax.text(p % 10, p // 10, int(places[i, p]), ha="center", va="center", fontsize=9)
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)
plt.show()

# %% [markdown]
# There is a second, subtler wrong order. PyTorch has `F.pixel_unshuffle`, made for pictures: it takes each 2 × 2 square
# of a picture with $D$ channels and returns $4D$ channels. The right patches meet. But the numbers *inside* the joined
# vector stand channel after channel (channel 0 of all four patches, then channel 1, ...), not patch after patch. Here a
# joined vector with $D = 12$; the colour says from which of the four patches a number comes.

# %%
d = 12
which = torch.empty(24, d, dtype=torch.long)  # a grid of 4 x 6 whose patches hold their own place number
which[merge_order(torch.tensor([[4, 6]]))] = torch.arange(24)[:, None].expand(24, d) % 4
ours = merge_patches(which, torch.tensor([[4, 6]])).flatten(1)[0]
as_image = which.reshape(1, 4, 6, d).permute(0, 3, 1, 2).float()  # (1, D, H, W), as pixel_unshuffle wants it
theirs = F.pixel_unshuffle(as_image, 2)[0, :, 0, 0].long()
fig, axes = plt.subplots(2, 1, figsize=(8, 2.4))
for ax, vector, title in zip(
    axes, (ours, theirs), ("Kimi-VL: patch after patch", "pixel_unshuffle: by channel"), strict=True
):
    ax.imshow(vector[None], aspect="auto", vmin=0, vmax=3)
    ax.set(title=title, yticks=[], xticks=range(0, 48, 4))
    ax.grid(False)
plt.show()
assert sorted(ours.tolist()) == sorted(theirs.tolist()) and not torch.equal(ours, theirs)

# %% [markdown]
# How bad is that with trained weights? We build the library's projector at small size, call its weights "trained", and
# feed it the same blocks in both orders. Then we sort the *columns of its first matrix* the same way.

# %%
config = KimiVLConfig.preset("small")
trained = projector.Projector(config).requires_grad_(False)
width = config.vision_config.hidden_size
blocks = torch.randn(200, 4, width)
joined = trained.pre_norm(blocks).flatten(1)
by_channel = trained.pre_norm(blocks).transpose(1, 2).flatten(1)


def two_layers(vectors, first):
    """The projector after its norm, with `first` as the first matrix."""
    return trained.linear_2(F.gelu(F.linear(vectors, first, trained.linear_1.bias)))


truth = two_layers(joined, trained.linear_1.weight)
wrong = two_layers(by_channel, trained.linear_1.weight)
columns = torch.arange(4 * width).view(4, width).T.flatten()
mended = two_layers(by_channel, trained.linear_1.weight[:, columns])
signal, error = (truth - truth.mean(0)).norm(), (wrong - truth).norm()
assert error > signal and torch.allclose(mended, truth, atol=1e-5)
print(f"wrong order: the error is {error / signal:.1f} times what varies from block to block")
print("wrong order and the matrix's columns in that order too: equal")

# %% [markdown]
# So the order is **arbitrary, but not free**. Had the model been trained with the other order, it would be just as
# good: the first matrix can have its columns in any order. But it was trained with one, and its weights work with no
# other. A misconception to drop: "the shapes fit and the loss falls, so the port is right." After some fine-tuning the
# loss does fall again, and the damage is hidden.
#
# ## The norm comes first
#
# Before joining, each patch passes through a **LayerNorm** (subtract the mean, divide by the standard deviation, scale
# and shift each channel), with eps $10^{-5}$. It is `D` wide, so its weights are shared by the four places.
#
# @exercise 4.5
#
# Norm the blocks `(M, 4, D)` and join them to `(M, 4 D)`.


# %%
def norm_and_join(blocks, weight, bias):
    """Blocks (M, 4, D) to (M, 4 D): LayerNorm with eps 1e-5 on every patch, then the four side by side."""
    # BEGIN SOLUTION 4.5
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).flatten(1)
    # END SOLUTION


norm_and_join = check("4.5", norm_and_join)

# %% [markdown]
# Why not join first and norm the long vector? Because a loud patch would silence its neighbours. We measure it on the
# photograph above, whose raw patches (588 numbers each) are smooth background here and full contrast there. For each
# block: how large is its quietest patch compared with its loudest, after the norm?

# %%
pixels = image.unflatten(1, (8, 14)).unflatten(3, (12, 14)).permute(1, 3, 0, 2, 4).flatten(0, 1).flatten(1)  # (96, 588)
raw = merge_patches(pixels - pixels.mean(1, keepdim=True), torch.tensor([[8, 12]]))  # (24, 4, 588)
ones, zeros = torch.ones(588), torch.zeros(588)
each = norm_and_join(raw, ones, zeros).unflatten(1, (4, 588))
late = F.layer_norm(raw.flatten(1), (4 * 588,), eps=1e-5).unflatten(1, (4, 588))


def quietest(blocks):
    """Size of the quietest patch of each block over that of its loudest, (M,)."""
    size = blocks.square().mean(-1).sqrt()
    return size.amin(1) / size.amax(1)


fig, ax = plt.subplots(figsize=(8, 2.7))
for i, (name, values) in enumerate({"norm, then join": quietest(each), "join, then norm": quietest(late)}.items()):
    ax.bar(
        (torch.arange(24) + 0.4 * i - 0.2).numpy(), values.sort().values.numpy(), width=0.4, color=f"C{i}", label=name
    )
ax.set(
    title="Normed late, quiet patches stay quiet", xlabel="blocks, sorted", ylabel="quietest / loudest", ylim=(0, 1.25)
)
ax.legend(ncols=2, loc="upper left")
plt.show()
assert quietest(each).min() > 0.9 and quietest(late).median() < 0.7
print(f"median over blocks: {quietest(each).median():.2f} normed first, {quietest(late).median():.2f} normed late")

# %% [markdown]
# ## The exact GELU
#
# Between the projector's two matrices stands **GELU**: $x$ times the probability $\Phi(x)$ that a standard normal
# number is smaller than $x$. There is an exact form, with the error function erf, and a fast approximation with tanh.
# MoonViT's blocks use the *approximation*, the projector the *exact* form.
#
# $$\Phi(x) = \frac{1}{2} \left(1 + \mathrm{erf}(x / \sqrt{2})\right)$$
#
# @exercise 4.6
#
# Write the exact one, without `F.gelu`.


# %%
def exact_gelu(x):
    """x times the probability that a standard normal number lies below x."""
    # BEGIN SOLUTION 4.6
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    # END SOLUTION


exact_gelu = check("4.6", exact_gelu)

# %%
x = torch.linspace(-4, 4, 401)
gap = F.gelu(x, approximate="tanh") - exact_gelu(x)
fig, axes = plt.subplots(1, 2, figsize=(8.5, 2.7))
axes[0].plot(x, exact_gelu(x), color="C0", label="exact")
axes[0].plot(x, F.gelu(x, approximate="tanh"), color="C1", ls="--", label="tanh")
axes[0].set(title="The eye sees one curve", xlabel="x", ylabel="GELU")
axes[0].legend()
axes[1].plot(x, 1000 * gap, color="C3")
axes[1].set(title="They differ by up to 0.0005", xlabel="x", ylabel="tanh - exact, thousandths")
plt.show()
assert 3e-4 < gap.abs().max() < 6e-4
share = 100 * (gap / exact_gelu(x))[90].abs()
print(f"largest difference {gap.abs().max():.5f}; at x = -2.2 the two differ by {share:.1f} % of the value")

# %% [markdown]
# Five ten-thousandths: in bfloat16, which keeps about three digits, this drowns. So nobody *sees* the wrong GELU. It
# matters for one thing: a comparison with the released model in float32 must be exact, or it cannot tell a wrong GELU
# from any other small mistake. Public ports have used the wrong one of the two.
#
# ## Put together
#
# @exercise 4.7
#
# Write `forward`. The layers are given, with the released checkpoint's names.


# %%
class Projector(nn.Module):
    """Blocks of patches (M, 4, D_vision) to vectors in the language model's space (M, D_text)."""

    def __init__(self, config):
        super().__init__()
        width = config.vision_config.hidden_size
        kh, kw = config.vision_config.merge_kernel_size
        self.pre_norm = nn.LayerNorm(width, eps=1e-5)
        self.linear_1 = nn.Linear(width * kh * kw, width * kh * kw)
        self.linear_2 = nn.Linear(width * kh * kw, config.text_config.hidden_size)

    def forward(self, blocks):
        # BEGIN SOLUTION 4.7
        joined = rearrange(self.pre_norm(blocks), "m k d -> m (k d)")
        return self.linear_2(F.gelu(self.linear_1(joined)))
        # END SOLUTION


Projector = check("4.7", Projector)

# %% [markdown]
# ## Same as the library
#
# Two pictures of different shape, not square, and a norm whose weights are not trivial:

# %%
mine, theirs = Projector(config), projector.Projector(config)
with torch.no_grad():
    theirs.pre_norm.weight.uniform_(0.5, 1.5)
    theirs.pre_norm.bias.uniform_(-0.5, 0.5)
mine.load_state_dict(theirs.state_dict())
grids = torch.tensor([[4, 10], [6, 2]])
patches = torch.randn(52, width)
a = mine(merge_patches(patches, grids))
b = theirs(projector.merge_patches(patches, grids))
assert a.shape == (int(token_counts(grids, (2, 2)).sum()), config.text_config.hidden_size) and torch.equal(a, b)
print(f"equal bit for bit: 52 patches become {len(a)} tokens of width {a.shape[1]}")

# %% [markdown]
# ## What it costs at 16B
#
# @exercise 4.8
#
# Return two integers for a `KimiVLConfig`: all parameters of the projector (norm, matrices, biases), and the
# multiplications of its two matrices for *one* token.


# %%
def projector_cost(config):
    """The projector's parameters, and the multiplications of its two matrices for one image token."""
    patch, (kh, kw) = config.vision_config.hidden_size, config.vision_config.merge_kernel_size
    # BEGIN SOLUTION 4.8
    joined, out = patch * kh * kw, config.text_config.hidden_size
    matrices = joined * joined + joined * out
    return 2 * patch + matrices + joined + out, matrices
    # END SOLUTION


projector_cost = check("4.8", projector_cost)

# %%
big = KimiVLConfig.preset("kimi-vl-a3b")
with torch.device("meta"):  # shapes without numbers
    counted = sum(p.numel() for p in projector.Projector(big).parameters())
parameters, products = projector_cost(big)
assert parameters == counted
text = big.text_config
per_token = 2 * text.num_hidden_layers * (text.kv_lora_rank + text.qk_rope_head_dim)  # bytes of cache, lesson 05
print(f"projector: {parameters:,} parameters, {2 * parameters / 2**20:.1f} MiB in bfloat16")
share = 100 * products / 2.8e9
print(f"one token: {products:,} multiplications, {share:.1f} % of the language model's 2.8 billion")
for side in (448, 896):
    patches = (side // 14) ** 2
    print(f"{side} x {side} pixels: {patches:,} patches, {patches // 4:,} tokens; ", end="")
    print(f"cache {per_token * patches / 4 / 2**20:.1f} MiB instead of {per_token * patches / 2**20:.1f}")

# %% [markdown]
# The projector is a five-hundredth of the model. What it *saves* is much more: the language model reads a quarter of
# the tokens, so its matrices do a quarter of the work, the cache takes a quarter of the memory, and attention among a
# picture's own tokens a sixteenth.
#
# ## Takeaways
#
# * Pixel shuffle is a permutation and a change of shape. It computes nothing and loses nothing.
# * Patches of a block: (0,0), (0,1), (1,0), (1,1). The joined vector stands patch after patch; `pixel_unshuffle` gives
#   another order, which fits in shape and breaks in meaning.
# * LayerNorm (eps $10^{-5}$) works on single patches, *before* joining.
# * The projector's GELU is the exact one, MoonViT's is the tanh one.
# * Four patches become one token: a quarter of the context, of the cache and of the language model's work.
#
# ## Stretch
#
# 1. Write `unmerge(blocks, grid_hws)`, the way back. One call of `argsort` is enough; why?
# 2. With a kernel of 4 × 4, how many parameters would this projector have at 16B? What would you change to keep it
#    small?
# 3. Text in a screenshot is about as high as one patch. Would you rather merge 2 × 2, or 1 × 4 along the line? Think of
#    what a language model could read from each.

# %%
progress()

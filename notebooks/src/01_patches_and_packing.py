# ---
# title: Patches and NaViT packing
# goal: Pack pictures of any size into one row of patches, keep them apart, and measure what padding would cost.
# minutes: 45
# prerequisites: ["PyTorch tensors"]
# difficulty: 2
# builds: minikimi/model/patches.py
# ---
# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from einops import rearrange
from torch.utils.flop_counter import FlopCounterMode

from minikimi.lab import check, knob, photo, progress, setup
from minikimi.model import ops
from minikimi.model import patches as library
from minikimi.model.config import KimiVLConfig
from minikimi.processor.images.processing import ImageProcessor

setup("01")

# %% [markdown]
# **Kimi-VL** is a vision-language model: it reads pictures and text, and answers in text. Its eye is called
# **MoonViT**, a vision transformer that turns a picture into a row of vectors; a language model reads these vectors
# between the words. We follow the report (arXiv 2504.07491) and the code and weights that Moonshot AI published with
# it; "released" always means these. This lesson is about what happens before the first layer.
#
# How to work here: an exercise is a cell with a line `raise NotImplementedError`. Put your code in its place and run
# the cell. `check` says what it thinks of your answer and, if it is not right yet, goes on with the library's. When
# stuck: `hint("1.1")`, then `hint("1.1", 2)`, at last `solution("1.1")`.
#
# ## A picture: three pictures, and what a square does to them
#
# A vision transformer does not read pixels, it reads **patches**: small squares, here of 14 × 14 pixels, each turned
# into one vector. The classic recipe first forces every picture into one square, 224 × 224, so that all have the same
# number of patches.
#
# Above: three pictures as taken, with their patches. Below: what the square makes of them.

# %% [hidden]
wide, tall, strip = photo("china", 112, 168), photo("flower", 112, 168), photo("china", 168, 252)
images = [wide, tall[:, :, 56:126], strip[:, 84:126, 28:224]]
fig, axes = plt.subplots(2, 3, figsize=(8, 4.2), width_ratios=[168, 90, 196])
for ax, image in zip(axes[0], images, strict=True):
    _, height, width = image.shape
    ax.imshow(image.permute(1, 2, 0))
    ax.set(xticks=range(0, width + 1, 14), yticks=range(0, height + 1, 14), xticklabels=[], yticklabels=[])
    ax.set_title(f"{height // 14} x {width // 14} patches")
    ax.grid(color="white", alpha=0.5)
for ax, image in zip(axes[1], images, strict=True):
    square = F.interpolate(image[None], size=(98, 98), mode="bilinear", antialias=True)[0].clamp(0, 1)
    ax.imshow(square.permute(1, 2, 0))
    ax.set(xticks=[], yticks=[], title="7 x 7 patches")
    ax.grid(False)
plt.show()

# %% [markdown]
# Circles become eggs, and a wide line of small print becomes unreadable. MoonViT (report, section 2.1) does not
# resize to a square. It follows **NaViT** ("native resolution vision transformer"): every picture keeps its shape, is
# cut into as many patches as it has, and the patches of *all* pictures of a batch are laid one after another in a
# single row. This is called **packing**. Three things are needed: cutting, bookkeeping, and an attention that keeps
# pictures apart. They are this lesson.
#
# **Predict.** The usual alternative to packing is *padding*: one row per picture, each filled up with empty patches
# to the length of the longest. Take eight pictures as people send them: icons, web images, screenshots, one photo in
# full HD. Which part of the padded batch is empty: 20 %, 40 % or more than half? And what happens to attention, whose
# cost grows with the *square* of the length? We measure both.
#
# ## By hand: six pixels wide, four high
#
# One channel, patches of 2 × 2. Every number says where the pixel lies: tens for the row, ones for the column.

# %%
tiny = (10 * torch.arange(4)[:, None] + torch.arange(6))[None]  # (C, H, W) = (1, 4, 6)
for row in tiny[0]:
    print(" ".join(f"{int(x):02d}" for x in row))
print("\nin memory:", " ".join(f"{int(x):02d}" for x in tiny.flatten()))
print("the first patch:", tiny[0, :2, :2].flatten().tolist())

# %% [markdown]
# Look at the first patch: 00, 01, then 10, 11. In memory the last two stand six places after the first two. **A patch
# is not a piece of memory.** This is the most common error in this lesson, so a small exercise comes first.
#
# @exercise 1.1
#
# The pixel in row `y` and column `x` of a picture that is `width` pixels wide: which patch holds it, and where
# inside? Patches are numbered in **raster order**, as we read: along the top row first, then the next row.


# %%
def patch_of_pixel(y, x, width, patch_size):
    """Index of the patch that holds pixel (y, x), and the pixel's row and column inside it: three ints."""
    # BEGIN SOLUTION 1.1
    index = (y // patch_size) * (width // patch_size) + x // patch_size
    return index, y % patch_size, x % patch_size
    # END SOLUTION


patch_of_pixel = check("1.1", patch_of_pixel)

# %% [markdown]
# ## A loop first
#
# @exercise 1.2
#
# Cut `image` of shape `(C, H, W)` into patches `(h*w, C, p, p)`: two loops and a slice. Both sides are multiples of
# `patch_size`.


# %%
def patchify_loop(image, patch_size):
    """Cut an image (C, H, W) into patches (h*w, C, p, p), one slice at a time, in raster order."""
    _, height, width = image.shape
    patches = []
    # BEGIN SOLUTION 1.2
    for y in range(0, height, patch_size):
        for x in range(0, width, patch_size):
            patches.append(image[:, y : y + patch_size, x : x + patch_size])
    # END SOLUTION
    return torch.stack(patches)


patchify_loop = check("1.2", patchify_loop)
for i in (0, 4):
    print(f"patch {i}:", patchify_loop(tiny, 2)[i].flatten().tolist())

# %% [markdown]
# ## Vectorised
#
# No loop is needed: name the axes. The height is `h` patches of `p` pixels, so it *splits* into two axes `(h, p)`;
# the width into `(w, p)`. Then the axes are *moved* into the order of the patches, and neighbouring axes *joined*:
#
# | step | axes | in PyTorch | in einops |
# |---|---|---|---|
# | image | `(C, H, W)` | | |
# | split | `(C, h, p, w, p)` | `reshape` | brackets on the left |
# | move | `(h, w, C, p, p)` | `permute` | another order |
# | join | `(h*w, C, p, p)` | `reshape` | brackets on the right |
#
# `reshape` alone gives the right *shape* too. It gives the wrong pixels, and no error: only the eyes, or a test, find
# it. That is why the field writes such steps with **einops**: `rearrange` takes one pattern that names the axes before
# and after. Three small ones, and a larger step that does two of them at once:

# %%
for pattern, sizes in (
    ("c h w -> h w c", {}),  # move
    ("c (two h) w -> c two h w", {"two": 2}),  # split
    ("c h w -> c (h w)", {}),  # join
    ("c (two h) w -> two (c h w)", {"two": 2}),  # split, move and join: upper half, lower half
):
    print(f"{pattern:<28}", tuple(tiny.shape), "->", tuple(rearrange(tiny, pattern, **sizes).shape))

# %% [markdown]
# @exercise 1.3
#
# Return the patches and the grid `(h, w)`, in either style. Every axis of a pattern needs a name of its own: call the
# two axes inside a patch `y` and `x`, and say how long they are (`y=patch_size`). Rows come first in a grid, everywhere
# in Kimi-VL.


# %%
def patchify(image, patch_size=14):
    """Cut an image (C, H, W) into patches (h*w, C, p, p) in raster order; also return the grid (h, w)."""
    _, height, width = image.shape
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image of {width}x{height} pixels: both sides must be multiples of {patch_size}; pad it first"
        )
    # BEGIN SOLUTION 1.3
    patches = rearrange(image, "c (h y) (w x) -> (h w) c y x", y=patch_size, x=patch_size)
    return patches, (height // patch_size, width // patch_size)
    # END SOLUTION


patchify = check("1.3", patchify)

# %% [markdown]
# @exercise 1.4
#
# Now backwards. The same three steps, in the other order.


# %%
def unpatchify(patches, grid_hw):
    """The inverse of `patchify`: (h*w, C, p, p) and (h, w) to the image (C, h*p, w*p)."""
    h, w = grid_hw
    # BEGIN SOLUTION 1.4
    return rearrange(patches, "(h w) c y x -> c (h y) (w x)", h=h, w=w)
    # END SOLUTION


unpatchify = check("1.4", unpatchify)

# %% [markdown]
# This is what the two classic mistakes look like on a photograph: `reshape` without `permute`, and `h` exchanged with
# `w`. The numbers are all there. The picture is not.

# %% [hidden]
patches, (h, w) = patchify(images[0])
fig, axes = plt.subplots(1, 3, figsize=(8, 2.3), width_ratios=[1.5, 1.5, 0.67])
wrong_cut = images[0].reshape(h * w, 3, 14, 14)
for ax, picture_, title in zip(
    axes,
    (unpatchify(patches, (h, w)), unpatchify(wrong_cut, (h, w)), unpatchify(patches, (w, h))),
    ("there and back", "cut by reshape alone", "h and w exchanged"),
    strict=True,
):
    ax.imshow(picture_.permute(1, 2, 0))
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
plt.show()

# %% [markdown]
# ## Before the cut: sizes that do not fit
#
# Real pictures are not multiples of 14. Before it packs them with the functions of this lesson, the image processor
# (`minikimi/processor/images/processing.py`, after the released one) does three things. It *shrinks* a picture of more
# than 4,096 patches, keeping its shape; it never enlarges. It *pads* right and bottom with black to multiples of 28,
# because a later step joins 2 × 2 patches into one **token**, the unit that a language model reads (lesson 04). And it
# scales pixels from [0, 1] to [−1, 1].

# %%
sizes = {
    "smallest": (10, 10),
    "icon": (64, 64),
    "line of text": (600, 40),
    "thumbnail": (224, 224),
    "web picture": (500, 333),
    "old camera": (640, 480),
    "screenshot": (1280, 720),
    "full HD": (1920, 1080),
}
processor = ImageProcessor()
grid_hws = torch.tensor([processor.grid(*size) for size in sizes.values()])
for (name, (width, height)), (h, w) in zip(sizes.items(), grid_hws.tolist(), strict=True):
    print(f"{name:>12} {width:>4} x {height:<4} -> grid {h:>2} x {w:<2} = {h * w:>4} patches = {h * w // 4:>4} tokens")

# %% [markdown]
# Two surprises worth knowing. The limit counts *patches, not tokens*. And it is applied *before* padding, so the
# screenshot ends at 4,300 patches and the full HD picture at 4,128, over the limit of 4,096. Both are as released.
#
# ## Packing
#
# @exercise 1.5
#
# Cut all images and lay their patches in one row: `(P, C, p, p)`, with $P$ the number of patches of all images.
# Remember the grids, `(N, 2)`.


# %%
def pack_images(images, patch_size=14):
    """Pack images (C, H_i, W_i) into patches (P, C, p, p) and their grids (N, 2) of (h, w) in patches."""
    # BEGIN SOLUTION 1.5
    pairs = [patchify(image, patch_size) for image in images]
    patches = torch.cat([patches for patches, _ in pairs])
    return patches, torch.tensor([grid for _, grid in pairs], dtype=torch.int64)
    # END SOLUTION


pack_images = check("1.5", pack_images)

# %% [markdown]
# In the packed row nothing but position says which patch belongs to which picture. The bookkeeping is a list of
# bounds, called `cu_seqlens` (*cumulative sequence lengths*) by every attention kernel that can work on packed rows:
# picture $s$ is `x[cu_seqlens[s] : cu_seqlens[s + 1]]`. So lengths 4, 6, 2 give bounds 0, 4, 10, 12.
#
# @exercise 1.6
#
# Lengths `(S,)` to bounds `(S + 1,)`, as int32.


# %%
def cumulative_lengths(lengths):
    """Segment bounds (S + 1,) int32 of lengths (S,): 0, l_0, l_0 + l_1, ... Segment s is `x[cu[s]:cu[s + 1]]`."""
    # BEGIN SOLUTION 1.6
    zero = torch.zeros(1, dtype=torch.int32, device=lengths.device)
    return torch.cat([zero, lengths.cumsum(0, dtype=torch.int32)])
    # END SOLUTION


cumulative_lengths = check("1.6", cumulative_lengths)

# %% [markdown]
# @exercise 1.7
#
# And from grids `(N, 2)` to the bounds of the images.


# %%
def image_cu_seqlens(grid_hws):
    """Bounds (N + 1,) of the images in the packed patches, from their grids (N, 2)."""
    # BEGIN SOLUTION 1.7
    return cumulative_lengths(grid_hws.prod(dim=1))
    # END SOLUTION


image_cu_seqlens = check("1.7", image_cu_seqlens)

# %%
packed, grids = pack_images(images)
cu_seqlens = image_cu_seqlens(grids)
print(
    f"{len(images)} images -> one tensor {tuple(packed.shape)}, grids {grids.tolist()}, cu_seqlens "
    f"{cu_seqlens.tolist()}"
)

# %% [hidden]
fig, ax = plt.subplots(figsize=(8, 1.6))
strip = packed.permute(1, 2, 0, 3).flatten(2)  # all patches side by side
ax.imshow(strip.permute(1, 2, 0), aspect="auto", extent=(0, len(packed), 1, 0))
for bound in cu_seqlens.tolist():
    ax.axvline(bound, color="red", lw=2)
ax.set(title="The three pictures as the model gets them: one row, bounds in red", yticks=[])
ax.set(xticks=cu_seqlens.tolist(), xlabel="patch")
ax.grid(False)
plt.show()

# %% [markdown]
# ## Attention within images
#
# In attention every patch makes a *query*, a *key* and a *value*. Its answer is a weighted mean of values; the weight
# of a patch is the exponential of (query · key)/√d, divided by the sum over all. On a packed row this would let the
# temple look at the flower. Whether a picture is described rightly must not depend on who shares its batch, so a mask
# forbids it.
#
# @exercise 1.8
#
# From the bounds to a mask `(P, P)`: True where query (row) and key (column) are of the same image. Is it causal, as
# in a language model?


# %%
def same_image_mask(cu_seqlens):
    """Bounds (N + 1,) to (P, P) bool: True where query (row) and key (column) belong to the same image."""
    # BEGIN SOLUTION 1.8
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    return image[:, None] == image[None]
    # END SOLUTION


same_image_mask = check("1.8", same_image_mask)

# %% [markdown]
# @exercise 1.9
#
# One attention head with this mask. Take care *how* the mask forbids: a forbidden patch must get weight zero, and the
# weights of the others must still add up to 1. (The released Kimi-VL code has one path that gets this wrong. It is
# harmless with one image and wrong with two; lesson 03 takes it apart.)


# %%
def masked_attention(q, k, v, mask):
    """q, k, v (P, d) and mask (P, P), True where allowed, to (P, d)."""
    # BEGIN SOLUTION 1.9
    scores = q @ k.T * q.shape[-1] ** -0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v
    # END SOLUTION


masked_attention = check("1.9", masked_attention)

# %% [hidden]
x = (packed - packed.mean(dim=0)).flatten(1) @ torch.randn(588, 24, generator=torch.Generator().manual_seed(0)) / 14
scores = 4 * x @ x.T / 24**0.5
mask = same_image_mask(cu_seqlens)
fig, axes = plt.subplots(1, 3, figsize=(8, 2.9), sharey=True)
open_weights = scores.softmax(-1)
closed_weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
drawn = (mask.float(), open_weights.sqrt(), closed_weights.sqrt())
for ax, shown, title in zip(axes, drawn, ("the mask", "weights without", "weights with"), strict=True):
    ax.imshow(shown, vmax=float(shown.max()))
    ax.set(title=title, xticks=cu_seqlens.tolist(), yticks=cu_seqlens.tolist(), xlabel="key")
    ax.grid(False)
axes[0].set_ylabel("query")
plt.show()
stray = [float((open_weights[a:b] * ~mask[a:b]).sum(-1).mean()) for a, b in cu_seqlens.unfold(0, 2, 1).tolist()]
print("without a mask, weight that each image spends on the others:", "  ".join(f"{s:.2f}" for s in stray))

# %% [markdown]
# The blocks on the diagonal are the images. The shorter an image, the more of its attention would go astray, for it
# is outnumbered.
#
# The mask is right, but look at the picture: most of the matrix is computed and thrown away. Bounds do better. Attend
# segment by segment, and what is forbidden is never computed. (A *varlen* kernel, for "variable length", does the
# same on a GPU in one launch; lesson 16 writes it.)


# %%
def attention_by_segments(q, k, v, cu_seqlens):
    """The same as masked attention, one image at a time: q, k, v (P, d), bounds (N + 1,) to (P, d)."""
    lengths = cu_seqlens.diff().tolist()
    return torch.cat(
        [
            (q_s @ k_s.T * q.shape[-1] ** -0.5).softmax(dim=-1) @ v_s
            for q_s, k_s, v_s in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True)
        ]
    )


# %% [markdown]
# ## Same as the library
#
# Three images of different shapes; and the head width of the real model, 72, for attention:

# %%
theirs, their_grids = library.pack_images(images)
assert torch.equal(packed, theirs) and torch.equal(grids, their_grids)
assert torch.equal(image_cu_seqlens(grids), library.image_cu_seqlens(grids))
assert all(torch.equal(unpatchify(*patchify(i)), i) for i in images)
q, k, v = torch.randn(3, len(packed), 72, generator=torch.Generator().manual_seed(1))
expected = ops.segment_attention(q[:, None], k[:, None], v[:, None], cu_seqlens, 72**-0.5, causal=False)[:, 0]
for mine in (masked_attention(q, k, v, mask), attention_by_segments(q, k, v, cu_seqlens)):
    assert torch.allclose(mine, expected, atol=1e-5)
print("equal: patches, grids and bounds bit for bit, both attentions up to rounding")

# %% [markdown]
# ## The measurement: padding against packing
#
# Now your prediction. First the empty places.
#
# @exercise 1.10
#
# Which part of a padded batch is padding? One row per image, all as long as the longest.


# %%
def padding_share(grid_hws):
    """Share of a padded batch (N, longest) that is padding, a float in [0, 1)."""
    # BEGIN SOLUTION 1.10
    lengths = grid_hws.prod(dim=1)
    return 1 - float(lengths.sum()) / (len(lengths) * int(lengths.max()))
    # END SOLUTION


padding_share = check("1.10", padding_share)

# %%
print(f"the eight pictures above: {100 * padding_share(grid_hws):.0f} % of the padded batch is empty")
print(f"eight equal pictures: {100 * padding_share(torch.tensor([[16, 16]] * 8)):.0f} %")

# %% [markdown]
# More than half, by far. Next the computing. We do not trust a formula: we let PyTorch *count* the floating-point
# operations (FLOPs) of one layer of MoonViT's true width, in three ways: padded, packed with a mask, packed by
# segments. A layer is attention between four matrix products: `wqkv` makes queries, keys and values, `wo` mixes the
# answers, and two more (the *MLP*) work on each patch alone. (On the "meta" device tensors have shapes but no
# numbers: counting costs nothing.)

# %%
vision = KimiVLConfig.preset("kimi-vl-a3b").vision_config
D, M = vision.hidden_size, vision.intermediate_size


def counted_flops(way, grid_hws):
    """FLOPs that torch counts for one layer (wqkv, attention, wo, MLP) on images of these grids."""
    lengths, cu = grid_hws.prod(dim=1), image_cu_seqlens(grid_hws)
    rows = (len(lengths), int(lengths.max())) if way == "padded" else (int(lengths.sum()),)
    x, wide = torch.empty(*rows, D, device="meta"), torch.empty(*rows, M, device="meta")
    up, down = torch.empty(D, M, device="meta"), torch.empty(M, D, device="meta")
    wqkv, wo = torch.empty(D, 3 * D, device="meta"), torch.empty(D, D, device="meta")
    with FlopCounterMode(display=False) as counter:
        q, k, v = (x @ wqkv).chunk(3, dim=-1)
        if way == "padded":
            out = (q @ k.mT).softmax(-1) @ v  # the mask of the padding changes no count
        elif way == "packed, mask":
            out = (q @ k.T).softmax(-1) @ v
        else:
            out = attention_by_segments(q, k, v, cu)
        _ = (out @ wo, x @ up, wide @ down)
    return counter.get_total_flops()


ways = ("padded", "packed, mask", "packed, segments")
eight = {way: counted_flops(way, grid_hws) for way in ways}
for way in ways:
    print(f"{way:>17}: {eight[way] / 1e9:7.1f} GFLOPs, {eight[way] / eight['packed, segments']:.2f} times the segments")

# %% [markdown]
# How does it depend on the mix? Below, batches of 16 images. Their sizes are drawn between a smallest and a largest
# side; the largest is always 64 patches. Left end: all equal. Right end: from icon to full page.


# %%
def random_grids(ratio, generator, images=16):
    """Grids (16, 2) with sides between 64 / ratio and 64 patches, evenly spread on a log scale, and even."""
    sides = 64 / ratio ** torch.rand(images, 2, generator=generator)
    return (2 * (sides / 2).round().long()).clamp(min=2, max=64)


ratios, g = [1, 1.5, 2, 3, 4, 6, 8], torch.Generator().manual_seed(0)
cost = {way: [] for way in ways}
for ratio in ratios:
    batches = [random_grids(ratio, g) for _ in range(8)]
    for way in ways:
        cost[way].append(sum(counted_flops(way, b) for b in batches))

# %%
fig, ax = plt.subplots(figsize=(7, 3))
for i, way in enumerate(ways):
    ax.plot(ratios, [c / s for c, s in zip(cost[way], cost[ways[2]], strict=True)], "o-", color=f"C{i}", label=way)
ax.set(title="The more the sizes differ, the more padding costs", xlabel="longest side / shortest side in the batch")
ax.set(ylabel="FLOPs / FLOPs by segments", ylim=(0, None))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# **Read the plot.** Padding is free when all images are equal, and only then. With sides that differ by a factor of 8
# it costs a multiple of the work. Packing with a *mask* does not waste matrices, but it compares every patch with
# every other of the batch: the more images, the worse, even if all are equal. Packing by segments wastes nothing. It
# is one row, so even a batch of very different images keeps the matrix products large, which is what GPUs like.

# %%
padded_again, masked_again = ([c / s for c, s in zip(cost[w], cost[ways[2]], strict=True)] for w in ways[:2])
assert abs(padded_again[0] - 1) < 0.01, "equal images: padding costs nothing"
assert padded_again[-1] > 2.5 > padded_again[1] > 1.05, "the wider the mix, the dearer the padding"
assert min(masked_again) > 1.5, "a mask on the packed row costs more than segments, whatever the mix"
assert padding_share(grid_hws) > 0.5 and eight["padded"] > 2 * eight["packed, segments"]
print("measured: padding grows with the mix of sizes, the full mask with the number of images, segments waste nothing")

# %% [markdown]
# Turn the knob (it needs a running kernel): the same eight pictures under another patch limit. What does a limit do to
# padding?


# %%
def explore(limit):
    grids = [ImageProcessor(in_token_limit=limit).grid(*size) for size in sizes.values()]
    print(f"at most {limit} patches: {100 * padding_share(torch.tensor(grids)):.0f} % of the padded batch is empty")


explore(4096)
knob(explore, "limit", [256, 1024, 4096, 16384])

# %% [markdown]
# ## What it costs at 16B
#
# Kimi-VL has 16 billion parameters; 0.4 billion of them are MoonViT, which works on patches as they come.
#
# @exercise 1.11
#
# Return two integers for *one layer* on packed images: the FLOPs of all matrices (`wqkv`: $D \to 3D$, `wo`: $D \to
# D$, and the two of the MLP, $D \to M \to D$) and those of attention between patches, by segments. A multiplication
# with its addition is 2 FLOPs. Softmax, norms and biases are left out.


# %%
def layer_flops(grid_hws, vision):
    """FLOPs of one MoonViT layer on packed images: (all matrices, attention between patches)."""
    # BEGIN SOLUTION 1.11
    lengths, d, m = grid_hws.prod(dim=1), vision.hidden_size, vision.intermediate_size
    matrices = 2 * int(lengths.sum()) * (4 * d * d + 2 * d * m)  # wqkv 3 D², wo D², fc0 and fc1 D M each
    attention = 2 * 2 * d * int(lengths.square().sum())  # scores and weighted values, each over all heads
    return matrices, attention
    # END SOLUTION


layer_flops = check("1.11", layer_flops)

# %%
assert sum(layer_flops(grid_hws, vision)) == eight["packed, segments"], "the formula is what torch counts"
for name, grids_ in {"thumbnail": [[16, 16]], "full HD": [[48, 86]], "all eight": grid_hws.tolist()}.items():
    matrices, attention = (vision.num_hidden_layers * f for f in layer_flops(torch.tensor(grids_), vision))
    total = (matrices + attention) / 1e12
    share = 100 * attention / (matrices + attention)
    print(f"{name:>9}: {total:5.2f} TFLOPs in {vision.num_hidden_layers} layers, {share:4.1f} % of it attention")
print(f"a patch: {3 * 14 * 14} numbers in, then {D} channels, {2 * D} bytes in bfloat16")

# %% [markdown]
# Your formula and PyTorch's count agree to the last digit. For a thumbnail attention is small change; for a large
# picture it is a good part of the bill, because it grows with the square of the patches. That is why it must not be
# spent on other people's pictures.
#
# ## Takeaways
#
# * A patch is a square, not a piece of memory: split the axes, move them, join them. `reshape` alone is wrong and
#   silent.
# * Grids are (h, w), patches lie in raster order, images one after another; `cu_seqlens` holds the bounds, N + 1 of
#   them, starting with 0.
# * Attention stays within an image. Forbidden means a score of minus infinity, not a score of 0.
# * Packing wastes nothing; padding wastes more the more sizes differ; a full mask on a packed row wastes attention.
#
# ## Stretch
#
# 1. Sort images by size into batches before padding. How much of the waste is left? What does sorting do to training,
#    where batches should be random?
# 2. `attention_by_segments` is a Python loop: many small products. With 500 icons in a batch, the full mask may even
#    be faster. Where is the turning point on your machine, and how would you mix the two?
# 3. A picture of 3,000 × 2,000 is shrunk to the limit of 4,096 patches. What is the smallest print that survives?
#    (A later version of Kimi-VL, of June 2025, raises the limit to 16,384.)

# %%
progress()

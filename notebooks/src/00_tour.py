# ---
# title: A tour of a model that sees
# goal: Ask a trained vision-language model, score it against itself blindfolded, and know which lesson builds what.
# minutes: 35
# prerequisites: ["PyTorch tensors"]
# difficulty: 1
# builds: nothing; it runs the model that comes with the course
# ---
# %%
import math
import re
import textwrap
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch

from minikimi import KimiVL, answers, load
from minikimi.data import forms
from minikimi.evaluation import facts, statistics
from minikimi.lab import check, progress, setup
from minikimi.processor.text.chat import END_THINK, THINK
from minikimi.world import PictureWorld

torch.set_grad_enabled(False)  # nothing is trained in this lesson
setup("00")

# %% [markdown]
# ## A picture and a question
#
# A **vision-language model** takes pictures and words in one row and continues it with words. Kimi-VL (Moonshot AI,
# arXiv 2504.07491) is such a model, with 16 billion parameters. With this course comes a small one of the same build,
# trained on CPU cores in minutes; like Kimi-VL, it began with a language model that had only read. Load it, and its
# **processor**, which turns pictures and words into tensors:

# %%
model, proc = load("small")
print(f"{sum(tensor.numel() for tensor in model.state_dict().values()):,} parameters")

# %% [markdown]
# It knows nothing but the **picture world**: scenes drawn by a program, so that every right answer is known exactly.
# Some combinations are **held out**: never drawn for training, only for examination. All questions of this lesson are
# held out, in English, and taken as they come: the first of each kind, not the nicest.
#
# (Pictures: OpenMoji, openmoji.org, CC BY-SA 4.0; handwritten digits: scikit-learn.)


# %%
def new_samples(task, count, seed=600):
    """The first `count` held-out questions of a task in English."""
    world = PictureWorld(seed, "held_out", {task: 1.0})
    return list(islice((sample for sample in world if sample.facts.get("language") != "zh"), count))


first = new_samples("caption", 1)[0]
print("question:", first.question)
print("true answer:", first.answer)
plt.figure(figsize=(3, 1.6))
plt.imshow(first.images[0])
plt.title(f"{first.images[0].width} x {first.images[0].height} px")
plt.axis("off")
plt.show()

# %% [markdown]
# **Predict.** Before you ask: the model will be shown a flag, one thing, a handwritten number, a printed word, a scene,
# several equal things to count, a bar chart and a table. Which will it get right? And how many would it get right
# *without the pictures*? Write both guesses down.
#
# A conversation is a list of messages; each has a role and a content; the content is a list of **parts**, text or
# image, in the order in which the model reads them:
#
# `[{"role": "user", "content": [{"type": "image", "image": ...}, {"type": "text", "text": "What is this?"}]}]`
#
# @exercise 0.1
#
# Build the conversation for a question about any number of images. Images first, the question last. If there is more
# than one, a text part `Image 1:`, `Image 2:`, ... stands before each (with `label` instead of `Image`).


# %%
def question_turn(question, images, label="Image"):
    """A conversation of one user message: the images, numbered if there are several, then the question."""
    # BEGIN SOLUTION 0.1
    parts = []
    for number, image in enumerate(images, 1):
        if len(images) > 1:
            parts.append({"type": "text", "text": f"{label} {number}:"})
        parts.append({"type": "image", "image": image})
    parts.append({"type": "text", "text": question})
    return [{"role": "user", "content": parts}]
    # END SOLUTION


question_turn = check("0.1", question_turn)

# %% [markdown]
# Asking takes three steps: tensors in, `generate`, words out. `generate` runs the model, takes the likeliest next
# token, appends it, and repeats until the model writes the token that ends its turn. A **token** is a piece of text
# with a number; this small model knows about a thousand of them.


# %%
def reply(messages, begin="", room=128):
    """What the model writes after a conversation; `begin` is put into its mouth first."""
    batch = proc(messages, add_generation_prompt=True)
    if begin:
        ids = torch.tensor([proc.tokenizer.encode(begin)])
        batch["input_ids"] = torch.cat([batch["input_ids"], ids], dim=1)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    return begin + proc.decode(model.generate(**batch, max_new_tokens=room)[0])


def final(output):
    """The answer itself: what stands behind the model's thoughts, if it wrote any (more on them below)."""
    return output.rpartition(END_THINK)[2]


print("question:", first.question)
print("model:   ", reply(question_turn(first.question, first.images)))


# %% [hidden]
def sheet(images, gap=6):
    """Images beside each other on white, as one array."""
    out = np.full((max(i.height for i in images), sum(i.width + gap for i in images) - gap, 3), 255, np.uint8)
    left = 0
    for image in images:
        out[: image.height, left : left + image.width] = np.asarray(image)
        left += image.width + gap
    return out


def wrapped(text, width=26):
    """Text for a title: wrapped, and only characters that the font has."""
    plain = textwrap.shorten(text.encode("ascii", "replace").decode(), 2 * width, placeholder="...")
    return textwrap.fill(plain, width)


def show_images(ax, images, title, colour="black"):
    ax.imshow(sheet(images))
    ax.set_title(title, fontsize=9, color=colour)
    ax.axis("off")


tasks = ["flag", "group", "number", "word", "caption", "count", "chart", "table"]
gallery = [new_samples(task, 1, seed=606)[0] for task in tasks]
outputs = [reply(question_turn(sample.question, sample.images)) for sample in gallery]
fig, axes = plt.subplots(2, 4, figsize=(9, 4.6))
for ax, sample, output in zip(axes.flat, gallery, outputs, strict=True):
    show_images(ax, sample.images, f"{wrapped(sample.question)}\nmodel: {wrapped(final(output))}")
plt.show()

# %% [markdown]
# ## Right or wrong?
#
# Is `"page 3."` the answer `"page 3"`? To count, we need a rule, written down before we look. Ours is strict: the
# *whole* answer must be equal, after forgiving only what carries no meaning.
#
# @exercise 0.2
#
# Bring a text to its plain form: no blanks at the ends, a single blank wherever there are blanks or line breaks inside,
# and *one* closing full stop removed. Letters keep their case.


# %%
def normalise(text):
    """Without surrounding and repeated blanks and a closing full stop."""
    # BEGIN SOLUTION 0.2
    return " ".join(text.split()).removesuffix(".")
    # END SOLUTION


normalise = check("0.2", normalise)

# %%
for sample, output in zip(gallery, outputs, strict=True):
    answer = normalise(final(output))
    mark = "right" if answer == normalise(sample.answer) else f"wrong, it is: {sample.answer}"
    print(f"{sample.task:>8}: {answer:<36} {mark}")

# %% [markdown]
# ## Pointing
#
# A model that works a computer must say *where*. Kimi-VL writes clicks as words, in fractions of the screen: x from the
# left, y from the top. Here is the form:

# %%
CLICK = re.compile(r"click\((\d\.\d\d), (\d\.\d\d)\)")
screens = new_samples("click", 4)
clicks = [final(reply(question_turn(sample.question, sample.images))) for sample in screens]
print("\n".join(f"{sample.question:<46} model: {text}" for sample, text in zip(screens, clicks, strict=True)))

# %% [markdown]
# A click does something. So what the model writes is **untrusted**: it is taken only if it fits the form exactly, and
# never guessed at.
#
# @exercise 0.3
#
# Return the point in pixels, `(x, y)` as floats, for a picture of `width` × `height`. Raise a `ValueError` unless the
# *whole* (normalised) text is one click, and both fractions are at most 1.


# %%
def parse_click(text, width, height):
    """The point in px that "click(x, y)" names on a picture of width x height; ValueError for anything else."""
    # BEGIN SOLUTION 0.3
    match = CLICK.fullmatch(normalise(text))
    if match is None:
        raise ValueError(f"not a click: {text!r}")
    x, y = float(match[1]), float(match[2])
    if x > 1 or y > 1:
        raise ValueError(f"outside the picture: {text!r}")
    return x * width, y * height
    # END SOLUTION


parse_click = check("0.3", parse_click)

# %% [markdown]
# @exercise 0.4
#
# Did it hit? Say whether a point `(x, y)` lies in a box `(left, top, right, bottom)`. Edges belong to the box.


# %%
def inside(point, box):
    """Whether a point lies in the box (left, top, right, bottom), edges included."""
    # BEGIN SOLUTION 0.4
    left, top, right, bottom = box
    return left <= point[0] <= right and top <= point[1] <= bottom
    # END SOLUTION


inside = check("0.4", inside)


# %%
def pixel_box(sample):
    """The box of what is asked for, in px: the world keeps it in fractions."""
    width, height = sample.images[0].size
    left, top, right, bottom = sample.facts["box"]
    return left * width, top * height, right * width, bottom * height


fig, axes = plt.subplots(1, 4, figsize=(9, 2.8))
for ax, sample, text in zip(axes, screens, clicks, strict=True):
    box = left, top, right, bottom = pixel_box(sample)
    try:
        point = parse_click(text, *sample.images[0].size)
        verdict = "hit" if inside(point, box) else "missed"
    except ValueError:
        point, verdict = None, "refused: not a click"
    show_images(ax, sample.images, f"{wrapped(sample.question)}\n{verdict}")
    ax.add_patch(plt.Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color="C0", lw=2))
    if point:
        ax.plot(*point, "x", color="C3", ms=12, mew=3)
plt.show()

# %% [markdown]
# The box is the truth, the cross is the model's word for it. Any point in the box counts.
#
# ## A film, and a sum with steps
#
# A film is a few pictures in a row with `Frame 1:`, `Frame 2:`, ... between them. Nothing in the model is made for
# time: your function from exercise 0.1 is all it takes.

# %%
clip = new_samples("motion", 1)[0]
fig, axes = plt.subplots(1, 3, figsize=(6, 2.2))
for i, ax in enumerate(axes):
    show_images(ax, clip.images[i : i + 1], f"Frame {i + 1}")
plt.show()
print(clip.question, "model:", final(reply(question_turn(clip.question, clip.images, "Frame"))), "true:", clip.answer)

# %% [markdown]
# Some questions need steps. Kimi-VL-Thinking writes them between the marks ◁think▷ and ◁/think▷, then its answer
# (section 2.4 of the report), and ours does the same where it was taught to; so far we have only read what comes behind
# the second mark. Now read all of it. To be sure of a thought, write the first mark for the model and let it go on:

# %%
sums = new_samples("sum", 3, seed=601)
fig, axes = plt.subplots(1, 3, figsize=(8, 1.2))
for ax, sample in zip(axes, sums, strict=True):
    show_images(ax, sample.images, f"true: {sample.answer}")
    print(reply(question_turn(sample.question, sample.images), begin=THINK))
plt.show()

# %% [markdown]
# Read the steps: does the model misread the digits, or does it read well and calculate badly? A chain of thought lets
# you tell. Lesson 13 trains it; lesson 14 improves it by trial and error.
#
# ## What goes in
#
# Between picture and words stands a fixed exchange rate. A picture is cut into **patches** of 14 × 14 pixels; 2 × 2
# patches become one **image token**. So a token sees 28 × 28 pixels, and pictures are padded at the right and at the
# bottom until both sides are multiples of 28. By hand:

# %%
for width, height in [(56, 28), (57, 28), (84, 139)]:
    print(
        f"{width} x {height} px: {width / 28:.2f} x {height / 28:.2f} tokens, so it is padded to "
        f"{28 * math.ceil(width / 28)} x {28 * math.ceil(height / 28)} px"
    )

# %% [markdown]
# @exercise 0.5
#
# Return three integers: rows of patches, columns of patches (after padding), and image tokens. Mind the order: pictures
# are *width* × *height*, grids are *rows* × *columns*. (Real pictures above 4,096 patches are shrunk first; leave that
# to lesson 01.)


# %%
def image_grid(width, height):
    """Rows and columns of patches of a picture in px, padded to multiples of 28, and its image tokens."""
    # BEGIN SOLUTION 0.5
    rows, columns = 2 * math.ceil(height / 28), 2 * math.ceil(width / 28)
    return rows, columns, rows * columns // 4
    # END SOLUTION


image_grid = check("0.5", image_grid)

# %%
for name, size in {"this scene": first.images[0].size, "phone screen": (390, 844), "full HD": (1920, 1080)}.items():
    rows, columns, tokens = image_grid(*size)
    print(f"{name:>12}, {size[0]} x {size[1]} px: {rows} x {columns} patches, {tokens:,} tokens")

# %% [markdown]
# Now the whole input of our first question: the picture with its patches and tokens, and the row that the model reads.

# %% [hidden]
batch = proc(question_turn(first.question, first.images), add_generation_prompt=True)
ids = batch["input_ids"][0].tolist()
rows, columns, tokens = image_grid(*first.images[0].size)
padded = np.zeros((14 * rows, 14 * columns, 3), np.uint8)
padded[: first.images[0].height, : first.images[0].width] = np.asarray(first.images[0])
pad_id = model.config.media_placeholder_token_id
ordinary = proc.tokenizer.special_id("[BOS]")  # special tokens stand behind the ordinary ones
fig, axes = plt.subplots(2, 1, figsize=(9, 3.6), height_ratios=[1.5, 1])
axes[0].imshow(padded)
for k in range(0, 14 * columns + 1, 14):
    axes[0].axvline(k - 0.5, color="C1" if k % 28 == 0 else "white", lw=2 if k % 28 == 0 else 0.7)
for k in range(0, 14 * rows + 1, 14):
    axes[0].axhline(k - 0.5, color="C1" if k % 28 == 0 else "white", lw=2 if k % 28 == 0 else 0.7)
for k in range(tokens):
    x, y = k % (columns // 2) * 28 + 4, k // (columns // 2) * 28 + 8
    axes[0].text(x, y, str(k + 1), ha="center", va="center", bbox={"fc": "C1", "ec": "none", "pad": 1.5}, fontsize=8)
axes[0].set(title="Patches (white) and image tokens (orange); black is padding")
seen = 0
for k, i in enumerate(ids):
    seen += i == pad_id
    colour = "C1" if i == pad_id else "C7" if i >= ordinary else "C0"
    axes[1].add_patch(plt.Rectangle((k, 0), 0.9, 1, color=colour))
    word = str(seen) if i == pad_id else proc.decode([i], skip_special_tokens=False)
    axes[1].text(k + 0.45, -0.2, word, rotation=60, ha="right", va="top", fontsize=7, rotation_mode="anchor")
axes[1].set(xlim=(0, len(ids)), ylim=(-3.2, 1), title="The row: image tokens, special tokens (grey), words (blue)")
for ax in axes:
    ax.axis("off")
plt.show()

# %%
features = model.image_features(batch["pixel_values"], batch["image_grid_hws"])
logits = model(**batch).logits
for name, tensor in [*batch.items(), ("image features", features), ("logits", logits)]:
    print(f"{name:>15} {tuple(tensor.shape)!s:<18} {str(tensor.dtype).removeprefix('torch.')}")

# %% [markdown]
# `pixel_values` are the patches, `image_grid_hws` rows and columns for each picture. In `input_ids` the picture is only
# a row of place holders, `<|media_pad|>`. The model computes one vector for each image token (the *image features*),
# puts them into these places, and from there on a picture is words like any other. The **logits** are scores of every
# token as the next one, at every position.
#
# ## The map
#
# Here is that path, with the lesson that builds each piece:

# %% [hidden]
P, N = len(batch["pixel_values"]), len(features)
T, V = logits.shape[1:]
depth = model.config.text_config.num_hidden_layers
BLUE, GREY, GREEN = "C0", "C7", "C2"
boxes = [  # column, row, text, lessons, colour
    (0, 2, "picture", "", GREY),
    (1, 2, f"patches\n{P} x 3 x 14 x 14", "01", BLUE),
    (2, 2, "MoonViT:\nplaces, layers", "02  03", BLUE),
    (3, 2, f"2 x 2 merge,\nprojector\n{N} x {features.shape[1]}", "04", BLUE),
    (0, 1, "question", "", GREY),
    (1, 1, "chat template,\ntokenizer", "09", BLUE),
    (3, 1, f"one row of\n{T} tokens", "07", BLUE),
    (4, 1, f"{depth} layers of\nattention\nand experts", "05  06", BLUE),
    (5, 1, f"logits\n{T} x {V:,}", "07", BLUE),
    (6, 1, "answer", "", GREY),
    *((i, 0, *box, GREEN) for i, box in enumerate([
        ("optimizer\nMuon", "08"), ("learning\nto see", "10"), ("pictures\nand words", "11"), ("long texts", "12"),
        ("talk, think,\nbe right", "13  14"), ("measure it", "15"), ("GPU kernels,\nto 16B", "16  17"),
    ])),
]  # fmt: skip
fig, ax = plt.subplots(figsize=(9, 4.2))
for x, y, text, lessons, colour in boxes:
    ax.add_patch(plt.Rectangle((x - 0.41, y - 0.27), 0.82, 0.54, fc="white", ec=colour, lw=1.6))
    ax.text(x, y, text, ha="center", va="center", fontsize=8)
    ax.text(x, y + 0.36, lessons, ha="center", va="center", fontsize=10, weight="bold", color=colour)
for a, b, y in [(0, 1, 2), (1, 2, 2), (2, 3, 2), (0, 1, 1), (1, 3, 1), (3, 4, 1), (4, 5, 1), (5, 6, 1)]:
    ax.annotate("", (b - 0.42, y), (a + 0.42, y), arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0})
ax.annotate("", (3.25, 1.28), (3.25, 1.72), arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0})
ax.text(-0.5, 0.55, "how it learns, and grows:", color=GREEN, weight="bold", fontsize=9)
ax.set(xlim=(-0.55, 6.5), ylim=(-0.4, 2.6), title="From picture to answer, with the lessons that build each part")
ax.axis("off")
plt.show()

# %% [markdown]
# | lesson | question it answers |
# |---|---|
# | 01 patches, packing | How do pictures of any size travel in one tensor? |
# | 02 2-D RoPE | How does a patch know where it is? |
# | 03 MoonViT | How do patches look at each other? |
# | 04 projector | How do four patches become one word? |
# | 05 latent attention | How does the model remember a long row cheaply? |
# | 06 experts | How can 16 billion parameters cost like 3? |
# | 07 Kimi-VL | How do the parts become one model? |
# | 08 Muon | How is it optimised? |
# | 09 to 11 | What data, and in which order: seeing, aligning, joining? |
# | 12 | How does it come to read 128,000 tokens? |
# | 13, 14 | How does it learn to converse, to think, to be right? |
# | 15 | How do we know? |
# | 16, 17 | How does it become fast, and large? |
#
# Lessons 00 to 08 build the model; where your copy lacks a later one, it is not written yet.
#
# ## Does it look at the picture?
#
# A model may answer well without looking: most bananas are yellow. So examine it twice, the second time blindfolded.
#
# @exercise 0.6
#
# Return the conversation without its image parts. Everything else stays, labels too. A content can also be a plain
# string. Do not change the messages you were given: they are needed again.


# %%
def without_pictures(messages):
    """The same conversation without its image parts; the messages given are left as they are."""
    # BEGIN SOLUTION 0.6
    blind = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [part for part in content if part["type"] != "image"]
        blind.append({**message, "content": content})
    return blind
    # END SOLUTION


without_pictures = check("0.6", without_pictures)

# %% [markdown]
# What the model expects as the *first* token of its answer, with the picture and without:

# %%
reading = new_samples("number", 1, seed=602)[0]
shown = question_turn(reading.question, reading.images)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.4), width_ratios=[1, 1.2, 1.2])
show_images(axes[0], reading.images, reading.question)
for ax, messages, name in zip(axes[1:], (shown, without_pictures(shown)), ("with", "without"), strict=True):
    chances, best = model(**proc(messages, add_generation_prompt=True)).logits[0, -1].softmax(-1).topk(6)
    ax.bar(range(6), chances, color="C0" if name == "with" else "C7")
    ax.set(title=f"{name} the picture", xlabel="next token", ylim=(0, 1.05), xticks=range(6))
    names = [proc.decode([i], skip_special_tokens=False).strip("<|> ") or "blank" for i in best.tolist()]
    ax.set_xticklabels([wrapped(text) for text in names], rotation=30)
axes[1].set_ylabel("probability")
plt.show()

# %% [markdown]
# ## A loop, then a batch
#
# One question at a time is a loop. The processor also takes a list of conversations: shorter ones are padded on the
# *left*, so that all rows end together and `generate` continues every row at once.


# %%
def reply_all(conversations, room=128):
    """The model's answers to many conversations, computed together."""
    return proc.decode(model.generate(**proc(conversations, add_generation_prompt=True), max_new_tokens=room))


numbers = [question_turn(sample.question, sample.images) for sample in new_samples("number", 12, seed=603)]
together, one_by_one = reply_all(numbers), [reply(messages) for messages in numbers]
agree = sum(a == b for a, b in zip(together, one_by_one, strict=True))
assert agree >= 10, "padding must not change what a conversation means"
print("one by one or together: the same answers")

# %% [markdown]
# ## The measurement
#
# A score of 60 questions is itself an accident: other questions, another score. How wide is the accident? The
# **bootstrap** answers without asking anything new: draw as many answers from our own, *with* replacement, score them,
# and repeat. By hand, for five answers:

# %%
right = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0])
for pick in torch.randint(5, (4, 5), generator=torch.Generator().manual_seed(0)):
    print(f"draw {pick.tolist()}: answers {right[pick].int().tolist()}, score {right[pick].mean():.1f}")

# %% [markdown]
# @exercise 0.7
#
# `right` holds 1 or 0 for each of n answers, `picks` (draws, n) their drawn numbers. Return the share of right answers,
# and the 2.5 % and 97.5 % quantiles of the drawn scores: a 95 % interval.


# %%
def mean_interval(right, picks):
    """Share of right answers (n,) and the ends of its 95 % interval over resamples `picks` (draws, n)."""
    # BEGIN SOLUTION 0.7
    means = right[picks].mean(dim=1)
    low, high = means.quantile(torch.tensor([0.025, 0.975]))
    return right.mean(), low, high
    # END SOLUTION


mean_interval = check("0.7", mean_interval)


# %%
LABELS = {"motion": "Frame", "order": "Frame", "pages": "Page"}


def is_right(sample, output):
    """Exact match of what follows the thinking, if there is any; a click must hit the box."""
    answer = normalise(final(output))
    if sample.task != "click":
        return answer == normalise(sample.answer)
    try:
        return inside(parse_click(answer, *sample.images[0].size), pixel_box(sample))
    except ValueError:
        return False


def grade(samples, change=lambda messages: messages):
    """1 for each right answer, 0 for each wrong one, and the outputs."""
    turns = [change(question_turn(s.question, s.images, LABELS.get(s.task, "Image"))) for s in samples]
    outputs = reply_all(turns)
    return torch.tensor([float(is_right(s, o)) for s, o in zip(samples, outputs, strict=True)]), outputs


easy = ["flag", "group", "caption", "number", "word"]
questions = [sample for task in easy for sample in new_samples(task, 12, seed=604)]
picks = torch.randint(len(questions), (1000, len(questions)), generator=torch.Generator().manual_seed(1))
seeing, blind = grade(questions)[0], grade(questions, without_pictures)[0]
scores = {"seeing": mean_interval(seeing, picks), "blind": mean_interval(blind, picks)}
for name, (mean, low, high) in scores.items():
    low, high = 100 * low, 100 * high
    print(f"{name:>6}: {100 * mean:.0f} % of {len(questions)} right, 95 % interval {low:.0f} to {high:.0f} %")

# %%
fig, ax = plt.subplots(figsize=(8, 2.8))
for i, (name, values) in enumerate({"seeing": seeing, "blind": blind}.items()):
    mean, low, high = (100 * float(number) for number in scores[name])
    places = torch.arange(6) + 0.4 * i
    ax.bar(places, [*(100 * values.reshape(5, 12).mean(dim=1)), mean], width=0.36, color=["C0", "C7"][i], label=name)
    ax.errorbar(places[-1], mean, [[mean - low], [high - mean]], color="black", capsize=4)
ax.set(title="The same questions with and without their pictures", ylabel="right answers, %", ylim=(0, 105))
ax.set_xticks(torch.arange(6) + 0.2, [*easy, "all"])
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
assert seeing.mean() - blind.mean() >= 0.3, "a model that looks must beat itself blindfolded by far"

# %% [markdown]
# The black line is the interval for all 60 questions. Where the two intervals do not touch, the difference is no
# accident: this model looks. Compare with your guess.
#
# ## What it gets wrong
#
# Now the harder tasks, and no mercy. Twelve questions each:

# %%
harder = ["where", "count", "click", "chart", "sum", "table", "receipt", "motion", "order", "compare", "pages"]
results = {task: [] for task in harder}
for task in harder:
    samples = new_samples(task, 12, seed=605)
    results[task] = list(zip(samples, *grade(samples), strict=True))
share = {task: sum(float(ok) for _, ok, _ in rows) / len(rows) for task, rows in results.items()}
ranked = sorted(harder, key=lambda task: -share[task])
fig, ax = plt.subplots(figsize=(8, 2.6))
ax.bar(ranked, [100 * share[task] for task in ranked], color="C0")
ax.set(title="Harder tasks: held-out questions answered exactly right", ylabel="right answers, %", ylim=(0, 105))
ax.tick_params(axis="x", rotation=30)
plt.show()

# %% [markdown]
# And the first failures, from the weakest task on:

# %% [hidden]
failures = [next((row for row in results[task] if not row[1]), None) for task in reversed(ranked)]
failures = [row for row in failures if row][:6]
fig, axes = plt.subplots(2, 3, figsize=(9, 4.8))
for ax in axes.flat:
    ax.axis("off")
for ax, (sample, _, output) in zip(axes.flat, failures, strict=False):
    text = f"{wrapped(sample.question, 34)}\nmodel: {wrapped(final(output))}\ntrue: {wrapped(sample.answer)}"
    show_images(ax, sample.images, text)
plt.show()

# %% [markdown]
# For each failure ask three questions, in this order. Did it **see** wrongly (take one thing for another)? Did it see
# well but look at the **wrong place**? Or did it find everything and **conclude** wrongly? The first is a matter of
# lessons 01 to 04 and 10, the second of 05 and 11, the third of 13 and 14.
#
# An honest report shows such pictures beside its scores. It also says what a score does *not* cover: this model has
# never seen a photograph, and would answer about one just as confidently.
#
# ## Same as the library
#
# Everything you wrote has a counterpart in `minikimi`. Sizes up to 300 px, all questions and outputs from above:

# %%
sizes = [(w, h) for w in range(1, 300, 7) for h in range(1, 300, 5)]
assert all(proc.image_processor.grid(*size) == image_grid(*size)[:2] for size in sizes)
grids = torch.tensor([image_grid(*size)[:2] for size in sizes])
assert proc.image_processor.tokens(grids) == [image_grid(*size)[2] for size in sizes]
for sample in (first, clip, results["pages"][0][0]):
    mine = question_turn(sample.question, sample.images, LABELS.get(sample.task, "Image"))
    theirs = forms.ask_turns(forms.hide_images(sample))
    assert torch.equal(proc(mine)["input_ids"], proc(sample.messages[:-1], sample.images)["input_ids"])
    assert torch.equal(proc(without_pictures(mine))["input_ids"], proc(theirs)["input_ids"])
for sample, text in zip(screens, clicks, strict=True):
    if CLICK.fullmatch(normalise(text)):
        assert is_right(sample, text) == answers.point_in_box(text, sample.facts["box"]).right
assert all(normalise(text) == answers.normalise(text) for text in outputs)
drawn = torch.tensor(np.random.default_rng(0).integers(0, len(seeing), (1000, len(seeing))))
assert np.allclose(mean_interval(seeing, drawn)[1:], statistics.bootstrap([seeing]), atol=1e-6)
print("the same: messages, plain form, grids, blindfold, clicks, interval")

# %% [markdown]
# ## What it costs at 16B
#
# The shipped model and Kimi-VL-A3B are the same code with other numbers. To count the large one we build it on the
# **meta device**: tensors with shapes but without memory.
#
# One number needs thought. The decoder's layers hold many **experts**, small networks of which each token visits only a
# few (lesson 06). So a token uses fewer parameters than the model holds.
#
# @exercise 0.8
#
# `text` is the decoder's config, `total` all parameters of the model. Return those in use for one token: all, less the
# routed experts that rest. A layer with experts has `n_routed_experts`, a token visits `num_experts_per_tok`; the first
# `first_k_dense_replace` layers have none; an expert is three matrices of `hidden_size` × `moe_intermediate_size`.


# %%
def used_parameters(text, total):
    """Of `total` parameters, those that one token passes through: all but the routed experts it is not sent to."""
    # BEGIN SOLUTION 0.8
    layers = text.num_hidden_layers - text.first_k_dense_replace
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    idle = layers * (text.n_routed_experts - text.num_experts_per_tok) * expert
    return total - idle
    # END SOLUTION


used_parameters = check("0.8", used_parameters)

# %%
big = KimiVL.from_preset("kimi-vl-a3b", device="meta")


def in_numbers(m):
    """What a model is, in numbers."""
    vision, text = m.config.vision_config, m.config.text_config
    total = sum(tensor.numel() for tensor in m.state_dict().values())
    seen = sum(tensor.numel() for tensor in m.vision_tower.state_dict().values())
    used = used_parameters(text, total) - seen
    return {
        "vision tower: layers x width": f"{vision.num_hidden_layers} x {vision.hidden_size}",
        "decoder: layers x width": f"{text.num_hidden_layers} x {text.hidden_size}",
        "experts: used of all, a layer": f"{text.num_experts_per_tok} of {text.n_routed_experts}",
        "tokens it knows": f"{text.vocab_size:,}",
        "longest row of tokens": f"{text.max_position_embeddings:,}",
        "parameters": f"{total:,}",
        "without the vision tower, used by a token": f"{used:,}",
        "memory in bfloat16, MiB": f"{2 * total / 2**20:,.1f}",
        "GFLOP a token, about 2 a parameter used": f"{2 * used / 1e9:,.3f}",
    }


print(f"{'':<42}{'shipped':>14}{'Kimi-VL-A3B':>20}")
for (name, mine), theirs in zip(in_numbers(model).items(), in_numbers(big).values(), strict=True):
    print(f"{name:<42}{mine:>14}{theirs:>20}")
assert sum(tensor.numel() for tensor in big.state_dict().values()) == 16_407_656_048
for m in (model, big):
    total = sum(p.numel() for p in m.parameters())
    assert used_parameters(m.config.text_config, total) == facts.active_parameters(m)

# %% [markdown]
# The report calls it 2.8 billion activated parameters in the decoder (section 2.1) and does not say which are counted;
# ours include the tables that turn tokens into vectors and back, and the projector. Memory is paid for all experts,
# arithmetic only for those in use.
#
# ## Takeaways
#
# * Pictures and words travel in one row of tokens; a token of a picture is 28 × 28 pixels.
# * A score needs a rule, an interval, and the blindfold beside it. Only what lies above *blind* is seeing.
# * What a model writes is untrusted: parse it strictly, refuse the rest.
# * Failures have kinds: seen wrongly, looked at the wrong place, concluded wrongly.
# * The 16B model is this model with larger numbers.
#
# ## Stretch
#
# 1. Turn a picture of a number upside down (`image.rotate(180)`), or put black paper around it. What does the model
#    answer, and how sure is it (look at the first token's probabilities)?
# 2. Ask in words that were never in the training questions ("Tell me the digits, please."). Did it learn to see, or
#    to answer a handful of sentences?
# 3. Draw a scene of your own with PIL at 28 pixels a cell, then shift everything by 14 pixels. What happens, and which
#    lesson explains it?

# %%
progress()

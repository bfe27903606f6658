"""What the tests of the picture world share: samples of one task, and what can be checked of any drawing."""

import itertools
import re

import numpy as np
import pytest
from PIL import Image

from minikimi.processor.processor import Processor
from minikimi.world import PictureWorld, art
from minikimi.world.canvas import Canvas
from minikimi.world.glyphs import printed
from minikimi.world.vocabulary import BACKGROUNDS, NAMES

SPLITS = ["train", "held_out"]
BOTH_SPLITS = pytest.mark.parametrize("split", SPLITS)
NEVER = "Not answerable"
TERMS = r"\d+(?: [+-] \d+)+"


def samples(task, split="train", n=60, seed=3):
    world = PictureWorld(seed, split, {task: 1.0})
    return [world[i] for i in range(n)]


# What the pixels show


def repainted(size, background, placements):
    """A sheet painted from the placements alone."""
    canvas = Canvas.blank(np.random.default_rng(0), size, background)
    for placement in placements:
        left, top, right, bottom = placement["box"]
        drawn = art.picture(placement["name"], max(right - left, bottom - top))
        canvas.image.paste(drawn, (left, top), drawn)
    return canvas.image


def check_placements(sample):
    """The image shows what its placements say and nothing else; they lie inside and never overlap."""
    (image,), facts = sample.images, sample.facts
    assert repainted(image.size, facts["background"], facts["placements"]).tobytes() == image.tobytes(), sample.id
    ink = np.zeros(image.size, dtype=int)
    for placement in facts["placements"]:
        left, top, right, bottom = placement["box"]
        assert 0 <= left < right <= image.width and 0 <= top < bottom <= image.height
        ink[left:right, top:bottom] += 1
    assert ink.max() == 1, sample.id


def pasted(mask, background, inks):
    """All the cells of 28 px that `mask` can give: every ink, up to 2 px from the middle."""
    left, top = ((28 - side) // 2 for side in mask.size)
    for ink, dx, dy in itertools.product(inks, range(-2, 3), range(-2, 3)):
        cell = Image.new("RGB", (28, 28), BACKGROUNDS[background])
        cell.paste(ink, (left + dx, top + dy), mask)
        yield cell.tobytes()


def printed_by(image, placement, background):
    """Whether the letters of `placement` stand in cells of 28 px from the left, and nothing beside them."""
    for i, letter in enumerate(placement["text"]):
        mask = printed(letter, placement["font"], placement["size"])
        cell = image.crop((28 * i, 0, 28 * i + 28, 28)).tobytes()
        if cell not in pasted(mask, background, [placement["ink"]]):
            return False
    return image.size == (28 * len(placement["text"]), 28)


def check_sheets(sample):
    """Every image shows what its placements say and nothing else; a numbered label stands before each. Returns the
    question."""
    assert len(sample.images) == len(sample.facts["frames"])
    sheets = zip(sample.images, sample.facts["frames"], sample.facts["backgrounds"], strict=True)
    for image, placements, background in sheets:
        if placements and "text" in placements[0]:
            assert len(placements) == 1 and printed_by(image, placements[0], background)
            continue
        assert repainted(image.size, background, placements).tobytes() == image.tobytes(), sample.id
    parts = sample.messages[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image"] * len(sample.images) + ["text"]
    labels = [part["text"].split() for part in parts[:-1] if part["type"] == "text"]
    assert [label[1] for label in labels] == [f"{i}:" for i in range(1, len(labels) + 1)]
    assert len({label[0] for label in labels}) == 1
    return parts[-1]["text"]


def cell(box):
    """(row, column) of the cell of 28 px in which a box in px lies."""
    return (box[1] + box[3]) // 2 // 28, (box[0] + box[2]) // 2 // 28


def place(size, box):
    """The place of a box in words, from how many cells a sheet of `size` px has in each direction."""
    (row, column), (width, height) = cell(box), (side // 28 for side in size)
    if height == 2:
        return ("top", "bottom")[row] + (" left", " right")[column]
    return {2: ("left", "right"), 3: ("left", "middle", "right")}[width][column]


def frames(sample):
    """What each image shows: names and printed codes."""
    return [[p.get("name", p.get("text")) for p in frame] for frame in sample.facts["frames"]]


def numbered(sample):
    """(thing, number of its image) of all things; first the one that is asked for."""
    pairs = [(name, number) for number, names in enumerate(frames(sample), 1) for name in names]
    asked = (sample.facts["target"], sample.facts["number"])
    return [asked, *(pair for pair in pairs if pair != asked)]


# What the words say


def named(text, names=NAMES):
    """The names in a text, as whole words: `car` does not stand in `carrot`."""
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]


def value(terms):
    """`4 - 1 - 1` -> 2, without eval and without the code under test."""
    return sum(int(term) for term in terms.replace("+ ", "+").replace("- ", "-").split())


def check_steps(solution, answer):
    """Every equation holds, every borrow is needed, every carry is one, and the answer stands at the end."""
    for left, right in re.findall(rf"({TERMS}) = (-?\d+)", solution):
        assert value(left) == int(right), solution
    assert len(re.findall("=", solution)) == len(re.findall(rf"{TERMS} = \d+", solution)), solution
    assert solution.rsplit(". ", 1)[1] == answer, solution


def families(text):
    """All (smaller addend, larger addend) of equations in a text, whichever way they are turned."""
    for a, sign, b in re.findall(r"(?<![+-] )\b(\d+) ([+-]) (\d+)\b(?! [+-])", text):
        addends = (int(a), int(b)) if sign == "+" else (int(a) - int(b), int(b))
        yield tuple(sorted(addends))


def solved(task, split, kind="", count=150):
    """Samples that have worked steps, with these cut at full stops that end a sentence.

    Steps of looking a thing up go: everything in order first, what is asked for first in each part; then the part that
    is asked for again; then the answer. A small language model learns to look up what stands after a word it has read,
    and hardly what stood before it.
    """
    drawn = samples(task, split, count, seed=4)
    kept = [(s, s.solution.split(". ")) for s in drawn if s.solution and s.kind.startswith(kind)]
    assert len(kept) > count // 10
    assert all(steps[-1] == sample.answer for sample, steps in kept)
    return kept


def check_budget(task, low, high, n=60):
    """Tokens of a sample in the chat form of the small tokenizer, in both splits."""
    processor = Processor.small()
    drawn = [sample for split in SPLITS for sample in samples(task, split, n)]
    lengths = [len(processor.encode(sample.messages, sample.images).input_ids) for sample in drawn]
    assert low < min(lengths) and max(lengths) <= high, (min(lengths), max(lengths))


# Further questions, and what is new


def check_further(task, derived, subject=lambda sample, question: tuple(named(question)) or question, n=150):
    """Further questions follow from the drawing, teach nothing that is held out, and none asks again what was asked:
    with the answer to the first question in view, a repeated one would teach copying.

    derived(sample, question) -> (answer, whether it is held out). subject(sample, question): what it is about.
    """
    count = 0
    for sample in samples(task, n=n):
        for question, answer in sample.more:
            assert derived(sample, question) == (answer, False), (sample.id, question)
            count += 1
        subjects = [subject(sample, question) for question in [sample.question, *dict(sample.more)]]
        assert len(set(subjects)) == len(sample.more) + 1, (sample.id, subjects)
        assert sample.messages[-1]["content"] == sample.answer, "the answer under test is the first one"
    assert count > 40


def check_new(task, combinations, n=2000, known=True):
    """What a held-out sample asks about is never trained; if `known`, all its parts are.

    combinations(sample): what it could teach, first what it asks for.
    """
    taught = {pair for seed in (0, 1) for s in samples(task, "train", n // 2, seed) for pair in combinations(s)}
    asked = {combinations(sample)[0] for sample in samples(task, "held_out", min(n, 400), seed=1)}
    assert not taught & asked
    parts = {part for pair in taught for part in pair}
    assert not known or all(part in parts for pair in asked for part in pair)

"""Further questions about the same images: re-derived from the drawing, only in training, never about what is held out.

The drawing itself is checked against the pixels in the tests of each task; here it is read from the placements.
"""

import re

import pytest

from minikimi.world import TASKS, PictureWorld, holdout
from minikimi.world.vocabulary import BARS, NAMES

ASKED_ON = ["where", "click", "chart", "table", "receipt", "pages", "pages_long", "compare"]
NEVER = "Not answerable"


def samples(task, split="train", n=150):
    world = PictureWorld(3, split, {task: 1})
    return [world[i] for i in range(n)]


def named(question, names=NAMES):
    """The names in a question, as whole words: `car` does not stand in `carrot`."""
    return [name for name in names if re.search(rf"\b{name}\b", question)]


def cell(box):
    """(row, column) of a box in px."""
    return (box[1] + box[3]) // 2 // 28, (box[0] + box[2]) // 2 // 28


def place(sample, box):
    """The place of a box in words, from how many cells the sheet has in each direction."""
    (row, column), (width, height) = cell(box), (side // 28 for side in sample.images[0].size)
    if height == 2:
        return ("top", "bottom")[row] + (" left", " right")[column]
    return {2: ("left", "right"), 3: ("left", "middle", "right")}[width][column]


def frames(sample):
    """What each image shows: names and printed codes."""
    return [[p.get("name", p.get("text")) for p in frame] for frame in sample.facts["frames"]]


def where(sample, question):
    places = {p["name"]: place(sample, p["box"]) for p in sample.facts["placements"]}
    for name in named(question):
        return places[name], holdout.place_held_out(name, places[name])
    (asked,) = [p for p in places.values() if question.rstrip("?.").endswith(f"at the {p}")]
    name = next(name for name, p in places.items() if p == asked)
    return name, holdout.place_held_out(name, asked)


def click(sample, question):
    (name,), (width, height) = named(question), sample.images[0].size
    (box,) = [p["box"] for p in sample.facts["placements"] if p["name"] == name]
    x, y = (box[0] / width + box[2] / width) / 2, (box[1] / height + box[3] / height) / 2
    return f"click({x:.2f}, {y:.2f})", holdout.cell_held_out(name, *cell(box))


def chart(sample, question):
    """The height of the bar in px, at 9 px a unit."""
    (colour,) = named(question, BARS)
    (box,) = [p["box"] for p in sample.facts["placements"] if p["name"] == colour]
    value = (box[3] - box[1]) // 9
    return str(value), holdout.bar_held_out(colour, value)


def table(sample, question):
    row, column = int(re.search(r"row (\d)", question)[1]), re.search(r"column ([A-C])", question)[1]
    grid = sample.facts["grid"]
    (line,) = [line for line in grid if line[0] == str(row)]
    glyph = line[grid[0].index(column)]
    return glyph, holdout.glyph_held_out(glyph, row, grid[0].index(column))


def receipt(sample, question):
    (name,) = named(question)
    row = next(cell(p["box"])[0] for p in sample.facts["placements"] if p["name"] == name)
    price = list(sample.facts["lines"].values())[row]
    return str(price), holdout.price_held_out(name, price)


def pages(sample, question):
    contents = [content for (content,) in frames(sample)]
    if number := re.search(r"\d+", question):
        at = int(number[0])
        if at > len(contents):
            return NEVER, False
        answer = thing = contents[at - 1]
    else:
        (thing,) = named(question) or re.findall(r"\b[A-Z]{2}\b", question)
        at = contents.index(thing) + 1 if thing in contents else 0
        answer = f"page {at}" if at else NEVER
    if thing in NAMES:
        return answer, bool(at) and holdout.ordinal_held_out(thing, at)
    return answer, holdout.text_held_out(thing)


def compare(sample, question):
    (name,) = named(question)
    (at,) = [i for i, names in enumerate(frames(sample), 1) if name in names]
    return f"image {at}", holdout.ordinal_held_out(name, at)


DERIVED = {"where": where, "click": click, "chart": chart, "table": table, "receipt": receipt}
DERIVED |= {"pages": pages, "pages_long": pages, "compare": compare}


@pytest.mark.parametrize("task", ASKED_ON)
def test_they_follow_from_the_drawing_and_teach_nothing_held_out(task):
    count = 0
    for sample in samples(task, n=20 if task == "pages_long" else 150):
        for question, answer in sample.more:
            expected, held_out = DERIVED[task](sample, question)
            assert answer == expected, (sample.id, question)
            assert not held_out, (sample.id, question)
            count += 1
    assert count > 40


@pytest.mark.parametrize("task", ASKED_ON)
def test_none_asks_again_what_was_asked(task):
    # With the answer to the first question in view, a repeated one would teach copying.
    for sample in samples(task, n=20 if task == "pages_long" else 150):
        answers = dict(sample.more)
        if task == "table":
            cells = [re.findall(r"row (\d)|column ([A-C])", q) for q in [sample.question, *answers]]
            assert len({tuple(sorted(c)) for c in cells}) == len(sample.more) + 1
        elif task.startswith("pages"):
            first = DERIVED[task](sample, sample.question)[0]
            assert all(q != sample.question or first == NEVER for q in answers)
        else:
            subjects = [tuple(named(q, [*NAMES, *BARS])) or q for q in [sample.question, *answers]]
            assert len(set(subjects)) == len(subjects), (sample.id, subjects)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "needle_2048"])
def test_there_are_none_in_the_held_out_split(task):
    assert not any(sample.more for sample in samples(task, "held_out", 12))


@pytest.mark.parametrize("task", ASKED_ON)
def test_they_do_not_change_what_the_first_question_is(task):
    # The answer under test is the first one: the rest are turns behind it, and `question` still names the first.
    for sample in samples(task, n=20):
        assert [m["role"] for m in sample.messages] == ["user", "assistant"]
        assert sample.messages[-1]["content"] == sample.answer
        if task == "pages":
            assert pages(sample, sample.question)[0] == sample.answer

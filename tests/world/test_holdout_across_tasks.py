"""What is held out in one task no other task shows or tells in training: all tasks in one pool, rule by rule.

A combination is read from what was drawn (facts, sizes) and from all words of a sample: question, answer, caption, what
each image is told to show, worked steps, further questions.
"""

import re
from collections import Counter, defaultdict

import pytest

from minikimi.world import TASKS, PictureWorld, holdout, tasks_of
from minikimi.world.vocabulary import COUNTRIES, NAMES, PLACES, plural

pytestmark = pytest.mark.slow  # together, for the pool of all tasks

LONG = dict.fromkeys(tasks_of("long"), 60) | {"needle_2048": 20}
SINGULAR = {plural(name): name for name in NAMES} | {name: name for name in NAMES}
RULES = {
    "place": holdout.place_held_out,
    "count": holdout.count_held_out,
    "background": holdout.background_held_out,
    "text": holdout.text_unseen,
    "digit": holdout.digit_held_out,
    "resolution": holdout.resolution_held_out,
    "cell": holdout.cell_held_out,
    "direction": holdout.direction_held_out,
    "ordinal": holdout.ordinal_held_out,
    "pair": holdout.pair_held_out,
    "sum": holdout.sum_unseen,
    "bar": holdout.bar_held_out,
    "glyph": holdout.glyph_held_out,
    "price": holdout.price_held_out,
}


def samples(split, n, seeds):
    for task in TASKS:
        for seed in seeds:
            world = PictureWorld(seed, split, {task: 1})
            yield from (world[i] for i in range(min(n, LONG.get(task, n))))


def words(sample):
    """Everything that can be read of a sample."""
    parts = [sample.question, sample.answer, sample.caption, sample.solution, *sample.told]
    return "\n".join([*parts, *(text for turn in sample.more for text in turn)])


def drawn(sample):
    """(rule, combination) of all that the images show, from the facts."""
    facts, kind = sample.facts, sample.facts.get("kind", sample.task).removeprefix("story.").split(".")[0]
    frames = facts.get("frames", [facts.get("placements", [])])
    backgrounds = facts.get("backgrounds", [facts.get("background")])
    for placements, background in zip(frames, backgrounds, strict=True):
        if len(placements) == 1 and placements[0].get("name") in NAMES + COUNTRIES:
            yield "background", (placements[0]["name"], background)
    for image in sample.images:
        yield "resolution", image.size
    for index in facts.get("digit_indices", []):
        yield "digit", (index,)
    if kind == "count":
        yield from (("count", pair) for pair in Counter(p["name"] for p in facts["placements"]).items())
    if kind in ("click", "desktop"):  # a cell is 28 px
        boxes = {p["name"]: [(p["box"][i] + p["box"][i + 2]) // 56 for i in (1, 0)] for p in facts["placements"]}
        yield from (("cell", (name, *cell)) for name, cell in boxes.items())
    if "frames" in facts and kind != "motion":
        for number, placements in enumerate(frames, 1):
            yield from (("ordinal", (p["name"], number)) for p in placements if "name" in p)
    if sample.kind == "glyph.character":
        yield "text", (facts["name"],)
    yield from listed(facts)


def listed(facts):
    """(rule, combination) of all that the facts list under a name that tells its rule, whatever the task."""
    yield from (("place", (name, place)) for place, name in facts.get("things", {}).items())
    yield from (("bar", pair) for pair in facts.get("bars", {}).items())
    yield from (("price", pair) for pair in facts.get("lines", {}).items())
    if "direction" in facts:
        yield "direction", (facts["name"], facts["direction"])
    for r, line in enumerate(facts.get("grid", [])[1:], 1):
        yield from (("glyph", (glyph, r, c)) for c, glyph in enumerate(line[1:], 1))
    written = [facts[key] for key in ("a", "b", "value") if key in facts]
    yield from (("text", (str(each),)) for each in [*written, *facts.get("lines", {}).values()])


NAME, PLACE = "|".join(sorted(SINGULAR, key=len, reverse=True)), "|".join(sorted(PLACES, key=len, reverse=True))
NUMBERED = "page|image|frame"


def told(sample):
    """(rule, combination) of all that the words say, in the forms that any task has."""
    text = words(sample)
    for name, place in re.findall(rf"\b({NAME}) (?:is )?at (?:the )?({PLACE})\b", text):
        yield "place", (name, place)
    tallies = text if "drawn" in text else sample.caption if sample.task == "count" else ""
    for count, name in re.findall(rf"\b([1-6]) ({NAME})\b", tallies):
        yield "count", (SINGULAR[name], int(count))
    for number, listed in re.findall(rf"\b(?:{NUMBERED}) (\d+): ((?:(?:{NAME})\b(?:, )?)+)", text):
        yield from (("ordinal", (name, int(number))) for name in listed.rstrip(", ").split(", "))
    for name, number in re.findall(rf"\b({NAME}) (?:on|in) (?:{NUMBERED}) (\d+)", text):
        yield "ordinal", (name, int(number))
    for name, direction in re.findall(rf"\b({NAME}) moves (\w+)", text):
        yield "direction", (name, direction)
    for app, goal in re.findall(r"open the (\w+)(?:, then press the| and type) (\w+)", text):
        yield "pair", (app, goal)
    for key, value in re.findall(r"The secret number of the (\w+) is (\d\d)\.", text):
        yield "pair", (key, value)
    for code in re.findall(r"\b[A-Z]{2,5}\b", text):
        yield "text", (code,)
    for a, sign, b in re.findall(r"(?<![+-] )\b(\d+) ([+-]) (\d+)\b(?! [+-])", text):
        addends = (int(a), int(b)) if sign == "+" else (int(a) - int(b), int(b))
        yield "sum", tuple(sorted(addends))


def combinations(sample):
    return {*drawn(sample), *told(sample)}


@pytest.fixture(scope="module")
def trained():
    """rule -> combination -> tasks that show or tell it in training; two seeds, as what one hides no other may show."""
    pool = defaultdict(lambda: defaultdict(set))
    for sample in samples("train", 500, (0, 1)):
        for rule, combination in combinations(sample):
            pool[rule][combination].add(sample.task)
    return pool


@pytest.mark.parametrize("rule", RULES)
def test_no_task_trains_what_any_task_holds_out(rule, trained):
    assert len(trained[rule]) > 40
    leaks = {combination: tasks for combination, tasks in trained[rule].items() if RULES[rule](*combination)}
    if rule == "sum":  # columns of one digit are shared by design
        leaks = {pair: tasks for pair, tasks in leaks.items() if max(pair) > 9}
    assert not leaks, f"{len(leaks)} of {len(trained[rule])}, such as {list(leaks.items())[:3]}"


def test_every_rule_looks_into_every_task_that_could_break_it(trained):
    # A rule that found nothing to check would pass.
    tasks = {rule: set().union(*found.values()) for rule, found in trained.items()}
    assert set(tasks) == set(RULES)
    alone = {"glyph", "group", "flag", "caption", "count", "motion", "order", "pages", "pages_long", "compare"}
    assert tasks["background"] >= alone
    assert tasks["text"] >= {"glyph", "word", "number", "sum", "receipt", "pages", "pages_long", "desktop", "story"}
    assert tasks["sum"] >= {"sum", "arithmetic", "receipt", "chart", "story"}
    assert tasks["cell"] >= {"click", "desktop"} and tasks["pair"] >= {"desktop", "needle", "needle_2048"}
    assert tasks["place"] >= {"caption", "where", "needle"} and tasks["count"] >= {"count", "needle"}
    assert tasks["ordinal"] >= {"order", "pages", "pages_long", "compare", "story"}
    # ... and the words tell what was drawn: reading them finds nothing new.
    for sample in samples("train", 40, (2,)):
        if sample.images:
            listed = {rule for rule, _ in drawn(sample)} & {"place", "count", "ordinal", "direction"}
            assert {each for each in told(sample) if each[0] in listed} <= set(drawn(sample)), sample.id


# The rule that makes a held-out sample new, by task; for `pages` and `story` any.
ASKED = dict.fromkeys(["caption", "where"], "place") | dict.fromkeys(["glyph", "group", "flag"], "background")
ASKED |= {"count": "count", "number": "text", "word": "text", "table": "glyph", "receipt": "price", "chart": "bar"}
ASKED |= {"sum": "sum", "arithmetic": "sum", "click": "cell", "motion": "direction", "order": "ordinal"}
ASKED |= {"compare": "ordinal"} | dict.fromkeys(["needle", "needle_512", "needle_2048", "desktop"], "pair")


@pytest.mark.parametrize("task", TASKS)
def test_held_out_samples_are_new_and_many(task, trained):
    world, distinct = PictureWorld(7, "held_out", {task: 1}), set()
    for sample in (world[i] for i in range(LONG.get(task, 400))):
        if sample.kind == "glyph.character":  # all characters are trained, only their handwriting is new
            continue
        rules = {ASKED[task]} if task in ASKED else RULES.keys() - {"resolution", "digit"}
        new = {(rule, each) for rule, each in combinations(sample) if rule in rules and RULES[rule](*each)}
        assert new, (sample.id, sample.question)
        assert not {each for rule, each in new if each in trained[rule] and (rule != "sum" or max(each) > 9)}
        distinct |= new
    # As many as the vocabulary has: 16 flags, each with one background; 10 bars.
    assert len(distinct) >= ({"flag": 16, "chart": 10} | dict.fromkeys(LONG, 20)).get(task, 24), len(distinct)

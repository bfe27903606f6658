"""Screens, clips, documents and needles: each answer re-derived from what was drawn, in both splits."""

import hashlib
import itertools
import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from minikimi.data import most_common_answers
from minikimi.processor.processor import Processor
from minikimi.world import PictureWorld, art
from minikimi.world.canvas import Canvas
from minikimi.world.glyphs import printed
from minikimi.world.needles import needle_scene
from minikimi.world.vocabulary import BACKGROUNDS, NAMES

SPLITS = ["train", "held_out"]


def samples(task, split, n=60, seed=3):
    world = PictureWorld(seed=seed, split=split, tasks={task: 1})
    return [world[i] for i in range(n)]


def repainted(size, background, placements):
    """A sheet painted from the placements alone."""
    canvas = Canvas.blank(np.random.default_rng(0), size, background)
    for placement in placements:
        left, top, right, bottom = placement["box"]
        drawn = art.picture(placement["name"], max(right - left, bottom - top))
        canvas.image.paste(drawn, (left, top), drawn)
    return canvas.image


def parsed_click(text):
    match = re.fullmatch(r"click\((\d\.\d\d), (\d\.\d\d)\)", text)
    assert match, text
    return float(match[1]), float(match[2])


@pytest.mark.parametrize("split", SPLITS)
def test_a_click_hits_the_icon_that_was_asked_for(split):
    for sample in samples("click", split):
        (width, height), facts = sample.images[0].size, sample.facts
        asked = [p for p in facts["placements"] if re.search(rf"\b{p['name']}\b", sample.question)]
        assert len(asked) == 1, sample.question
        left, top, right, bottom = asked[0]["box"]
        x, y = parsed_click(sample.answer)
        # The middle of the drawn box, to a pixel and the rounding; a swapped x and y or another icon would be far off.
        assert abs(x * width - (left + right) / 2) < 1 + width / 200, sample.id
        assert abs(y * height - (top + bottom) / 2) < 1 + height / 200, sample.id
        assert facts["box"] == (left / width, top / height, right / width, bottom / height)
        assert sample.caption.count(" at ") == len(facts["placements"]) >= 2
        assert f"{asked[0]['name']} at {x:.2f} {y:.2f}" in sample.caption
        # Above the bar, the screen holds the listed icons and nothing else.
        painted = repainted(sample.images[0].size, facts["background"], facts["placements"])
        above = (0, 0, width, facts["bar"][0])
        assert painted.crop(above).tobytes() == sample.images[0].crop(above).tobytes()


def printed_by(image, placement, paper):
    """Whether the two letters of `placement` stand in the two cells of 28 px, up to 2 px from their middles."""
    bare = Image.new("RGB", (28, 28), paper)
    for i, letter in enumerate(placement["text"]):
        mask = printed(letter, placement["font"], placement["size"])
        cell = image.crop((28 * i, 0, 28 * i + 28, 28)).tobytes()
        left, top = ((28 - side) // 2 for side in mask.size)
        tries = []
        for dx, dy in itertools.product(range(-2, 3), repeat=2):
            tries.append(bare.copy())
            tries[-1].paste(placement["ink"], (left + dx, top + dy), mask)
        if cell not in [each.tobytes() for each in tries]:
            return False
    return image.size == (56, 28)


def check_images(sample):
    """Every image shows what its placements say and nothing else; content has a numbered label before each. Returns
    the question."""
    assert len(sample.images) == len(sample.facts["frames"])
    sheets = zip(sample.images, sample.facts["frames"], sample.facts["backgrounds"], strict=True)
    for image, placements, background in sheets:
        if placements and "text" in placements[0]:
            assert len(placements) == 1 and printed_by(image, placements[0], BACKGROUNDS[background])
            continue
        painted = repainted(image.size, background, placements)
        assert painted.tobytes() == image.tobytes(), sample.id
    parts = sample.messages[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image"] * len(sample.images) + ["text"]
    labels = [part["text"].split() for part in parts[:-1] if part["type"] == "text"]
    assert [label[1] for label in labels] == [f"{i}:" for i in range(1, len(labels) + 1)]
    assert len({label[0] for label in labels}) == 1
    return parts[-1]["text"]


def names_in(text, names):
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]


@pytest.mark.parametrize("split", SPLITS)
def test_a_motion_is_seen_in_the_frames(split):
    for sample in samples("motion", split):
        question = check_images(sample)
        (first, *_), (middle, *_), (last, *_) = sample.facts["frames"]
        assert first["name"] == middle["name"] == last["name"] == sample.facts["name"]
        assert re.search(rf"\b{first['name']}\b", question)
        centres = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in (first["box"], middle["box"], last["box"])]
        dx, dy = (centres[2][k] - centres[0][k] for k in (0, 1))
        # Two cells of 28 px one way, jitter the other; the y axis points down.
        assert max(abs(dx), abs(dy)) > 50 and min(abs(dx), abs(dy)) < 6
        seen = ("right" if dx > 0 else "left") if abs(dx) > abs(dy) else ("down" if dy > 0 else "up")
        assert sample.answer == seen and sample.caption == f"{first['name']} moves {seen}"
        for k in (0, 1):
            assert abs(centres[1][k] - (centres[0][k] + centres[2][k]) / 2) < 6, "one cell a frame"


@pytest.mark.parametrize("split", SPLITS)
def test_order_is_the_order_of_the_frames(split):
    for sample in samples("order", split, 120):
        question = check_images(sample)
        names = [frame[0]["name"] for frame in sample.facts["frames"] if frame]
        assert max(map(len, sample.facts["frames"])) == 1 and len(set(names)) == len(names) >= 3
        asked = sorted(names_in(question, names), key=names.index)
        if sample.kind == "order.first":
            assert len(asked) == 2 and sample.answer == asked[0]
        else:
            assert len(asked) == 1 and sample.answer == names[names.index(asked[0]) + 1]
        for i, frame in enumerate(sample.facts["frames"], 1):
            assert f"frame {i}: {frame[0]['name'] if frame else 'nothing'}" in sample.caption


def test_the_first_thing_is_named_first_only_half_of_the_time():
    firsts = [s for s in samples("order", "train", 600) if s.kind == "order.first"]
    named_first = [s.question.rindex(s.answer) < s.question.rindex(" or ") for s in firsts]
    assert 0.4 < np.mean(named_first) < 0.6


def shown(placements):
    return [p.get("name", p.get("text")) for p in placements]


@pytest.mark.parametrize(("task", "n"), [("pages", 120), ("pages_long", 20)])
@pytest.mark.parametrize("split", SPLITS)
def test_pages_are_found_or_said_to_be_missing(task, n, split):
    unanswerable = []
    for sample in samples(task, split, n):
        question = check_images(sample)
        contents = [shown(frame)[0] for frame in sample.facts["frames"]]
        assert len(set(contents)) == len(contents)
        assert sample.caption == ", ".join(f"page {i}: {content}" for i, content in enumerate(contents, 1))
        if sample.kind == "pages.what":
            number = int(re.search(r"\d+", question)[0])
            expected = contents[number - 1] if number <= len(contents) else "Not answerable"
        else:
            asked = names_in(question, NAMES) or re.findall(r"\b[A-Z]{2}\b", question)
            assert len(asked) == 1, question
            expected = f"page {contents.index(asked[0]) + 1}" if asked[0] in contents else "Not answerable"
        assert sample.answer == expected, sample.id
        assert sample.facts["answerable"] == (expected != "Not answerable")
        unanswerable.append(expected == "Not answerable")
    if n > 100:
        assert 0.1 < np.mean(unanswerable) < 0.32


@pytest.mark.parametrize("split", SPLITS)
def test_compared_images_differ_as_asked(split):
    for sample in samples("compare", split, 120):
        question = check_images(sample)
        images = [set(shown(frame)) for frame in sample.facts["frames"]]
        described = [f"image {i}: {', '.join(shown(frame))}" for i, frame in enumerate(sample.facts["frames"], 1)]
        assert sample.caption == "; ".join(described) and 2 <= len(images) <= 4
        if sample.kind == "compare.which":
            (asked,) = names_in(question, NAMES)
            assert [sample.answer] == [f"image {i}" for i, names in enumerate(images, 1) if asked in names]
        else:
            assert len(images) == 2 and images[0] & images[1]
            this = int(re.search(r"image (\d)", question)[1]) - 1
            assert {sample.answer} == images[this] - images[1 - this]


def tokens(sample, processor):
    return len(processor.encode(sample.messages, sample.images).input_ids)


@pytest.mark.parametrize(
    ("task", "low", "high", "n"),
    [
        ("click", 0, 80, 60),
        ("motion", 0, 100, 40),
        ("order", 0, 100, 60),
        ("compare", 0, 100, 60),
        ("pages", 0, 145, 60),
        ("pages_long", 400, 512, 30),
        ("desktop", 0, 128, 60),
        ("needle", 70, 128, 60),
        ("needle_512", 380, 512, 30),
        ("needle_2048", 1680, 2048, 10),
    ],
)
def test_token_budgets(task, low, high, n):
    processor = Processor.small()
    lengths = [tokens(s, processor) for split in SPLITS for s in samples(task, split, n)]
    assert low < min(lengths) and max(lengths) <= high, (min(lengths), max(lengths))


NEEDLE = r"The secret number of the (\w+) is (\d\d)\."


@pytest.mark.parametrize("task", ["needle", "needle_512", "needle_2048"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_needle_is_found_by_its_key(task, split):
    for sample in samples(task, split, 40):
        pairs = re.findall(NEEDLE, sample.question)
        asked = re.search(r"the (\w+)( have)?\?$", sample.question)[1]
        assert 2 <= len(pairs) <= 4 and dict(pairs)[asked] == sample.answer
        assert len(dict(pairs)) == len({value for _, value in pairs}) == len(pairs), "keys and values are all different"
        assert sample.images == [] and sample.kind == task


@pytest.mark.parametrize("length", [128, 512, 2048, 8000])
@pytest.mark.parametrize("depth", [0.0, 0.25, 0.5, 1.0])
def test_a_needle_lies_as_deep_as_told(length, depth):
    processor = Processor.small()
    scene = needle_scene(np.random.default_rng(5), True, length, depth)
    sentences = re.findall(r"[^.?]+[.?]", scene.question)
    key = scene.facts["key"]
    at = [f"of the {key} is" in sentence for sentence in sentences].index(True)
    costs = [len(processor.tokenizer.encode(s)) for s in sentences[:-1]]
    reached = sum(costs[:at]) / (sum(costs) - costs[at])
    # To the nearest gap between sentences; sentences have up to 16 tokens.
    assert abs(reached - depth) <= 10 / (sum(costs) - costs[at])
    assert reached == pytest.approx(scene.facts["depth"], abs=2 / length)
    chat = [{"role": "user", "content": scene.question}, {"role": "assistant", "content": scene.answer}]
    assert length - 20 < len(processor.encode(chat).input_ids) <= length
    if depth in (0.0, 1.0):
        assert at == (0 if depth == 0 else len(sentences) - 2)


def test_other_needles_lie_anywhere():
    # Were the asked one always first or last of the needles, position would do instead of the key.
    places = [list(dict(re.findall(NEEDLE, s.question))).index(s.facts["key"]) for s in samples("needle", "train", 400)]
    assert 0.3 < np.mean([place == 0 for place in places]) < 0.5


def test_impossible_needles_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="20 tokens are too few"):
        needle_scene(rng, False, 20)
    with pytest.raises(ValueError, match=r"depth 1\.5"):
        needle_scene(rng, False, 128, 1.5)


def told(words, question):
    """The answer to a question about one thing, looked up in a description in words."""
    facts = [re.fullmatch(r"([a-z]+)(?: at)? ([a-z ]+|\d+)", part) for part in words.split(", ")]
    known = {match[1]: match[2] for match in facts}
    for name, value in known.items():
        if re.search(rf"\bthe {name}\b", question):
            return value
    return next(name for name, place in known.items() if question.rstrip("?.").endswith(f"at the {place}"))


@pytest.mark.parametrize("split", SPLITS)
def test_a_story_tells_what_its_question_asks(split):
    simple = {"story.where.place", "story.where.thing", "story.receipt.cost", "story.chart.value"}
    seen = Counter()
    for sample in samples("story", split, 400):
        assert sample.images == [] and sample.caption == "" and sample.kind.startswith("story.")
        if sample.kind in simple:
            words, question = sample.question.split(". ", 1)
            assert told(words, question) == sample.answer, sample.question
            assert all(told(words, further) == answer for further, answer in sample.more)
            seen[sample.kind] += 1
    assert set(seen) == simple and min(seen.values()) > 2


def combinations(sample):
    """What a sample could teach; first what it asks for."""
    facts, task = sample.facts, sample.task
    if task == "click":
        cells = {p["name"]: (p["box"][1] // 28, p["box"][0] // 28) for p in facts["placements"]}
        return [(facts["target"], cells.pop(facts["target"])), *cells.items()]
    if task == "motion":
        return [(facts["name"], facts["direction"])]
    if task == "desktop":
        goal = re.match(r"open the (\w+)(?:, then press the (\w+)| and type (\w+))$", facts["goal"])
        return [(goal[1], goal[2] or goal[3])]
    if task.startswith("needle"):
        needles = dict(facts["needles"])
        return [(facts["key"], needles.pop(facts["key"])), *needles.items()]
    everything = [(thing, i) for i, frame in enumerate(facts["frames"], 1) for thing in shown(frame)]
    everything = [(thing, i if thing in NAMES else None) for thing, i in everything]  # a code is new on any page
    asked = everything[facts["asked"] - 1] if "asked" in facts else (facts["target"], facts["number"])
    return [asked, *(pair for pair in everything if pair != asked)]


DRAWS = dict.fromkeys(["click", "motion", "order", "pages", "compare", "needle", "desktop"], 2000)
DRAWS |= {"pages_long": 150, "needle_512": 1000, "needle_2048": 500}


@pytest.mark.parametrize(("task", "n"), DRAWS.items())
def test_what_is_held_out_is_never_trained(task, n):
    taught = {pair for sample in samples(task, "train", n, seed=0) for pair in combinations(sample)}
    asked = [combinations(sample)[0] for sample in samples(task, "held_out", min(n, 400), seed=1)]
    assert not taught & set(asked)
    # ... but each thing is known from elsewhere: only the combination is new.
    known = {part for pair in taught for part in pair}
    if task in ("click", "motion", "order", "compare", "needle"):
        assert all(part in known for pair in asked for part in pair)


def test_the_blind_guess_is_a_poor_one():
    tasks = ["click", "motion", "order", "pages", "compare", "needle", "desktop"]
    world, held_out = (PictureWorld(8, split, dict.fromkeys(tasks, 1)) for split in SPLITS)
    prior = most_common_answers(world, 2000)
    hits = defaultdict(list)
    for i in range(1000):
        hits[held_out[i].kind].append(held_out[i].answer == prior[held_out[i].kind])
    # That an episode is over has but one answer; when it is over is what has to be seen, so it is rare among the rest.
    assert np.mean(hits.pop("desktop.done")) == 1 and len(hits) == 13
    assert all(np.mean(h) < 0.4 for h in hits.values()), {k: np.mean(h) for k, h in hits.items()}
    answers = Counter(s.answer for s in samples("desktop", "train", 500))
    assert answers["done()"] / 500 < 0.25


def test_another_process_draws_the_same():
    code = (
        "import hashlib; from minikimi.world import PictureWorld; h = hashlib.sha256();"
        "w = PictureWorld(5, 'held_out', dict.fromkeys("
        "'click motion order pages compare needle_512 desktop'.split(), 1));"
        "[h.update(str(s.messages).encode() + b''.join(i.tobytes() for i in s.images)) for s in map(w.__getitem__, "
        "range(60))]; print(h.hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    tasks = ["click", "motion", "order", "pages", "compare", "needle_512", "desktop"]
    world, here = PictureWorld(5, "held_out", dict.fromkeys(tasks, 1)), hashlib.sha256()
    for i in range(60):
        here.update(str(world[i].messages).encode() + b"".join(image.tobytes() for image in world[i].images))
    assert there == here.hexdigest()

"""Task `chart`: bars measured from the pixels, solutions checked line by line."""

import re

from world_checks import BOTH_SPLITS, check_further, check_steps, named, samples

from minikimi.world import holdout
from minikimi.world.vocabulary import BARS


def colour_at(image, x, y):
    """The named colour of a pixel, None where there is only paper."""
    return {rgb: name for name, rgb in BARS.items()}.get(image.getpixel((x, y)))


def bars_from_pixels(image):
    """{colour: value} from left to right, by measuring each column of 28 px above the printed values."""
    bars = {}
    for column in range(image.width // 28):
        seen = [colour_at(image, 28 * column + 14, y) for y in range(84)]
        height = sum(colour is not None for colour in seen)
        if height:
            assert height % 9 == 0 and len(set(seen[84 - height :])) == 1, "one colour, standing on the base line"
            bars[seen[83]] = height // 9
    return bars


def answer_from_bars(kind, bars, named):
    if kind == "chart.total":
        return sum(bars.values())
    if kind in ("chart.tallest", "chart.smallest"):
        return sorted(bars, key=bars.get, reverse=kind == "chart.tallest")[0]
    return bars[named[0]] - (bars[named[1]] if kind == "chart.difference" else 0)


@BOTH_SPLITS
def test_charts_are_measured(split):
    for sample in samples("chart", split, 400):
        bars = bars_from_pixels(sample.images[0])
        assert sample.caption == ", ".join(f"{colour} {value}" for colour, value in bars.items()), sample.id
        named = sorted((c for c in bars if f"{c} bar" in sample.question), key=sample.question.index)
        expected = answer_from_bars(sample.kind, bars, named)
        assert sample.answer == str(expected), sample.id
        assert len(named) == {"chart.value": 1, "chart.difference": 2}.get(sample.kind, 0)
        assert len(set(bars.values())) == len(bars), "no ties"


@BOTH_SPLITS
def test_chart_solutions(split):
    for sample in samples("chart", split, 400):
        check_steps(sample.solution, sample.answer)
        bars = sample.facts["bars"]
        first, *later = sample.solution.split(". ")
        if sample.kind in ("chart.tallest", "chart.smallest"):  # values first, so that the value found leads to its bar
            listed = dict(part.split() for part in first.split(", "))
            assert {colour: int(value) for value, colour in listed.items()} == bars
            assert later == [
                f"The {'largest' if 'tall' in sample.kind else 'least'} is {bars[sample.answer]} {sample.answer}",
                sample.answer,
            ]
            continue
        read = {c: int(v) for c, v in re.findall(r"([a-z]+) (\d)", first)}
        assert read == {colour: bars[colour] for colour in read}
        assert sample.solution.count("=") == {"difference": 1, "total": len(bars) - 1}.get(sample.kind[6:], 0)
        assert sample.facts["difficulty"] in (1, 2, 3, 4)


def test_held_out_bars_are_never_trained():
    train = {pair for s in samples("chart", "train", 2000) for pair in s.facts["bars"].items()}
    assert {colour for colour, _ in train} == set(BARS) and {v for _, v in train} == set(range(1, 10))
    for sample in samples("chart", "held_out", 600):
        asked = {(colour, sample.facts["bars"][colour]) for colour in sample.facts["asked"]}
        assert asked - train, "the question is about a new bar, not only the chart"
        if len(asked) == 1:
            assert not asked & train


def derived(sample, question):
    """The height of the bar in px, at 9 px a unit."""
    (colour,) = named(question, BARS)
    (box,) = [p["box"] for p in sample.facts["placements"] if p["name"] == colour]
    value = (box[3] - box[1]) // 9
    return str(value), holdout.bar_held_out(colour, value)


def test_further_questions_follow_from_the_drawing():
    check_further("chart", derived, lambda sample, question: tuple(named(question, BARS)) or question)

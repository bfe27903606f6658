"""Sums, charts, tables, receipts: answers re-derived from what was drawn, worked steps checked line by line."""

import re
from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from minikimi.data import most_common_answers
from minikimi.world import PictureWorld, holdout, sums
from minikimi.world.tables import FOR_SALE
from minikimi.world.things import CHINESE
from minikimi.world.vocabulary import BARS

SPLITS = ["train", "held_out"]
TERMS = r"\d+(?: [+-] \d+)+"


def samples(task, split, n=300, seed=3):
    world = PictureWorld(seed=seed, split=split, tasks={task: 1})
    return [world[i] for i in range(n)]


def value(terms):
    """`4 - 1 - 1` -> 2, without eval and without the code under test."""
    return sum(int(term) for term in terms.replace("+ ", "+").replace("- ", "-").split())


def check_steps(solution, answer):
    """Every equation holds, every borrow is needed, every carry is one, and the answer stands at the end."""
    for left, right in re.findall(rf"({TERMS}) = (-?\d+)", solution):
        assert value(left) == int(right), solution
    assert len(re.findall("=", solution)) == len(re.findall(rf"{TERMS} = \d+", solution)), solution
    assert solution.rsplit(". ", 1)[1] == answer, solution


@pytest.mark.parametrize("task", ["sum", "arithmetic"])
@pytest.mark.parametrize("split", SPLITS)
def test_sums_from_the_drawn_numbers(task, split):
    for sample in samples(task, split):
        a, sign, b = (sample.facts[k] for k in ("a", "sign", "b"))
        assert int(sample.answer) == value(f"{a} {sign} {b}") >= 0
        assert (sample.caption if task == "sum" else sample.question).count(f"{a} {sign} {b}") == 1
        assert sample.solution.startswith(f"{a} {sign} {b}. ")
        check_steps(sample.solution, sample.answer)


@pytest.mark.parametrize("split", SPLITS)
def test_the_handwriting_spells_both_numbers(split):
    target = load_digits().target
    for sample in samples("sum", split, 100):
        drawn = "".join(str(target[i]) for i in sample.facts["digit_indices"])
        assert drawn == f"{sample.facts['a']}{sample.facts['b']}"
        assert {holdout.digit_held_out(i) for i in sample.facts["digit_indices"]} == {split == "held_out"}
        assert sample.images[0].width // 28 == len(drawn) + 1 and sample.images[0].height // 28 == 1


def digits_of_steps(solution):
    """The result put together again from the columns of the worked steps, the carries and nothing else."""
    lines = [s for s in solution.split(". ")[1:-1] if "=" in s and not s.startswith("Check")]
    results = [line.split(" = ")[1] for line in lines]
    if "carry" in lines[0]:
        ones, carry = re.fullmatch(r"1\d, write (\d), carry (1)", results[0]).groups()
        assert re.match(rf"\d \+ \d \+ {carry} =", lines[1]), solution
        results[0] = ones
    elif "borrow" in solution:
        assert re.match(r"\d - \d - 1 =", lines[1]), solution
    return int("".join(reversed(results)))


def test_the_columns_alone_give_the_result():
    # A carry that is announced but not added, or added but not announced, gives another number here.
    for sample in samples("arithmetic", "train", 1000):
        assert digits_of_steps(sample.solution) == int(sample.answer), sample.solution
    assert digits_of_steps("27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 + 1 = 4. 42") == 42
    with pytest.raises(AssertionError):
        digits_of_steps("27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 = 3. 32")


def test_worked_by_hand():
    assert sums.solve(7, "+", 5, False) == "7 + 5. 7 + 5 = 12. 12"
    assert sums.solve(27, "+", 15, True) == (
        "27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 + 1 = 4. Check: 42 - 15 = 27. 42"
    )
    assert sums.solve(42, "-", 38, False) == "42 - 38. 2 < 8, borrow 1. 12 - 8 = 4. 4 - 3 - 1 = 0. 4"
    assert sums.solve(64, "+", 5, False) == "64 + 5. 4 + 5 = 9. 6 + 0 = 6. 69"
    assert sums.solve(45, "+", 72, False) == "45 + 72. 5 + 2 = 7. 4 + 7 = 11. 117"


def test_difficulty_says_how_long_and_whether_there_is_a_carry():
    digits = {1: (1, 1), 2: (2, 1), 3: (2, 2), 4: (2, 2)}
    seen = Counter()
    for sample in samples("arithmetic", "train", 1000):
        a, sign, b, difficulty = (sample.facts[k] for k in ("a", "sign", "b", "difficulty"))
        seen[difficulty, sign] += 1
        assert (len(str(a)), len(str(b))) == digits[difficulty]
        if difficulty > 1:
            # A column overflows if and only if the digit sum of the result is not the digits' sum or difference.
            crossed = sum(map(int, str(a))) + (1 if sign == "+" else -1) * sum(map(int, str(b)))
            assert (sum(map(int, sample.answer)) != crossed) == (difficulty == 4), sample.question
    assert len(seen) == 8 and min(seen.values()) > 80


def test_three_solutions_in_four_check_themselves():
    checked = [s for s in samples("arithmetic", "train", 1000) if "Check: " in s.solution]
    assert 0.7 < len(checked) / 1000 < 0.8
    for sample in checked:
        a, sign, b = (sample.facts[k] for k in ("a", "sign", "b"))
        reverse = {"+": "-", "-": "+"}[sign]
        assert sample.solution.endswith(f"Check: {sample.answer} {reverse} {b} = {a}. {sample.answer}")


def families(solution):
    """All (smaller addend, larger addend) of two-digit equations in a text, whichever way they are turned."""
    for a, sign, b in re.findall(r"(?<![+-] )\b(\d+) ([+-]) (\d+)\b(?! [+-])", solution):
        addends = (int(a), int(b)) if sign == "+" else (int(a) - int(b), int(b))
        yield tuple(sorted(addends))


def test_held_out_sums_are_nowhere_in_training():
    asked = {next(families(s.solution)) for t in ("sum", "arithmetic") for s in samples(t, "held_out", 1000)}
    train = [s for t in ("sum", "arithmetic") for s in samples(t, "train", 2000)]
    assert not asked & {next(families(s.solution)) for s in train}
    # Neither in the checks: columns of one digit are shared by design, longer numbers must be new.
    taught = {pair for s in train for pair in families(s.solution)}
    assert not {pair for pair in asked if sum(pair) > 18} & taught
    assert {holdout.sum_held_out(a, b) == holdout.sum_held_out(b, a) for a in range(40) for b in range(40)} == {True}


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


@pytest.mark.parametrize("split", SPLITS)
def test_charts_are_measured(split):
    for sample in samples("chart", split, 400):
        bars = bars_from_pixels(sample.images[0])
        assert sample.caption == ", ".join(f"{colour} {value}" for colour, value in bars.items()), sample.id
        named = sorted((c for c in bars if f"{c} bar" in sample.question), key=sample.question.index)
        expected = answer_from_bars(sample.kind, bars, named)
        assert sample.answer == str(expected), sample.id
        assert len(named) == {"chart.value": 1, "chart.difference": 2}.get(sample.kind, 0)
        assert len(set(bars.values())) == len(bars), "no ties"


@pytest.mark.parametrize("split", SPLITS)
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


@pytest.mark.parametrize("task", ["sum", "arithmetic", "chart", "table", "receipt"])
def test_blind_guesses_stay_poor(task):
    prior = most_common_answers(PictureWorld(6, tasks={task: 1}), 1000)
    hits = Counter()
    totals = Counter()
    for sample in samples(task, "held_out", 500):
        hits[sample.kind] += sample.answer == prior[sample.kind]
        totals[sample.kind] += 1
    assert all(hits[kind] / totals[kind] < 0.35 for kind in prior), (hits, totals)


@pytest.mark.parametrize("split", SPLITS)
def test_counting_aloud_walks_the_cells(split):
    for sample in samples("count", split, 300):
        steps, found, answer = sample.solution.split(". ")
        boxes = sorted(sample.facts["placements"], key=lambda p: (p["box"][1] // 28, p["box"][0] // 28))
        chinese = sample.facts["language"] == "zh"
        seen = [CHINESE[place["name"]] if chinese else place["name"] for place in boxes]
        assert steps.split(", ") == [f"{word} {seen[: i + 1].count(word)}" for i, word in enumerate(seen)], sample.id
        target = CHINESE[sample.facts["target"]] if chinese else sample.facts["target"]
        assert answer == sample.answer == str(seen.count(target)) and found == f"{target} {answer}"
        assert sample.told == [", ".join(seen)]
        assert 1 <= sample.facts["difficulty"] <= 4


@pytest.mark.parametrize("split", SPLITS)
def test_tables_are_read_by_row_and_column(split):
    target = load_digits().target
    for sample in samples("table", split, 300):
        grid, indices = sample.facts["grid"], iter(sample.facts["digit_indices"])
        body = ["".join(str(target[next(indices)]) if g.isdigit() else g for g in line[1:]) for line in grid[1:]]
        assert body == [line[1:] for line in grid[1:]], "the handwriting is of the digits listed"
        row, column = re.search(r"row (\d)", sample.question)[1], re.search("column ([A-C])", sample.question)[1]
        line = next(line for line in grid if line[0] == row)
        assert sample.answer == line[grid[0].index(column)]
        assert sample.caption.split(". ") == [f"row {r}: {', '.join(line)}" for r, line in enumerate(body, 1)]
        assert 3 <= sample.images[0].width // 28 <= 5 and 3 <= sample.images[0].height // 28 <= 5


def test_the_drawn_table_follows_the_listed_grid():
    # A cell has ink inside its lines if and only if the grid has a glyph there; only the corner is empty.
    for sample in samples("table", "train", 100):
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        paper = np.median(grey)
        for r, line in enumerate(sample.facts["grid"]):
            for c, glyph in enumerate(line):
                cell = grey[28 * r + 1 : 28 * r + 28, 28 * c + 1 : 28 * c + 28]
                assert ((paper - cell > 60).sum() > 8) == (glyph != " "), (sample.id, r, c)


def test_held_out_cells_are_never_trained():
    def cells(sample):
        grid = sample.facts["grid"]
        return {(grid[r][c], r, c) for r in range(1, len(grid)) for c in range(1, len(grid[0]))}

    train = set().union(*(cells(s) for s in samples("table", "train", 2000)))
    assert {glyph for glyph, *_ in train} == set("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
    for sample in samples("table", "held_out", 600):
        assert (sample.answer, sample.facts["row"], sample.facts["column"]) not in train


@pytest.mark.parametrize("split", SPLITS)
def test_receipts_are_added_up(split):
    for sample in samples("receipt", split, 400):
        lines, pictures = sample.facts["lines"], sample.facts["placements"]
        assert [p["name"] for p in sorted(pictures, key=lambda p: p["box"][1])] == list(lines)
        assert all(p["box"][2] <= 28 for p in pictures)
        assert sample.caption == ", ".join(f"{name} {price}" for name, price in lines.items())
        named = [name for name in lines if f"the {name} " in sample.question + " " or f"the {name}?" in sample.question]
        assert len(named) == (sample.kind == "receipt.cost")
        assert int(sample.answer) == (lines[named[0]] if named else sum(lines.values()))
        check_steps(sample.solution, sample.answer)
        assert sample.solution.count("=") == (0 if named else len(lines) - 1)
        assert all(1 <= price <= 30 for price in lines.values()) and 1 <= sample.facts["difficulty"] <= 4


def test_prices_are_printed_flush_right():
    # The tens column has ink exactly where the price has two digits.
    for sample in samples("receipt", "train", 100):
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        for row, price in enumerate(sample.facts["lines"].values()):
            cells = [grey[28 * row : 28 * row + 28, 28 * c : 28 * c + 28] for c in (1, 2)]
            assert [bool((grey[-1, -1] - cell > 60).any()) for cell in cells] == [price > 9, True]


def test_held_out_prices_are_never_trained():
    train = {pair for s in samples("receipt", "train", 2500) for pair in s.facts["lines"].items()}
    assert {price for _, price in train} == set(range(1, 31))
    for sample in samples("receipt", "held_out", 600):
        assert (sample.facts["asked"], sample.facts["lines"][sample.facts["asked"]]) not in train


def test_every_glyph_colour_and_thing_loses_its_share():
    for glyph in "".join(holdout.TABLE_GLYPHS):
        assert sum(holdout.glyph_held_out(glyph, r, c) for r in (1, 2, 3) for c in (1, 2, 3)) == 1
    assert {sum(holdout.bar_held_out(colour, v) for v in range(1, 10)) for colour in BARS} == {1, 2}
    assert {sum(holdout.price_held_out(name, p) for p in range(1, 31)) for name in FOR_SALE} == {5}

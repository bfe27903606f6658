"""Task `table`: read by row and column, in the facts and in the ink."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_digits
from world_checks import BOTH_SPLITS, check_further, check_new, samples

from minikimi.world import holdout


@BOTH_SPLITS
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


def test_no_glyph_touches_the_lines():
    for sample in samples("table"):
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        ink = np.median(grey) - grey > 120  # darker than the lines
        assert not (ink[::28].any() or ink[-1].any() or ink[:, ::28].any() or ink[:, -1].any()), sample.id


def combinations(sample):
    grid, asked = sample.facts["grid"], (sample.answer, sample.facts["row"], sample.facts["column"])
    cells = [(grid[r][c], r, c) for r in range(1, len(grid)) for c in range(1, len(grid[0]))]
    return [asked, *(each for each in cells if each != asked)]


@pytest.mark.slow
def test_the_glyph_is_new_in_its_cell():
    check_new("table", combinations, 2500)
    trained = {glyph for sample in samples("table", n=2000) for glyph, *_ in combinations(sample)}
    assert trained == set("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")


def cell_asked(sample, question):
    return int(re.search(r"row (\d)", question)[1]), "ABC".index(re.search(r"column ([A-C])", question)[1]) + 1


def derived(sample, question):
    row, column = cell_asked(sample, question)
    glyph = sample.facts["grid"][row][column]
    return glyph, holdout.glyph_held_out(glyph, row, column)


def test_further_questions_follow_from_the_drawing():
    check_further("table", derived, cell_asked)

"""Pictures of the findings: means are means, and every seed is drawn."""

import io

from matplotlib.figure import Figure
from PIL import Image

from minikimi.findings.plot import bars, figure, lines

ROWS = [[0.0, 2.0], [4.0, 4.0]]


def test_a_thick_line_is_the_mean_of_the_thin_ones() -> None:
    ax = Figure().add_subplot()
    lines(ax, [1, 2], ROWS, "mean", "red")
    drawn = sorted(ax.lines, key=lambda line: line.get_linewidth())
    assert [list(line.get_ydata()) for line in drawn] == [*ROWS, [2.0, 3.0]]
    assert ax.get_legend_handles_labels()[1] == ["mean"]


def test_a_bar_is_a_mean_and_each_seed_a_dot() -> None:
    ax = Figure().add_subplot()
    bars(ax, ["a", "b"], ROWS, ["red", "blue"])
    assert [patch.get_height() for patch in ax.patches] == [2.0, 3.0]
    assert [list(line.get_ydata()) for line in ax.lines] == ROWS
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]


def test_a_figure_is_a_picture_of_one_size_and_the_same_every_time() -> None:
    def draw(ax, measurements) -> None:
        ax.plot(measurements[0]["y"], label="y")

    pictures = [figure("title", draw, [{"y": y}]) for y in ([1, 2], [1, 2], [2, 1])]
    assert pictures[0] == pictures[1] != pictures[2]
    assert Image.open(io.BytesIO(pictures[0])).size == (624, 384)

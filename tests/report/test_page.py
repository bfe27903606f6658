"""Pieces of a page that needs nothing but itself."""

from __future__ import annotations

from made_up_run import EVIL

from minikimi.report import page
from minikimi.report.page import count, heat_cell, percent


def test_numbers_in_words() -> None:
    assert [count(n) for n in (7, 1500, 5_280_000, 16_407_656_048)] == ["7", "1.5 k", "5.3 M", "16.4 B"]


def test_a_dark_cell_has_white_ink() -> None:
    assert "color:#fff" in heat_cell(0.9, 1.0, percent) and "color:inherit" in heat_cell(0.2, 1.0, percent)
    assert "rgba(42,111,219,1.00)" in heat_cell(7.0, 2.0, percent) and "0.06" in heat_cell(-1.0, 1.0, percent)


def test_text_is_escaped_wherever_it_comes_in() -> None:
    pieces = [
        page.page(EVIL, ""),
        page.section(EVIL, ""),
        page.absent(EVIL),
        page.embed(b"", "png", EVIL),
        page.panels({EVIL: b""}, captions=True),
        page.cells([EVIL]),
        page.heat_table([EVIL], {EVIL: [1.0]}, caption=EVIL, notes={EVIL: [EVIL]}),
    ]
    assert not [piece for piece in pieces if "<script" in piece or "&lt;script&gt;" not in piece]


def test_a_table_shows_a_dash_for_what_is_no_number() -> None:
    html = page.heat_table(["", "a", "b"], {"x": [0.5, None], "y": ["0.5", float("nan")]})
    assert html.count("50%") == 1 and html.count('<td class="soft">–</td>') == 3
    assert page.panels({}) == ""

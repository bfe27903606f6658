"""The teaching page is up to date, and its plans add up."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from minikimi.lab.authoring import teaching
from minikimi.lab.authoring.build import sources
from minikimi.lab.lessons import lesson_numbers
from minikimi.lab.lessons.planned import PLANNED


def test_page_is_up_to_date() -> None:
    all_sources = sources([])
    page = teaching.PAGE.read_text()
    assert teaching.generate(page, all_sources) == page, "run make notebooks"
    assert set(re.findall(r"generated: (\w+)", page)) == {*teaching.PLANS, "lessons", "wrong"}


@pytest.mark.parametrize("name", teaching.PLANS)
def test_plans_add_up(name: str) -> None:
    lines = teaching.plan(name, sources([])).splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines]
    assert all(before[1] == after[0] for before, after in pairwise(rows)), "minutes follow one another"
    assert int(rows[-1][1]) <= {"minutes90": 90, "halfday": 270}.get(name, 480)
    assert {what for what, _ in teaching.PLANS[name] if what.isdigit()} <= {*lesson_numbers(), *PLANNED}


def test_a_stale_page_is_told_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = tmp_path / "teaching.md"
    page.write_text("by hand\n<!-- generated: lessons -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(teaching, "PAGE", page)
    assert teaching.main(["--check"]) == 1 and "stale" in capsys.readouterr().out and "old" in page.read_text()
    assert teaching.main([]) == 0 and teaching.main(["--check"]) == 0
    assert page.read_text().startswith("by hand\n") and "2-D RoPE" in page.read_text()

"""Whatever names a lesson names one that can be opened, or one that is planned."""

import re
from collections.abc import Iterator
from pathlib import Path

from minikimi.lab.lessons import lesson_numbers
from minikimi.lab.lessons.planned import PLANNED

ROOT = Path(__file__).parents[3]
# "lesson 09", "Lessons 02, 03 and 15", "lessons 09 to 17", across the lines of a comment too.
NUMBER = r"\d+\b(?!-)"
NAMED = re.compile(rf"\blessons?[\s#]+({NUMBER}(?:(?:,|,? and|,? or| to)[\s#]+{NUMBER})*)", re.I)


def numbers(text: str) -> Iterator[str]:
    for match in NAMED.finditer(text):
        yield from (number.zfill(2) for number in re.findall(r"\d+", match[1]))


def texts() -> list[Path]:
    folders = [path for name in ("minikimi", "kernels", "docs") for path in (ROOT / name).rglob("*")]
    return sorted(path for path in [*folders, *ROOT.glob("*.md")] if path.suffix in (".py", ".md"))


def test_the_numbers_are_found() -> None:
    text = (
        "Lesson 08 builds it (lessons 2, 03 and\n# 15); lessons 09 to 17. A lesson of 45 minutes. Lesson 04, 2-D RoPE"
    )
    assert list(numbers(text)) == ["08", "02", "03", "15", "09", "17", "04"]


def test_every_lesson_that_is_named_exists_or_is_planned() -> None:
    known = {*lesson_numbers(), *PLANNED}
    unknown = {str(path.relative_to(ROOT)): set(numbers(path.read_text())) - known for path in texts()}
    assert not {name: lessons for name, lessons in unknown.items() if lessons}, "what is planned stands in planned.py"


def test_planned_lessons_follow_the_written_ones() -> None:
    assert sorted([*lesson_numbers(), *PLANNED]) == [f"{i:02d}" for i in range(len(lesson_numbers()) + len(PLANNED))]

"""The table of stages: what is derived from it, and which stages a word on the command line means."""

from pathlib import Path

import pytest

from minikimi.data.forms import check_form
from minikimi.errors import UserError
from minikimi.training.stages import BEFORE_LONG, LONG, ROWS, STAGES, chosen, stage_help, start_directory

# Kimi-VL report (arXiv 2504.07491), figure 4 and sections 2.3, 2.4: the order in which a model grows.
PUBLISHED = ["text", "vit", "align", "joint", "cooldown", "long1", "long2", "sft", "sft2", "longcot", "rl"]


def test_stages_come_in_the_published_order_and_are_told_apart() -> None:
    assert list(STAGES) == PUBLISHED
    for fact in ("title", "about", "colour"):
        assert len({getattr(stage, fact) for stage in ROWS}) == len(ROWS), fact


def test_the_long_stages_follow_each_other() -> None:
    names = list(STAGES)
    first = names.index(LONG[0])
    assert tuple(names[first : first + 2]) == LONG and names[first - 1] == BEFORE_LONG
    assert all(STAGES[name].long for name in LONG)


def test_a_model_is_scored_exactly_where_it_can_be_asked() -> None:
    for stage in ROWS:
        assert ("scores" in stage.after) == (stage.asked_as is not None), stage.name
        if stage.asked_as:
            check_form(stage.asked_as)  # raises for a form that does not exist


def test_a_whole_run_begins_after_the_text_stage_where_there_is_a_language_model() -> None:
    assert chosen(None, "nano", None) == tuple(STAGES)
    assert chosen(None, "nano", "runs/other/text") == chosen(None, "small", None) == tuple(STAGES)[1:]


def test_a_word_means_one_stage_or_both_long_ones() -> None:
    assert chosen("sft", "nano", None) == ("sft",)
    assert chosen("long", "small", None) == LONG
    with pytest.raises(UserError, match=r"unknown stage 'jiont'.*did you mean joint"):
        chosen("jiont", "nano", None)


def test_from_long_is_from_the_second_of_them(tmp_path: Path) -> None:
    assert start_directory("runs/small/long") == str(Path("runs/small") / LONG[-1])
    assert start_directory("runs/small/sft") == "runs/small/sft" and start_directory(None) is None
    (tmp_path / "long").mkdir()
    assert start_directory(str(tmp_path / "long")) == str(tmp_path / "long"), "a folder of that name comes first"


def test_help_has_a_line_for_each_stage() -> None:
    lines = stage_help().splitlines()
    assert [line.split()[0] for line in lines] == list(STAGES)
    assert all(line.endswith(stage.about) for line, stage in zip(lines, ROWS, strict=True))

"""Parsing and comparing outputs, and the bootstrap, against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minikimi.answers import exact_match, final_answer, point_in_box, running_text_answer, without_thinking
from minikimi.evaluation.statistics import bootstrap


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("cat", "cat"),
        ("  top  left. ", "top left"),
        ("◁think▷2 + 3 = 5. 5◁/think▷5", "5"),
        ("◁think▷2 + 3 = 5", None),  # the thinking never ends: no answer, although the number is there
        ("◁think▷2 + 3◁/think▷", None),
        ("◁think▷a◁/think▷b◁think▷c", "b◁think▷c"),  # an odd output is an odd answer, not a lucky one
        ("", None),
    ],
)
def test_the_answer_is_what_follows_the_thinking(output: str, answer: str | None) -> None:
    assert final_answer(output) == answer


@pytest.mark.parametrize(
    ("output", "rest"),
    [
        ("The answer.\n 8.", "The answer.\n 8."),  # as it stands
        ("◁think▷a.◁/think▷\nb c.", "\nb c."),
        ("◁think▷a", None),
        ("◁think▷a◁/think▷", ""),
    ],
)
def test_only_the_thinking_is_cut_off(output: str, rest: str | None) -> None:
    assert without_thinking(output) == rest


def test_exact_match_wants_the_whole_answer_in_its_case() -> None:
    assert exact_match("cat.", "cat").right
    for wrong in ("Cat", "cat dog", "a cat", "", "◁think▷cat"):
        assert not exact_match(wrong, "cat").right
    assert exact_match("◁think▷cat", "cat").answer is None


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("dog.\ndog at left, cat at right.", "dog"),
        (" click(0.25, 0.75).\nOpen the cat. click(0.75, 0.75).\ndog at 0.25 0.75", "click(0.25, 0.75)"),
        ("7 + 8. 7 + 8 = 15. 15.", "15"),
        ("cat at left, dog at top right. top right.\nWhere is the cat? left.", "top right"),
        ("15", "15"),
        ("", ""),
        ("\ndog", ""),
    ],
)
def test_running_text_is_read_up_to_the_end_of_its_first_line(output: str, answer: str) -> None:
    assert running_text_answer(output) == answer


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ("click(0.20, 0.60)", True),  # both corners belong to the box: x and y are not exchanged
        ("click(0.40, 0.70)", True),
        ("click(0.60, 0.20)", False),
        ("click(0.41, 0.65)", False),
        ("click(0.30, 0.59)", False),
        ("click(300, 650)", False),  # thousandths are another convention, and not guessed at
        ("0.3 0.65", True),
        ("click(0.3)", False),
        ("the cat", False),
    ],
)
def test_a_click_must_lie_in_its_box(output: str, right: bool) -> None:
    assert point_in_box(output, (0.2, 0.6, 0.4, 0.7)).right is right


def test_bootstrap_of_one_share_is_the_binomial_interval() -> None:
    low, high = bootstrap([[1.0] * 60 + [0.0] * 40], draws=4000)
    spread = 1.96 * np.sqrt(0.6 * 0.4 / 100)
    assert low == pytest.approx(0.6 - spread, abs=0.015) and high == pytest.approx(0.6 + spread, abs=0.015)


def test_bootstrap_resamples_within_groups() -> None:
    """Two groups, all right and all wrong: nothing varies. Pooled resampling would say 0.35 to 0.65."""
    assert bootstrap([[1.0] * 20, [0.0] * 20]) == [0.5, 0.5]
    assert bootstrap([[1.0] * 20, [0.0] * 5], weights=[0.9, 0.1]) == pytest.approx([0.9, 0.9])

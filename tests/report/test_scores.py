"""Scores in the report: the table, the course over the stages, needles, room to think."""

from __future__ import annotations

import json
import re
from pathlib import Path

from made_up_run import part, stage_scores

from minikimi.report import scores
from minikimi.report.runfiles import read_run
from minikimi.training.stages import STAGES


def test_the_score_table_holds_the_numbers(html: str) -> None:
    table = part(html, "What it learnt")
    maths = re.search(r'<tr class=""><td>maths<small>about maths</small></td>.*?</tr>', table, re.S)
    assert maths and all(
        cell in maths[0]
        for cell in ("42%", "36% – 48%", "10%", "<td>7%</td><td>8%</td>", "200", "width:42.0%", "left:8.4%")
    )
    assert '<tr class="mean"><td>mean</td><td>62%' in table
    arithmetic = re.search(r"<tr class=\"\"><td>arithmetic</td>.*?</tr>", table, re.S)
    assert arithmetic and "33%" in arithmetic[0] and "<td></td>" in arithmetic[0]  # nothing to be blind to
    for text in ("62%</strong> (56% – 68%)", "7.7 M parameters", "4.2 M active"):
        assert text in html, text


def test_scores_after_each_stage(html: str) -> None:
    course = part(html, "What each stage gave")
    assert re.findall(r"<th>(.*?)</th>", course) == ["after", *STAGES]
    agent = re.search(r"<td>agent</td>(.*?)</tr>", course)
    expected = [f"{50 * (0.1 + 0.1 * i):.0f}" for i in range(len(STAGES))]
    assert agent and re.findall(r">(\d+)%<", agent[1]) == expected
    assert "vit +6, align +6" in course and "text +" not in course


def test_needle_maps_before_and_after(html: str) -> None:
    needles = part(html, "A needle in a haystack")
    captions = re.findall(r"<caption>(.*?)</caption>", needles)
    assert captions == ["after cooldown", "after long1", "after long2", "the finished model"]
    at_512 = re.findall(r"<td>512</td><td[^>]*>(\d+)%", needles)
    assert at_512 == ["63", "67", "70", "80"]
    assert needles.count('<td class="soft">–</td>') == 3 * 4  # 2,048 tokens are beyond the context


def test_a_change_names_the_forms_where_they_differ() -> None:
    assert scores.changes(["sft", "rl"], [0.5, 0.62], ["chat", "chat"]) == "rl +12"
    assert scores.changes(["sft", "rl"], [0.5, 0.4], ["chat", "think"]) == "rl -10 (asked in think after chat)"
    assert scores.changes(["text", "sft", "rl"], [0.1, None, 0.3], ["a", "a", "a"]) == "rl +20"
    assert scores.changes(["sft"], [0.5], ["chat"]) == "nothing to compare"


def test_a_model_that_does_not_think_is_told_from_one_not_measured(tmp_path: Path) -> None:
    for values, words in (({}, "Not measured."), ({"test_time_scaling": None}, "does not think before it answers")):
        (tmp_path / "evaluation.json").write_text(json.dumps(values))
        assert words in scores.scaling_section(read_run(tmp_path))


def test_scores_in_different_forms_say_so(tmp_path: Path) -> None:
    forms = {"text": "told", "align": "document", "joint": "document", "sft": "chat", "rl": None}
    for number, (stage, form) in enumerate(forms.items()):
        values = stage_scores(0.1 * number) | {"form": form}
        if form is None:
            del values["form"]
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "scores.json").write_text(json.dumps(values))
    course = scores.course_section(read_run(tmp_path))
    assert re.findall(r'<td class="soft">(.*?)</td>', course) == [
        "asked in",
        "told",
        "document",
        "document",
        "chat",
        "?",
    ]
    changes = (
        "align +6 (asked in document after told), joint +6, sft +6 (asked in chat after document), rl +6 (asked in ?"
    )
    assert changes in course

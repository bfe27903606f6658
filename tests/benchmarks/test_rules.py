"""The scoring rules against cases worked by hand from their definitions. Each case tells two rules apart."""

from __future__ import annotations

import ast
import time
from functools import partial
from typing import Any

import pytest

from minikimi.benchmarks.adapters import written_list
from minikimi.benchmarks.choices import (
    egoschema_letter,
    mmbench_letter,
    mmmu_letter,
    option_lines,
    score_egoschema,
    score_mmmu,
)
from minikimi.benchmarks.distance import anls, edit_distance, score_anls
from minikimi.benchmarks.harness import benchmark_table, score_output, summary
from minikimi.benchmarks.item import Item
from minikimi.benchmarks.literals import literal_list
from minikimi.benchmarks.mathvista import score_mathvista
from minikimi.benchmarks.mmlongbench import as_list, f1, score_mmlongbench
from minikimi.benchmarks.open_answers import candidates, score_open
from minikimi.benchmarks.screenspot import score_screenspot, to_fractions
from minikimi.errors import UserError

FOUR = option_lines(["red apple", "green pear", "blue plum", "dark grape"])[1]


@pytest.mark.parametrize(
    ("output", "letter", "branch"),
    [
        ("B", "B", "letter"),
        ("The answer is (C).", "C", "bracket"),
        ("Not (A) but (C), never (B)", "B", "bracket"),  # the last one, whatever is meant
        ("(B) because A is wrong", "B", "bracket"),  # brackets go before bare letters
        ("A or perhaps B or D", "D", "letter"),
        ("'B'.", "B", "letter"),  # marks at both ends are stripped
        ("NASA says so", "A", "within a word"),  # lmms-eval wants a blank behind the letter, none before it
        ("all SAD and A or GLAD", "A", "letter"),  # but of several, only those between blanks have a place
        ("B. not a red one, D. it", "B", "letter and stop"),  # no place at all: the first option
        ("B. it is", "B", "letter and stop"),
        ("I think it must be the blue plum here", "C", "option text"),
        ("a blue plum", None, "none"),  # option texts only in more than five words
    ],
)
def test_mmmu_takes_the_last_letter(output: str, letter: str | None, branch: str) -> None:
    assert mmmu_letter(output, FOUR) == (letter, branch)


def test_mmmu_strictly_takes_no_letter_within_a_word() -> None:
    score = score_mmmu("NASA says so", "A", FOUR, "x")
    assert (score.official, score.strict, score.parsed) == (1, 0, "A")


def test_mmmu_throws_seeded_dice_officially_and_none_strictly() -> None:
    scores = [score_mmmu("no idea", "A", FOUR, f"item-{i}") for i in range(400)]
    assert all(s.strict == 0 and s.parsed is None and s.branch == "dice" for s in scores)
    assert 0.18 < sum(s.official for s in scores) / 400 < 0.32
    assert scores == [score_mmmu("no idea", "A", FOUR, f"item-{i}") for i in range(400)]


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("The answer is B.", "B"),
        ("B or C", None),  # two letters are no answer
        ("A cat sits on the mat", None),  # `A` among more than three words may be an article
        ("A.", "A"),
        ("it is a green pear", "B"),
        ("green pear or blue plum", None),
        ("answer: D}", "D"),
        ("I would say that it is a green pear because " + "of its shape " * 9, None),  # too long to look for a text
    ],
)
def test_mmbench_wants_the_only_letter(output: str, letter: str | None) -> None:
    assert mmbench_letter(output, FOUR)[0] == letter


@pytest.mark.parametrize(
    ("output", "letter", "branch"),
    [
        ("C", "C", "exact"),
        ("C. blue plum", "C", "exact"),
        ("blue plum.", "C", "exact"),
        ("B, not C", "B", "first letter"),  # MMMU would say C of "(B) not (C)"
        ("I say D", "D", "first letter"),
        ("ABCD", None, "none"),
    ],
)
def test_egoschema_takes_the_first_letter(output: str, letter: str | None, branch: str) -> None:
    assert egoschema_letter(output, FOUR) == (letter, branch)
    assert mmmu_letter("(B) not (C)", FOUR)[0] == "C"
    score = score_egoschema(output, letter or "A", FOUR)
    assert (score.official, score.strict) == (float(letter is not None), float(branch == "exact"))


@pytest.mark.parametrize(
    ("output", "references", "official", "strict"),
    [
        ("The result is 12.", ["12"], 1, 1),
        ("so x = 3.14159", ["3.14"], 1, 1),  # rounded to two places
        ("The area is 1,200 square metres", ["1200"], 1, 0),  # a number within the tail is enough, officially
        ("It is a big dog", ["dog"], 1, 0),  # contained
        ("It is a hotdog", ["dog"], 1, 0),  # contained even within a word: the official leniency
        ("It is grey", ["g"], 0, 0),  # but a single letter is padded
        ("dog", ["cat", "dog"], 1, 1),
        ("The answer is 5 or 6", ["7"], 0, 0),
        ("First it is 3.\nThen the final answer is 8", ["8"], 1, 1),
        ("", ["8"], 0, 0),
    ],
)
def test_mmmu_open_questions(output: str, references: list[str], official: float, strict: float) -> None:
    score = score_open(output, references)
    assert (score.official, score.strict) == (official, strict)


def test_open_candidates_stay_a_list() -> None:
    """Joined into one string and walked letter by letter, as a published harness did, "cat" would match "c a t"."""
    assert "42.0 dogs" not in candidates("so 42 dogs") and 42.0 in candidates("so 42 dogs")
    assert score_open("the colours are c, a, t", ["cat"]).official == 0


@pytest.mark.parametrize(
    ("output", "official", "strict"),
    [
        ("(B)", 1, 1),
        ("B", 1, 1),
        ("11", 1, 1),
        ("The answer is (B) 11", 1, 0),
        ("probably 1l", 0, 0),  # nearest text by letters is "1", five letters are too many
        ("1l1", 1, 0),  # nearest text: one letter off "11"
        ("(A)", 0, 0),
        ("I think it is 11 of E", 1, 0),  # no choice has the letters I and E: the nearest text
        ("(f) is (b)", 1, 0),
        ("(b), see (f)", 1, 0),
    ],
)
def test_mathvista_choices(output: str, official: float, strict: float) -> None:
    score = score_mathvista(output, "11", ["1", "11", "121"], "text")
    assert (score.official, score.strict) == (official, strict)


@pytest.mark.parametrize(
    ("output", "answer", "kind", "precision", "official", "strict"),
    [
        ("7", "7", "integer", None, 1, 1),
        ("7.9", "7", "integer", None, 1, 1),  # cut, not rounded
        ("There are 3 and 4, so 7", "7", "integer", None, 1, 0),
        ("seven", "7", "integer", None, 0, 0),
        ("1.45", "1.4", "float", 1.0, 1, 1),  # round half to even in binary: 1.45 is a little less
        ("1.2", "1.20", "float", 2, 0, 0),  # compared as texts: the published rule
        ("about 0.61 m", "0.6", "float", 1, 1, 0),
        ("[1, 2]", "[1, 2]", "list", None, 1, 1),
        ("1,200", "1200", "integer", None, 1, 1),
        ("", "7", "integer", None, 0, 0),
    ],
)
def test_mathvista_free_answers(
    output: str, answer: str, kind: str, precision: Any, official: float, strict: float
) -> None:
    score = score_mathvista(output, answer, None, kind, precision)
    assert (score.official, score.strict) == (official, strict)


def test_edit_distance_and_anls() -> None:
    assert [edit_distance(*p) for p in (("", ""), ("abc", ""), ("kitten", "sitting"), ("flaw", "lawn"))] == [0, 3, 3, 2]
    assert anls("Hello  World", ["hello world"]) == 1
    assert anls("hxllo", ["hello", "other"]) == pytest.approx(0.8)  # the best reference
    assert anls("ab", ["cb"]) == 0  # half of the letters: exactly 0.5 is nothing
    assert anls("abc", ["abd"]) == pytest.approx(2 / 3)
    score = score_anls("Hxllo", ["hello"])
    assert (score.official, score.strict, score.parsed) == (pytest.approx(0.8), 0, "Hxllo")
    assert score_anls(" ", ["hello"]).parsed is None


@pytest.mark.parametrize(
    ("output", "answer", "kind", "official"),
    [
        ("12", "12", "Int", 1),
        ("12.9", "12", "Int", 1),  # cut, as published
        ("13", "12", "Int", 0),
        ("twelve", "12", "Int", 0),
        ("1,200", "1200", "Int", 0),  # the published program reads no commas
        ("3 p.m.", "3 p.m.", "Str", 1),  # the stop belongs to it
        ("3 p.m", "3 p.m.", "Str", 0),
        ("0.505", "50%", "Float", 1),  # one percent off, as a fraction
        ("50.6%", "0.5", "Float", 0),
        ("49.6", "49.5", "Float", 1),
        ("Fox", "fox", "Str", 1),
        ("foxx", "fox", "Str", 0.75),
        ("page 12", "page 1", "Str", 0),  # pages exactly
        ("2020-03-05", "2020-03-06", "Str", 0),  # dates exactly
        ("https://a.b/c", "https://a.b/d", "Str", 0),
        ("a@b.org", "a@b.com", "Str", 0),
        ("['b', 'a']", "['a', 'b']", "List", 1),  # the order does not count
        ("['a']", "['a', 'b']", "List", 0),
        ("[2, 1]", "['1', '2']", "List", 1),
        ("['fox', 'dogx']", "['dog', 'fox']", "List", 0.75),  # the worst pair
        ("Not answerable", "Not answerable", "None", 1),
        ("__import__('os').getcwd()", "fox", "List", 0),
        ("", "fox", "Str", 0),
    ],
)
def test_mmlongbench_by_format(output: str, answer: str, kind: str, official: float) -> None:
    assert score_mmlongbench(output, answer, kind).official == pytest.approx(official)


def test_lists_are_read_and_never_run() -> None:
    assert as_list("[1, 'a']") == [1, "a"]
    for text in ("[__import__('os').system('true')]", "[" * 50 + "]" * 50, "[" + "1," * 5000 + "]", "[1", "no"):
        assert as_list(text) == [text]


@pytest.mark.parametrize("text", ["[" * 9000, "[[[1]]]", "-" * 19_000 + "1", "[" + "{(" * 9000, "1" + "+1" * 9000])
def test_a_hostile_list_is_refused_at_once(text: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(UserError, match="row 1: expected a list"):
        written_list(text, "row 1")
    assert time.perf_counter() - begin < 0.5


def test_depth_is_counted_outside_of_quotes_and_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["f(g(h(x)))", "it's [0, 1)", "((("]
    assert written_list(str(options), "row 1") == options
    monkeypatch.setattr(ast, "literal_eval", lambda text: pytest.fail("parsed"))
    assert literal_list("[[[1]]]", 100) is None and literal_list("[" + " " * 100 + "]", 100) is None


def test_f1_counts_only_the_answerable() -> None:
    """Three answerable questions, two of them right, one left open; one unanswerable, answered: recall 2/3, and
    precision 2/3, since three answers were given.
    """
    wanted = ["a", "b", "c", "Not answerable"]
    assert f1([1, 1, 0, 0], wanted, ["a", "b", "Not answerable", "x"]) == pytest.approx(2 / 3)
    assert f1([0, 0, 0, 1], wanted, ["Not answerable"] * 4) == 0


@pytest.mark.parametrize(
    ("output", "official", "strict"),
    [
        ("[0.1, 0.6]", 1, 1),  # the corners belong to the box; x comes first
        ("click(0.2, 0.8)", 1, 1),
        ("[0.6, 0.1]", 0, 0),
        ("[0.0, 0.6, 0.3, 0.8]", 1, 0),  # a box counts by its middle, officially
        ("Click at (0.15, 0.7).", 1, 0),
        ("x=0.15 y=0.7", 1, 0),
        ("[150, 700]", 0, 0),  # thousandths are another convention
        ("[0.1]", 0, 0),
        ("nothing", 0, 0),
    ],
)
def test_screenspot(output: str, official: float, strict: float) -> None:
    score = score_screenspot(output, (0.1, 0.6, 0.2, 0.8))
    assert (score.official, score.strict) == (official, strict)


def test_boxes_in_all_layouts_and_units_and_the_wrong_one_is_seen() -> None:
    wanted = (0.5, 0.25, 0.75, 0.5)
    for box, layout in (
        ([0.5, 0.25, 0.75, 0.5], "xyxy"),
        ([0.5, 0.25, 0.25, 0.25], "xywh"),
        ([100, 25, 150, 50], "xyxy"),
        ([100, 25, 50, 25], "xywh"),
    ):
        assert to_fractions(box, (200, 100), layout, "row 1") == pytest.approx(wanted)
    for box, layout in (([100, 25, 50, 25], "xyxy"), ([100, 60, 150, 90], "xywh")):
        with pytest.raises(UserError, match="row 1: box"):
            to_fractions(box, (200, 100), layout, "row 1")


def test_thinking_is_left_out_of_every_rule() -> None:
    score = partial(score_mmmu, answer="B", options=FOUR, item_id="x")
    item = Item("x", [], [], "B", score)
    assert score_output(item, "◁think▷(A) or (C)?◁/think▷B").strict == 1
    endless = score_output(item, "◁think▷it is (B)")
    assert (endless.strict, endless.parsed, endless.branch) == (0, None, "dice")


def test_rules_get_the_output_as_it_stands() -> None:
    """Lines stay lines, and a closing stop counts: only the thinking is cut off."""
    lines = Item("x", [], [], "8", partial(score_open, references=["8"]))
    output = "◁think▷so 5◁/think▷The final answer is 8\nwhich is more than 3"
    assert score_output(lines, output).official == 1  # in one line the last tail, "more than 3", would be all
    paris = Item("x", [], [], ["Paris"], partial(score_anls, references=["Paris"]))
    assert score_output(paris, "Paris.").official == pytest.approx(5 / 6)
    assert score_output(paris, "◁think▷Paris◁/think▷Paris").official == 1


def test_mmbench_counts_a_question_as_its_worst_rotation() -> None:
    lines = [
        {"group": group, "asked": True, "official": official, "strict": official, "parsed": "A", "branch": "letter"}
        for group, official in (("1", 1.0), ("1", 1.0), ("2", 1.0), ("2", 0.0))
    ]
    result = summary("mmbench", lines)
    assert (result["n"], result["asked"], result["official"], result["vanilla"]) == (2, 4, 0.5, 1.0)
    assert result["policy"]["strict"] == "circular, exact"
    table = benchmark_table(result | {"benchmark": "mmbench", "judge": "none", "form": "chat"})
    assert list(table.columns[0].cells)[1] == "strict (circular, exact)"

"""Multiple choice: tables of cases by hand, each with its source, and plain transcriptions of the three programs.

A transcription is written the slow and literal way, with nothing taken from the code under test. On 20,000 generated
outputs each rule also gave what the program itself gives (lmms-eval 0.7.3, VLMEvalKit's `can_infer`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.choices import (
    LETTERS,
    egoschema_letter,
    mmbench_letter,
    mmmu_letter,
    option_lines,
    score_egoschema,
    score_mmbench,
    score_mmmu,
)
from minikimi.benchmarks.item import Score

FOUR = option_lines(["red apple", "green pear", "blue plum", "dark grape"])[1]
FIVE = {letter: f"{letter}. {text}" for letter, text in zip("ABCDE", ["a particle", "dust", "ice", "fog", "x"])}  # noqa: B905


@pytest.mark.parametrize(
    ("output", "letter", "branch"),
    [
        ("B", "B", "letter"),
        ("The answer is (C).", "C", "bracket"),
        ("Not (A) but (C), never (B)", "B", "bracket"),  # the last one, whatever is meant
        ("(B) because A is wrong", "B", "bracket"),  # brackets go before bare letters
        ("A or perhaps B or D", "D", "letter"),
        ("'B'.", "B", "letter"),  # marks at both ends are stripped
        ("NASA says so", "A", "letter"),  # a blank behind the letter is wanted, none before it
        ("all SAD and A or GLAD", "A", "letter"),  # but of several, only those between blanks have a place
        ("B. not a red one, D. it", "B", "letter and stop"),  # no place at all: the first option
        ("B. it is", "B", "letter and stop"),
        ("I think it must be the blue plum here", "C", "option text"),
        ("a blue plum", None, "none"),  # option texts only in more than five words
        ("**B**", None, "none"),
        ("B\n", None, "none"),  # the program's own reading; `score_mmmu` strips first
    ],
)
def test_mmmu_takes_the_last_letter(output: str, letter: str | None, branch: str) -> None:
    """Source: `parse_mmmu_multi_choice_response`, lmms-eval 0.7.3."""
    assert mmmu_letter(output, FOUR) == (letter, branch)


@pytest.mark.parametrize(
    ("output", "letter", "branch"),
    [
        ("C", "C", "letter"),
        ("C. ice", "C", "letter"),
        ("I say D", "D", "letter"),
        ("B, not A.", "A", "letter"),  # marks at the end go, so that `A` stands before a blank, and `B,` is no form
        ("B is better than A or B.", "A", "letter"),  # the last B comes after the last A
        ("B, not C", "C", "letter"),
        ("(B) or A. or C", "B", "letter"),
        ("ABCD", "D", "letter"),  # the end of a word
        ("NASA", "A", "letter"),
        ("**B**", None, "none"),
        ("B)", None, "none"),
        ("B: a particle", None, "none"),
        ("$\\boxed{B}$", None, "none"),
        ("a particle", None, "none"),
        ("a. particle is what it is here", None, "none"),  # the text alone: in the data it has its letter
        ("here it is said to be a. particle", None, "none"),
        ("I would say that it is a. a particle", "A", "option text"),
        ("", None, "none"),
    ],
)
def test_egoschema_takes_the_first_letter(output: str, letter: str | None, branch: str) -> None:
    """Source: `parse_multi_choice_response` of egoschema, lmms-eval 0.7.3."""
    assert egoschema_letter(output, FIVE) == (letter, branch)


@pytest.mark.parametrize(
    ("output", "letter", "branch"),
    [
        ("B", "B", "letter"),
        ("(B)", "B", "letter"),
        ("The answer is B.", "B", "letter"),
        ("answer: D}", "D", "letter"),
        ("B or C", None, "none"),  # two letters are no answer
        ("A cat sits on the mat", None, "none"),  # A is not among the last five words
        ("There on the mat sits A cat", "A", "letter"),  # here it is: article or not, without VERBOSE
        ("B. only the first and the third", None, "none"),
        ("A.", "A", "letter"),
        ("The answer is c.", "C", "answer is"),
        ("The correct answer is **d**, I am sure of it by now", "D", "answer is"),
        ("So the answer is a dog", "A", "answer is"),  # no border is asked for
        ("it is a green pear", "B", "option text"),
        ("green pear or blue plum", None, "none"),
        ("I would say that it is a green pear because " + "of its shape " * 9, None, "none"),  # too long for texts
        ("Cannot determine the answer", "Z", "refusal"),
        ("I can't process this file. B", "Z", "refusal"),
        ("Z", "Z", "refusal"),
        ("Failed to obtain answer via API", None, "none"),
        ("", None, "none"),
    ],
)
def test_mmbench_wants_the_only_letter(output: str, letter: str | None, branch: str) -> None:
    """Source: `can_infer`, VLMEvalKit e8e78f0, `VERBOSE` not set."""
    assert mmbench_letter(output, FOUR) == (letter, branch)


@pytest.mark.parametrize(
    ("output", "answer", "official", "strict"),
    [
        ("B", "B", 1, 1),
        ("B\n", "B", 1, 1),  # blanks at the ends are no part of an answer
        ("NASA says so", "A", 1, 0),
        ("C. A pretty girl", "A", 1, 0),  # officially the last letter before a blank
        ("C. A pretty girl", "C", 0, 0),  # the law reads C, the program does not: strict is both
        ("A. red apple\nB. green pear\nC. blue plum\nD. dark grape", "A", 1, 0),  # the list of options
        ("I would not say B", "B", 1, 0),
        ("I think it must be the blue plum here", "C", 1, 0),
        ("(B), not A", "B", 1, 1),
    ],
)
def test_mmmu_strict_asks_the_law_as_well(output: str, answer: str, official: float, strict: float) -> None:
    score = score_mmmu(output, answer, FOUR, "x")
    assert (score.official, score.strict) == (official, strict)


@pytest.mark.parametrize(
    ("output", "answer", "official", "strict"),
    [
        ("B", "B", 1, 1),
        ("B. dust", "B", 1, 1),
        ("B, not A.", "A", 1, 0),
        ("NASA", "A", 1, 0),
        ("A. a particle", "A", 1, 1),
    ],
)
def test_egoschema_strict_asks_the_law_as_well(output: str, answer: str, official: float, strict: float) -> None:
    score = score_egoschema(output, answer, FIVE, "x")
    assert (score.official, score.strict) == (official, strict)


@pytest.mark.parametrize(
    ("output", "answer", "official", "strict"),
    [("B", "B", 1, 1), ("There sits A cat", "A", 1, 0), ("The answer is c.", "C", 1, 1), ("Z", "A", 0, 0)],
)
def test_mmbench_strict_asks_the_law_as_well(output: str, answer: str, official: float, strict: float) -> None:
    score = score_mmbench(output, answer, FOUR, "x")
    assert (score.official, score.strict) == (official, strict)


@pytest.mark.parametrize(
    ("score", "options", "sides"), [(score_mmmu, FOUR, 4), (score_mmbench, FOUR, 5), (score_egoschema, FIVE, 5)]
)
def test_the_unreadable_is_thrown_for_officially_and_wrong_strictly(
    score: Callable[..., Score], options: dict[str, str], sides: int
) -> None:
    """As many sides as the program's dice: of MMBench one more than it has options. The same item, the same throw."""
    scores = [score("???", "A", options, f"item-{i}") for i in range(2000)]
    assert all(s.strict == 0 and s.parsed is None and s.branch == "dice" for s in scores)
    assert abs(sum(s.official for s in scores) / 2000 - 1 / sides) < 0.03
    assert scores == [score("???", "A", options, f"item-{i}") for i in range(2000)]


def test_there_are_lines_for_as_many_options_as_letters() -> None:
    lines, lettered = option_lines([f"option {i}" for i in range(12)])
    assert lines.splitlines()[-1] == "L. option 11" and len(lettered) == 12
    assert len(option_lines(["x"] * 26)[1]) == len(LETTERS)
    with pytest.raises(ValueError, match="longer"):
        option_lines(["x"] * 27)


PIECES = ["A", "B", "(A)", "(C)", "D.", "B.", " ", "  ", "is ", "so ", "answer ", "=", "\n", ". ", ".", ",", "'", "12",
          "1,200", "-4", "red", "blue plum", "green pear tree", "?", "final ", "x", ":", "(b)", "E", "I ", "[", "}",
          "Z", "**", "not ", "answer is c", "d. blue plum", "Cannot determine the answer"]  # fmt: skip
OUTPUTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
OPTIONS = {"A": "red", "B": "blue plum", "C": "12", "D": "green pear tree"}


def plain_mmmu_letter(output: str) -> str | None:
    """lmms-eval's rule for MMMU, branch by branch; None for its dice."""
    for mark in [",", ".", "!", "?", ";", ":", "'"]:
        output = output.strip(mark)
    output = " " + output + " "
    in_brackets = [letter for letter in "ABCD" if "(" + letter + ")" in output]
    before_blank = [letter for letter in "ABCD" if letter + " " in output]
    before_stop = [letter for letter in "ABCD" if letter + "." in output]
    texts = [letter for letter in "ABCD" if OPTIONS[letter].lower() in output.lower()]
    if in_brackets:
        candidates, places = in_brackets, [output.rfind("(" + letter + ")") for letter in in_brackets]
    elif before_blank or before_stop:
        candidates = before_blank or before_stop
        places = [output.rfind(" " + letter + " ") for letter in candidates]
    elif len(output.split()) > 5 and texts:
        candidates, places = texts, [output.lower().rfind(OPTIONS[letter].lower()) for letter in texts]
    else:
        return None
    return candidates[places.index(max(places))]


def plain_egoschema_letter(output: str, options: dict[str, str]) -> str | None:
    """lmms-eval's rule for EgoSchema: all forms that occur, then the one that ends up first; None for its dice."""
    for mark in [",", ".", "!", "?", ";", ":", "'"]:
        output = output.strip(mark)
    output = " " + output + " "
    there = ["(" + letter + ")" for letter in options if "(" + letter + ")" in output]
    there += [letter + " " for letter in options if letter + " " in output]
    there += [letter + "." for letter in options if letter + "." in output]
    places = [output.rfind(form) for form in there]
    letters = [form.strip("(). ") for form in there]
    if not there and len(output.split()) > 5:
        letters = [letter for letter in options if options[letter].lower() in output.lower()]
        places = [output.lower().rfind(options[letter].lower()) for letter in letters]
    return letters[places.index(min(places))] if letters else None


def plain_mmbench_letter(output: str) -> str | None:
    """VLMEvalKit's `can_infer_option`, then `can_infer_text`; None where it cannot infer."""
    if "Cannot determine the answer" in output:
        return "Z"
    words = output
    for mark in ".()[],:;!*#{}":
        words = words.replace(mark, " ")
    splits = words.split()
    there = [letter for letter in "ABCD" if letter in splits]
    late = max(len(splits) - 4, 0)
    if len(there) == 1 and splits.index(there[0]) >= late:
        return there[0]
    if not there and "Z" in splits:
        return "Z"
    said = re.findall(r"answer\s+is\s+\**([a-d])", output.lower())
    if said:
        return said[0].upper()
    if len(output) > 2 * (len("red") + len("blue plum") + len("12") + len("green pear tree")):
        return None
    there = [letter for letter in "ABCD" if OPTIONS[letter].lower() in output.lower()]
    return there[0] if len(there) == 1 else None


@settings(max_examples=500, deadline=None)
@given(OUTPUTS)
def test_each_rule_is_its_transcription(output: str) -> None:
    lettered = {letter: f"{letter}. {text}" for letter, text in OPTIONS.items()}
    assert mmmu_letter(output, OPTIONS)[0] == plain_mmmu_letter(output)
    assert egoschema_letter(output, lettered)[0] == plain_egoschema_letter(output, lettered)
    assert mmbench_letter(output, OPTIONS)[0] == plain_mmbench_letter(output)


@settings(max_examples=300, deadline=None)
@given(OUTPUTS, st.sampled_from("ABCD"))
def test_strict_never_exceeds_official(output: str, answer: str) -> None:
    scores: Sequence[Score] = [s(output, answer, OPTIONS, "x") for s in (score_mmmu, score_egoschema, score_mmbench)]
    assert all(score.strict <= score.official for score in scores)

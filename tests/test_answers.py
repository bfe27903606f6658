# ruff: noqa: RUF001  full-width signs are what some cases are about
"""The law of answers, against cases worked by hand: what a text, a number, a letter, a point is, and what is right.

Where training is stricter than the examination, one table holds both verdicts side by side.
"""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.answers import (
    exact_match,
    final_answer,
    normalise,
    number,
    numbers,
    only_point,
    option_letter,
    point,
    point_in_box,
    running_text_answer,
    split_thought,
    stated_number,
    without_thinking,
)
from minikimi.processor.text.chat import END_THINK, THINK

FOUR = {"A": "red apple", "B": "green pear", "C": "A pretty girl", "D": "12"}
BOX = (0.2, 0.4, 0.3, 0.6)


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("cat", "cat"),
        ("  top  left. ", "top left"),
        ("◁think▷2 + 3 = 5. 5◁/think▷5", "5"),
        ("◁think▷2 + 3 = 5", None),  # the thinking never ends: no answer, although the number is there
        ("◁think▷2 + 3◁/think▷", None),
        ("◁think▷a◁/think▷b◁/think▷c", "c"),  # of two closing marks the last
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


# truth "12" in the text cases, the box BOX in the point cases: right in the examination, right in training
TEXTS = [
    ("12", 1, 1),
    (" 12. ", 1, 1),
    ("１２", 1, 1),
    ("12。", 1, 1),
    (r"\boxed{12}", 1, 1),
    (r"$\boxed{\text{12}}$", 1, 1),
    (r"\boxed{13} or \boxed{12}", 0, 0),  # a box with something beside it is not the whole answer
    (r"\boxed{12} or {13}", 0, 0),
    ("◁think▷7 + 5 = 12◁/think▷12", 1, 1),
    ("◁think▷◁/think▷12", 1, 1),
    ("so ◁think▷a◁/think▷12", 1, 0),  # the thought begins late
    ("◁think▷a◁/think▷13◁/think▷12", 1, 0),  # two closing marks
    ("◁think▷a◁/think▷◁think▷12", 0, 0),
    ("◁think▷12◁/think▷13", 0, 0),
    ("◁think▷12", 0, 0),  # never stops thinking
    ("12◁/think▷", 0, 0),
    ("the answer is not 7, not 8, not 12", 0, 0),  # names every number
    ("12 or 13", 0, 0),
    ("12..", 0, 0),  # one stop is forgiven
    ("12 .", 0, 0),
    ("112", 0, 0),
    ("012", 0, 0),  # an answer is a text, not a value
    ("12.0", 0, 0),
    ("24/2", 0, 0),
    ("", 0, 0),
    ("six + six", 0, 0),
    ("6+6", 0, 0),  # nothing is computed
    ("◁think▷" + " " * 1200 + "◁/think▷12", 1, 1),  # a thought may be long
    (" " * 1200 + "12", 1, 0),  # an answer may not
]
POINTS = [
    ("click(0.25, 0.5)", 1, 1),
    ("(0.25,0.5)", 1, 1),
    ("[0.25, 0.5]", 1, 1),
    ("（0.25，0.5）", 1, 1),
    ("click(x=0.25, y=0.5)", 1, 1),
    ("pyautogui.click(x=0.25, y=0.5)", 1, 1),
    ("x=0.25, y=0.5", 1, 1),
    ("[0.25000000000000004, 0.5]", 1, 1),
    ("click(2.5e-1, 5e-1)", 1, 1),
    ("(25%, 50%)", 1, 1),
    ("◁think▷left◁/think▷click(0.30, 0.60)", 1, 1),  # the box's own corners
    ("click(0.20, 0.40)", 1, 1),
    ("click(0.25, 0.5) please", 1, 0),  # a word more
    ("Click at (0.25, 0.5).", 1, 0),
    ("1. pyautogui.click(x=0.25, y=0.5)", 1, 0),
    ("click(0.25, 0.5) click(0.9, 0.9)", 1, 0),  # the first point counts
    ("0.25 0.5", 1, 0),
    ("(0.25, 0.5)..", 1, 0),
    ("[0.2, 0.4, 0.3, 0.6]", 1, 0),  # a box counts by its middle
    ("(0.1, 0.4), (0.4, 0.6)", 1, 0),
    ("so ◁think▷a◁/think▷(0.25, 0.5)", 1, 0),
    ("click(0.19, 0.5)", 0, 0),
    ("click(0.5, 0.25)", 0, 0),  # x comes first
    ("click(0.25, 0.61)", 0, 0),
    ("click(25, 50)", 0, 0),  # percent without the sign, thousandths, pixels: not guessed at
    ("click(250, 500)", 0, 0),
    ("click(0.25)", 0, 0),
    ("click(nan, 0.5)", 0, 0),
    ("the cat", 0, 0),
    ("", 0, 0),
]


@pytest.mark.parametrize(("output", "examination", "training"), TEXTS)
def test_a_text_in_the_examination_and_in_training(output: str, examination: int, training: int) -> None:
    assert exact_match(output, "12").right == examination
    assert exact_match(output, "12", alone=True).right == training


@pytest.mark.parametrize(("output", "examination", "training"), POINTS)
def test_a_point_in_the_examination_and_in_training(output: str, examination: int, training: int) -> None:
    assert point_in_box(output, BOX).right == examination
    assert point_in_box(output, BOX, alone=True).right == training


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["◁think▷", "◁/think▷", "12", " ", ".", "(0.25, 0.5)"]), max_size=7).map("".join))
def test_training_is_never_more_lenient_than_the_examination(output: str) -> None:
    for alone, examination in (
        (exact_match(output, "12", alone=True), exact_match(output, "12")),
        (point_in_box(output, BOX, alone=True), point_in_box(output, BOX)),
    ):
        assert not alone.right or examination == alone


def test_exact_match_wants_the_whole_answer_in_its_case() -> None:
    assert exact_match("cat.", "cat").right and exact_match("−1,200", "-1200").right
    for wrong in ("Cat", "cat dog", "a cat", "", "◁think▷cat"):
        assert not exact_match(wrong, "cat").right
    assert exact_match("◁think▷cat", "cat").answer is None and exact_match(" dog. ", "cat").answer == "dog"


def test_no_answer_is_no_verdict() -> None:
    assert point_in_box("the cat", BOX).answer is None and point_in_box("◁think▷(0.25, 0.5)", BOX).answer is None
    assert point_in_box("at (0.25, 0.5).", BOX).answer == "at (0.25, 0.5)"


def test_a_thought_stands_at_the_start_between_two_marks() -> None:
    assert split_thought("◁think▷a b◁/think▷ c") == ("a b", " c")
    for broken in ("a", "x◁think▷a◁/think▷c", "◁think▷a", "◁think▷a◁/think▷b◁/think▷c", "◁/think▷a◁think▷"):
        assert split_thought(broken) is None


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_normalise_changes_blanks_and_one_stop_only(text: str) -> None:
    assert "".join(normalise(text).split()) in ("".join(text.split()), "".join(text.split())[:-1])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", "12"), ("−12", "-12"), ("－１２", "-12"), ("+3.50", "7/2"), (".5", "1/2"), ("1,200", "1200"),
        ("12,345,678.5", "24691357/2"), ("1\u202f200", "1200"), ("1/2", "1/2"), (r"\frac{1}{2}", "1/2"),
        (r"$\boxed{-3}$", "-3"), (r"\boxed{\dfrac{3}{4}}", "3/4"), ("1e-3", "1/1000"), ("1.5E+2", "150"), ("7%", "7"),
        ("12345678901234567", "12345678901234567"), ("0.30000000000000004", "30000000000000004/100000000000000000"),
        ("12.", "12"),
    ],
)  # fmt: skip
def test_a_number_is_read_exactly_however_it_is_written(text: str, value: str) -> None:
    assert number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    ["", "seven", "12 cm", "1,2,3", "1,20", "1,2345", "1/2/2003", "1.2.3", "H1", "1/0", "1e5000", "--3", "9**9", "nan",
     "inf", "0x10", "1_000", "7" * 41, "7" * 5000, "1/" + "7" * 5000],
)  # fmt: skip
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


def test_numbers_of_a_text() -> None:
    assert list(numbers("5-3, x=-2 and H1 on 1/2/2003 in 12cm (v1.2.3)")) == [5, 3, -2, 12]
    assert list(numbers("1,2,3 or 1,200,30 or 1,200,300")) == [1, 2, 3, 1, 200, 30, 1200300]
    assert list(numbers("3 of " + "9" * 5000 + " and 4")) == [3, None, 4]


@settings(max_examples=300, deadline=None)
@given(st.decimals(-(10**18), 10**18, allow_nan=False, places=5), st.booleans())
def test_written_by_python_numbers_come_back(value: object, grouped: bool) -> None:
    assert number(f"{value:,}" if grouped else str(value)) == Fraction(str(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The answer is 12, since 4 rows hold 3 each", "12"),  # not the last number
        ("There are 3 and 4, so 7", "7"),
        ("So 3 + 4 = 7, \\boxed{7} in all 9 rows", "7"),
        ("The answer is 5. Wait, the answer is 6 of 8.", "6"),
        ("答案是12，共3行", "12"),
        ("Answer: **1/2**", "1/2"),
        ("The answer is twelve of 3", "3"),
        ("seven", None),
        ("The answer is unknown", None),
        ("", None),
    ],
)
def test_the_number_that_is_stated(text: str, value: str | None) -> None:
    assert stated_number(text) == (value and Fraction(value))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), ("B\n", "B"), (" (b). ", "B"), ("**B**", "B"), ("（B）", "B"), ("$B$", "B"), ("a", "A"),
        ("E", None), ("B.", "B"), ("B: green pear", "B"), ("(B) green pear", "B"), ("Green  pear.", "B"), ("12", "D"),
        ("C. A pretty girl", "C"), ("A pretty girl", "C"), (r"So $\boxed{\text{B}}$, not A or C", "B"),
        ("答案是B", "B"), ("答案是B。", "B"), ("选B", "B"), ("选项B是正确的", "B"), ("The answer is (C).", "C"),
        ("The correct answer is: **D**", "D"), ("The answer is A because it is red", "A"), ("I say D", "D"),
        ("I think it's (B)", "B"), ("B, not A.", "B"), ("Option B.", "B"), ("answer: b", "B"),
        ("A. red apple\nB. green pear\nC. A pretty girl\nD. 12", None),  # the list of options
        ("A. red apple B. green pear", None), ("B or C", None), ("The answer is A or B", None),
        ("B, better than C", None),
        ("I would not say B", None), ("It isn't B", None), ("It can’t be B", None), ("The answer is not B", None),
        ("neither A nor B", None), ("不是B", None),
        ("A dog", None), ("The answer is a particle", None), ("NASA", None), ("ABCD", None), ("vitamin D3", None),
        ("B's", None), ("", None), ("green pear or red apple", None), ("x" * 30_000 + " B", None),
    ],
)  # fmt: skip
def test_the_letter_of_an_option(text: str, letter: str | None) -> None:
    assert option_letter(text, FOUR) == letter


def test_an_option_without_text_or_with_anothers_text_is_not_chosen_by_it() -> None:
    assert option_letter("", {"A": "", "B": "x"}) is None and option_letter("x", {"A": "x", "B": "x"}) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[0.30000000000000004, 0.3]", (0.30000000000000004, 0.3)),
        ("3D view: click(x=0.5, y=0.3)", (0.5, 0.3)),
        ('{"x": 0.3, "y": 0.4}', (0.3, 0.4)),
        ("x=0.15 y=0.7", (0.15, 0.7)),
        ("(−0.5, .25)", (-0.5, 0.25)),
        ("[0.5, 0.25, 1.0, 0.75]", (0.75, 0.5)),
        ("<box>(450,250),(550,350)</box>", (500, 300)),
        ("[[0.5, 0.25], [1, 0.75]]", (0.75, 0.5)),
        ("(0.2, 0.3) then (0.8, 0.9)", (0.2, 0.3)),
        ("about 0.3 by 0.65", (0.3, 0.65)),
        ("[" + "1" * 5000 + ", 0.3]", None),
        ("0.3", None),
        ("1.2.3 and 0.5", None),
    ],
)
def test_points_in_all_their_forms(text: str, place: tuple[float, float] | None) -> None:
    assert point(text) == (place and pytest.approx(place, abs=1e-15))


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["({}, {})", "[{},{}]", "click(x={}, y={})", "x={}, y={}"]))
def test_a_point_written_by_python_comes_back(x: float, y: float, form: str) -> None:
    assert only_point(form.format(x, y)) == point(f"here: {form.format(x, y)} ok") == (x, y)


MARKS = ["1,", "0.", "[", "(", "{", "}", "x=", "y=", "\\boxed{", "\\frac{", "答案", "1/", THINK, END_THINK, "-", "%"]
PIECES = ["9" * 40, " ", "\n", "x = ", "A ", "not ", "1 e", "answer is ", "(0.1, ", "'", "B", "\uff0c", *MARKS]


@pytest.mark.parametrize("seed", range(4))
def test_long_texts_are_read_in_time_that_grows_with_their_length(seed: int) -> None:
    """Up to 200,000 characters: a pattern that looks again and again would run into the time limit of a test."""
    rng = random.Random(seed)
    for piece in PIECES[seed::4]:
        for text in (piece * (200_000 // len(piece)), (piece + rng.choice(PIECES)) * 4000):
            for read in (exact_match, point_in_box):
                read(text, "12" if read is exact_match else BOX)  # type: ignore[arg-type]
                read(text, "12" if read is exact_match else BOX, alone=True)  # type: ignore[arg-type]
            stated_number(text), number(text), option_letter(text, FOUR)

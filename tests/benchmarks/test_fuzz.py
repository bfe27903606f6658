"""Differential fuzz: our parsers against plain transcriptions of the published rules, written the slow and literal
way and with nothing taken from the code under test, on outputs made of the pieces that parsers trip over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from math import isclose

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.choices import egoschema_letter, mmbench_letter, mmmu_letter
from minikimi.benchmarks.distance import edit_distance, score_anls
from minikimi.benchmarks.mathvista import score_mathvista
from minikimi.benchmarks.mmlongbench import EXACT, score_mmlongbench
from minikimi.benchmarks.open_answers import score_open
from minikimi.benchmarks.screenspot import predicted_point

PIECES = ["A", "B", "(A)", "(C)", "D.", "B.", " ", "  ", "is ", "so ", "answer ", "=", "\n", ". ", ".", ",", "'", "12",
          "1,200", "3.50", "-4", "1e5", "red", "blue plum", "green pear tree", "?", "final ", "x",
          "result ", ":", "(b)", "E", "I ", "[", "}"]  # fmt: skip


def outputs(pieces: Sequence[str], size: int = 14) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=size).map("".join)


OUTPUTS = outputs(PIECES)
OPTIONS = {"A": "red", "B": "blue plum", "C": "12", "D": "green pear tree"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def plain_mmmu_letter(output: str) -> str | None:
    """lmms-eval's `parse_multi_choice_response`, branch by branch; None for its dice."""
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


@settings(max_examples=500, deadline=None)
@given(OUTPUTS)
def test_mmmu_letter(output: str) -> None:
    assert mmmu_letter(output, OPTIONS)[0] == plain_mmmu_letter(output)


def plain_value(text: str) -> list:
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        return [" " + text.lower(), text.lower() + " "] if len(text) == 1 else [text.lower()]


def plain_open(output: str, gold: str) -> bool:
    """MMMU's open rule, step by step."""
    output = output.strip().strip(".").lower()
    keys, lines = [], output.split("\n")
    words = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "]
    for i, line in enumerate(lines):
        if i == len(lines) - 1:
            words.append("=")
        best = None
        for word in words:
            if word in line:
                tail = line.split(word)[-1].strip()
                if not best or len(tail) < len(best):
                    best = tail
        if best and best.strip() not in [":", ",", ".", "!", "?", ";", "'"]:
            keys.append(best)
    keys = keys or [output]
    found = list(keys)
    for key in keys:
        found += re.findall(r"-?\b\d{1,3}(?:,\d{3})+\b", key)
        found += re.findall(r"-?\d+(?:\.\d+)?[eE][+-]?\d+", key)
        found += re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])", key)
    predictions = [value for text in found for value in plain_value(text)]
    golds = plain_value(gold)
    for prediction in predictions:
        for wanted in golds:
            if isinstance(prediction, str) and isinstance(wanted, str) and wanted in prediction:
                return True
            if not isinstance(prediction, str) and prediction == wanted:
                return True
    return False


@settings(max_examples=400, deadline=None)
@given(OUTPUTS, st.sampled_from(["12", "x", "red", "3.5", "1,200", "blue plum", "-4"]))
def test_mmmu_open(output: str, gold: str) -> None:
    assert bool(score_open(output, [gold]).official) == plain_open(output, gold)


def plain_mmbench_letter(output: str) -> str | None:
    """VLMEvalKit's `can_infer_option`, then `can_infer_text`; None where it cannot infer."""
    words = output
    for mark in ".()[],:;!*#{}":
        words = words.replace(mark, " ")
    splits = [word.strip() for word in words.split()]
    there = [letter for letter in "ABCD" if letter in splits]
    if len(there) == 1 and not ("A" in splits and len(splits) > 3):
        return there[0]
    if len(output) > 2 * (len("red") + len("blue plum") + len("12") + len("green pear tree")):
        return None
    there = [letter for letter in "ABCD" if OPTIONS[letter].lower() in output.lower()]
    return there[0] if len(there) == 1 else None


@settings(max_examples=500, deadline=None)
@given(OUTPUTS)
def test_mmbench_letter(output: str) -> None:
    assert mmbench_letter(output, OPTIONS)[0] == plain_mmbench_letter(output)


def free_capitals(text: str, of_word: str) -> list[str]:
    """Capitals with no character of a word, by `of_word`, on either side."""
    padded = f" {text} "
    around = zip(padded, padded[1:], padded[2:], strict=False)
    return [x for a, x, b in around if x in LETTERS and not re.match(of_word, a) and not re.match(of_word, b)]


def plain_egoschema_letter(output: str) -> str | None:
    """The whole output is an option, by its letter, text or both; else the first letter of an option on its own."""
    said = output.strip()
    for letter, text in OPTIONS.items():
        for form in (letter, letter + ".", "(" + letter + ")", text, letter + ". " + text):
            if said in (form, form + "."):
                return letter
    return next((letter for letter in free_capitals(said, "[A-Za-z]") if letter in "ABCD"), None)


@settings(max_examples=500, deadline=None)
@given(OUTPUTS)
def test_egoschema_letter(output: str) -> None:
    assert egoschema_letter(output, OPTIONS)[0] == plain_egoschema_letter(output)


def slow_distance(a: str, b: str) -> int:
    """Levenshtein's whole table."""
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            swap = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, swap)
    return table[-1][-1]


@settings(max_examples=300, deadline=None)
@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edit_distance(a: str, b: str) -> None:
    assert edit_distance(a, b) == slow_distance(a, b)


WORDS = outputs(["Paris", "pari", "s", ".", " ", "\n", "12", "%", "the ", "A"], 6)


@settings(max_examples=400, deadline=None)
@given(WORDS, st.lists(WORDS.filter(str.strip), min_size=1, max_size=3))
def test_anls(output: str, golds: list[str]) -> None:
    """The best reference; nothing from half of the letters on."""
    best = 0.0
    for gold in golds:
        a, b = " ".join(output.lower().split()), " ".join(gold.lower().split())
        relative = slow_distance(a, b) / max(len(a), len(b))
        best = max(best, 1 - relative if relative < 0.5 else 0)
    assert score_anls(output, golds).official == pytest.approx(best)


def plain_mathvista(output: str, answer: str, choices: list[str] | None, kind: str, precision: int) -> bool:
    """Our extraction as `mathvista.py` states it, then the published `normalize_extracted_answer`."""
    output = output.strip()
    own = LETTERS[: len(choices or [])]
    tail = re.match(r"(?is).*?answer is ([^\n]+)$", output)
    fallback = output if tail is None else re.sub(r"(?<=.)\.$", "", tail[1]).strip()
    if not output:
        return False
    if choices:
        bracketed = [x.upper() for x in re.findall(r"\(([a-zA-Z])\)", output) if x.upper() in own]
        free = [x for x in free_capitals(output, r"\w") if x in own]
        extraction = output if output in choices else (bracketed or free or [fallback])[-1]
        letter = re.findall(r"\(([a-zA-Z])\)", extraction)
        if letter:
            extraction = letter[0].upper()
        if extraction in list(own):
            return choices[own.index(extraction)] == answer
        distances = [slow_distance(extraction, choice) for choice in choices]
        return choices[distances.index(min(distances))] == answer
    if kind == "list":
        return fallback == answer
    output = output.replace(",", "")
    try:
        extraction = str(float(output))
    except ValueError:
        extraction = (re.findall(r"-?\d+(?:\.\d+)?", output) or [fallback])[-1]
    try:
        value = float(extraction)
    except ValueError:
        return False
    return answer == (str(int(value)) if kind == "integer" else str(round(value, precision)))


MATHVISTA = outputs(["A", "(b)", "(C)", "(f)", "I ", " ", "red", "blue", "rad", ".", ",", "12", "1,200", "7.46", "-4",
                     "answer is ", "The answer is ", "\n", "x", "[1, 2]"], 7)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(MATHVISTA, st.sampled_from(["choice", "integer", "float", "list"]), st.sampled_from([0, 1, 2]), st.data())
def test_mathvista(output: str, kind: str, precision: int, data: st.DataObject) -> None:
    assume(len(output) < 40 and not re.search(r"\d{12}", output))
    choices = ["red", "blue", "green"] if kind == "choice" else None
    answers = {"choice": ["red", "blue", "green"], "integer": ["12", "1200", "7", "-4"], "list": ["[1, 2]", "x"],
               "float": ["12.0", "7.5", "7.46", "-4.0", "1200.0"]}  # fmt: skip
    answer = data.draw(st.sampled_from(answers[kind]))
    found = score_mathvista(output, answer, choices, "text" if choices else kind, precision).official
    assert bool(found) == plain_mathvista(output, answer, choices, kind, precision)


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?(\d+(\.\d+)?|\.\d+)", text) is not None


def numbers_in(text: str) -> list[float]:
    """All numbers of a text, read from left to right as far as each goes."""
    found, start = [], 0
    while start < len(text):
        ends = [end for end in range(start + 1, len(text) + 1) if is_number(text[start:end])]
        if ends:
            found.append(float(text[start : ends[-1]]))
        start = ends[-1] if ends else start + 1
    return found


def plain_point(output: str) -> tuple[float, float] | None:
    """The first two or four numbers in brackets, four being a box; else the first two numbers."""
    for start, opening in enumerate(output):
        closing = re.search(r"[\[\]()]", output[start + 1 :])
        if opening not in "[(" or closing is None or closing[0] in "[(":
            continue
        inner = [cell.strip() for cell in output[start + 1 : start + 1 + closing.start()].split(",")]
        if len(inner) in (2, 4) and all(map(is_number, inner)):
            n = [float(cell) for cell in inner]
            return (n[0], n[1]) if len(n) == 2 else ((n[0] + n[2]) / 2, (n[1] + n[3]) / 2)
    loose = numbers_in(output)
    return (loose[0], loose[1]) if len(loose) > 1 else None


@settings(max_examples=800, deadline=None)
@given(outputs(["[", "]", "(", ")", ",", ", ", " ", "0.25", ".5", "1", "-", "0.75", "click", "x=", ".", "[0.1, 0.2",
                "(.3,.4,.5,.6)"], 10))  # fmt: skip
def test_screenspot(output: str) -> None:
    assume(not re.search(r"\d{7}", output))
    assert predicted_point(output)[0] == plain_point(output)


def cleaned(value: object) -> str:
    """MMLongBench-Doc's `get_clean_string`."""
    text = str(value).lower().strip()
    text = re.sub(r"\s*\([^)]*\)", "", text).strip()
    text = re.sub(r"^['\"]|['\"]$", "", text).strip()
    text = text.strip().lstrip("$").strip()
    return text.strip().rstrip("%").strip()


def compared_exactly(text: str) -> bool:
    """MMLongBench-Doc's `is_exact_match`."""
    return (
        "https://" in text
        or text.endswith(".py")
        or text.endswith("ipynb")
        or text.startswith("page")
        or re.fullmatch(r"\b\d+(-\d+|\s\d+)?\b", text) is not None
        or "a.m." in text
        or "p.m." in text
        or re.fullmatch(r"\b\d{4}[-\s]\d{2}[-\s]\d{2}\b", text) is not None
        or re.fullmatch(r"\b\d{4}[-\s]\d{2}\b", text) is not None
        or re.fullmatch(r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}", text) is not None
    )


def isfloat(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def plain_similarity(a: str, b: str) -> float:
    value = 1.0 - (slow_distance(a, b) / max(len(a), len(b)) if a or b else 0.0)
    return value if value > 0.5 else 0.0


def plain_floats(wanted: float, said: float) -> bool:
    """MMLongBench-Doc's `is_float_equal` with percentages and closeness."""
    for scaled in (wanted / 100, wanted, wanted * 100):
        digits = [len(str(x).split(".")[-1]) if "." in str(x) else 3 for x in (said, scaled)]
        places = max(min(digits), 2)
        if isclose(scaled, said, rel_tol=0.01) or round(said, places) == round(scaled, places):
            return True
    return False


def plain_mmlongbench(gold: str, said: str, kind: str) -> float:
    """MMLongBench-Doc's `eval_score`, with a parser of literals in the place of `eval`."""
    if kind == "Int":
        return float(isfloat(said) and int(gold) == int(float(said)))
    if kind == "Float":
        return float(isfloat(cleaned(said)) and plain_floats(float(cleaned(gold)), float(cleaned(said))))
    if kind in ("Str", "None"):
        a, b = cleaned(gold), cleaned(said)
        return float(a == b) if compared_exactly(a) else plain_similarity(a, b)
    lists = [ast.literal_eval(text) if text.startswith("[") else [text] for text in (gold, said)]
    wanted, given_ = (sorted(cleaned(x) for x in values) for values in lists)
    if len(wanted) != len(given_):
        return 0.0
    if isfloat(wanted[0]) or compared_exactly(wanted[0]):
        return float("-".join(wanted) == "-".join(given_))
    return min(plain_similarity(a, b) for a, b in zip(wanted, given_, strict=True))


NUMBERLIKE = st.floats(0.01, 5000).map(lambda x: f"{x:.2f}") | st.integers(0, 300).map(str)
SAID = outputs(["fox", "fax", " ", "'", "(it)", "$", "%", "12", "1,200", "-", "page ", "3 p.m.", "p.m", ".", "2020-01",
                ".py", "https://x.y", "me@x.org", "Not answerable"], 4).map(str.strip).filter(bool)  # fmt: skip
LISTS = st.lists(SAID, min_size=1, max_size=3).map(str) | SAID


@settings(max_examples=600, deadline=None)
@given(SAID, SAID, st.booleans())
def test_mmlongbench_text(wanted: str, said: str, same: bool) -> None:
    said = wanted if same else said
    for kind in ("Str", "None"):
        assert score_mmlongbench(said, wanted, kind).official == pytest.approx(plain_mmlongbench(wanted, said, kind))


@settings(max_examples=600, deadline=None)
@given(LISTS, LISTS, st.booleans())
def test_mmlongbench_list(wanted: str, said: str, same: bool) -> None:
    said = wanted if same else said
    assert score_mmlongbench(said, wanted, "List").official == pytest.approx(plain_mmlongbench(wanted, said, "List"))


@settings(max_examples=400, deadline=None)
@given(NUMBERLIKE, NUMBERLIKE | SAID, st.sampled_from(["", "%", " %"]))
def test_mmlongbench_numbers(wanted: str, said: str, unit: str) -> None:
    said += unit
    assert score_mmlongbench(said, wanted + unit, "Float").official == plain_mmlongbench(wanted + unit, said, "Float")
    whole = wanted.split(".")[0]
    assert score_mmlongbench(said, whole, "Int").official == plain_mmlongbench(whole, said, "Int")


@pytest.mark.parametrize(
    ("text", "exact"),
    [("see https://x.y", True), ("run.py", True), ("a.ipynb", True), ("page 3", True), ("12-13", True), ("12 13", True),
     ("3 p.m.", True), ("2020-01-02", True), ("2020 01", True), ("me@x.org", True), ("front page", False),
     ("12-13-14", False), ("python", False), ("20-01-2", False), ("me at x.org", False)],
)  # fmt: skip
def test_what_is_compared_letter_by_letter(text: str, exact: bool) -> None:
    assert (EXACT.fullmatch(text) is not None) is exact is compared_exactly(text)

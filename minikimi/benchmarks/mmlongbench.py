"""MMLongBench-Doc: answers compared by their declared format, and F1 over what can be answered (lesson 15).

Int: equal. Float: within one percent or equal after rounding, also at 100 times or a hundredth (percentages). Str:
cleaned, then exact for addresses, dates, pages and the like, else ANLS. List: sorted, of the same length, exact or the
least ANLS. Some questions have no answer in the document; the answer to those is "Not answerable". The program
followed: MMLongBench-Doc d73f0dc (2025-09-28), arXiv 2407.01523, without its extraction of the answer by a language
model. Lists are read within limits where the program evaluates them, so what makes it stop is wrong here; model output
is never run. `strict` is this rule *and* equality after cleaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isclose

from minikimi.answers import folded, normalise
from minikimi.benchmarks.distance import relative_distance
from minikimi.benchmarks.item import Score
from minikimi.benchmarks.literals import literal_list
from minikimi.benchmarks.mathvista import number

NOT_ANSWERABLE = "Not answerable"
MAX_LIST_TEXT = 2000
EXACT = re.compile(
    r".*https://.*|.*\.py|.*ipynb|page.*|\d+(-\d+|\s\d+)?|.*[ap]\.m\..*|\d{4}[-\s]\d{2}([-\s]\d{2})?"
    r"|[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}",
    re.DOTALL,
)


def clean(text: object) -> str:
    """Lower case, without remarks in brackets, quotes at the ends, a leading $ and a closing %."""
    short = re.sub(r"\s*\([^)]*\)", "", str(text).lower().strip()).strip()
    short = re.sub(r"^['\"]|['\"]$", "", short).strip()
    return short.lstrip("$").strip().rstrip("%").strip()


def as_list(text: object) -> list[object]:
    """A list written as `[...]` of texts and numbers, else the text as its only element."""
    if isinstance(text, list):
        return text
    written = str(text).strip()
    value = literal_list(written, MAX_LIST_TEXT) if written.startswith("[") else None
    return [text] if value is None else value


def places(value: float) -> int:
    """Decimal places to compare at: those of the shortest way to write the number, 3 for none."""
    return len(str(value).split(".")[-1]) if "." in str(value) else 3


def floats_equal(wanted: float, given: float) -> bool:
    """Within one percent, or equal when rounded, as it stands or as a percentage."""
    for scaled in (wanted / 100, wanted, wanted * 100):
        precision = max(min(places(given), places(scaled)), 2)
        if isclose(scaled, given, rel_tol=0.01) or round(given, precision) == round(scaled, precision):
            return True
    return False


def similarity(wanted: str, given: str) -> float:
    """Their ANLS: 1 minus the relative distance, 0 unless above one half."""
    value = 1 - relative_distance(wanted, given)
    return value if value > 0.5 else 0.0


def compare(wanted: object, given: str, answer_format: str) -> float:
    """The published score of an extracted answer, 0 to 1."""
    if answer_format == "Int":
        a, b = number(str(wanted)), number(given)
        return float(a is not None and b is not None and int(a) == int(b))
    if answer_format == "Float":
        a, b = number(clean(wanted)), number(clean(given))
        return float(a is not None and b is not None and floats_equal(a, b))
    if answer_format in ("Str", "None"):
        text, said = clean(wanted), clean(given)
        return float(text == said) if EXACT.fullmatch(text) else similarity(text, said)
    return compare_lists([clean(x) for x in as_list(wanted)], [clean(x) for x in as_list(given)])


def compare_lists(wanted: Sequence[str], given: Sequence[str]) -> float:
    """Lists as sets of texts: exact if the first is a number or the like, else their worst pair's ANLS."""
    if len(wanted) != len(given) or not wanted:
        return 0.0
    wanted, given = sorted(wanted), sorted(given)
    if number(wanted[0]) is not None or EXACT.fullmatch(wanted[0]):
        return float("-".join(wanted) == "-".join(given))
    return min(similarity(a, b) for a, b in zip(wanted, given, strict=True))


def score_mmlongbench(output: str, answer: object, answer_format: str) -> Score:
    """Official: the published comparison. Strict: the same, but nothing for what is not equal after cleaning."""
    given = output.strip()
    if not given:
        return Score(0.0, 0.0, None, "none")
    official = compare(answer, given, answer_format)
    wanted, said = ([normalise(folded(clean(x))) for x in as_list(value)] for value in (answer, given))
    return Score(official, official * (sorted(wanted) == sorted(said)), given, answer_format)


def refuses(text: str | None, strict: bool) -> bool:
    """Whether a text says that the document does not tell: in exactly these words, or, strict, in any typography."""
    if text is None or not strict:
        return text == NOT_ANSWERABLE
    return normalise(folded(text)).casefold() == NOT_ANSWERABLE.casefold()


def f1(scores: Sequence[float], wanted: Sequence[object], given: Sequence[str | None], strict: bool = False) -> float:
    """Harmonic mean of recall over the answerable questions and precision over those that were answered. The published
    program takes "Not answerable." and "not answerable" for answers; strict: as refusals.
    """
    answerable = [score for score, answer in zip(scores, wanted, strict=True) if answer != NOT_ANSWERABLE]
    answered = sum(not refuses(answer, strict) for answer in given)
    if not answerable or not answered or not sum(answerable):
        return 0.0
    recall, precision = sum(answerable) / len(answerable), sum(answerable) / answered
    return 2 * recall * precision / (recall + precision)

"""Edit distance, and ANLS, which forgives misread letters: InfoVQA's score (lesson 15).

ANLS (arXiv 1907.00490): one minus the edit distance over the longer length, of the best reference; 0 where half or
more of the letters are wrong. MMLongBench-Doc uses a variant of its own, see `mmlongbench.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from minikimi.benchmarks.item import Score

MAX_LENGTH = 2000  # characters compared; an answer is never longer, and the work grows with the square


def edit_distance(a: str, b: str) -> int:
    """Least number of insertions, deletions and substitutions that turn `a` into `b` (Levenshtein), row by row."""
    a, b = a[:MAX_LENGTH], b[:MAX_LENGTH]
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def relative_distance(a: str, b: str) -> float:
    """Edit distance over the longer length, 0 to 1."""
    longest = max(len(a[:MAX_LENGTH]), len(b[:MAX_LENGTH]))
    return edit_distance(a, b) / longest if longest else 0.0


def plain(text: str) -> str:
    """Lower case, single blanks."""
    return " ".join(text.lower().split())


def anls(output: str, references: Sequence[str]) -> float:
    """1 minus the least relative distance to a reference; 0 if that is half or more."""
    nearest = min(relative_distance(plain(output), plain(reference)) for reference in references)
    return 1 - nearest if nearest < 0.5 else 0.0


def score_anls(output: str, references: Sequence[str]) -> Score:
    """Official: ANLS. Strict: a reference, letter by letter, but for case and blanks."""
    exact = any(plain(output) == plain(reference) for reference in references)
    return Score(anls(output, references), float(exact), output.strip() or None, "text" if output.strip() else "none")

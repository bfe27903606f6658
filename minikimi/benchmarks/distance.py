"""Edit distance, and ANLS, which forgives misread letters: InfoVQA's score (lesson 15).

ANLS: one minus the edit distance over the longer length, of the best reference; nothing if too little is right. The
paper (arXiv 1907.00490) gives nothing from one half wrong on, all programs only beyond it, and they take the lengths
of the texts as they stand, before blanks are cleaned up: `12` for `10` is 0 by the paper and 0.5 by the programs. Both
are shown, as `paper` and `official`. The program followed: `anls` of lmms-eval 0.7.3, which the script of the
benchmark's site and VLMEvalKit agree with. MMLongBench-Doc uses a variant of its own, see `mmlongbench.py`.
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


def relative_distance(a: str, b: str, longest: int | None = None) -> float:
    """Edit distance over `longest`, the longer length if it is None; texts of over 2,000 characters are all unlike."""
    if max(len(a), len(b)) > MAX_LENGTH:
        return float(a != b)
    longest = max(len(a), len(b)) if longest is None else longest
    return edit_distance(a, b) / longest if longest else 0.0


def plain(text: str) -> str:
    """Lower case, single blanks."""
    return " ".join(text.lower().split())


def anls(output: str, references: Sequence[str]) -> float:
    """1 minus the least distance to a reference over the longer raw length; 0 if that is below one half."""
    value = 1 - min(
        relative_distance(plain(reference), plain(output), max(len(reference.upper()), len(output.upper())))
        for reference in references
    )
    return value if value >= 0.5 else 0.0


def anls_of_paper(output: str, references: Sequence[str]) -> float:
    """1 minus the least relative distance to a reference; 0 if that is half or more."""
    nearest = min(relative_distance(plain(reference), plain(output)) for reference in references)
    return 1 - nearest if nearest < 0.5 else 0.0


def score_anls(output: str, references: Sequence[str]) -> Score:
    """Official: ANLS. Strict: a reference, letter by letter, but for case and blanks."""
    exact = any(plain(output) == plain(reference) for reference in references)
    parsed, branch = output.strip() or None, "text" if output.strip() else "none"
    return Score(anls(output, references), float(exact), parsed, branch, anls_of_paper(output, references))

"""Exercise 7.10: Report what does not fit (difficulty 2, 3 minutes)

Hint 1: Drop the derived names from found first; then differences of two sets of names, and shapes of what is in both.

Hint 2: sorted(set(expected) - set(found)) is missing, the other way round is unexpected; misshapen runs over
set(expected) & set(found).

Why: A weight that stays at its initial value gives no error, only nonsense. So nothing is loaded before all names and
shapes agree.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.checkpoint import DERIVED

wrong = Wrongs()

Shapes = dict[str, list[int]]


def key_report(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    """Names (sorted) that are missing, unexpected or misshapen; what follows from the config is ignored."""
    found = {name: shape for name, shape in found.items() if not DERIVED.fullmatch(name)}
    return {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "misshapen": sorted(name for name in set(expected) & set(found) if expected[name] != found[name]),
    }


def report_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    layer = "language_model.model.layers.{}.self_attn.{}"
    expected = {layer.format(i, "q_proj.weight"): [96, 64] for i in range(3)} | {"lm_head.weight": [1024, 64]}
    found = {layer.format(i, "rotary_emb.inv_freq"): [8] for i in range(3)} | dict(expected)
    other = dict(found) | {"lm_head.weight": [1024 + seed + 1, 64], "head.bias": [64], layer.format(0, "sinks"): [2]}
    del other[layer.format(1 + seed % 2, "q_proj.weight")]
    return [(expected, found), (expected, other)]


def list_by_list(run, expected: Shapes, found: Shapes) -> None:
    mine, right = run(expected, found), key_report(expected, found)
    if not isinstance(mine, dict) or set(mine) != set(right):
        raise Misfit("return a dictionary with the keys missing, unexpected and misshapen")
    for kind, names in right.items():
        if mine[kind] != names:
            raise Misfit(f"{kind!r} is {mine[kind]}, expected {names}")


@wrong(
    "missing and unexpected swapped",
    "Missing: the model expects it, the file lacks it. Unexpected: the file has it, the model has no place for it.",
)
def report_swapped(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"missing": report["unexpected"], "unexpected": report["missing"]}


@wrong(
    "derived tables reported",
    "The 27 inv_freq tables of the released file follow from the config; leave out names that DERIVED.fullmatch finds.",
)
def derived_reported(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"unexpected": sorted(set(found) - set(expected))}


@wrong("shapes not compared", "A name that agrees says nothing about the shape: another vocabulary has the same names.")
def shapes_ignored(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    return key_report(expected, found) | {"misshapen": []}


@wrong("misshapen counted as missing", "A tensor of a wrong shape is there: list it as misshapen only.")
def misshapen_missing_too(expected: Shapes, found: Shapes) -> dict[str, list[str]]:
    report = key_report(expected, found)
    return report | {"missing": sorted(report["missing"] + report["misshapen"])}


EXERCISE = Exercise(**words(__doc__), solution=key_report, cases=report_cases, properties=(list_by_list,), wrong=wrong)

"""Multiple choice: from an output to a letter. Three benchmarks, three rules (lesson 15).

MMMU takes the *last* letter it finds and throws dice if there is none; MMBench takes a letter only if it is the only
one, and counts a question only if all rotations of its options are answered right; EgoSchema takes the *first*. The
same output can thus be right in one and wrong in another. Sources: lmms-eval for MMMU (arXiv 2311.16502) and EgoSchema
(arXiv 2308.09126), VLMEvalKit for MMBench (arXiv 2307.06281).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from minikimi.benchmarks.item import Score, guess

LETTERS = "ABCDEFGHIJ"
Found = tuple[str | None, str]  # the letter or None, and the branch of the rule


def option_lines(options: list[str]) -> tuple[str, dict[str, str]]:
    """The options as lines `A. text`, and {letter: text}."""
    lettered = dict(zip(LETTERS, options, strict=False))
    return "\n".join(f"{letter}. {text}" for letter, text in lettered.items()), lettered


def mmmu_letter(output: str, options: Mapping[str, str]) -> Found:
    """MMMU, as `parse_multi_choice_response` of lmms-eval has it: `(A)`, else `A` before a blank, else `A.`; else, in
    more than five words, the text of an option. Of several the one whose last occurrence comes last; that of a letter
    without brackets counts between blanks only, and where none has one the first option is taken.

    MMMU's own program wants blanks on both sides and has no `A.`: it throws dice for "B. a wave". Here even the last
    letter of a word counts ("NASA says"); its branch is "within a word", and `strict` does not take it.
    """
    for mark in ",.!?;:'":
        output = output.strip(mark)
    padded = f" {output} "
    lowered = padded.lower()
    for branch, form, place in (
        ("bracket", "({})", "({})"),
        ("letter", "{} ", " {} "),
        ("letter and stop", "{}.", " {} "),
    ):
        if found := [letter for letter in options if form.format(letter) in padded]:
            chosen = max(found, key=lambda letter: padded.rfind(place.format(letter)))
            free = re.search(rf"(?<!\w){re.escape(form.format(chosen))}", padded)
            return chosen, branch if free else "within a word"
    said = [letter for letter, text in options.items() if text.lower() in lowered]
    if said and len(padded.split()) > 5:
        return max(said, key=lambda letter: lowered.rfind(options[letter].lower())), "option text"
    return None, "none"


def mmbench_letter(output: str, options: Mapping[str, str]) -> Found:
    """MMBench: the only option letter among the words; else the only option whose text occurs. `A` in more than three
    words may be an article, so it is not taken.
    """
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", output).split()
    letters = [letter for letter in options if letter in words]
    if len(letters) == 1 and not ("A" in words and len(words) > 3):
        return letters[0], "letter"
    brief = len(output) <= 2 * sum(map(len, options.values()))  # in a long output any text may occur
    texts = [letter for letter, text in options.items() if brief and text.lower() in output.lower()]
    return (texts[0], "option text") if len(texts) == 1 else (None, "none")


def egoschema_letter(output: str, options: Mapping[str, str]) -> Found:
    """EgoSchema: exactly an option's text, with or without its letter, or exactly its letter; else the first
    free-standing capital that is a letter of an option.
    """
    cleaned = output.strip()
    for letter, text in options.items():
        forms = {letter, f"{letter}.", f"({letter})", text, f"{letter}. {text}"}
        if cleaned in forms | {f"{form}." for form in forms}:
            return letter, "exact"
    first = re.search(rf"(?<![A-Za-z])[{''.join(options)}](?![A-Za-z])", cleaned)
    return (first[0], "first letter") if first else (None, "none")


def score_mmmu(output: str, answer: str, options: Mapping[str, str], item_id: str) -> Score:
    """Official: dice for an unreadable answer. Strict: wrong, and so is a letter within a word."""
    letter, branch = mmmu_letter(output, options)
    chosen = letter or guess(item_id, list(options))
    strict = letter == answer and branch != "within a word"
    return Score(float(chosen == answer), float(strict), letter, branch if letter else "dice")


def score_mmbench(output: str, answer: str, options: Mapping[str, str], item_id: str) -> Score:
    """Official: dice for an unreadable answer, as where the judge fails. Strict: the policy `exact`, wrong."""
    letter, branch = mmbench_letter(output, options)
    chosen = letter or guess(item_id, list(options))
    return Score(float(chosen == answer), float(letter == answer), letter, branch if letter else "dice")


def score_egoschema(output: str, answer: str, options: Mapping[str, str]) -> Score:
    """Official: the first letter counts. Strict: nothing but the option may be said."""
    letter, branch = egoschema_letter(output, options)
    right = float(letter == answer)
    return Score(right, right if branch == "exact" else 0.0, letter, branch)

"""Multiple choice: from an output to a letter. Three benchmarks, three rules (lesson 15).

MMMU takes the *last* letter it finds, EgoSchema the *first*, MMBench a letter only if it is the only one; each throws
dice if it finds none, MMBench among one more. The same output can thus be right in one and wrong in another. The
programs followed, bit for bit but for the sides of the dice, which here depend on the item alone:

    MMMU        lmms-eval 0.7.3, `parse_mmmu_multi_choice_response`; the program of MMMU's authors (arXiv 2311.16502)
                wants blanks on both sides of a letter and throws dice for "B. a wave", where this one reads B
    EgoSchema   lmms-eval 0.7.3, `parse_multi_choice_response` of egoschema (arXiv 2308.09126; the authors take indices)
    MMBench     VLMEvalKit e8e78f0 (2026-08-18), `can_infer` with its settings as they come, and
                `extract_answer_from_item` with a judge that fails (arXiv 2307.06281)

`strict` is the law of answers *and* this rule without dice, so it never exceeds `official`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from minikimi.answers import option_letter
from minikimi.benchmarks.item import Score, guess

LETTERS = string.ascii_uppercase
Found = tuple[str | None, str]  # the letter or None, and the branch of the rule
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
NONE_OF_THEM = "Z"  # MMBench's letter for an answer that is none of the options


def option_lines(options: list[str]) -> tuple[str, dict[str, str]]:
    """The options as lines `A. text`, and {letter: text}. Raises `ValueError` for more options than letters."""
    lettered = dict(zip(LETTERS[: len(options)], options, strict=True))
    return "\n".join(f"{letter}. {text}" for letter, text in lettered.items()), lettered


def stripped(output: str) -> str:
    """Without each of the marks in turn at both ends, and with a blank there: how MMMU and EgoSchema begin."""
    for mark in ",.!?;:'":
        output = output.strip(mark)
    return f" {output} "


def texts_said(output: str, options: Mapping[str, str]) -> dict[str, int]:
    """Where in an output of more than five words each option's text stands last, for those that stand in it."""
    lowered = output.lower()
    places = {letter: lowered.rfind(text.lower()) for letter, text in options.items()}
    return {letter: place for letter, place in places.items() if place >= 0} if len(output.split()) > 5 else {}


def mmmu_letter(output: str, options: Mapping[str, str]) -> Found:
    """MMMU: `(A)`, else `A` before a blank, else `A.`; else, in more than five words, the text of an option. Of several
    the one whose last occurrence comes last; that of a letter without brackets counts between blanks only, and where
    none has one the first option is taken. Even the last letter of a word counts ("NASA says").
    """
    padded = stripped(output)
    for branch, form, place in (
        ("bracket", "({})", "({})"),
        ("letter", "{} ", " {} "),
        ("letter and stop", "{}.", " {} "),
    ):
        if found := [letter for letter in options if form.format(letter) in padded]:
            return max(found, key=lambda letter: padded.rfind(place.format(letter))), branch
    if said := texts_said(padded, options):
        return max(said, key=said.__getitem__), "option text"
    return None, "none"


def egoschema_letter(output: str, options: Mapping[str, str]) -> Found:
    """EgoSchema: `(A)`, `A` before a blank and `A.`, all three at once; else, in more than five words, an option's text
    with its letter, as the data has it. Of several the one whose last occurrence comes *first*.
    """
    padded = stripped(output)
    forms = [(letter, form.format(letter)) for form in ("({})", "{} ", "{}.") for letter in options]
    if found := [(padded.rfind(form), letter) for letter, form in forms if form in padded]:
        return min(found, key=lambda pair: pair[0])[1], "letter"
    if said := texts_said(padded, options):
        return min(said, key=said.__getitem__), "option text"
    return None, "none"


def mmbench_letter(output: str, options: Mapping[str, str]) -> Found:
    """MMBench: the only option letter among the words, if it stands among the last five; else `answer is x` in any
    case; else the only option whose text occurs. Refusals and the word Z are Z, wrong for every option.
    """
    if "Failed to obtain answer via API" not in output:
        if any(refusal in output for refusal in REFUSALS):
            return NONE_OF_THEM, "refusal"
        words = re.sub(r"[.()\[\],:;!*#{}]", " ", output).split()
        letters = [letter for letter in options if letter in words]
        if len(letters) == 1 and words.index(letters[0]) > len(words) - 5:
            return letters[0], "letter"
        if not letters and NONE_OF_THEM in words:
            return NONE_OF_THEM, "refusal"
        phrase = re.search(r"answer\s+is\s+\**([ABCD])", output, re.IGNORECASE)
        if phrase and phrase[1].upper() in options:
            return phrase[1].upper(), "answer is"
    lowered = output.lower()
    brief = len(lowered) <= 2 * sum(map(len, options.values()))  # in a long output any text may occur
    texts = [letter for letter, text in options.items() if brief and text.lower() in lowered]
    return (texts[0], "option text") if len(texts) == 1 else (None, "none")


def score_choice(
    found: Found, dice: list[str], output: str, answer: str, options: Mapping[str, str], item_id: str
) -> Score:
    """Official: the letter that the rule found, else one of `dice`. Strict: found, and chosen by the law of answers."""
    letter, branch = found
    if letter is None:
        return Score(float(guess(item_id, dice) == answer), 0.0, None, "dice")
    official = letter == answer
    return Score(float(official), float(official and option_letter(output, options) == answer), letter, branch)


def score_mmmu(output: str, answer: str, options: Mapping[str, str], item_id: str) -> Score:
    """By `mmmu_letter`, after the blanks and line breaks at both ends, which the program leaves to who generates."""
    found = mmmu_letter(output.strip(), options)
    return score_choice(found, list(options), output, answer, options, item_id)


def score_mmbench(output: str, answer: str, options: Mapping[str, str], item_id: str) -> Score:
    """By `mmbench_letter`; the dice of a judge that fails have a side for Z."""
    found = mmbench_letter(output, options)
    return score_choice(found, [*options, NONE_OF_THEM], output, answer, options, item_id)


def score_egoschema(output: str, answer: str, options: Mapping[str, str], item_id: str) -> Score:
    """By `egoschema_letter`. options: {letter: text}, the texts with their letters ("A. C reads."), as in the data."""
    bare = {letter: re.sub(rf"^{letter}\. ?", "", text) for letter, text in options.items()}
    found = egoschema_letter(output, options)
    return score_choice(found, list(options), output, answer, bare, item_id)

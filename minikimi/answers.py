"""When is an answer right: one law for rewards and for examinations (lessons 14 and 15).

An output may think before it answers. What follows the thinking is read as a text, a number, a point or the letter of
an option, in whatever typography it comes: real minus signs, full-width digits, `1,200`, `\\boxed{12}`, `(0.3, 0.5)`,
`click(x=0.3, y=0.5)`, `答案是B`. It is parsed and compared, never evaluated: a law that ran text could be attacked by
the text. Nor is there credit for an answer that merely occurs somewhere: "it is not 7, not 8, not 9" names them all.

Rewards and the scores of the picture world's tasks read outputs by this law; the real benchmarks' strict column asks
for it on top of the benchmark's own rule.

Training is stricter than the examination, in one place: the keyword `alone`. A reward is what a model drifts towards,
so it pays only for the form that we want to see: one thought at most, its two marks in place and nowhere else, and
behind it the answer and nothing but the answer, a single point for a click. An examination asks what the model knows,
so it takes what follows the last mark and the first point in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from minikimi.processor.text.chat import END_THINK, THINK

LONGEST_ANSWER = 1000  # characters; with `alone`, an answer beyond is wrong unread
LONGEST_NUMBER = 40  # digits of each part; beyond, it is no number
LONGEST_READ = 20_000  # characters of a running text in which the letter of an option is looked for


@dataclass(frozen=True)
class Verdict:
    """What one output is worth. answer: what was found in it, None if nothing was; that counts as wrong."""

    answer: str | None
    right: bool


# Thought and answer


def split_thought(output: str) -> tuple[str, str] | None:
    """(thought, answer) of `◁think▷thought◁/think▷answer`; None unless both marks stand exactly once and in place."""
    if output.count(THINK) != 1 or output.count(END_THINK) != 1 or not output.startswith(THINK):
        return None
    thought, _, answer = output.removeprefix(THINK).partition(END_THINK)
    return thought, answer


def without_thinking(output: str) -> str | None:
    """The output as it stands, but for its thinking; None if the thinking never ends."""
    if THINK not in output:
        return output
    _, closed, rest = output.rpartition(END_THINK)
    return rest if closed else None


def final_answer(output: str) -> str | None:
    """What follows the thinking, if there is any; None if the thinking never ends or nothing follows it."""
    return normalise(without_thinking(output) or "") or None


def without_one_thought(output: str) -> str | None:
    """`without_thinking` as training has it: None also for marks out of place and for over 1,000 characters."""
    marked = THINK in output or END_THINK in output
    _, answer = (split_thought(output) or ("", None)) if marked else ("", output)
    return answer if answer is not None and len(answer) <= LONGEST_ANSWER else None


def running_text_answer(output: str) -> str:
    """The answer in what a base model writes: the last sentence of its first line, after worked steps if there are
    any. Further questions and the description follow on lines of their own.
    """
    return normalise(output.split("\n")[0]).split(". ")[-1]


# Texts


def normalise(text: str) -> str:
    """Answers are compared without surrounding blanks and a closing full stop; letters must agree in case."""
    return " ".join(text.split()).removesuffix(".")


SAME_SIGNS: dict[int, str] = {0xFF01 + i: chr(0x21 + i) for i in range(94)}  # the full-width forms of ASCII
SAME_SIGNS |= {0x3000: " ", 0x3002: ".", 0x2019: "'", 0x2212: "-", 0xFE63: "-"}  # 。 ’ and two minus signs
BOX = r"\boxed{"
GROUP_BLANK = re.compile(r"(?<=[0-9])[\u2009\u202f\xa0](?=[0-9]{3}(?![0-9]))")


def folded(text: str) -> str:
    """The text in ASCII where a sign only looks different: full-width forms, the Chinese full stop, the minus sign,
    thin blanks between groups of digits.
    """
    return GROUP_BLANK.sub(",", text.translate(SAME_SIGNS))


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` holds, without `\text{...}` around it; None if there is none or it never closes."""
    _, found, rest = text.rpartition(BOX)
    end = _closing(rest) if found else None
    return None if end is None else re.sub(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}", r"\1", rest[:end]).strip()


def _closing(text: str) -> int | None:
    """Where the brace closes that was opened before the text."""
    depth = 1
    for i, sign in enumerate(text):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return i
    return None


def plain(text: str) -> str:
    """The text normalised and folded, out of the box if it is nothing but one, a number without separators."""
    text = normalise(folded(text)).removeprefix("$").removesuffix("$")
    if text.startswith(BOX) and _closing(text.removeprefix(BOX)) == len(text) - len(BOX) - 1:
        text = boxed(text) or text
    return text.replace(",", "") if GROUPED.fullmatch(text) else text


def same_text(answer: str, truth: str) -> bool:
    """Whether two texts are equal in all but typography. Numbers are not compared by value here: 012 is not 12."""
    return normalise(answer) == normalise(truth) or plain(answer) == plain(truth)


# Numbers

WHOLE = "(?:[0-9]{1,3}+(?:,[0-9]{3})++(?!,?[0-9])|[0-9]++)"
GROUPED = re.compile("[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\\.[0-9]+)?")
NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_./])(?P<value>[-+]?(?:{WHOLE}(?:\.[0-9]++)?|\.[0-9]++)(?:[eE][-+]?[0-9]{{1,3}}(?![0-9]))?)"
    r"(?:\s?/\s?(?P<below>[0-9]++))?(?!\.?[0-9]|[eE][-+]?[0-9]|\s?/\s?[0-9])\s?%?"
)
FRACTION = re.compile(r"\\[dt]?frac\{([0-9]{1,40})\}\{([0-9]{1,40})\}")


def numbers(text: str) -> Iterator[Fraction | None]:
    """All numbers of a text, in order, exactly; a percent sign counts as a unit. None for one of over 40 digits.

    Parts of words, dates and versions (`H1`, `1/2/2003`, `1.2.3`) are no numbers.
    """
    for match in NUMBER.finditer(FRACTION.sub(r"\1/\2", folded(text))):
        yield _value(match)


def number(text: str) -> Fraction | None:
    """The number that the whole text is, in a box or between dollar signs if need be; None for anything else."""
    match = NUMBER.fullmatch(FRACTION.sub(r"\1/\2", plain(text)))
    return _value(match) if match else None


def stated_number(text: str) -> Fraction | None:
    """The number that a text gives as its answer: the first one in the box or after "the answer is"; else the last one
    of the text.
    """
    part = stated(text)
    if part is not None:
        return next(numbers(part), None)
    *_, last = [None, *numbers(text)]
    return last


def _value(match: re.Match[str]) -> Fraction | None:
    written, below = match["value"].replace(",", ""), match["below"] or "1"
    parts = re.split(r"[-+.eE]", written)
    if max(map(len, [*parts, below])) > LONGEST_NUMBER or not int(below):
        return None
    return Fraction(written) / int(below)


# What a text states

ANSWER = re.compile(r"(?:\b(?:answer|result)\b\W{0,3}(?:is\b|:|=)+|答案(?:应该)?[是为為:]?|选择?|選擇?)", re.IGNORECASE)
NEGATED = re.compile(r"\b(?:not|no|never|neither|nor|cannot|except|wrong|incorrect)\b|n't\b|不|非", re.IGNORECASE)


def stated(text: str) -> str | None:
    """What a text names as its answer: what its last box holds, else what follows its last "the answer is"; None if
    it has neither, or says what the answer is not.
    """
    text = folded(text)
    if (inside := boxed(text)) is not None:
        return inside
    *_, last = [None, *ANSWER.finditer(text)]
    rest = text[last.end() :] if last else ""
    return rest if rest.strip() and not NEGATED.match(rest.strip(" *_")) else None


# Letters of options

FREE = re.compile(r"(?<![A-Za-z0-9_'])(?:[A-Z](?![A-Za-z0-9_'])|\([A-Za-z]\))")  # Han and punctuation are borders too
ARTICLE = re.compile(r"\s+(?!or\b|and\b)[A-Za-z]")  # "A dog", "I think", but not "A or B"
LEADING = re.compile(r"(?:\W|\b(?:option|choice|letter)\b){0,9}([A-Za-z])(?![A-Za-z0-9_'])", re.IGNORECASE)
FURTHER = re.compile(r"\W{0,3}(?:or|and|或|和)?\W{0,3}[A-Z](?![A-Za-z0-9_'])")


def option_letter(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the one option that a text chooses from `options` (letter to text); None if it chooses none.

    A text chooses by an option's whole text, by a letter alone, in a box or after "the answer is", else by the only
    letter that it names: one that is denied ("not B") does not count, nor does the article ("A dog"), and of several
    none is chosen.
    """
    text = folded(text).strip()
    if len(text) > LONGEST_READ:
        return None
    said = normalise(text).casefold()
    forms = {letter: normalise(folded(option)).casefold() for letter, option in options.items()}
    written = [letter for letter, form in forms.items() if form and said in _labelled(letter.casefold(), form)]
    if len(written) == 1:
        return written[0]
    if alone := re.fullmatch(r"[\W_]*([A-Za-z])[\W_]*", text):
        return alone[1].upper() if alone[1].upper() in options else None
    if (part := stated(text)) is not None:
        if part != text and (letter := _leading(part, options)):
            return letter
        text = part
    named = {letter for clause in re.split(r"[.,;:!?\n]", text) for letter in _named(clause) if letter in options}
    return named.pop() if len(named) == 1 else None


def _labelled(letter: str, text: str) -> set[str]:
    """How an option may be written out: its text, alone or behind its letter."""
    return {text, *(f"{mark} {text}" for mark in (letter, f"{letter}.", f"{letter}:", f"{letter})", f"({letter})"))}


def _leading(part: str, options: Mapping[str, str]) -> str | None:
    """The letter that a stated answer begins with: no article in lower case, and not one of several."""
    match = LEADING.match(part)
    if not match or match[1].upper() not in options or FURTHER.match(part, match.end()):
        return None
    article = match[1].islower() and ARTICLE.match(part, match.end())
    return None if article else match[1].upper()


def _named(clause: str) -> Iterator[str]:
    """The letters that a clause names, but for articles, the pronoun I and those behind a negation."""
    negation = NEGATED.search(clause)
    for match in FREE.finditer(clause):
        article = match[0] in "AI" and ARTICLE.match(clause, match.end())
        if not article and not (negation and negation.start() < match.start()):
            yield match[0].strip("()").upper()


# Points

PART = r"([-+]?(?:[0-9]{1,40}+(?:\.[0-9]{1,40}+)?|\.[0-9]{1,40}+)(?:[eE][-+]?[0-9]{1,3}+)?\s?%?)"
X, Y = (rf"""(?:["']?{axis}["']?\s{{0,3}}[=:]\s{{0,3}})""" for axis in "xy")
GAP = r"\s{0,9}"
COMMA = rf"{GAP},{GAP}"
PAIR = rf"[(\[{{]{GAP}{X}?{PART}{COMMA}{Y}?{PART}{GAP}[)\]}}]"
BARE = rf"(?<![A-Za-z0-9_]){X}{PART}(?:{COMMA}|{GAP}){Y}{PART}"
POINT = re.compile(rf"{PAIR}{GAP},?{GAP}{PAIR}|[(\[{{]{GAP}{COMMA.join([PART] * 4)}{GAP}[)\]}}]|{PAIR}|{BARE}")
ONE_POINT = re.compile(rf"(?:pyautogui\.)?(?:click)?{PAIR}|{BARE}")


def point(text: str) -> tuple[float, float] | None:
    """(x, y) of the first point of a text: `(x, y)`, `[x, y]`, `x=..., y=...`, the middle of a box of four numbers or
    of two points, else the first two numbers; percents are hundredths. None if there is none.
    """
    text = folded(text)
    if match := POINT.search(text):
        return _middle(match)
    first = [value for _, value in zip(range(2), numbers(text), strict=False)]
    x, y = first if len(first) == 2 else (None, None)
    return (float(x), float(y)) if x is not None and y is not None else None


def only_point(text: str) -> tuple[float, float] | None:
    """(x, y) of a text that is one point and nothing else, such as `click(0.25, 0.5)`; None for anything else."""
    match = ONE_POINT.fullmatch(normalise(folded(text)))
    return _middle(match) if match else None


def _middle(match: re.Match[str]) -> tuple[float, float]:
    parts = [part.strip() for part in match.groups() if part is not None]
    values = [float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in parts]
    x, y = values[::2], values[1::2]
    return sum(x) / len(x), sum(y) / len(y)


def inside(point: tuple[float, float], box: Sequence[float]) -> bool:
    """Whether a point lies in the box (left, top, right, bottom), edges included."""
    left, top, right, bottom = box
    return left <= point[0] <= right and top <= point[1] <= bottom


# Verdicts


def exact_match(output: str, truth: str, alone: bool = False) -> Verdict:
    """Right only if the whole answer is right. alone: as training wants it, see the head of this file."""
    said = (without_one_thought(output) if alone else without_thinking(output)) or ""
    answer = normalise(said) or None
    return Verdict(answer, answer is not None and same_text(said, truth))


def point_in_box(output: str, box: Sequence[float], alone: bool = False) -> Verdict:
    """Right if the point lies in the box (left, top, right, bottom), edges included, in the same unit: 0 to 1 of the
    image. A point in pixels is not guessed at: it is outside. alone: as training wants it, one point and no word more.
    """
    said = (without_one_thought(output) if alone else without_thinking(output)) or ""
    found = only_point(said) if alone else point(said)
    return Verdict(normalise(said), inside(found, box)) if found else Verdict(None, False)

"""What is it? `count` (how many of these), `group` (which kind of thing), `flag` (which country) (lesson 09).

`group` and `flag` are the knowledge part of the Kimi-VL report's data (arXiv 2504.07491, section 3.1) at toy scale:
the answer is not written in the image, it has to be remembered.
"""

from __future__ import annotations

from minikimi.world import chinese
from minikimi.world.canvas import (
    COLOURS,
    Canvas,
    Rng,
    Scene,
    between,
    draw_background,
    draw_resolution,
    pick,
)
from minikimi.world.holdout import COUNTS, background_held_out, count_held_out
from minikimi.world.vocabulary import (
    COUNTRIES,
    GROUP_OF,
    GROUPS,
    NAMES,
    amount,
    plural,
)

GRIDS = [(2, 2), (2, 3), (3, 2), (3, 3)]
COUNT_SIZES = (22, 26)  # longest side of a counted picture, px
COUNT_CELL = 28  # side of one cell of a counting grid, px
CELL = 28  # side of the cell of a lone picture, px
FREE = 27  # most free paper to the right and below, px

COUNT_PAIRS = {
    held_out: [(name, n) for name in NAMES for n in COUNTS if count_held_out(name, n) == held_out]
    for held_out in (False, True)
}
DISTRACTORS = {n: [name for name in NAMES if not count_held_out(name, n)] for n in COUNTS}
CHINESE = chinese.names(GROUPS, COUNTRIES)
COUNT_QUESTIONS = ["How many {} are there?", "Count the {}.", "How many {} do you see?"]
GROUP_QUESTIONS = [
    "Which group is this: " + ", ".join(GROUPS) + "?",
    "Which group does this belong to?",
    "What kind of thing is this?",
]
FLAG_QUESTIONS = [
    "Which country's flag is this?",
    "This is the flag of which country?",
    "Name the country of this flag.",
]


def _distractors(rng: Rng, target: str, room: int) -> dict[str, int]:
    """Up to two other pictures, each one or two times, at most `room` in all."""
    extra: dict[str, int] = {}
    for _ in range(between(rng, 0, 2)):
        n = between(rng, 1, 2)
        if sum(extra.values()) + n <= room:
            extra[
                pick(
                    rng,
                    [name for name in DISTRACTORS[n] if name != target and name not in extra],
                )
            ] = n
    return extra


def tally(names: list[str]) -> str:
    """Names in reading order -> `3 cats, 1 pizza`, each picture where it first appears."""
    return ", ".join(amount(name, names.count(name)) for name in dict.fromkeys(names))


def count_aloud(names: list[str], target: str) -> str:
    """Names in reading order, each with how many there were of it so far, then what was asked: `cat 1, hat 1, cat 2.
    cat 2. 2`."""
    steps = [f"{name} {names[: i + 1].count(name)}" for i, name in enumerate(names)]
    return f"{', '.join(steps)}. {target} {names.count(target)}. {names.count(target)}"


def count(rng: Rng, held_out: bool) -> Scene:
    """One to six of one picture among up to four others; the answer is the number."""
    target, n = pick(rng, COUNT_PAIRS[held_out])
    names = [target] * n
    for name, k in _distractors(rng, target, 9 - n).items():
        names += [name] * k
    rows, columns = pick(rng, [(r, c) for r, c in GRIDS if r * c >= len(names)])
    size = draw_resolution(
        rng,
        (columns * COUNT_CELL, columns * COUNT_CELL + FREE),
        (rows * COUNT_CELL, rows * COUNT_CELL + FREE),
        held_out,
    )
    canvas = Canvas.blank(rng, size, draw_background(rng, names))
    cells = canvas.cells(rows, columns, COUNT_CELL)
    chosen = sorted(zip(rng.permutation(len(cells))[: len(names)].tolist(), names, strict=True))
    for cell, name in ((cells[i], name) for i, name in chosen):
        canvas.paste(rng, name, between(rng, *COUNT_SIZES), cell)
    seen, language = [name for _, name in chosen], chinese.language(rng)
    more = {"difficulty": min(4, (len(seen) + 1) // 2), "language": language}
    facts = canvas.facts("count", target=target, count=n, **more)
    if language == "zh":
        seen, target = [CHINESE[name] for name in seen], CHINESE[target]
        question, caption = pick(rng, chinese.COUNT_QUESTIONS).format(target), chinese.tally(seen)
    else:
        question, caption = pick(rng, COUNT_QUESTIONS).format(plural(target)), tally(seen)
    solution, told = count_aloud(seen, target), [", ".join(seen)]
    return Scene([canvas.image], question, str(n), caption, facts, solution, told=told)


def _alone(rng: Rng, name: str, sizes: tuple[int, int], held_out: bool) -> Canvas:
    """One picture in the first cell of a sheet, on a background of the split."""
    background = pick(rng, [b for b in COLOURS if background_held_out(name, b) == held_out])
    canvas = Canvas.blank(rng, draw_resolution(rng, (CELL, CELL + FREE), (CELL, CELL + FREE), held_out), background)
    canvas.paste(rng, name, between(rng, *sizes), canvas.cells(1, 1, CELL)[0])
    return canvas


def group(rng: Rng, held_out: bool) -> Scene:
    """One picture; the answer is its group."""
    name = pick(rng, NAMES)
    canvas = _alone(rng, name, (22, 26), held_out)
    question, answer, caption = pick(rng, GROUP_QUESTIONS), GROUP_OF[name], name
    language = chinese.language(rng)
    if language == "zh":
        question, answer, caption = pick(rng, chinese.GROUP_QUESTIONS), CHINESE[answer], CHINESE[name]
    return Scene([canvas.image], question, answer, caption, canvas.facts("group", name=name, language=language))


def flag(rng: Rng, held_out: bool) -> Scene:
    """One flag; the answer is its country."""
    country = pick(rng, COUNTRIES)
    canvas = _alone(rng, country, (23, 26), held_out)
    question, answer, caption = pick(rng, FLAG_QUESTIONS), country, f"flag of {country}"
    language = chinese.language(rng)
    if language == "zh":
        question, answer, caption = pick(rng, chinese.FLAG_QUESTIONS), CHINESE[country], f"{CHINESE[country]}国旗"
    return Scene([canvas.image], question, answer, caption, canvas.facts("flag", name=country, language=language))

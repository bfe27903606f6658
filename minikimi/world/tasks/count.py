"""Task `count`: how many of these are there among others? (lesson 09)"""

from __future__ import annotations

from minikimi.world import chinese
from minikimi.world.canvas import Canvas, Rng, between, pick
from minikimi.world.chinese import CHINESE
from minikimi.world.holdout import COUNTS, count_held_out
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import NAMES, amount, plural

GRIDS = [(2, 2), (2, 3), (3, 2), (3, 3)]  # rows, columns
SIZES = (22, 26)  # longest side of a picture, px
PAIRS = {
    held_out: [(name, n) for name in NAMES for n in COUNTS if count_held_out(name, n) == held_out]
    for held_out in (False, True)
}
DISTRACTORS = {n: [name for name in NAMES if not count_held_out(name, n)] for n in COUNTS}
QUESTIONS = ["How many {} are there?", "Count the {}.", "How many {} do you see?"]


def _distractors(rng: Rng, target: str, room: int) -> dict[str, int]:
    """Up to two other pictures, each one or two times, at most `room` in all."""
    chosen: dict[str, int] = {}
    for _ in range(between(rng, 0, 2)):
        n = between(rng, 1, 2)
        if sum(chosen.values()) + n <= room:
            name = pick(rng, [name for name in DISTRACTORS[n] if name != target and name not in chosen])
            chosen[name] = n
    return chosen


def tally(names: list[str]) -> str:
    """Names in reading order -> `3 cats, 1 pizza`, each picture where it first appears."""
    return ", ".join(amount(name, names.count(name)) for name in dict.fromkeys(names))


def count_aloud(names: list[str], target: str) -> str:
    """Names in reading order, each with how many there were of it so far, then what was asked: `cat 1, hat 1, cat 2.
    cat 2. 2`."""
    steps = [f"{name} {names[: i + 1].count(name)}" for i, name in enumerate(names)]
    return f"{', '.join(steps)}. {target} {names.count(target)}. {names.count(target)}"


def draw(rng: Rng, held_out: bool) -> Scene:
    """One to six of one picture among up to four others; the answer is the number."""
    target, n = pick(rng, PAIRS[held_out])
    names = [target] * n
    for name, k in _distractors(rng, target, 9 - n).items():
        names += [name] * k
    rows, columns = pick(rng, [(r, c) for r, c in GRIDS if r * c >= len(names)])
    canvas = Canvas.sheet(rng, rows, columns, held_out, names)
    cells = canvas.cells(rows, columns)
    chosen = sorted(zip(rng.permutation(len(cells))[: len(names)].tolist(), names, strict=True))
    for i, name in chosen:
        canvas.paste(rng, name, between(rng, *SIZES), cells[i])
    shown, language = [name for _, name in chosen], chinese.language(rng)
    difficulty = min(4, (len(shown) + 1) // 2)
    facts = canvas.facts("count", target=target, count=n, difficulty=difficulty, language=language)
    if language == "zh":
        shown, target = [CHINESE[name] for name in shown], CHINESE[target]
        question, caption = pick(rng, chinese.COUNT_QUESTIONS).format(target), chinese.tally(shown)
    else:
        question, caption = pick(rng, QUESTIONS).format(plural(target)), tally(shown)
    return Scene(
        images=[canvas.image],
        question=question,
        answer=str(n),
        caption=caption,
        solution=count_aloud(shown, target),
        facts=facts,
        told=[", ".join(shown)],
    )


TASK = Task(name="count", draw=draw, benchmark="maths", thinks=True)

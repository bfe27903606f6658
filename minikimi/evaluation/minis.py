"""The seven mini-benchmarks, one for each row of what Kimi-VL is measured on (lesson 15).

Each is a few tasks of the picture world on its held-out split: combinations, values, handwriting and resolutions that
training never draws. A task's score is the share of right answers, a benchmark's the mean of its tasks, the headline
the mean of the seven. Beside each stand three answers that cannot see: `blind`, the same model without the pictures,
`chance`, a guess among all answers, and `prior`, the commonest training answer to that kind of question. The rows
follow the Kimi-VL report (arXiv 2504.07491), table 3; the real benchmarks are in `benchmarks/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minikimi.answers import Verdict, exact_match, point_in_box, running_text_answer
from minikimi.data import most_common_answers
from minikimi.data.forms import RUNNING_TEXT
from minikimi.errors import UserError
from minikimi.evaluation.ask import ask
from minikimi.evaluation.episodes import play, told, verdict
from minikimi.evaluation.settings import Settings
from minikimi.evaluation.statistics import bootstrap
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample
from minikimi.world import TASKS, PictureWorld


@dataclass(frozen=True)
class Benchmark:
    """A row of the table: its name, what it stands for, and its tasks of the picture world."""

    name: str
    about: str
    tasks: tuple[str, ...]


BENCHMARKS = (
    Benchmark("knowledge", "college-level knowledge (MMMU)", ("flag", "group")),
    Benchmark("general", "general vision (MMBench)", ("caption", "where")),
    Benchmark("maths", "visual maths (MathVista)", ("chart", "sum", "count")),
    Benchmark("documents", "documents (InfoVQA)", ("number", "word", "table", "receipt")),
    Benchmark("agent", "agent (OSWorld, ScreenSpot)", ("click", "desktop")),
    Benchmark("long documents", "long documents (MMLongBench-Doc)", ("pages", "compare")),
    Benchmark("video", "video (EgoSchema)", ("motion", "order")),
)
EXTRAS = ("arithmetic", "pages_long")
MINI_TASKS = tuple(task for benchmark in BENCHMARKS for task in benchmark.tasks)
SHARES = ("score", "blind", "chance", "prior", "parse_failures")
NAMED_OPTIONS = {"order.first": 2}  # kinds of questions that name their options: "What came first, the dog or the cat?"


@dataclass(frozen=True)
class Outcome:
    """One question and what became of it. blind is None where there is nothing to hide. chance: see `chance_of`."""

    sample: Sample
    output: str
    verdict: Verdict
    blind: bool | None
    chance: float
    prior: bool
    tokens: int


def require(tasks: Iterable[str]) -> None:
    """Raise `UserError` if the picture world lacks a task: a benchmark without it would be another benchmark."""
    missing = [task for task in tasks if task not in TASKS]
    if missing:
        raise UserError(f"the picture world has no task {', '.join(missing)}; a mini-benchmark needs it")


def held_out(task: str, seed: int, count: int) -> list[Sample]:
    """The first `count` held-out samples of a task."""
    world = PictureWorld(seed, "held_out", {task: 1.0})
    return [world[i] for i in range(count)]


def judge(sample: Sample, output: str, form: str = "chat") -> Verdict:
    """The scoring rule of the sample's task: a point in a box for `click`, exact match for all others."""
    if form in RUNNING_TEXT:
        output = running_text_answer(output)
    return point_in_box(output, sample.facts["box"]) if sample.task == "click" else exact_match(output, sample.answer)


def training_answers(task: str, count: int) -> tuple[dict[str, str], dict[str, int]]:
    """By kind of question the commonest answer of a task, and how many there are, in `count` training samples."""
    world = PictureWorld(0, "train", {task: 1.0})
    drawn = [replace(world[i], images=[]) for i in range(count)]
    answers: dict[str, set[str]] = {}
    for sample in drawn:
        answers.setdefault(sample.kind, set()).add(sample.answer)
    return most_common_answers(drawn, count), {kind: len(found) for kind, found in answers.items()}


def chance_of(sample: Sample, answers: Mapping[str, int]) -> float:
    """The expected score of a uniform guess: of a point on the screen, among the options that the question names, or
    among the `answers` that training gives to its kind of question; 0 for a kind without any.
    """
    if sample.task == "click":
        left, top, right, bottom = sample.facts["box"]
        return (right - left) * (bottom - top)
    options = NAMED_OPTIONS.get(sample.kind) or answers.get(sample.kind)
    return 1 / options if options else 0.0


def run_task(
    task: str, model: KimiVL, processor: Processor, options: Settings, form: str, with_blind: bool
) -> list[Outcome]:
    """Ask all questions of a task, with and, if wanted, without the pictures."""
    if task == "desktop":
        return run_desktop(model, processor, options, form, with_blind)
    samples = held_out(task, options.seed, options.per_task)
    prior, answers = training_answers(task, options.prior_samples)
    limit = options.answer_tokens + (options.thinking_tokens if any(s.solution for s in samples) else 0)
    put = partial(ask, model, processor, samples, limit, form)
    seen = put()
    blind = put(blind=True) if with_blind and any(sample.images for sample in samples) else [None] * len(samples)
    outcomes = []
    for sample, ids, blind_ids in zip(samples, seen, blind, strict=True):
        output = str(processor.decode(ids))
        without = None if blind_ids is None else judge(sample, str(processor.decode(blind_ids)), form).right
        guess = judge(sample, prior.get(sample.kind, "")).right
        chance = chance_of(sample, answers)
        outcomes.append(Outcome(sample, output, judge(sample, output, form), without, chance, guess, len(ids)))
    return outcomes


def run_desktop(model: KimiVL, processor: Processor, options: Settings, form: str, with_blind: bool) -> list[Outcome]:
    """Play whole episodes. Neither chance nor the prior is ever right: guessed actions, or one said again and again,
    reach no goal.
    """
    limit = options.answer_tokens + options.thinking_tokens
    put = partial(play, model, processor, options.seed, options.per_task, limit, form)
    games = put()
    blind = [game.episode.success for game in put(blind=True)] if with_blind else [None] * len(games)
    return [
        Outcome(told(game, (options.seed, i)), "\n".join(game.log), verdict(game), without, 0.0, False, game.tokens)
        for i, (game, without) in enumerate(zip(games, blind, strict=True))
    ]


def task_row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The numbers of one task."""
    right = [outcome.verdict.right for outcome in outcomes]
    blind = [outcome.blind for outcome in outcomes if outcome.blind is not None]
    return {
        "score": float(np.mean(right)),
        "interval": bootstrap([right]),
        "blind": float(np.mean(blind)) if blind else None,
        "chance": float(np.mean([outcome.chance for outcome in outcomes])),
        "prior": float(np.mean([outcome.prior for outcome in outcomes])),
        "parse_failures": float(np.mean([outcome.verdict.answer is None for outcome in outcomes])),
        "tokens": float(np.mean([outcome.tokens for outcome in outcomes])),
        "n": len(outcomes),
    }


def mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The unweighted mean of every share, and all n together; a share that one row lacks is None."""
    values = {name: [row[name] for row in rows] for name in SHARES}
    shares = {name: None if None in column else float(np.mean(column)) for name, column in values.items()}
    return {**shares, "n": sum(row["n"] for row in rows)}


def tables(outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """Outcomes by task to the tables `benchmarks`, `tasks`, `mean` and `extras` of evaluation.json."""
    rows = {task: task_row(found) for task, found in outcomes.items()}
    right = {task: [float(outcome.verdict.right) for outcome in found] for task, found in outcomes.items()}
    benchmarks = {}
    for benchmark in BENCHMARKS:
        row = mean_row([rows[task] for task in benchmark.tasks])
        row["interval"] = bootstrap([right[task] for task in benchmark.tasks])
        benchmarks[benchmark.name] = {"about": benchmark.about, "tasks": list(benchmark.tasks), **row}
    weighted = [(right[task], 1 / len(b.tasks) / len(BENCHMARKS)) for b in BENCHMARKS for task in b.tasks]
    mean = mean_row(list(benchmarks.values()))
    mean["interval"] = bootstrap([group for group, _ in weighted], weights=[weight for _, weight in weighted])
    of_task = {task: benchmark.name for benchmark in BENCHMARKS for task in benchmark.tasks}
    return {
        "benchmarks": benchmarks,
        "tasks": {task: {"benchmark": of_task[task], **rows[task]} for task in MINI_TASKS},
        "mean": mean,
        "extras": {task: rows[task] for task in EXTRAS},
    }


def run_minis(
    model: KimiVL,
    processor: Processor,
    options: Settings,
    form: str = "chat",
    with_blind: bool = True,
    progress: Callable[[str], None] = lambda task: None,
) -> dict[str, list[Outcome]]:
    """Outcomes of all tasks, extras included. `progress` is told each task that is done."""
    require([*MINI_TASKS, *EXTRAS])
    outcomes = {}
    for task in (*MINI_TASKS, *EXTRAS):
        outcomes[task] = run_task(task, model, processor, options, form, with_blind)
        progress(task)
    return outcomes

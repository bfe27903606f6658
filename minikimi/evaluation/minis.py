"""The seven mini-benchmarks, one for each row of what Kimi-VL is measured on (lesson 15).

Each is a few tasks of the picture world on its held-out split: combinations, values, handwriting and resolutions that
training never draws. A task says itself in which benchmark it counts, and when an answer is right. Its score is the
share of right answers, a benchmark's the mean of its tasks, the headline the mean of the seven. Beside each stand three
answers that cannot see (`baselines.py`). The rows follow the Kimi-VL report (arXiv 2504.07491), table 3; the real
benchmarks are in `benchmarks/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minikimi.answers import Verdict, running_text_answer
from minikimi.data.forms import RUNNING_TEXT
from minikimi.evaluation.ask import ask
from minikimi.evaluation.baselines import blind_answers, chance, known_answers, prior
from minikimi.evaluation.episodes import play
from minikimi.evaluation.settings import Settings
from minikimi.evaluation.statistics import bootstrap
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample
from minikimi.world import TASKS, PictureWorld, judged
from minikimi.world.task import EXTRA


@dataclass(frozen=True)
class Benchmark:
    """A row of the table: its name, what it stands for, and its tasks of the picture world."""

    name: str
    about: str

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that count in it, in reading order."""
        return tasks_in(self.name)


def tasks_in(benchmark: str) -> tuple[str, ...]:
    """The tasks of the picture world that name this benchmark."""
    return tuple(task.name for task in TASKS.values() if task.benchmark == benchmark)


BENCHMARKS = (
    Benchmark("knowledge", "college-level knowledge (MMMU)"),
    Benchmark("general", "general vision (MMBench)"),
    Benchmark("maths", "visual maths (MathVista)"),
    Benchmark("documents", "documents (InfoVQA)"),
    Benchmark("agent", "agent (OSWorld, ScreenSpot)"),
    Benchmark("long documents", "long documents (MMLongBench-Doc)"),
    Benchmark("video", "video (EgoSchema)"),
)
EXTRAS = tasks_in(EXTRA)
MINI_TASKS = tuple(task for benchmark in BENCHMARKS for task in benchmark.tasks)
SHARES = ("score", "blind", "chance", "prior", "parse_failures")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One question and what became of it. blind, chance, prior: see `baselines.py`; blind is None where nobody asked
    without the pictures, or where there are none. tokens: the length of the output.
    """

    sample: Sample
    output: str
    verdict: Verdict
    blind: bool | None
    chance: float
    prior: bool
    tokens: int


def held_out(task: str, seed: int, count: int) -> list[Sample]:
    """The first `count` held-out samples of a task."""
    world = PictureWorld(seed, "held_out", {task: 1.0})
    return [world[i] for i in range(count)]


def graded(sample: Sample, output: str, form: str = "chat") -> Verdict:
    """The verdict of the sample's task on what a model said in this form."""
    return judged(sample, running_text_answer(output) if form in RUNNING_TEXT else output)


def run_task(
    name: str, model: KimiVL, processor: Processor, options: Settings, form: str, with_blind: bool
) -> list[Outcome]:
    """Ask all questions of a task, with and, if wanted, without the pictures."""
    if name == "desktop":
        return run_desktop(model, processor, options, form, with_blind)
    samples = held_out(name, options.seed, options.per_task)
    known = known_answers(PictureWorld(0, "train", {name: 1.0}), options.prior_samples)
    limit = options.answer_tokens + (options.thinking_tokens if TASKS[name].thinks else 0)
    answers = ask(model, processor, samples, limit, form)
    blind = blind_answers(model, processor, samples, limit, form) if with_blind else [None] * len(samples)
    outcomes = []
    for sample, ids, blind_ids in zip(samples, answers, blind, strict=True):
        output = str(processor.decode(ids))
        outcomes.append(
            Outcome(
                sample=sample,
                output=output,
                verdict=graded(sample, output, form),
                blind=None if blind_ids is None else graded(sample, str(processor.decode(blind_ids)), form).right,
                chance=chance(sample, known),
                prior=prior(sample, known),
                tokens=len(ids),
            )
        )
    return outcomes


def run_desktop(model: KimiVL, processor: Processor, options: Settings, form: str, with_blind: bool) -> list[Outcome]:
    """Play whole episodes. Neither chance nor the prior is ever right: guessed actions, or one said again and again,
    reach no goal.
    """
    limit = options.answer_tokens + options.thinking_tokens
    playing = partial(play, model, processor, options.seed, options.per_task, limit, form)
    games = playing()
    blind = [game.episode.success for game in playing(blind=True)] if with_blind else [None] * len(games)
    return [
        Outcome(
            sample=game.as_sample(),
            output="\n".join(game.log),
            verdict=game.verdict,
            blind=success,
            chance=0.0,
            prior=False,
            tokens=game.tokens,
        )
        for game, success in zip(games, blind, strict=True)
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
    weights = [1 / len(benchmark.tasks) / len(BENCHMARKS) for benchmark in BENCHMARKS for _ in benchmark.tasks]
    mean = mean_row(list(benchmarks.values()))
    mean["interval"] = bootstrap([right[task] for task in MINI_TASKS], weights)
    return {
        "benchmarks": benchmarks,
        "tasks": {task: {"benchmark": TASKS[task].benchmark, **rows[task]} for task in MINI_TASKS},
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
    outcomes = {}
    for task in (*MINI_TASKS, *EXTRAS):
        outcomes[task] = run_task(task, model, processor, options, form, with_blind)
        progress(task)
    return outcomes

"""Evaluate a finished run, or one stage of it, and write what was found (lesson 15).

`evaluate_run` writes `runs/NAME/evaluation.json` (`runs/evaluate-NAME/evaluation.json` for a model that is no run), one
JSON object:

    preset, command, commit, date, machine       texts
    parameters, active_parameters        numbers; active: what one token uses
    minutes, peak_memory_gib, seconds    training time of all stages, memory and time of the evaluation
    stages        {stage: {minutes, steps, tokens}}
    form          "chat"; "document" for a base model, which has not learnt the chat template; "told" for a language
                  model without eyes, which gets words for pictures; "think" for a model that is asked to think wherever
                  a task has worked steps
    benchmarks    {name: row}, the seven mini-benchmarks in the order of `minis.BENCHMARKS`; a row is
                    about           what it stands for, e.g. "college-level knowledge (MMMU)"
                    tasks           names of its tasks; its numbers are the unweighted means of theirs
                    score           share right, 0 to 1; interval: [low, high], 95 % by bootstrap
                    blind           the same model without the pictures
                    chance          expected share of a guess: one over the number of answers that this kind of question
                                    has in training, or that it names; for a click the share of the screen that is right
                    prior           the commonest training answer to this kind of question
                    parse_failures  share of outputs in which no answer was found; they count as wrong
                    n               questions, all tasks together
    tasks         {task: row without about and tasks, with benchmark (its name) and tokens (mean length of an output)}
    mean          score, interval, blind, chance, prior, parse_failures: unweighted over the benchmarks; n
    extras        {task: row as in tasks}: arithmetic and long documents, which count in no benchmark; blind is null
                  where there is no picture
    needle_map    {lengths: [L] tokens, depths: [D] from 0 (start) to 1 (end), recall: [[...] * L] rows by length,
                  columns by depth, null for lengths beyond the model's context, n: [[...]]}
    test_time_scaling   null for a model that does not think, else {limits: [K] thinking tokens,
                  tasks: {task: [K] shares right}, mean: [K], interval: [K] pairs, used: [K] mean tokens, n}
    samples       [{task, benchmark, question, answer, truth, raw, correct, images: [file names], image: the first or
                  ""}]: at most `shown`, about half of them failures; raw is the whole output with its thinking, file
                  names are relative to the run

`evaluate_stage` writes `runs/NAME/STAGE/scores.json` with form, benchmarks, tasks, mean, extras, needle_map and
seconds, in the same format, from fewer questions. Scores before a stage are those of the stage before it.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

from rich.progress import Progress

from minikimi.evaluation.facts import active_parameters, peak_memory_gib, results_directory, stage_costs
from minikimi.evaluation.gallery import save_samples
from minikimi.evaluation.minis import EXTRAS, MINI_TASKS, Outcome, run_minis, tables
from minikimi.evaluation.needle_map import needle_map
from minikimi.evaluation.overview import draw_overview
from minikimi.evaluation.scaling import test_time_scaling
from minikimi.evaluation.settings import Settings, settings
from minikimi.files import write_json
from minikimi.loading import load
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.provenance import commit, machine


def evaluate_run(run: Path, preset: str, command: str = "", form: str = "chat") -> dict[str, Any]:
    """Evaluate a model; write evaluation.json, samples.png and pictures in samples/ into `run`, or where
    `results_directory` says.

    Raises `UserError` if the run has no finished model or the preset no settings.
    """
    begin, options = time.perf_counter(), settings(preset)
    out = results_directory(run)
    model, processor = load(run)
    outcomes, scores = measure(model, processor, options, form, with_blind=True)
    out.mkdir(parents=True, exist_ok=True)
    stages = stage_costs(out)
    result = {
        "preset": preset,
        "command": command,
        "commit": commit(),
        "date": date.today().isoformat(),
        "machine": machine(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "active_parameters": active_parameters(model),
        "minutes": round(sum(stage["minutes"] for stage in stages.values()), 2),
        "stages": stages,
        **scores,
        "test_time_scaling": test_time_scaling(model, processor, options),
        "samples": (samples := save_samples(out, outcomes, options.shown)),
        "peak_memory_gib": round(peak_memory_gib(), 2),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    draw_overview(out, samples)
    write_json(out / "evaluation.json", result)
    return result


def evaluate_stage(directory: Path, preset: str, form: str = "chat", out: Path | None = None) -> dict[str, Any]:
    """Evaluate the model of one stage with few questions, without the blind baseline; write scores.json.

    directory: of the model, e.g. runs/NAME/STAGE/model. form: "told" or "document" before fine-tuning, "chat" or
    "think" from then on. out: the file to write, by default scores.json beside the model directory. Raises as
    `evaluate_run`.
    """
    begin, options = time.perf_counter(), settings(preset).for_stage()
    model, processor = load(directory)
    _, scores = measure(model, processor, options, form, with_blind=False)
    result = {**scores, "seconds": round(time.perf_counter() - begin, 1)}
    write_json(out or Path(directory).parent / "scores.json", result)
    return result


def measure(
    model: KimiVL, processor: Processor, options: Settings, form: str, with_blind: bool
) -> tuple[dict[str, list[Outcome]], dict[str, Any]]:
    """The outcomes of all tasks, and what both kinds of evaluation write."""
    with Progress(transient=True) as bar:
        line = bar.add_task("evaluation", total=len(MINI_TASKS) + len(EXTRAS) + 1)
        outcomes = run_minis(model, processor, options, form, with_blind, lambda _: bar.advance(line))
        needles = needle_map(model, processor, options, form)
    return outcomes, {"form": form, **tables(outcomes), "needle_map": needles}

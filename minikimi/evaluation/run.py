"""Evaluate a finished run, or one stage of it, and write what was found (lesson 15).

`evaluate_run` writes `runs/NAME/evaluation.json`, one JSON object:

    preset, command, date, machine       texts
    parameters, active_parameters        numbers; active: what one token uses
    minutes, peak_memory_gib, seconds    training time of all stages, memory and time of the evaluation
    stages        {stage: {minutes, steps, tokens}}
    form          "chat", or "document" for a base model, which has not learnt the chat template
    benchmarks    {name: row}, the seven mini-benchmarks in the order of `minis.BENCHMARKS`; a row is
                    about           what it stands for, e.g. "college-level knowledge (MMMU)"
                    tasks           names of its tasks; its numbers are the unweighted means of theirs
                    score           share right, 0 to 1; interval: [low, high], 95 % by bootstrap
                    blind           the same model without the pictures
                    prior           the commonest training answer to this kind of question
                    parse_failures  share of outputs in which no answer was found; they count as wrong
                    n               questions, all tasks together
    tasks         {task: row without about and tasks, with benchmark (its name) and tokens (mean length of an output)}
    mean          score, interval, blind, prior, parse_failures: unweighted over the benchmarks; n
    extras        {task: row as in tasks}: needle, arithmetic and long pages, which count in no benchmark; blind is
                  null where there is no picture
    needle_map    {lengths: [L], depths: [D] upper edges from 0 to 1, recall: [[...] * L] rows by length, columns by
                  depth, null where nothing was drawn, n: [[...]]}
    test_time_scaling   null for a model that does not think, else {limits: [K] thinking tokens,
                  tasks: {task: [K] shares right}, mean: [K], interval: [K] pairs, used: [K] mean tokens, n}
    samples       [{task, benchmark, question, answer, truth, raw, correct, images: [file names], image: the first or
                  ""}]: at most `shown`, about half of them failures; raw is the whole output with its thinking, file
                  names are relative to the run

`evaluate_stage` writes `runs/NAME/STAGE/scores.json` with form, benchmarks, tasks, mean, extras, needle_map and
seconds, in the same format, from fewer questions. Scores before a stage are those of the stage before it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from datetime import date
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.progress import Progress

from minikimi.config import KimiVLConfig, UserError
from minikimi.data import PictureWorld, Sample, most_common_answers
from minikimi.data.world import TASKS
from minikimi.evaluation.exact_match import answers, mean_over_tasks, normalise, score
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor import Processor
from minikimi.training.pipeline import CONFIGS, summary


def settings(preset: str) -> dict[str, int]:
    """`configs/PRESET/evaluate.yaml`: per_task, seed, max_new_tokens, prior_samples, shown."""
    path = CONFIGS / preset / "evaluate.yaml"
    if not path.is_file():
        raise UserError(f"{path}: not found; give --preset one of the folders in {CONFIGS}")
    return yaml.safe_load(path.read_text())


def held_out_samples(seed: int, per_task: int) -> list[Sample]:
    """The first `per_task` held-out samples of every task of the picture world."""
    worlds = [PictureWorld(seed, "held_out", {task: 1.0}) for task in TASKS]
    return [world[i] for world in worlds for i in range(per_task)]


def evaluate_run(run: Path, preset: str, command: str = "") -> dict[str, Any]:
    """Answer the held-out questions with and without the picture; write `run`/evaluation.json and `run`/samples/."""
    options = settings(preset)
    model, processor = KimiVL.from_pretrained(run), Processor.from_pretrained(run / "model")
    samples = held_out_samples(options["seed"], options["per_task"])
    prior = most_common_answers(PictureWorld(0, "train"), options["prior_samples"])
    with Progress(transient=True) as bar:
        task = bar.add_task("evaluation", total=2 * len(samples))
        seen, blind = (
            answers(model, processor, samples, is_blind, 64, options["max_new_tokens"], lambda n: bar.advance(task, n))
            for is_blind in (False, True)
        )
    tasks = score(samples, seen, blind, prior)
    stages = summary(run)
    result = {
        "preset": preset,
        "tasks": tasks,
        "mean": mean_over_tasks(tasks),
        "samples": show(run, samples, seen, options["shown"]),
        "stages": stages,
        "minutes": round(sum(stage["minutes"] for stage in stages.values()), 2),
        "peak_memory_gib": round(peak_memory_gib(), 2),
        "machine": machine(),
        "command": command,
        "date": date.today().isoformat(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "active_parameters": active_parameters(model),
    }
    write_json(run / "evaluation.json", result)
    return result


def show(run: Path, samples: list[Sample], seen: list[str], count: int) -> list[dict[str, Any]]:
    """Save `count` pictures with their answers, half of them failures if there are as many, tasks in turn."""
    (run / "samples").mkdir(exist_ok=True)
    pairs = [(s, a, normalise(a) == normalise(s.answer)) for s, a in zip(samples, seen, strict=True)]
    right, wrong = (_in_turn([p for p in pairs if p[2] is correct]) for correct in (True, False))
    failures = min(len(wrong), max(count // 2, count - len(right)))
    right, wrong = right[: count - failures], wrong[:failures]
    shown = []
    for number, (sample, answer, correct) in enumerate(right + wrong):
        name = f"samples/{number:02d}.png"
        sample.images[0].save(run / name)
        facts = {"task": sample.task, "question": sample.question, "answer": answer, "truth": sample.answer}
        shown.append({**facts, "correct": correct, "image": name})
    return shown


def _in_turn(pairs: list[tuple[Sample, str, bool]]) -> list[tuple[Sample, str, bool]]:
    """Round-robin over tasks, so that a few examples show all of them."""
    turn: dict[str, int] = {}
    keyed = []
    for pair in pairs:
        turn[pair[0].task] = turn.get(pair[0].task, 0) + 1
        keyed.append((turn[pair[0].task], pair[0].task, pair))
    return [pair for *_, pair in sorted(keyed, key=lambda item: item[:2])]


def active_parameters(model: KimiVL) -> int:
    """Parameters that one token of the whole model uses: all but the routed experts it is not sent to."""
    text = model.config.text_config
    routed = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name)
    everything = sum(p.numel() for p in model.parameters())
    return everything - routed + routed * text.num_experts_per_tok // text.n_routed_experts


def peak_memory_gib() -> float:
    """The largest memory this process has held, GiB. Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (30 if sys.platform == "darwin" else 20)


def machine() -> str:
    """One line about where this ran."""
    threads = torch.get_num_threads()
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {threads} threads, torch {torch.__version__}"


def write_json(path: Path, values: Any) -> None:
    """Write aside, then rename."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(values, indent=1) + "\n")
    os.replace(aside, path)


def preset_of(run: Path) -> str:
    """The preset whose network a finished run has, by its config. Raises `UserError` if none fits."""
    from minikimi.checkpoint import model_directory
    from minikimi.config import PRESETS

    config = KimiVLConfig.from_pretrained(model_directory(run))
    for name, preset in PRESETS.items():
        if preset.text_config == config.text_config and preset.vision_config == config.vision_config:
            return name
    raise UserError(f"{run}: its config.json fits no preset; name the settings with --preset")

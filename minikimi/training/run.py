"""The pipeline: run one stage, or all of them in order, each from the last one's weights (lessons 10, 11 and 13).

A run is a directory: `runs/NAME/STAGE/` with config.yaml, metrics.csv, the resumable `last.ckpt` while it trains and
`model/` once it is done; `runs/NAME/model/` is the finished model. A stage is done when its `model/config.json`
exists, which is written last. After a kill at any moment, `--resume` skips finished stages and continues the broken
one from its last checkpoint, on the same batches, to the same bits.
"""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from minikimi.errors import UserError
from minikimi.files import CONFIGS, SHIPPED, replace_directory

STAGES = ("text", "vit", "align", "joint", "cooldown", "long1", "long2", "sft", "sft2", "longcot", "rl")
LONG = STAGES[5:7]  # the two steps of `--stage long`
console = Console(highlight=False)


def stage_config(preset: str, stage: str) -> Path:
    """The YAML of a stage. Raises `UserError` if there is none."""
    path = CONFIGS / preset / f"{stage}.yaml"
    if not path.is_file():
        known = sorted(str(p.relative_to(CONFIGS).with_suffix("")) for p in CONFIGS.glob("*/*.yaml"))
        raise UserError(f"no configuration {path}; there are {', '.join(known)}")
    return path


def known_stages(preset: str) -> list[str]:
    """What `--stage` may name: the stages that this preset has settings for, and `long`."""
    return [*(stage for stage in STAGES if (CONFIGS / preset / f"{stage}.yaml").is_file()), "long"]


def whole_run(preset: str, start: str | None) -> tuple[str, ...]:
    """The stages of a run of all stages: without the first if the language model is there already.

    Kimi-VL began with Moonlight, a language model that had read 5.2 trillion tokens (Kimi-VL report, arXiv 2504.07491,
    section 2.3). So do a run with a `start` and a preset whose text pre-training is shipped (`small-text`); its
    vit.yaml names it.
    """
    return STAGES[1:] if start or (SHIPPED / f"{preset}-text").is_dir() else STAGES


def start_directory(start: str | None) -> str | None:
    """Where `--from` points: `runs/small/long` is the last of the two long stages there."""
    path = Path(start or "")
    return str(path.with_name(LONG[-1])) if start and path.name == "long" and not path.exists() else start


def finished(directory: Path) -> bool:
    return (directory / "model" / "config.json").is_file()


def prepare(run: Path, stages: Sequence[str], resume: bool, overwrite: bool) -> None:
    """Make room for a run, or refuse. Raises `UserError` if the run exists and neither option says what to do."""
    existing = [stage for stage in stages if (run / stage).exists()]
    if existing and overwrite:
        for stage in existing:
            shutil.rmtree(run / stage)
    elif existing and not resume:
        raise UserError(
            f"{run} already holds {', '.join(existing)}; add --resume to go on, or --overwrite to start again"
        )


def train_stages(
    preset: str,
    stages: Sequence[str],
    run: Path,
    start: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    before: Callable[[str, Path, str | None], Sequence[str]] = lambda stage, directory, init: (),
    after: Callable[[str, Path, str | None], None] = lambda stage, directory, init: None,
) -> None:
    """Train `stages` in order into `run`. The first starts from `start` (a model directory) or from scratch.

    Both hooks get the stage, its directory and the model directory it starts from. `before` may prepare files and
    return more settings; `after` is called when a stage is done, also when an earlier, interrupted run did it.
    Nothing is written before the settings of every stage have been checked.
    """
    from minikimi.training.lightning_cli import check

    quiet()
    for stage in stages:
        check(stage_arguments(preset, stage, start, overrides))
    prepare(run, stages, resume, overwrite)
    init = start
    for stage in stages:
        if not finished(run / stage):
            train_stage(preset, stage, run / stage, init, [*before(stage, run / stage, init), *overrides])
        after(stage, run / stage, init)
        init = str(run / stage / "model")
    replace_directory(run / stages[-1] / "model", run / "model")


def stage_arguments(preset: str, stage: str, init: str | None, overrides: Sequence[str]) -> list[str]:
    """The command line of one stage for LightningCLI: its YAML, where its weights come from, and what goes over it."""
    weights = f"--model.init_from={init}" if init else f"--model.preset={preset}"
    return [f"--config={stage_config(preset, stage)}", weights, *overrides]


def train_stage(preset: str, stage: str, directory: Path, init: str | None, overrides: Sequence[str] = ()) -> None:
    """Train one stage into `directory`, from its last checkpoint if there is one."""
    from minikimi.training.lightning_cli import build

    quiet()
    last = directory / "last.ckpt"
    console.rule(f"[bold]{preset} / {stage}")
    trainer, module, data = build(stage_arguments(preset, stage, init, overrides), directory)
    trainer.fit(module, data, ckpt_path=str(last) if last.is_file() else None)
    if trainer.global_step < trainer.max_steps:
        raise UserError(f"{directory}: stopped at step {trainer.global_step}; continue with --resume")
    data.processor.save_pretrained(directory / "model")
    module.model.save_pretrained(directory / "model")  # writes config.json last: from here on the stage is done
    last.unlink(missing_ok=True)


def quiet() -> None:
    """Silence Lightning's notices about hardware and tips; warnings that matter to a user are ours to print."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    os.environ.setdefault("POSSIBLE_USER_WARNINGS", "off")


def summary(run: Path, stages: Sequence[str] = STAGES) -> dict[str, Any]:
    """Seconds, steps and tokens of each stage of a run, from its files."""
    import csv

    out = {}
    for stage in stages:
        metrics = run / stage / "metrics.csv"
        if not metrics.is_file():
            continue
        with metrics.open(newline="") as file:
            rows = list(csv.DictReader(file))
        tokens = sum(float(row["tokens_per_second"]) * float(row["seconds"]) for row in rows)
        seconds = sum(float(row["seconds"]) for row in rows)
        out[stage] = {"minutes": round(seconds / 60, 2), "steps": len(rows), "tokens": round(tokens)}
    return out

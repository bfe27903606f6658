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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from minikimi.errors import UserError
from minikimi.files import replace_directory
from minikimi.training.stages import STAGES

console = Console(highlight=False)


@dataclass(frozen=True)
class Visit:
    """One stage of one run, as those see it who do something before or after it.

    preset, stage: their names. directory: of the stage. init: the model directory it starts from, None for scratch.
    overrides: what the user set on the command line.
    """

    preset: str
    stage: str
    directory: Path
    init: str | None
    overrides: Sequence[str] = ()


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
    *,
    resume: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    before: Mapping[str, Callable[[Visit], Sequence[str]]],
    after: Mapping[str, Callable[[Visit], None]],
) -> None:
    """Train `stages` in order into `run`. The first starts from `start` (a model directory) or from scratch.

    before, after: by the names that a `Stage` gives them, what is done around it. The first ones may prepare files and
    return more settings; the others are called when the stage is done, also when an earlier, interrupted run did it.
    Nothing is written before the settings of every stage have been checked.
    """
    from minikimi.training.lightning_cli import arguments, check

    quiet()
    for name in stages:
        check(arguments(preset, name, start, overrides))
    prepare(run, stages, resume, overwrite)
    init = start
    for name in stages:
        visit = Visit(preset, name, run / name, init, overrides)
        if not finished(visit.directory):
            more = [setting for hook in STAGES[name].before for setting in before[hook](visit)]
            train_stage(preset, name, visit.directory, init, [*more, *overrides])
        for hook in STAGES[name].after:
            after[hook](visit)
        init = str(visit.directory / "model")
    replace_directory(run / stages[-1] / "model", run / "model")


def train_stage(preset: str, stage: str, directory: Path, init: str | None, overrides: Sequence[str] = ()) -> None:
    """Train one stage into `directory`, from its last checkpoint if there is one."""
    from minikimi.training.lightning_cli import arguments, build

    quiet()
    last = directory / "last.ckpt"
    console.rule(f"[bold]{preset} / {stage}")
    trainer, module, data = build(arguments(preset, stage, init, overrides), directory)
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

"""From YAML to Trainer, module and data with LightningCLI: typed, overridable on the command line, unknown keys
rejected.

The settings of a stage are put together by `minikimi.configs`. The key `data_class` names the class of its data,
`PackedData` where it says nothing; the block `data` holds that class's settings, and its `tasks` may be names of
mixtures. All settings of a stage, with their types: `minikimi train --stage STAGE --help-stage`.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from minikimi.configs import settings
from minikimi.data.shares import Mixtures
from minikimi.errors import UserError
from minikimi.files import model_directory
from minikimi.model.checkpoint import weight_files
from minikimi.provenance import provenance
from minikimi.training.module import Training
from minikimi.training.records import Records
from minikimi.training.settings_errors import setting_error

PACKED = "minikimi.data.datamodule.PackedData"
PARSER = {"exit_on_error": False, "allow_abbrev": False}  # a wrong setting raises, half a name is no name


class StageCLI(LightningCLI):
    """One number of steps, in `trainer.max_steps`, for trainer, schedule and data; names of mixtures become weights."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Raises `UserError` for settings that do not exist or have values of another type."""
        try:
            super().parse_arguments(parser, args)
        except argparse.ArgumentError as error:
            raise setting_error(str(error), parser.get_defaults().keys()) from None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--checkpoint_every", type=int, default=50, help="optimizer steps between checkpoints")
        parser.add_argument("--data_class", type=str, default=PACKED, help="import path of the class of the data")
        parser.add_argument(
            "--made_by", type=dict[str, str], default={}, help="written, not read: command, commit, machine"
        )
        parser.link_arguments("trainer.max_steps", "model.steps")
        parser.link_arguments("trainer.max_steps", "data.steps")
        assert isinstance(self.datamodule_class, type)
        if "checkpoint_every" in inspect.signature(self.datamodule_class).parameters:
            parser.link_arguments("checkpoint_every", "data.checkpoint_every")

    def before_instantiate_classes(self) -> None:
        mixtures = Mixtures.of(self.config.model.start.preset)
        self.config.data.tasks = mixtures.phases(self.config.data.tasks)
        self.config.made_by = provenance()


def arguments(preset: str, stage: str, init: str | None, overrides: Sequence[str]) -> list[str]:
    """The command line of one stage for LightningCLI: its settings, where its weights come from, what goes over it."""
    weights = [f"--model.start.init_from={init}"] if init else []
    settings_text = yaml.safe_dump(settings(preset, stage), sort_keys=False)
    return [f"--config={settings_text}", f"--model.start.preset={preset}", *weights, *overrides]


def data_class(args: Sequence[str]) -> type[lightning.LightningDataModule]:
    """The class of the data that the settings in `args[0]` ask for. Raises `UserError` if there is no such class."""
    name = yaml.safe_load(args[0].removeprefix("--config=")).get("data_class", PACKED)
    module, _, attribute = str(name).rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"data_class {name!r} cannot be imported; give package.module.Class") from None


def print_settings(preset: str, stage: str) -> None:
    """Print every setting of a stage and end the program, as `--help` does."""
    warnings.simplefilter("ignore")  # LightningCLI says that it was given arguments: it was
    data = data_class(arguments(preset, stage, None, ()))
    StageCLI(Training, data, run=False, args=["--help"], save_config_callback=None)


class CheckedSettings(StageCLI):
    """The settings of a stage, read and not used: no trainer, no model, no data."""

    def instantiate_classes(self) -> None:
        pass


def check(args: Sequence[str]) -> None:
    """Raise `UserError` if a stage cannot run with these settings; writes nothing and loads no weights.

    `args` as for `build`. Models to begin from must be there, and so must the data.
    """
    data = data_class(args)
    config = CheckedSettings(
        Training,
        data,
        run=False,
        args=list(args),
        save_config_callback=None,
        seed_everything_default=0,
        parser_kwargs=PARSER,
    ).config
    name = f"{data.__module__}.{data.__qualname__}"
    if config["data_class"] != name:
        raise UserError(f"--data_class={config['data_class']}: this stage's is {name}; write another into its YAML")
    for setting, least in (("trainer.max_steps", 1), ("checkpoint_every", 1), ("model.lr", 0)):
        if not least <= config[setting] < math.inf:
            raise UserError(f"--{setting}={config[setting]}: give a number of at least {least}")
    for directory in (config["model.start.init_from"], config["model.start.language_model"]):
        if directory:
            weight_files(model_directory(directory))
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(data, "data")
    parser.instantiate(config).data.source()


def build(args: Sequence[str], directory: Path) -> tuple[lightning.Trainer, Training, Any]:
    """Trainer, module and data of one stage that writes into `directory`, which is made; its configuration is saved
    there.

    `args` as `arguments` gives them.
    """
    cli = StageCLI(
        Training,
        data_class(args),
        run=False,
        args=list(args),
        save_config_callback=None,
        seed_everything_default=0,
        parser_kwargs=PARSER,
        trainer_defaults={
            "default_root_dir": str(directory),
            "max_epochs": 1,  # the loader is as long as the stage
            "logger": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,  # Lightning's own, which would write beside ours
            "use_distributed_sampler": False,
            "num_sanity_val_steps": 0,
        },
    )
    directory.mkdir(parents=True, exist_ok=True)
    cli.parser.save(cli.config, directory / "config.yaml", overwrite=True)
    every = cli.config["checkpoint_every"]
    checkpoint = ModelCheckpoint(
        directory, "last", every_n_train_steps=every, save_top_k=1, enable_version_counter=False
    )
    cli.trainer.callbacks += [Records(directory), checkpoint]  # type: ignore[attr-defined]
    return cli.trainer, cli.model, cli.datamodule

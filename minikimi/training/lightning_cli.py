"""From YAML to Trainer, module and data with LightningCLI: typed, overridable on the command line, unknown keys
rejected.

The key `data_class` of a stage's YAML names the class of its data, `PackedData` where it says nothing; the block `data`
holds that class's settings. All settings of a stage, with their types: `minikimi train --stage STAGE --help-stage`.
"""

from __future__ import annotations

import argparse
import importlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from minikimi.errors import UserError
from minikimi.files import model_directory
from minikimi.model.checkpoint import weight_files
from minikimi.training.module import Training
from minikimi.training.records import Records
from minikimi.training.settings_errors import setting_error

PACKED = "minikimi.data.datamodule.PackedData"


PARSER = {"exit_on_error": False, "allow_abbrev": False}  # a wrong setting raises, half a name is no name


class StageCLI(LightningCLI):
    """One number of steps, in `trainer.max_steps`, for trainer, schedule and data; and how often to write a
    checkpoint.
    """

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Raises `UserError` for settings that do not exist or have values of another type."""
        try:
            super().parse_arguments(parser, args)
        except argparse.ArgumentError as error:
            raise setting_error(str(error), parser.get_defaults().keys()) from None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--checkpoint_every", type=int, default=50, help="optimizer steps between checkpoints")
        parser.add_argument("--data_class", type=str, default=PACKED, help="import path of the class of the data")
        parser.link_arguments("trainer.max_steps", "model.steps")
        parser.link_arguments("trainer.max_steps", "data.steps")


def data_class(config: Path) -> type[lightning.LightningDataModule]:
    """The class of the data that a stage's YAML asks for. Raises `UserError` if there is no such class."""
    name = (yaml.safe_load(config.read_text()) or {}).get("data_class", PACKED)
    module, _, attribute = str(name).rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"{config}: data_class {name!r} cannot be imported; give package.module.Class") from None


def print_settings(config: Path) -> None:
    """Print every setting of a stage and end the program, as `--help` does."""
    warnings.simplefilter("ignore")  # LightningCLI says that it was given arguments: it was
    StageCLI(Training, data_class(config), run=False, args=["--help"], save_config_callback=None)


class CheckedSettings(StageCLI):
    """The settings of a stage, read and not used: no trainer, no model, no data."""

    def instantiate_classes(self) -> None:
        pass


def check(args: Sequence[str]) -> None:
    """Raise `UserError` if a stage cannot run with these settings; writes nothing and loads no weights.

    `args` as for `build`. Models to begin from must be there, and so must the data.
    """
    data = data_class(Path(args[0].removeprefix("--config=")))
    config = CheckedSettings(
        Training, data, run=False, args=list(args), save_config_callback=None, seed_everything_default=0,
        parser_kwargs=PARSER,
    ).config  # fmt: skip
    name = f"{data.__module__}.{data.__qualname__}"
    if config["data_class"] != name:
        raise UserError(f"--data_class={config['data_class']}: this stage's is {name}; write another into its YAML")
    for setting, least in (("trainer.max_steps", 1), ("checkpoint_every", 1), ("model.lr", 0)):
        if not least <= config[setting] < math.inf:
            raise UserError(f"--{setting}={config[setting]}: give a number of at least {least}")
    for directory in (config["model.init_from"], config["model.language_model"]):
        if directory:
            weight_files(model_directory(directory))
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(data, "data")
    parser.instantiate(config).data.source()


def build(args: Sequence[str], directory: Path) -> tuple[lightning.Trainer, Training, Any]:
    """Trainer, module and data of one stage that writes into `directory`, which is made; its configuration is saved
    there.

    `args` begin with `--config=FILE`; what follows goes over it.
    """
    cli = StageCLI(
        Training,
        data_class(Path(args[0].removeprefix("--config="))),
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
            "enable_checkpointing": True,
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
    cli.trainer.callbacks += [checkpoint, Records(directory)]  # type: ignore[attr-defined]
    return cli.trainer, cli.model, cli.datamodule

"""The settings of every stage and examination, and the few lines that put them together.

What all presets share stands once: `stages/STAGE.yaml`, `evaluate.yaml`, `rejection.yaml`, and in `mixtures.yaml` what
the words for data mean. `presets/PRESET.yaml` says only what a preset changes, under the name of what it changes; a
block may name several stages, `joint, cooldown:`. Later blocks go over earlier ones. README.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from minikimi.errors import UserError, unknown
from minikimi.files import CONFIGS, read_text

EVERY_STAGE = "every stage"
OTHERS = ("mixtures", "evaluate", "rejection")  # what a preset may change besides stages
WHOLE = ("tasks", "curriculum", "rewards")  # mappings that are one value: a preset replaces them


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; empty for an empty file. Raises `UserError` for anything else."""
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error}); correct the file") from None
    if not isinstance(values, dict | None):
        raise UserError(f"{path}: expected a mapping, found {type(values).__name__}; correct the file")
    return values or {}


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` over them: blocks are merged key by key, anything else is replaced, `WHOLE` too."""
    out = dict(values)
    for key, new in changes.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and key not in WHOLE:
            new = merged(old, new)
        out[key] = new
    return out


def presets() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in (CONFIGS / "presets").glob("*.yaml"))


def stages() -> list[str]:
    """Names of all stages that have settings, not in their order: that is `minikimi.training.stages`."""
    return sorted(path.stem for path in (CONFIGS / "stages").glob("*.yaml"))


def changes(preset: str, name: str) -> dict[str, Any]:
    """What a preset changes in `name`: a stage, or one of the files beside `stages/`.

    Raises `UserError` for a preset that is unknown or has a block of an unknown name.
    """
    path = CONFIGS / "presets" / f"{preset}.yaml"
    if not path.is_file():
        raise unknown("preset", preset, presets())
    blocks = read_yaml(path)
    like = blocks.pop("like", None)
    found = changes(like, name) if like else {}
    for key, block in blocks.items():
        names = stages() if key == EVERY_STAGE else key.split(", ")
        for wrong in set(names) - {*stages(), *OTHERS}:
            raise unknown(f"block in {path}:", wrong, [EVERY_STAGE, *stages(), *OTHERS])
        if not isinstance(block, Mapping):
            raise UserError(f"{path}: the block {key!r} must hold settings, not {block}; correct the file")
        if name in names:
            found = merged(found, block)
    return found


def settings(preset: str, name: str) -> dict[str, Any]:
    """The settings of a stage of a preset, or of `evaluate` or `rejection`. Raises `UserError` if there are none."""
    if name not in (known := [*stages(), *OTHERS]):
        raise unknown("settings", name, known)
    path = CONFIGS / ("" if name in OTHERS else "stages") / f"{name}.yaml"
    return merged(read_yaml(path), changes(preset, name))

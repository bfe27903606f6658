"""What is wrong with a setting, in one line: LightningCLI says it in twenty (lessons 10 and 11)."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable

from minikimi.errors import UserError, nearest

LISTED = "train --help-stage lists all settings"


def setting_error(message: str, known: Iterable[str]) -> UserError:
    """The error for a complaint of LightningCLI's parser; `known` are the names of all settings, such as `model.lr`."""
    if found := re.match(r"unrecognized arguments: ([^\s=]+)", message):
        return _unknown(found[1], known)
    if found := re.match(r"Group '([^']+)' does not accept option '([^']+)'", message):
        return _unknown(f"--{found[1]}.{found[2]}", known)
    found = re.match(r'Parser key "([^"]+)":\s*(.*)', message, re.S)
    if not found:
        return UserError(f"{message.removeprefix('argument ')}; {LISTED}")
    name, why = found[1], found[2]
    if wrong := re.search(r"class_path '([^']+)':\s+Option '([^']+)' is not accepted", why):
        return _unknown(
            f"--{name}.init_args.{wrong[2]}", [f"{name}.init_args.{argument}" for argument in _arguments(wrong[1])]
        )
    given = re.search(r"Given value: (.*)", why) or re.search(r"Got value: (.*)", why)
    wanted = re.search(r"Subtypes: \[(.*)\]\n", why) or re.search(r"Expected an? (.*)\. Got value", why)
    if given and wanted:
        return UserError(f"--{name}={given[1]}: expected {_plain(wanted[1])}; {LISTED}")
    return UserError(f"--{name}: {why}; {LISTED}")


def _unknown(name: str, known: Iterable[str]) -> UserError:
    """`name` as it was given, with its dashes."""
    close = nearest(name, [f"--{setting}" for setting in known])
    return UserError(f"unknown setting {name}" + (f" (did you mean {close}?)" if close else "") + f"; {LISTED}")


def _arguments(path: str) -> list[str]:
    """The names of the arguments of the class with this import path, which the parser has imported already."""
    module, _, name = path.rpartition(".")
    return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)


def _plain(types: str) -> str:
    """Types as one writes them: `<class 'float'>` is float, and nothing is null."""
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", types).replace("NoneType", "null").replace("typing.", "")

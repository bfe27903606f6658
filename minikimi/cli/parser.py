"""What a verb is, and how its command line is read: argparse whose complaints are one line that names the nearest word.

An option's `type` may be `whole` or `number`, which know their limits. The settings of a training stage are read
elsewhere, by LightningCLI: `minikimi.training.lightning_cli`.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import minikimi
from minikimi.errors import UserError, nearest, unknown


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` where argparse prints its usage and exits, and guesses nothing."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): ", r"\1 ", message)
        raise UserError(f"{message}; {self.prog} --help shows how it is used")

    def refuse(self, argument: str) -> NoReturn:
        """Raise `UserError` for an argument that no option takes, naming the option it resembles."""
        close = nearest(argument.split("=")[0], re.findall(r"--[\w-]+", self.format_usage()))
        self.error(f"unknown argument {argument!r}" + (f" (did you mean {close}?)" if close else ""))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = action.option_strings[0].lstrip("-") if action.option_strings else str(action.metavar).lower()
            raise unknown(kind, str(value), map(str, action.choices))


def _no_options(parser: argparse.ArgumentParser) -> None:
    pass


def _show_help(options: argparse.Namespace) -> int:
    options.parser.print_help()
    return 0


@dataclass(frozen=True)
class Verb:
    """A word of the command line, such as `chat`: its options and what it does; or the verbs that follow it.

    name, help: the word, and a line about it.
    run: gets the options and returns the exit code; without it the verb shows its help.
    add_options: declares the options, each with its help text.
    note: stands below the options in the help.
    verbs: the words that may follow, as in `data show`.
    passes_on: what is no option of the verb is not refused but left in `options.rest`.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int] = _show_help
    add_options: Callable[[argparse.ArgumentParser], None] = _no_options
    note: str = ""
    verbs: tuple[Verb, ...] = ()
    passes_on: bool = False


def build_parser(verbs: Sequence[Verb]) -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="minikimi", description="Kimi-VL rebuilt from scratch.")
    parser.add_argument(
        "--version", action="version", version=f"minikimi {minikimi.__version__}", help="show the version"
    )
    parser.set_defaults(verb=Verb("minikimi", "the course and its library"), parser=parser)
    _add_verbs(parser, verbs)
    return parser


def _add_verbs(parser: argparse.ArgumentParser, verbs: Sequence[Verb]) -> None:
    words = parser.add_subparsers(title="verbs", metavar="VERB", description="VERB --help shows its options.")
    for verb in verbs:
        child = words.add_parser(
            verb.name, help=verb.help, description=f"{verb.help[0].upper()}{verb.help[1:]}.", epilog=verb.note
        )
        child.set_defaults(verb=verb, parser=child)
        verb.add_options(child)
        if verb.verbs:
            _add_verbs(child, verb.verbs)


def parse(verbs: Sequence[Verb], arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the verb that `arguments` begin with; beside them `verb` itself, its `parser`, and the `rest`.

    Raises `UserError` for whatever is wrong with them.
    """
    for argument in arguments:
        if re.search("[\0\ud800-\udfff]", argument):  # bytes that are not UTF-8 reach Python as lone surrogates
            raise UserError(f"argument {argument!r} is not UTF-8 text; type it again, or rename the file")
    options, rest = build_parser(verbs).parse_known_args(arguments)
    if rest and not options.verb.passes_on:
        options.parser.refuse(rest[0])
    options.rest = rest
    return options


def whole(least: int, most: int) -> Callable[[str], int]:
    """The `type` of an option: a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch(r"[+-]?\d{1,18}", text) and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text}: give a whole number from {least} to {most}")

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """The `type` of an option: a number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        raise argparse.ArgumentTypeError(f"{text}: give a number from {least:g} to {most:g}")

    return read

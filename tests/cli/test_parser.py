"""One parser for all verbs: help everywhere, limits kept, and a mistake is a line that names the nearest word."""

import argparse
import math

import pytest

from minikimi.cli import VERBS
from minikimi.cli.parser import Parser, Verb, build_parser, number, parse, whole
from minikimi.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--colour", choices=["red", "green"], default="red", help="of the ball")


BALL = Verb("throw", "throw a ball", lambda options: 7, add_options)
TOYS = (Verb("ball", "play ball", verbs=(BALL,)), Verb("open", "anything goes", lambda options: 0, passes_on=True))


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parser and those of all verbs beneath it."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [deeper for child in action.choices.values() for deeper in parsers(child)]
    return found


def test_every_verb_and_option_has_help() -> None:
    for parser in parsers(build_parser(VERBS)):
        assert isinstance(parser, Parser) and parser.description
        for action in parser._actions:
            silent = isinstance(action, argparse._SubParsersAction)  # its verbs are listed, each with its own line
            assert silent or action.help, f"{parser.prog}: {action.dest}"
        assert parser.format_help()  # a lone % in a help text would raise


def test_verbs_are_named_once() -> None:
    names = [verb.name for verb in VERBS]
    assert len(set(names)) == len(names) and {"train", "evaluate", "chat", "data", "bench"} <= set(names)


def test_a_verb_beneath_a_verb_runs() -> None:
    options = parse(TOYS, ["ball", "throw", "--colour", "green"])
    assert options.verb.run(options) == 7 and options.colour == "green" and options.rest == []


@pytest.mark.parametrize("arguments", [[], ["ball"]])
def test_without_its_verb_the_help_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = parse(TOYS, arguments)
    assert options.verb.run(options) == 0
    assert capsys.readouterr().out.startswith("usage: minikimi")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bal"], "unknown verb 'bal' (did you mean ball?); choose one of ball, open"),
        (["ball", "thorw"], "unknown verb 'thorw' (did you mean throw?); choose one of throw"),
        (["ball", "throw", "--color", "red"], "unknown argument '--color' (did you mean --colour?)"),
        (["ball", "throw", "--colour=gren"], "unknown colour 'gren' (did you mean green?)"),
        (["ball", "throw", "--col", "red"], "unknown argument '--col'"),  # half a name is no name
        (["ball", "throw", "far"], "unknown argument 'far'; minikimi ball throw --help"),
        (["ball", "throw", "--colour"], "--colour expected one argument"),
        (["ball", "throw", "a\0b"], "not UTF-8"),
        (["ball", "throw", "\udcff"], "not UTF-8"),
    ],
)
def test_a_mistake_names_the_nearest_word(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        parse(TOYS, arguments)
    assert words in str(error.value)


def test_only_a_verb_that_passes_on_takes_what_it_does_not_know() -> None:
    assert parse(TOYS, ["open", "--model.lr=1", "x"]).rest == ["--model.lr=1", "x"]


@pytest.mark.parametrize("text", ["1", "+3", "9"])
def test_whole_numbers_within_the_limits(text: str) -> None:
    assert whole(1, 9)(text) == int(text)


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.5", "1e1", "nan", "", "1_0", "9" * 5000])
def test_whole_numbers_beyond_them(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give a whole number from 1 to 9"):
        whole(1, 9)(text)


@pytest.mark.parametrize("text", ["0", "0.5", "1e0"])
def test_numbers_within_the_limits(text: str) -> None:
    assert math.isclose(number(0, 1)(text), float(text))


@pytest.mark.parametrize("text", ["-1", "1.01", "nan", "inf", "-inf", "x", ""])
def test_numbers_beyond_them(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give a number from 0 to 1"):
        number(0, 1)(text)

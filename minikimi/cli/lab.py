"""`minikimi lab`: the course beside you: your copies of the lessons, and its web pages (all lessons)."""

from __future__ import annotations

import argparse

from minikimi.cli.parser import Verb


def copy(_: argparse.Namespace) -> int:
    from minikimi.lab.my import main

    return main()


def site(_: argparse.Namespace) -> int:
    from minikimi.lab.authoring.website import main

    return main()


LAB = Verb(
    "lab",
    "the course: copy the lessons to work on, or write them as web pages",
    verbs=(
        Verb("my", "copy the lessons to my/, where you work; never overwrites what is there", copy),
        Verb("site", "write the course as web pages to site/", site),
    ),
)

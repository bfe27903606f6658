"""`minikimi doctor`: what this machine has, to paste when asking for help."""

from __future__ import annotations

import argparse

from minikimi.cli.parser import Verb


def run(_: argparse.Namespace) -> int:
    from minikimi.lab.doctor import main

    return main()


DOCTOR = Verb("doctor", "print what to paste when asking for help", run)

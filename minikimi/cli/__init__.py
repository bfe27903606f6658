"""The command line. One file here is one verb: its options, and what it does.

A new verb is a file with a `Verb` in it and a place in `VERBS`. Files import at their top only what is light, so that
`--help` answers at once; what a verb needs is imported when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from minikimi.cli.bench import BENCH
from minikimi.cli.chat import CHAT
from minikimi.cli.data import DATA
from minikimi.cli.doctor import DOCTOR
from minikimi.cli.evaluate import EVALUATE
from minikimi.cli.export import EXPORT
from minikimi.cli.findings import FINDINGS
from minikimi.cli.lab import LAB
from minikimi.cli.long2short import LONG2SHORT
from minikimi.cli.parser import parse
from minikimi.cli.serve import SERVE
from minikimi.cli.train import TRAIN
from minikimi.errors import UserError, one_line

VERBS = (TRAIN, EVALUATE, CHAT, SERVE, DATA, BENCH, FINDINGS, LONG2SHORT, EXPORT, LAB, DOCTOR)  # as the help lists them


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Bad input ends in one line on stderr and exit code 2."""
    try:
        options = parse(VERBS, sys.argv[1:] if argv is None else argv)
        code = options.verb.run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        return complain(str(error), 2)
    except BrokenPipeError:  # whoever read our output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain when it flushes at exit
        return 141
    except OSError as error:
        if error.filename is None:
            return complain(str(error), 2)
        return complain(f"{error.filename}: {error.strerror}; check the name, the rights and the room on the disk", 2)
    except KeyboardInterrupt:
        return complain("stopped; what was finished is kept, train --resume goes on", 130)


def complain(message: str, code: int) -> int:
    """Print one line on stderr; returns the exit code."""
    print(one_line(f"minikimi: {message}"), file=sys.stderr)
    return code

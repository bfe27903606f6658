"""What the lessons import: set-up, exercises that check themselves, and a few pictures (lessons 00 to 17).

    from minikimi.lab import check, hint, progress, setup, solution
    setup("02")
    rotate = check("2.1", rotate)

Each lesson's exercises are data in `lesson_NN.py`: checks, hints, solutions, and the wrong answers that the
checks are proven to reject.
"""

from minikimi.lab.checking import check, hint, progress, solution
from minikimi.lab.knob import knob
from minikimi.lab.start import photo, setup

__all__ = ["check", "hint", "knob", "photo", "progress", "setup", "solution"]

"""What the lessons import: set-up, exercises that check themselves, and a few pictures.

    from minikimi.lab import check, hint, progress, setup, solution
    setup("02")
    rotate = check("2.1", rotate)

The exercises are in `lessons/`, a folder for each lesson and a file for each exercise: its hints and solution, and the
wrong answers that its check is proven to reject. `authoring/` builds notebooks and web pages from the lessons.
"""

from minikimi.lab.checking import check, hint, progress, solution
from minikimi.lab.knob import knob
from minikimi.lab.start import photo, setup

__all__ = ["check", "hint", "knob", "photo", "progress", "setup", "solution"]

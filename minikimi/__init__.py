"""minikimi: Kimi-VL rebuilt from scratch, as a course and as a small library.

    from minikimi import load

    model, proc = load("small")  # a shipped name, a finished run, or an official directory

`processor/processor.py` shows a question and an answer; the README has a whole program.
"""

from minikimi.errors import UserError
from minikimi.load import load
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor

__all__ = ["KimiVL", "KimiVLConfig", "Processor", "UserError", "load"]
__version__ = "0.2.0"

"""minikimi: Kimi-VL rebuilt from scratch, as a course and as a small library.

    from minikimi import load

    model, proc = load("small")  # a shipped name, a finished run, or an official directory

`processor/processor.py` shows a question and an answer; the README has a whole program.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minikimi.errors import UserError

if TYPE_CHECKING:
    from minikimi.loading import load
    from minikimi.model.config import KimiVLConfig
    from minikimi.model.kimi_vl import KimiVL
    from minikimi.processor.processor import Processor

__all__ = ["KimiVL", "KimiVLConfig", "Processor", "UserError", "load"]
__version__ = "0.2.0"

# Imported when first asked for: torch takes a second to load, and `minikimi --help` has no use for it. No name may also
# be that of a module here: `from minikimi import NAME` would then give the module.
HOMES = {
    "KimiVL": "minikimi.model.kimi_vl",
    "KimiVLConfig": "minikimi.model.config",
    "Processor": "minikimi.processor.processor",
    "load": "minikimi.loading",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)

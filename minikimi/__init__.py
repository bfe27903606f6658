"""minikimi: Kimi-VL rebuilt from scratch, as a course and as a small library.

from minikimi import KimiVL, Processor
model, proc = KimiVL.from_pretrained(path), Processor.from_pretrained(path)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minikimi.errors import UserError

if TYPE_CHECKING:
    from minikimi.model.config import KimiVLConfig
    from minikimi.model.kimi_vl import KimiVL
    from minikimi.processor.processor import Processor

__all__ = ["KimiVL", "KimiVLConfig", "Processor", "UserError"]
__version__ = "0.2.0"

# Imported when first asked for: torch takes a second to load, and `minikimi --help` has no use for it.
HOMES = {
    "KimiVL": "minikimi.model.kimi_vl",
    "KimiVLConfig": "minikimi.model.config",
    "Processor": "minikimi.processor.processor",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)

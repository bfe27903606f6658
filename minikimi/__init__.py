"""minikimi: Kimi-VL rebuilt from scratch, as a course and as a small library.

from minikimi import KimiVL, Processor
model, proc = KimiVL.from_pretrained(path), Processor.from_pretrained(path)
"""

from minikimi.errors import UserError
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor

__all__ = ["KimiVL", "KimiVLConfig", "Processor", "UserError"]
__version__ = "0.2.0"

"""minikimi: Kimi-VL rebuilt from scratch, as a course and as a small library.

from minikimi import KimiVL, Processor
model, proc = KimiVL.from_pretrained(path), Processor.from_pretrained(path)
"""

from minikimi.config import KimiVLConfig, UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor import Processor

__all__ = ["KimiVL", "KimiVLConfig", "Processor", "UserError"]
__version__ = "0.1.0"

"""Text and pictures in, tensors out: tokenizers, chat template, image opening and processing (lessons 01, 07 and 09).

Untrusted input ends here. Reading order: `text/` tokens and the chat template, `images/` from a file to packed patches,
`processor.py` both together.
"""

from minikimi.processor.processor import Processor

__all__ = ["Processor"]

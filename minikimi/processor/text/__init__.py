"""Text: tokenizers and the chat template.

Untrusted text ends here: nothing a user types becomes a control token (lesson 09).
"""

from minikimi.processor.text.chat import DEFAULT_SYSTEM, Rendered, render
from minikimi.processor.text.tokenizer import (
    BPETokenizer,
    TikTokenTokenizer,
    Tokenizer,
    load_tokenizer,
    small_tokenizer,
)

__all__ = [
    "DEFAULT_SYSTEM",
    "BPETokenizer",
    "Rendered",
    "TikTokenTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "render",
    "small_tokenizer",
]

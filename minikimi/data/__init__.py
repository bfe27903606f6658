"""Data: forms, packing, the resumable loader, `datasets` adapters, contact sheets (lesson 09).

What the Kimi-VL report (arXiv 2504.07491, sections 2.5 and 3.1) does with hundreds of gigabytes, at a scale to read
and to run: `packing.py` and `loader.py` how samples reach the model, `hf.py` your own data, `mixture.py` several
sources as one, `summaries.py` the words of a source, `contact_sheet.py` looking at samples.
"""

from minikimi.data.loader import PackedLoader
from minikimi.data.packing import PackedBatch, TooLongError, pack
from minikimi.data.stream import StreamedLoader
from minikimi.data.summaries import iterate_texts

__all__ = [
    "PackedBatch",
    "PackedLoader",
    "StreamedLoader",
    "TooLongError",
    "iterate_texts",
    "pack",
]

"""Data: samples, the picture world, packing, the resumable loader, `datasets` adapters, contact sheets (lesson 09).

What the Kimi-VL report (arXiv 2504.07491, sections 2.5 and 3.1) does with hundreds of gigabytes, at a scale to read
and to run: `sample.py` one example, `world/` where examples come from, `packing.py` and `loader.py` how they reach
the model, `hf.py` your own data, `summaries.py` what can be known without looking, `contact_sheet.py` looking.
"""

from minikimi.data.loader import PackedLoader
from minikimi.data.packing import PackedBatch, TooLongError, pack
from minikimi.data.stream import StreamedLoader
from minikimi.data.summaries import iterate_texts, most_common_answers

__all__ = [
    "PackedBatch",
    "PackedLoader",
    "StreamedLoader",
    "TooLongError",
    "iterate_texts",
    "most_common_answers",
    "pack",
]

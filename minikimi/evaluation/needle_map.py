"""The needle map: recall of one fact by length of the text and depth of the fact in it (lessons 12 and 15).

Texts of the same making as in training, but of given length and depth: among idle sentences stand two to four "The
secret number of the dog is 52.", one of which is asked for. What a model learnt on short texts need not hold on long
ones: the map shows where it breaks, before and after the long-context stages. Kimi-VL report (arXiv 2504.07491), table
2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikimi.evaluation.ask import ask
from minikimi.evaluation.minis import graded
from minikimi.evaluation.settings import Settings
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample
from minikimi.world.needles import needle_scene


def needles(length: int, depth: float, seed: int, count: int) -> list[Sample]:
    """`count` held-out questions about texts of at most `length` tokens, the needle `depth` (0 to 1) of the way in."""
    samples = []
    for i in range(count):
        rng = np.random.default_rng([seed, length, round(1000 * depth), i])
        name = f"needle-{seed}-{length}-{depth:g}-{i}"
        samples.append(needle_scene(rng, True, length, depth).sample(name, "needle"))
    return samples


def needle_map(model: KimiVL, processor: Processor, options: Settings, form: str = "chat") -> dict[str, Any]:
    """Recall at every length and depth: the entry `needle_map` of evaluation.json. A length beyond the model's
    context is not asked.
    """
    context = model.config.text_config.max_position_embeddings
    grid: list[list[list[bool]]] = []
    for length in options.needle_lengths:
        fits = length + options.answer_tokens <= context
        cells = [needles(length, d, options.seed, options.needles_per_cell) if fits else [] for d in options.depths]
        outputs = iter(ask(model, processor, [s for cell in cells for s in cell], options.answer_tokens, form))
        grid.append([[graded(s, str(processor.decode(next(outputs))), form).right for s in cell] for cell in cells])
    return {
        "lengths": list(options.needle_lengths),
        "depths": list(options.depths),
        "recall": [[float(np.mean(cell)) if cell else None for cell in row] for row in grid],
        "n": [[len(cell) for cell in row] for row in grid],
    }

"""Several sources as one, by weight: the picture world beside your data, short beside long (lessons 09 and 12).

The Kimi-VL report (arXiv 2504.07491, section 2.4) mixes text and multimodal data, and long with short, in every stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minikimi.data.loader import FINITE_BELOW, Source
from minikimi.errors import UserError
from minikimi.sample import Sample

ENDLESS = 2**40


class Mixture:
    """An endless source whose sample i comes from source k with probability weights[k] / sum(weights).

    It is a pure function of (seed, i). From an endless source it takes that source's sample i, from a finite one any
    sample, with replacement: small sets are repeated, so their weight says how often. Raises UserError for weights that
    do not fit.
    """

    def __init__(self, sources: Sequence[Source], weights: Sequence[float], seed: int = 0) -> None:
        if len(sources) != len(weights) or not sources:
            raise UserError(f"{len(sources)} sources but {len(weights)} weights; give one weight for each source")
        if min(weights) < 0 or not 0 < sum(weights) < float("inf"):
            raise UserError(f"weights {list(weights)} cannot be a mixture; each must be at least 0, one above 0")
        self.sources, self.seed = list(sources), seed
        self.cumulative = np.cumsum(weights) / np.sum(weights)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        # "right": a draw of exactly 0.0 must not meet a first source of weight 0.
        source = self.sources[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]
        if len(source) >= FINITE_BELOW:
            return source[index % len(source)]
        return source[int(rng.integers(len(source)))]

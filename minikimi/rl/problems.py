"""Which problems are worth the next rollouts: curriculum, prioritised sampling, filters (lesson 14).

* Curriculum: from which iteration on which levels of difficulty are drawn, easy ones first.
* Prioritised: with probability proportional to 1 - s, s the problem's success rate so far.
* Zero variance: k equal rewards equal their mean, so such a problem teaches nothing and only costs time.

Source: Kimi k1.5 report (arXiv 2501.12599), section 2.3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from minikimi.data.loader import Source
from minikimi.errors import UserError


def levels_at(curriculum: Mapping[int, Sequence[int]], iteration: int) -> frozenset[int] | None:
    """The levels drawn at an iteration: those of the last entry that has begun. None: all."""
    begun = [start for start in curriculum if start <= iteration]
    return frozenset(curriculum[max(begun)]) if begun else None


class ProblemPool:
    """The first `size` problems of a source, drawn by (seed, iteration) and by what has been learnt about them.

    curriculum: from iteration -> levels of `facts["difficulty"]` (1 where there is none). prioritised: draw in
    proportion to 1 - success rate; else evenly. kept: draw these only (see `prompts.py`); None: all. `tried` maps a
    problem to [responses, correct ones] and is all that is remembered.
    """

    def __init__(
        self,
        source: Source,
        size: int,
        curriculum: Mapping[int, Sequence[int]] | None = None,
        prioritised: bool = True,
        seed: int = 0,
        kept: Sequence[int] | None = None,
    ) -> None:
        self.source, self.size = source, min(size, len(source))
        self.open = np.ones(self.size) if kept is None else np.isin(np.arange(self.size), list(kept)).astype(float)
        self.curriculum, self.prioritised, self.seed = dict(curriculum or {}), prioritised, seed
        self.tried: dict[int, list[int]] = {}
        self._levels: np.ndarray | None = None

    def weights(self, iteration: int) -> np.ndarray:
        """(size,) how likely each problem is to be drawn, up to a factor. If all are solved, all count alike."""
        inside, allowed = self.open, levels_at(self.curriculum, iteration)
        if allowed is not None:
            inside = inside * np.isin(self.levels, list(allowed))
            if not inside.any():
                raise UserError(
                    f"no problem of the levels {sorted(allowed)}; the pool has "
                    f"{np.unique(self.levels[self.open > 0]).tolist()}"
                )
        weights = inside.copy()
        if self.prioritised:
            for index, (responses, correct) in self.tried.items():
                weights[index] *= 1 - correct / responses
        return weights if weights.any() else inside

    @property
    def levels(self) -> np.ndarray:
        """(size,) difficulty of each problem."""
        if self._levels is None:
            self._levels = np.array([self.source[i].facts.get("difficulty", 1) for i in range(self.size)])
        return self._levels

    def draw(
        self,
        key: tuple[int, int],
        count: int,
        exclude: Collection[int] = (),
        usable: Callable[[int], bool] = lambda index: True,
    ) -> list[int]:
        """`count` different problems for (iteration, attempt), in proportion to the weights; fewer if there are fewer.

        A problem that is not `usable` (its prompt is too long) is passed over, never cut.
        """
        with np.errstate(divide="ignore"):
            scores = np.log(self.weights(key[0])) + np.random.default_rng([self.seed, *key]).gumbel(size=self.size)
        chosen: list[int] = []
        for index in np.argsort(-scores, kind="stable").tolist():
            if len(chosen) == count or scores[index] == -np.inf:
                break
            if index not in exclude and usable(index):
                chosen.append(index)
        return chosen

    def record(self, index: int, correct: Sequence[bool]) -> None:
        """Count responses to a problem, and the correct ones among them."""
        responses, right = self.tried.get(index, [0, 0])
        self.tried[index] = [responses + len(correct), right + sum(correct)]

    def state_dict(self) -> dict[str, Any]:
        return {"tried": {index: list(counts) for index, counts in self.tried.items()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.tried = {int(index): list(counts) for index, counts in state_dict["tried"].items()}


def informative(totals: Sequence[float], correct: Sequence[bool], low: float = 0.0, high: float = 1.0) -> bool:
    """Whether k responses teach something: their rewards differ, and the share of correct ones is in [low, high]."""
    return max(totals) - min(totals) > 1e-6 and low <= sum(correct) / len(correct) <= high

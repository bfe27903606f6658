"""A response while it grows and after: token ids, log-probabilities, why it ended, what it earned (lesson 14)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor

from minikimi.processor.processor import Encoded
from minikimi.sample import Sample


@dataclass
class Response:
    """One sampled response to a problem.

    key: integers that seed its random numbers; token n always uses the n-th, in whatever batch it is drawn. ids,
    log_probs: what was said, the closing <|im_end|> included, and its log-probability when it was said. start: where
    the newest segment begins; what lies before it was said by an older policy. end: "" while unfinished, else stop,
    length or repetition. experts: (expert layers, prompt + response, K), the chosen experts, if recorded. parts: value
    of each reward function. total: the reward it is trained on.
    """

    key: tuple[int, ...]
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    start: int = 0
    end: str = ""
    experts: Tensor | None = None
    parts: dict[str, float] = field(default_factory=dict)
    total: float = 0.0

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Response:
        values = {f.name: state[f.name] for f in fields(cls)}
        return cls(**{**values, "key": tuple(state["key"])})


@dataclass
class Group:
    """A problem with its k responses. index: its place in the pool; prompt: the conversation up to the answer. It is
    scored when it is `complete`: the mean reward is that of all k.
    """

    index: int
    sample: Sample
    prompt: Encoded
    responses: list[Response]

    @property
    def complete(self) -> bool:
        return all(r.end for r in self.responses)

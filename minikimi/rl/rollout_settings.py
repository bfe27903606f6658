"""How an iteration of rollouts samples and scores: the block `data.settings` of rl.yaml (lesson 14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from minikimi.errors import UserError
from minikimi.rl.rewards import reward_function


@dataclass(frozen=True)
class RolloutSettings:
    """None of these numbers is published for Kimi-VL.

    Args:
        problems: problems an iteration.
        samples: responses k to each.
        inner_steps: gradient steps on the responses of one iteration; the pull towards the reference needs two or more.
        temperature: of the policy.
        max_new_tokens: longest response; a longer one is cut and earns nothing.
        segment: tokens added to a response in one iteration; unfinished ones go on in the next. None: no limit.
        rewards: weight of each reward function; the first one says whether a response is correct.
        length_weight: weight of the length reward.
        length_from: iteration at which the length reward begins: off at first, then constant.
        repetition_penalty: taken from a response that turned in circles.
        min_success: a problem with a smaller share of correct responses is left out of the loss.
        max_success: and one with a larger share.
        attempts: how often to draw problems in an iteration until one of them has responses of unequal reward.
        max_prompt_tokens: problems with a longer prompt are left out; prompts are never cut.
        record_experts: note which experts each token went to, for the log and for replay.
        shown: problems of each iteration that are written to rollouts.jsonl, with their best and worst response.
    """

    problems: int = 16
    samples: int = 8
    inner_steps: int = 2
    temperature: float = 1.0
    max_new_tokens: int = 64
    segment: int | None = None
    rewards: dict[str, float] = field(default_factory=lambda: {"exact": 1.0})
    length_weight: float = 0.0
    length_from: int = 0
    repetition_penalty: float = 0.5
    min_success: float = 0.0
    max_success: float = 1.0
    attempts: int = 2
    max_prompt_tokens: int = 512
    record_experts: bool = False
    shown: int = 2

    def __post_init__(self) -> None:
        counts = [self.problems, self.inner_steps, self.max_new_tokens, self.attempts]
        counts += [] if self.segment is None else [self.segment]
        for name in self.rewards:
            reward_function(name)  # raises for one that is not ours, before anything is loaded
        if min(counts) < 1 or self.samples < 2 or not self.rewards:
            raise UserError(
                "rollout settings: numbers must be at least 1, samples at least 2, and one reward is needed"
            )

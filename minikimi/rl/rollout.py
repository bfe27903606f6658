"""Rollouts: k responses to each of many problems, sampled together on the engine (lesson 14).

* A prompt is read once; its cache entries are then copied for its k responses.
* A response ends with <|im_end|>, at its longest, or when it turns in circles; its slot goes to the next one at once.
* Partial rollouts: a call adds at most `segment` tokens to a response. Unfinished ones are simply passed in again in
  the next iteration, and their earlier tokens are read as part of the prompt.

Source: Kimi k1.5 report (arXiv 2501.12599), section 2.6.2 for partial rollouts and repetition.
"""

from __future__ import annotations

from collections.abc import Sequence

from minikimi.inference.engine import Engine
from minikimi.inference.request import LENGTH, Request
from minikimi.inference.sampling import Sampling
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded
from minikimi.rl.policy import Policy
from minikimi.rl.response import Response

SLOTS = 128  # responses that run at one time


def rollout(
    model: KimiVL,
    policy: Policy,
    prompts: Sequence[Encoded],
    responses: Sequence[Sequence[Response]],
    max_new_tokens: int,
    segment: int | None = None,
    record_experts: bool = False,
) -> None:
    """Go on with every unfinished response, in place, by at most `segment` tokens, to `max_new_tokens` in all.

    `responses[i]` belong to `prompts[i]`. Raises `ValueError` if a context would not fit the model.
    """
    work: list[tuple[Response, Request]] = []
    for prompt, group in zip(prompts, responses, strict=True):
        for response in (r for r in group if not r.end):
            request = Request(
                prompt.followed_by(response.ids),
                min(segment or max_new_tokens, max_new_tokens - len(response.ids)),
                Sampling(policy.temperature, seed=response.key),
                policy.stop_ids,
                record_experts=record_experts,
                said=len(response.ids),
                end_repetition=True,
            )
            work.append((response, request))
    if not work:
        return
    capacity = max(len(request.tokens) + request.max_new_tokens for _, request in work)
    banned = policy.banned(model.config.text_config.vocab_size)
    engine = Engine(model, min(SLOTS, len(work)), capacity, banned=banned, record_experts=record_experts)
    engine.run([request for _, request in work])
    for response, request in work:
        response.start = len(response.ids)
        response.ids += request.ids
        response.log_probs += request.log_probs
        response.experts = request.experts
        response.end = "" if request.finish == LENGTH and len(response.ids) < max_new_tokens else request.finish

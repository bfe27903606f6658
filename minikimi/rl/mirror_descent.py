"""Online policy mirror descent, the objective of Kimi k1.5 and Kimi-VL (lesson 14).

Each iteration samples k responses to each problem from the policy of that moment, the reference π_ref, and asks for
more reward without leaving it: max E[r] - τ KL(π ‖ π_ref). The best policy is π* ∝ π_ref exp(r / τ), so everywhere r -
τ log Z = τ log(π* / π_ref). Fit this by least squares on the samples, take the mean reward r̄ for τ log Z, divide the
gradient by 2τ (or τ would set the learning rate), and what remains is

    loss = -mean_j [ (r_j - r̄) log π_j - τ/2 (log π_j - log π_ref,j)² ]

with log π_j summed over the tokens of response j. Nothing else: no division by the standard deviation, no clipping, no
value network. At the first gradient step of an iteration π = π_ref, so τ does nothing; it takes at least two steps.
Source: Kimi k1.5 report (arXiv 2501.12599), section 2.3.2; Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from minikimi.data.packing import PackedBatch
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router, Routing
from minikimi.optim import Muon
from minikimi.rl.batch import RolloutBatch, TokenLogProbs, token_log_probs
from minikimi.rl.policy import Policy
from minikimi.training.objectives import PARTS, Loss, Objective


def mirror_descent_loss(
    log_probs: Tensor, reference: Tensor, advantages: Tensor, weights: Tensor, tau: float
) -> Tensor:
    """The loss of S responses: summed log-probabilities under policy and reference, r - r̄, and shares, each (S,)."""
    gain = advantages * log_probs
    leaving = tau / 2 * (log_probs - reference).square()
    return -(weights * (gain - leaving)).sum()


class MirrorDescent(Objective):
    """Policy mirror descent on batches of rollouts.

    Args:
        train: names of the model's parts that are updated.
        tau: strength of the pull towards the policy that sampled. Not published; ours.
        temperature: of the policy; the data's must be the same.
        replay_routing: send each token to the experts it had when it was sampled.
        reset_optimizer: forget all momentum at the start of each iteration, whose problem is a new one.
    """

    columns = (
        "log_ratio/mean", "log_ratio/square", "log_ratio/max", "penalty/mean", "penalty/max", "entropy",
        "sampling/sampling_logp_difference/mean", "sampling/sampling_logp_difference/max", "routing_overlap",
    )  # fmt: skip

    def __init__(
        self,
        train: Sequence[str] = PARTS,
        tau: float = 0.1,
        temperature: float = 1.0,
        replay_routing: bool = False,
        reset_optimizer: bool = True,
    ) -> None:
        super().__init__(train)
        self.tau, self.temperature = tau, temperature
        self.replay_routing, self.reset_optimizer = replay_routing, reset_optimizer

    def setup(self, model: KimiVL) -> None:
        self.policy = Policy.of(model.config, self.temperature)

    def before_step(self, optimizer: Optimizer, batch: PackedBatch) -> None:
        assert isinstance(batch, RolloutBatch) and isinstance(optimizer, Muon)
        if self.reset_optimizer and batch.inner == 0:
            optimizer.reset_state()

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        assert isinstance(batch, RolloutBatch)
        pinned = list(batch.experts.unbind(0)) if self.replay_routing else None
        tokens = token_log_probs(model, self.policy, batch, pinned)
        sequences = len(batch.weights)
        sampled = batch.reference[tokens.place + 1]
        log_probs = tokens.per_sequence(tokens.log_probs, sequences)
        reference = tokens.per_sequence(sampled, sequences)
        total = mirror_descent_loss(log_probs, reference, batch.advantages, batch.weights, self.tau)
        with torch.no_grad():
            parts = self.measure(tokens, sampled, log_probs - reference, batch.inner)
            if len(batch.experts):
                parts["routing_overlap"] = routing_overlap(model, tokens.routings, batch.experts, tokens.place)
        parts |= {name: torch.tensor(value) for name, value in batch.metrics.items()}
        return Loss(total, parts, tokens.routings)

    def measure(self, tokens: TokenLogProbs, sampled: Tensor, sequence_ratio: Tensor, inner: int) -> dict[str, Tensor]:
        """Log-ratios per token, the penalty per response, the entropy; at the first step, where the weights are those
        that sampled, also how far sampling and training differ in their arithmetic."""
        if not len(sampled):
            return {}
        ratio = tokens.log_probs - sampled
        penalty = self.tau / 2 * sequence_ratio.square()
        parts = {
            "log_ratio/mean": ratio.mean(), "log_ratio/square": ratio.square().mean(),
            "log_ratio/max": ratio.abs().max(), "penalty/mean": penalty.mean(), "penalty/max": penalty.max(),
            "entropy": tokens.entropy.mean(),
        }  # fmt: skip
        if inner == 0:
            difference = ratio.abs()
            parts["sampling/sampling_logp_difference/mean"] = difference.mean()
            parts["sampling/sampling_logp_difference/max"] = difference.max()
        return parts


def routing_overlap(model: KimiVL, routings: list[Routing], recorded: Tensor, place: Tensor) -> Tensor:
    """Mean share of the recorded experts (layers, T, K) that the routers would choose again at `place` (N,)."""
    routers = [module for module in model.modules() if isinstance(module, Router)]
    shares = []
    for router, routing, then in zip(routers, routings, recorded, strict=True):
        scores = routing.scores[place] + router.e_score_correction_bias
        now = scores.topk(then.shape[-1], dim=-1, sorted=False).indices
        same = (now[:, :, None] == then[place][:, None]).any(dim=-1)
        shares.append(same.float().mean())
    return torch.stack(shares).mean()

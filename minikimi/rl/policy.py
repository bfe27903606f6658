"""The policy: from the model's logits to the distribution that is sampled from, and trained (lesson 14).

Both must be the same one. What sampling does to the logits (temperature, forbidden ids), the loss does too; else the
log-probabilities that the loss compares belong to two distributions. Forbidden are all control tokens but the two that
end a turn: a sampled image placeholder would ask for an image that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from minikimi.inference.sampling import log_distribution
from minikimi.model.config import KimiVLConfig
from minikimi.processor.text.special_tokens import stop_ids

CHUNK = 2**26  # logits that exist at one time


@dataclass(frozen=True)
class Policy:
    """How logits become the distribution that is sampled from."""

    temperature: float  # divides the logits
    stop_ids: tuple[int, ...]  # [EOS] and <|im_end|>
    first_special: int  # the control tokens begin at this id

    @classmethod
    def of(cls, config: KimiVLConfig, temperature: float = 1.0) -> Policy:
        """The policy of a model, whose vocabulary ends in a block of control tokens that [BOS] opens.

        Raises `ValueError` unless temperature > 0.
        """
        if not temperature > 0:
            raise ValueError(f"temperature {temperature}: sampling needs a number above 0")
        text = config.text_config
        return cls(temperature, stop_ids(text.eos_token_id), text.bos_token_id)

    def banned(self, vocab_size: int) -> Tensor:
        """The forbidden ids, as a mask (V,)."""
        banned = torch.arange(vocab_size) >= self.first_special
        banned[list(self.stop_ids)] = False
        return banned

    def log_probs(self, logits: Tensor) -> Tensor:
        """Logits (N, V) to log-probabilities (N, V), float32; forbidden ids get -inf."""
        return log_distribution(logits, self.temperature, self.banned(logits.shape[-1]).to(logits.device))

    def chosen_log_probs(self, hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of targets (N,) after hidden (N, D) under the head (V, D), and the entropy (N,).

        The entropy has no gradient. Where there are many logits, they are made piece by piece, and made again in the
        backward pass.
        """

        def piece(h: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
            log_probs = self.log_probs(h @ weight.T)
            with torch.no_grad():
                entropy = -(log_probs.exp() * log_probs.clamp(min=-1e4)).sum(dim=-1)
            return log_probs.gather(1, target[:, None])[:, 0], entropy

        rows = max(1, CHUNK // len(weight))
        if len(hidden) <= rows:
            return piece(hidden, targets)
        pairs = zip(hidden.split(rows), targets.split(rows), strict=True)
        chosen, entropy = zip(*(checkpoint(piece, h, t, use_reentrant=False) for h, t in pairs), strict=True)
        return torch.cat(chosen), torch.cat(entropy)

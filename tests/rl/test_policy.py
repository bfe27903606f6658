"""From logits to what is sampled and trained: temperature, forbidden ids, drawing."""

import pytest
import torch
from tiny_models import EOS, MEDIA, PAD, tiny_config

from minikimi.rl import policy as module
from minikimi.rl.policy import Policy


def test_draw_follows_the_distribution() -> None:
    """Even random numbers give even shares; -inf is never drawn, not even at the ends of the interval."""
    policy = Policy(1.0, (3,), 4)
    log_probs = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0]).log()
    uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    ids = policy.draw(log_probs.expand(len(uniform), -1), uniform)
    assert torch.bincount(ids, minlength=5).tolist() == pytest.approx([0, 5000, 2000, 3000, 0], abs=2)
    ends = torch.tensor([0.0, 1 - 1e-16, 1.0], dtype=torch.float64)
    assert policy.draw(log_probs.expand(3, -1), ends).tolist() == [1, 3, 3]


def test_only_the_two_ends_of_a_turn_are_allowed_among_control_tokens() -> None:
    policy = Policy.of(tiny_config(), temperature=2.0)
    assert policy.stop_ids == (EOS, EOS + 1)
    logits = torch.randn(3, PAD + 1, generator=torch.Generator().manual_seed(0))
    log_probs = policy.log_probs(logits)
    allowed = [*range(60), EOS, EOS + 1]
    assert torch.isneginf(log_probs[:, [60, MEDIA, PAD]]).all()
    torch.testing.assert_close(log_probs[:, allowed], (logits[:, allowed] / 2).log_softmax(-1))


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature 0"):
        Policy.of(tiny_config(), 0)


def test_many_rows_are_worked_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and gradient are those of one piece; the entropy is that of the distribution."""
    policy = Policy(0.7, (3,), 4)
    g = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(7, 5, generator=g), torch.randn(6, 5, generator=g)
    targets = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    whole = weight.clone().requires_grad_()
    chosen, entropy = policy.chosen_log_probs(hidden, whole, targets)
    chosen.sum().backward()
    probs = policy.log_probs(hidden @ weight.T).exp()
    torch.testing.assert_close(entropy, torch.special.entr(probs).sum(-1))
    torch.testing.assert_close(chosen, probs.gather(1, targets[:, None])[:, 0].log())
    monkeypatch.setattr(module, "CHUNK", 2 * len(weight))
    pieces = weight.clone().requires_grad_()
    parts, _ = policy.chosen_log_probs(hidden, pieces, targets)
    parts.sum().backward()
    torch.testing.assert_close(parts, chosen)
    torch.testing.assert_close(pieces.grad, whole.grad)

"""The loss of policy mirror descent against closed forms, autograd of exact expectations, and wrong versions."""

from itertools import pairwise

import pytest
import torch
from rl_toys import engine, prompts
from tiny_models import EOS, tiny_model

from minikimi.optim import Muon, param_groups
from minikimi.rl.batch import RolloutBatch, token_log_probs
from minikimi.rl.mirror_descent import MirrorDescent, mirror_descent_loss
from minikimi.rl.policy import Policy

PARTS = ["vision_tower", "multi_modal_projector", "language_model"]
TAU = 0.3


def two_token_case(theta: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A policy over two tokens, softmax of (theta, 0), in float64; a reference with theta 0.4; rewards 1 and 0.25."""
    logit = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    log_probs = torch.stack([logit, torch.zeros_like(logit)]).log_softmax(0)
    reference = torch.tensor([0.4, 0.0], dtype=torch.float64).log_softmax(0)
    return logit, log_probs, reference, torch.tensor([1.0, 0.25], dtype=torch.float64)


@pytest.mark.parametrize("theta", [0.4, 1.3, -2.0])  # at the reference, and on both sides of it
def test_gradient_is_that_of_the_published_surrogate_over_2_tau(theta: float) -> None:
    """Exact expectations over both tokens: L = E_ref (r - r̄ - τ log(π / π_ref))², and our gradient is ∇L / 2τ."""
    logit, log_probs, reference, reward = two_token_case(theta)
    p = reference.exp()
    mean = (p * reward).sum()
    surrogate = (p * (reward - mean - TAU * (log_probs - reference)).square()).sum()
    (wanted,) = torch.autograd.grad(surrogate, logit, retain_graph=True)
    loss = mirror_descent_loss(log_probs, reference, reward - mean, p, TAU)
    (got,) = torch.autograd.grad(loss, logit)
    torch.testing.assert_close(got, wanted / (2 * TAU), rtol=1e-12, atol=1e-12)


def test_at_the_reference_it_is_the_policy_gradient() -> None:
    """There, -∇ of E_π[r] - τ KL(π ‖ π_ref), whose KL part has no gradient."""
    logit, log_probs, reference, reward = two_token_case(0.4)
    objective = (log_probs.exp() * (reward - TAU * (log_probs - reference))).sum()
    (wanted,) = torch.autograd.grad(-objective, logit, retain_graph=True)
    p = reference.exp()
    (got,) = torch.autograd.grad(mirror_descent_loss(log_probs, reference, reward - (p * reward).sum(), p, TAU), logit)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_the_optimum_is_the_tilted_reference() -> None:
    """With τ log Z in the mean's place, the gradient vanishes at π* ∝ π_ref exp(r / τ), and only there."""
    _, _, reference, reward = two_token_case(0.0)
    normaliser = TAU * ((reward / TAU).exp() * reference.exp()).sum().log()
    tilted = reference + reward / TAU
    best = float(tilted[0] - tilted[1])
    for theta, size in ((best, 0.0), (best + 0.5, 1e-2)):
        logit, log_probs, reference, _ = two_token_case(theta)
        loss = mirror_descent_loss(log_probs, reference, reward - normaliser, reference.exp(), TAU)
        (gradient,) = torch.autograd.grad(loss, logit)
        assert (abs(gradient) < 1e-12) if size == 0 else (abs(gradient) > size)


def test_tau_does_nothing_at_the_reference_and_something_beyond() -> None:
    def gradient(tau: float, moved: float) -> torch.Tensor:
        log_probs = torch.tensor([-3.0, -5.0, -4.0], requires_grad=True)
        advantages, weights = torch.tensor([0.5, -0.5, 0.0]), torch.full((3,), 1 / 3)
        mirror_descent_loss(log_probs, log_probs.detach() + moved, advantages, weights, tau).backward()
        assert log_probs.grad is not None
        return log_probs.grad

    assert torch.equal(gradient(0.0, 0.0), gradient(5.0, 0.0))
    assert not torch.allclose(gradient(0.0, 0.2), gradient(5.0, 0.2))


def test_no_clipping_and_no_standard_deviation() -> None:
    """Ten times the reward, ten times the gradient; and a ratio of e^3 is not cut off."""
    gradients = []
    for scale, moved in ((1.0, 0.0), (10.0, 0.0), (1.0, 3.0)):
        log_probs = torch.tensor([-3.0, -5.0], requires_grad=True)
        mirror_descent_loss(
            log_probs, log_probs.detach() - moved, scale * torch.tensor([0.5, -0.5]), torch.ones(2) / 2, 0.0
        ).backward()
        gradients.append(log_probs.grad)
    torch.testing.assert_close(gradients[1], 10 * gradients[0])  # type: ignore[operator]
    torch.testing.assert_close(gradients[2], gradients[0])


def objective(model, **options) -> MirrorDescent:
    out = MirrorDescent(PARTS, **options)
    out.setup(model)
    return out


def batch_of(model, **settings) -> RolloutBatch:
    return next(iter(engine(model, record_experts=True, **settings)))


def test_log_probs_are_summed_over_tokens_and_batches_do_not_mix() -> None:
    """Every response alone gives the sums that it has in the batch."""
    model = tiny_model(3).double()
    batch = batch_of(model)
    policy = Policy.of(model.config)
    tokens = token_log_probs(model, policy, batch)
    sums = tokens.per_sequence(tokens.log_probs, len(batch.weights))
    bounds = batch.cu_seqlens.tolist()
    for s, (begin, end) in enumerate(pairwise(bounds)):
        ids, labels = batch.input_ids[begin:end], batch.labels[begin:end]
        logits = model(ids[None]).logits[0].double()
        log_probs = policy_reference(logits)[:-1].gather(1, ids[1:, None])[:, 0]
        torch.testing.assert_close(sums[s].double(), log_probs[labels[1:] != -100].sum(), rtol=1e-5, atol=1e-5)


def policy_reference(logits: torch.Tensor) -> torch.Tensor:
    """Independently: ids 0-59, 62 and 63 may be said, at temperature 1."""
    allowed = [*range(60), 62, 63]
    out = torch.full_like(logits, -torch.inf)
    out[:, allowed] = logits[:, allowed].log_softmax(-1)
    return out


def test_the_end_of_a_response_is_trained() -> None:
    """The stop token is a label, and taking its label away changes the gradient of its row in the head."""
    model = tiny_model(1)
    batch = batch_of(model, problems=8, samples=8)
    stops = torch.isin(batch.labels, torch.tensor([EOS, EOS + 1]))
    assert stops.any()
    gradients = []
    for labels in (batch.labels, batch.labels.masked_fill(stops, -100)):
        model.zero_grad()
        objective(model).loss(model, RolloutBatch(**{**vars(batch), "labels": labels})).total.backward()
        gradients.append(model.language_model.lm_head.weight.grad[EOS : EOS + 2].clone())
    assert gradients[0].abs().max() > 1e-4
    assert not torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_sampling_and_training_agree_and_replayed_routing_keeps_them_together() -> None:
    """The selection bias changes the choice of experts and nothing else: moved, it tears the two log-probabilities
    apart, and replayed routing brings them together again."""
    model = tiny_model(2)
    batch = batch_of(model)
    name = "sampling/sampling_logp_difference/max"

    def parts(replay: bool) -> dict:
        return objective(model, replay_routing=replay).loss(model, batch).parts

    assert parts(False)[name] < 1e-4 and parts(False)["routing_overlap"] > 0.999
    g = torch.Generator().manual_seed(0)
    for layer in model.language_model.model.layers[1:]:
        layer.mlp.gate.e_score_correction_bias += torch.randn(8, generator=g)
    assert parts(False)[name] > 0.1 and parts(False)["routing_overlap"] < 0.9
    assert parts(True)[name] < 1e-5


def test_gradient_of_the_first_step_does_not_depend_on_tau() -> None:
    model = tiny_model(4)
    batch = batch_of(model)
    gradients = []
    for tau in (0.0, 2.0):
        model.zero_grad()
        objective(model, tau=tau).loss(model, batch).total.backward()
        gradients.append(model.language_model.lm_head.weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)
    assert gradients[0].abs().max() > 1e-3


@pytest.mark.parametrize("reset", [True, False])
def test_optimizer_starts_each_iteration_afresh(reset: bool) -> None:
    """After a step its buffers are full; the first batch of an iteration empties all of them, the second none."""
    model = tiny_model(5)
    optimizer = Muon(param_groups(model, lr=1e-3), lr=1e-3)
    goal = objective(model, reset_optimizer=reset)
    batches = list(engine(model, steps=2))
    goal.loss(model, batches[0]).total.backward()
    optimizer.step()

    def filled() -> bool:
        return any(bool(value.any()) for state in optimizer.state.values() for value in state.values())

    goal.before_step(optimizer, batches[1])
    assert batches[1].inner == 1 and filled()
    goal.before_step(optimizer, batches[0])
    assert filled() is not reset


def test_images_reach_the_loss() -> None:
    """The tower has a gradient although each image is encoded once for all responses."""
    from minikimi.rl.batch import join

    model = tiny_model(6)
    batch = join(prompts(), [0, 0, 2], [[1, 2], [3], [4, 5]], [0, 0, 0], 61)
    tokens = token_log_probs(model, Policy.of(model.config), batch)
    tokens.log_probs.sum().backward()
    assert model.vision_tower.patch_embed.proj.weight.grad.abs().max() > 1e-4

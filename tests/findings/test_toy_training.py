"""The bare training loop: it learns, repeats itself, and its two rules differ where they should."""

import pytest
import torch

from minikimi.findings.texts import as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import Trace, balance, loss_on, optimizer_of, text_model, train
from minikimi.model.moe import Router


def test_the_factor_scales_the_matrices_and_leaves_their_decay() -> None:
    groups = {g["name"]: g for g in optimizer_of(text_model(0), "muon", 1e-2, 0.1, update_rms=0.4).param_groups}
    assert groups["muon"]["lr"] == pytest.approx(2e-2) and groups["adamw"]["lr"] == pytest.approx(1e-2)
    assert groups["muon"]["lr"] * groups["muon"]["weight_decay"] == pytest.approx(1e-3)
    assert not any(g["use_muon"] for g in optimizer_of(text_model(0), "adamw", 1e-2).param_groups)


def test_training_is_repeatable_and_learns() -> None:
    data = batches(world(3), as_text, 12, 256)
    first, second = (train(text_model(3), data, 1e-2).losses for _ in range(2))
    assert first == second and first[-1] < first[0] - 2


def test_only_the_language_half_learns() -> None:
    model, before = text_model(0), text_model(0).state_dict()
    train(model, batches(world(0), as_text, 1), 1e-2)
    moved = {name.split(".")[0] for name, p in model.state_dict().items() if not torch.equal(p, before[name])}
    assert moved == {"language_model"}


def test_the_loss_on_unseen_batches_is_their_mean() -> None:
    model, data = text_model(0), held_out_batches(0, as_text, quick=True) + batches(world(1), as_text, 1)
    assert loss_on(model, data) == pytest.approx(sum(loss_on(model, [batch]) for batch in data) / 2)
    assert not model.training


def test_the_last_losses_are_a_share_of_all() -> None:
    assert Trace([9.0] * 18 + [1.0, 2.0]).last() == 1.5
    assert Trace([3.0]).last() == 3.0


def test_excess_is_the_busiest_over_the_mean_and_biases_move_against_it() -> None:
    model = text_model(0)
    router = next(module for module in model.modules() if isinstance(module, Router))
    before, counts = router.e_score_correction_bias.clone(), torch.tensor([8, 2, 2, 0, 0, 0, 4, 0])
    assert balance(model, [counts], 0.0) == pytest.approx(8 / 2 - 1)
    assert torch.equal(router.e_score_correction_bias, before)
    balance(model, [counts], 0.01)
    assert (router.e_score_correction_bias - before)[0] < 0 < (router.e_score_correction_bias - before)[3]

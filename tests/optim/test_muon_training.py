"""Muon over many steps: alone in a bare loop, with accumulated gradients, interrupted and resumed."""

import copy
import io

import pytest
import torch
from torch import nn

from minikimi.optim import Muon, param_groups


def mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 16), nn.Linear(16, 3)).to(dtype)


def examples(count: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 6, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return x, (x[:, :3] + x[:, 3:]).argmax(1)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, parts: int = 1) -> float:
    """Full-batch steps, the batch of 64 cut into `parts` accumulated pieces; returns the last loss."""
    x, y = examples(64, next(model.parameters()).dtype)
    total = torch.zeros(())
    for _ in range(steps):
        losses = [
            nn.functional.cross_entropy(model(a), b) / parts
            for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True)
        ]
        total = torch.stack(losses).sum()
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
    return total.item()


def test_bare_loop_learns() -> None:
    model = mlp()
    optimizer = Muon(param_groups(model, lr=0.02))
    before = train(model, optimizer, 1)
    assert before > 0.9  # near log 3
    assert train(model, optimizer, 80) < 0.2


def test_closure_is_run_with_gradients() -> None:
    model, (x, y) = mlp(), examples(8)
    optimizer = Muon(param_groups(model, lr=0.02))

    def closure() -> float:
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss.item()

    weight = model[0].weight.detach().clone()
    assert optimizer.step(closure) == pytest.approx(closure(), abs=1.0)
    assert not torch.equal(weight, model[0].weight)


def test_one_batch_of_four_parts_equals_four_micro_batches() -> None:
    # Orthogonalising each micro-batch's gradient and adding the results would differ: Newton-Schulz is not linear.
    whole, cut = mlp(), mlp()
    train(whole, Muon(param_groups(whole, lr=0.02)), 5)
    train(cut, Muon(param_groups(cut, lr=0.02)), 5, parts=4)
    for p, q in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def through_file(state: dict) -> dict:
    """As a checkpoint does it: saved, then read back without trusting pickles."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("interrupted_after", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resume_is_exact_and_keeps_dtypes(interrupted_after: int, dtype: torch.dtype) -> None:
    straight = mlp(dtype)
    options = {"momentum_dtype": torch.bfloat16 if dtype == torch.float32 else torch.float32}
    optimizer = Muon(param_groups(straight, lr=0.02), **options)
    train(straight, optimizer, interrupted_after)
    weights, saved = copy.deepcopy(straight.state_dict()), through_file(optimizer.state_dict())
    train(straight, optimizer, 4)

    resumed = mlp(dtype)
    resumed.load_state_dict(weights)
    second = Muon(param_groups(resumed, lr=0.5, weight_decay=0.0), **options)
    second.load_state_dict(state_dict=saved)  # by keyword, as distributed checkpointing calls it
    assert second.state[resumed[0].weight]["momentum_buffer"].dtype == options["momentum_dtype"]
    assert second.state[resumed[0].bias]["exp_avg"].dtype == dtype
    train(resumed, second, 4)
    optimizer.load_state_dict(saved)  # still as saved: training the second optimizer has not touched it
    assert all(torch.equal(s[k], saved["state"][i][k]) for i, s in optimizer.state_dict()["state"].items() for k in s)
    assert all(s[k] is not saved["state"][i][k] for i, s in optimizer.state_dict()["state"].items() for k in s)
    for p, q in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)


def test_state_ids_are_positions_in_the_model() -> None:
    # Muon groups never follow the model's order; a loader that counts model parameters must still find each state.
    model = mlp()
    model[0].requires_grad_(False)  # positions 0 and 1: frozen parameters count, as in model.parameters()
    optimizer = Muon(param_groups(model, lr=0.02))
    train(model, optimizer, 2)
    state = optimizer.state_dict()["state"]
    parameters = list(model.parameters())
    assert sorted(state) == list(range(2, len(parameters)))
    for i, entry in state.items():
        buffer = entry.get("momentum_buffer", entry.get("exp_avg"))
        own = optimizer.state[parameters[i]]
        assert buffer is own.get("momentum_buffer", own.get("exp_avg"))
    assert "momentum_buffer" in state[4] and "exp_avg" in state[5]  # weight and bias of the third module with any


def test_state_has_all_keys_before_the_first_step() -> None:
    model = mlp()
    fresh, used = Muon(param_groups(model, lr=0.02)), Muon(param_groups(model, lr=0.02))
    train(model, used, 1)
    assert {i: set(s) for i, s in fresh.state_dict()["state"].items()} == {
        i: set(s) for i, s in used.state_dict()["state"].items()
    }


def test_loading_something_else_changes_nothing() -> None:
    model = mlp()
    optimizer = Muon(param_groups(model, lr=0.02))
    train(model, optimizer, 2)
    kept = copy.deepcopy(optimizer.state_dict())
    misshapen, missing, groups = (copy.deepcopy(kept) for _ in range(3))
    misshapen["state"][6]["momentum_buffer"] = torch.zeros(2, 2)
    del missing["state"][1]
    groups["param_groups"].pop()
    for bad in (misshapen, missing, groups):
        with pytest.raises(ValueError, match="Muon"):
            optimizer.load_state_dict(bad)
    for i, entry in optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, kept["state"][i][key]) for key, value in entry.items())


def test_reset_state_starts_afresh_in_place() -> None:
    model = mlp()
    optimizer = Muon(param_groups(model, lr=0.02))
    train(model, optimizer, 3)
    buffer = optimizer.state[model[0].weight]["momentum_buffer"]
    optimizer.reset_state()
    assert buffer is optimizer.state[model[0].weight]["momentum_buffer"] and not buffer.any()
    twin = copy.deepcopy(model)
    train(model, optimizer, 2)
    train(twin, Muon(param_groups(twin, lr=0.02)), 2)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)

"""The bench: it must refuse to time sides that compute different things, and its numbers must be the ratios it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from minikimi.bench import cases, peers, table
from minikimi.bench.cases import Comparison
from minikimi.errors import UserError


@pytest.fixture(scope="module")
def rows() -> dict[str, table.Row]:
    return dict(zip(cases.CASES, table.run("nano", 1), strict=True))


def test_every_case_agrees_with_its_peer(rows: dict[str, table.Row]) -> None:
    for row in rows.values():
        assert row.status == "ok", (row.name, row.note)
        assert row.difference is not None and row.tolerance is not None and row.difference <= row.tolerance
        assert row.ratio is not None and row.low is not None and row.high is not None and 0 < row.low <= row.high


def test_generation_is_compared_token_by_token(rows: dict[str, table.Row]) -> None:
    assert rows["generation-1"].difference == rows["generation-8"].difference == 0.0


def perturbed(make):
    """`make` with 5% more on the first attention's output projection, on the peer's side only."""

    def wrong(*args):
        peer = make(*args)
        with torch.no_grad():
            _, weight = next(
                (n, p) for n, p in peer.named_parameters() if n.endswith(("o_proj.weight", "attn.proj.weight"))
            )
            weight.mul_(1.05)
        return peer

    return wrong


@pytest.mark.parametrize(("case", "peer"), [("step", "text_peer"), ("vision", "vision_peer")])
def test_a_perturbed_weight_fails(case: str, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, peer, perturbed(getattr(peers, peer)))
    row = table.measure(cases.CASES[case]("nano"), 1)
    assert row.status == "FAILED" and row.ratio is None and row.difference > row.tolerance


def test_generation_from_another_model_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(ours, attention):
        peer = make(ours, attention)
        with torch.no_grad():
            peer.lm_head.weight.copy_(peer.lm_head.weight.roll(1, 0))
        return peer

    make = peers.text_peer
    monkeypatch.setattr(peers, "text_peer", other)
    assert table.measure(cases.generation("nano", 8), 1).status == "FAILED"


def test_unmasked_padding_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(peers.F, "scaled_dot_product_attention",
                        lambda *qkv, attn_mask=None, **options: attention(*qkv, **options))  # fmt: skip
    assert table.measure(cases.packing("nano"), 1).status == "FAILED"


def test_muon_with_another_learning_rate_rule_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.optim.Muon
    monkeypatch.setattr(
        torch.optim, "Muon", lambda *args, **options: original(*args, **options | {"adjust_lr_fn": "original"})
    )
    assert table.measure(cases.muon_step("nano"), 1).status == "FAILED"


def test_the_ratio_is_peer_time_over_our_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def side(seconds: float):
        def run():
            clock[0] += seconds
            return {"x": torch.ones(1)}

        return run

    monkeypatch.setattr(table.time, "perf_counter", lambda: clock[0])
    case = Comparison("toy", "", side(2.0), {"slow": side(10.0), "fast": side(3.0)}, 0.0)
    row = table.measure(case, 3)
    assert (row.peer, row.ratio, row.low, row.high) == ("fast", 1.5, 1.5, 1.5)  # the best peer counts, not the first
    assert (row.ours_seconds, row.peer_seconds) == (2.0, 3.0)


def test_not_a_number_never_passes() -> None:
    nan = {"x": torch.tensor([float("nan")])}
    assert table.difference(nan, nan) == float("inf")
    assert table.difference({"x": torch.ones(2)}, {"x": torch.ones(3)}) == float("inf")
    with pytest.raises(ValueError, match="different results"):
        table.difference({"x": torch.ones(1)}, {"y": torch.ones(1)})


def test_a_missing_transformers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*args):
        raise ModuleNotFoundError("No module named 'transformers'", name="transformers")

    monkeypatch.setattr(peers, "text_peer", absent)
    row = table.run("nano", 1, ["step"])[0]
    assert row.status == "skipped" and "pip install transformers" in row.note


def test_a_page_keeps_what_stands_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text(f"# Speed\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n")
    row = table.Row("step", "a step", "ok", peer="torch", ratio=1.234, low=1.0, high=1.5)
    table.write_page(page, [row], "nano", 3)
    text = page.read_text()
    assert "| a step | torch | 1.23 | 1.00–1.50 |" in text and "old" not in text
    assert text.startswith("# Speed") and text.endswith("\n\nafter\n")
    page.write_text("no marks")
    with pytest.raises(UserError, match="add both"):
        table.write_page(page, [row], "nano", 3)
    assert page.read_text() == "no marks"

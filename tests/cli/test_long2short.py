"""`minikimi long2short`: each way writes what it says or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minikimi.cli import main
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor

Captured = pytest.CaptureFixture[str]
FEW = ["--problems", "2", "--samples", "2", "--max-new-tokens", "8", "--task", "number"]


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained model directory."""
    directory = tmp_path_factory.mktemp("nano")
    Processor.small().save_pretrained(directory)
    KimiVL.from_preset("nano").save_pretrained(directory)
    return str(directory)


def test_average_of_a_model_with_itself_is_that_model(nano: str, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new" / "mean"
    assert main(["long2short", "average", nano, nano, str(out)]) == 0
    a, b = (load_file(d / "model.safetensors") for d in (Path(nano), out))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert main(["long2short", "average", nano, nano, str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("way", "more", "words"),
    [
        ("reject", [], "none of 2 problems was solved"),
        ("dpo", [], "no pair of"),
        ("reject", ["--task", "nmber"], "'nmber' (did you mean number?)"),
        ("dpo", ["--lr", "nan"], "--lr nan: give a number from 0 to 1"),
        ("reject", ["--samples", "0"], "--samples 0: give a whole number"),
    ],
)
def test_a_refusal_writes_nothing(
    way: str, more: list[str], words: str, nano: str, refused: Callable[..., str]
) -> None:
    assert words in refused("long2short", way, nano, "new/out", *FEW, *more)


def test_alone_it_shows_its_ways(capsys: Captured) -> None:
    assert main(["long2short"]) == 0
    assert "average" in (shown := capsys.readouterr().out) and "examples:" in shown

"""`load` takes a shipped name, a run, a stage of it, or an official directory; so do both `from_pretrained`."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import minikimi
from minikimi import KimiVL, Processor, UserError, load


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    for folder in ("model", "sft/model"):
        KimiVL.from_preset("nano").save_pretrained(tmp_path / folder)
        Processor.small().save_pretrained(tmp_path / folder)
    return tmp_path


@pytest.mark.parametrize("place", ["", "model", "sft", "sft/model"])
def test_a_run_its_model_and_a_stage(run: Path, place: str) -> None:
    model, processor = load(run / place)
    expected = KimiVL.from_pretrained(run / ("sft/model" if "sft" in place else "model"))
    for ours in (model, KimiVL.from_pretrained(run / place)):
        assert torch.equal(ours.language_model.lm_head.weight, expected.language_model.lm_head.weight)
    assert not model.training
    for ours in (processor, Processor.from_pretrained(run / place)):
        assert ours.decode(ours.tokenizer.encode("A cat.")) == "A cat." and ours.default_system is None


def test_a_shipped_name_answers() -> None:
    model, processor = load("small", dtype=torch.bfloat16)
    assert model.language_model.lm_head.weight.dtype == torch.bfloat16
    batch = processor([{"role": "user", "content": "2 + 2?"}], add_generation_prompt=True)
    assert model.generate(**batch, max_new_tokens=2).shape[0] == 1


def test_what_is_no_model_is_named(run: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        load(run / "nowhere")
    (run / "model" / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config\.json: not found"):
        load(run)


def test_the_name_is_the_function_whatever_was_imported_before() -> None:
    code = "import minikimi.loading; from minikimi import load, KimiVL; assert callable(load) and callable(KimiVL)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not {name for name in minikimi.HOMES if (Path(minikimi.__file__).parent / f"{name}.py").exists()}

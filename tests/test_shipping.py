"""The models that come with the package: made by a command, with a card; and they are what the cards say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minikimi.configs import settings
from minikimi.data.forms import encode
from minikimi.errors import UserError
from minikimi.files import SHIPPED, read_json
from minikimi.model.checkpoint import load_language_model
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report.card import LICENCE
from minikimi.shipping import ship
from minikimi.training.stages import STAGES
from minikimi.world import PictureWorld

CARDS = {name: read_json(SHIPPED / name / "card.json") for name in ("small", "small-text")}
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text()


@pytest.mark.slow
def test_a_run_is_shipped_with_its_card(nano_run: Path, tmp_path: Path) -> None:
    made = ship(nano_run, "nano", tmp_path)
    model, processor = KimiVL.from_pretrained(made), Processor.from_pretrained(made)
    trained = load_file(nano_run / "model" / "model.safetensors")
    assert all(torch.equal(tensor, trained[name]) for name, tensor in load_file(made / "model.safetensors").items())
    assert processor.tokenizer.encode("dog") and model.config.text_config.vocab_size
    card = read_json(made / "card.json")
    assert card["preset"] == "nano" and list(card["stages"]) == list(STAGES) and card["licence"] == LICENCE


@pytest.mark.slow
def test_of_a_language_model_only_that_is_shipped(nano_run: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "text").symlink_to(nano_run / "text")
    (tmp_path / "run" / "model").symlink_to(nano_run / "text" / "model")
    made = ship(tmp_path / "run", "nano-text", tmp_path)
    kept = load_file(made / "model.safetensors")
    assert {name.split(".")[0] for name in kept} == {"language_model"}
    fresh = KimiVL.from_preset("nano")
    load_language_model(fresh, made)
    name = "language_model.model.embed_tokens.weight"
    assert torch.equal(fresh.state_dict()[name], kept[name])
    assert list(read_json(made / "card.json")["stages"]) == ["text"]


def test_what_was_not_trained_here_is_not_shipped(tmp_path: Path) -> None:
    KimiVL.from_preset("nano").save_pretrained(tmp_path / "model")
    Processor.small().save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="no run of training"):
        ship(tmp_path, "mine", tmp_path / "shipped")
    assert not (tmp_path / "shipped" / "mine").exists()


@pytest.mark.parametrize("name", CARDS)
def test_a_target_makes_it_and_the_card_says_how_it_was_made(name: str) -> None:
    assert f"\n{name}: setup ##" in MAKEFILE and f"minikimi.shipping runs/{name} {name}\n" in MAKEFILE
    assert f"`make {name}`" in (SHIPPED / "README.md").read_text()
    card = CARDS[name]
    assert card["licence"] == LICENCE and {"commit", "date", "parameters", "preset"} <= card.keys()


def test_the_shipped_model_is_that_of_the_recipe() -> None:
    """As far as can be told without training for 20 minutes: its stages took the steps that the settings ask for."""
    card = CARDS["small"]
    steps = {stage: values["steps"] for stage, values in card["stages"].items()}
    wanted = {stage: settings("small", stage)["trainer"]["max_steps"] for stage in list(STAGES)[1:]}
    assert steps == wanted and card["command"] == "minikimi train --preset small"
    asked = {stage: values["asked_as"] for stage, values in card["stages"].items() if "mean" in values}
    assert asked == {name: stage.asked_as for name, stage in STAGES.items() if stage.asked_as and name in steps}


def test_the_shipped_language_model_answers_what_it_is_told() -> None:
    """The mini-Moonlight: told in words what is in the pictures, it looks the answer up."""
    model, processor = KimiVL.from_preset("small"), Processor.small()
    load_language_model(model, "small-text")
    model.eval()
    world, right = PictureWorld(99, "held_out", {"click": 1, "table": 1, "order": 1, "pages": 1}), 0
    for i in range(20):
        steps = world[i].solution or world[i].answer  # whether it works a question out is free, and so the first word
        told = encode(processor, replace(world[i], caption="", answer=steps, solution="", more=[]), "told")
        tail = len(processor.tokenizer.encode(f" {steps}.")) - 1
        with torch.inference_mode():
            chosen = model(told.input_ids, cu_seqlens=torch.tensor([0, len(told.input_ids)])).logits.argmax(-1)
        right += torch.equal(chosen[-tail - 2 : -2], told.input_ids[-tail - 1 : -1])
    assert right >= 17

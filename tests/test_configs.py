"""Settings put together from YAML: what stands where, what goes over what, and what is refused."""

from pathlib import Path

import pytest

from minikimi import configs
from minikimi.configs import changes, merged, presets, settings
from minikimi.errors import UserError
from minikimi.files import CONFIGS
from minikimi.model.config import PRESETS
from minikimi.training.stages import STAGES

README = (CONFIGS / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings folder of one stage and two presets, one like the other."""
    monkeypatch.setattr(configs, "CONFIGS", tmp_path)
    (tmp_path / "stages").mkdir()
    (tmp_path / "presets").mkdir()
    (tmp_path / "stages" / "vit.yaml").write_text("model: {lr: 1}\ndata: {seed: 3, tasks: {count: 1}}\n")
    (tmp_path / "stages" / "sft.yaml").write_text("model: {lr: 2}\n")
    (tmp_path / "presets" / "one.yaml").write_text(
        "every stage: {steps: 5}\nvit, sft: {model: {warmup: 7}}\nvit: {steps: 6, data: {tasks: {word: 2}}}\n"
    )
    (tmp_path / "presets" / "two.yaml").write_text("like: one\nsft: {model: {warmup: 8}}\n")
    return tmp_path


def test_blocks_are_merged_and_values_replaced() -> None:
    left = {"model": {"lr": 1, "start": {"preset": "nano"}}, "steps": [1, 2]}
    right = {"model": {"start": {"rope": 3}}, "steps": [3]}
    assert merged(left, right) == {"model": {"lr": 1, "start": {"preset": "nano", "rope": 3}}, "steps": [3]}
    assert left["model"] == {"lr": 1, "start": {"preset": "nano"}}, "nothing given is changed"
    one, other = {"data": {"tasks": {"count": 1}}}, {"data": {"tasks": {"word": 2}}}
    assert merged(one, other) == other


def test_a_preset_goes_over_the_stage_and_later_blocks_over_earlier_ones(own: Path) -> None:
    assert settings("one", "vit") == {
        "model": {"lr": 1, "warmup": 7},
        "data": {"seed": 3, "tasks": {"word": 2}},
        "steps": 6,
    }
    assert settings("one", "sft") == {"model": {"lr": 2, "warmup": 7}, "steps": 5}


def test_a_preset_may_be_like_another(own: Path) -> None:
    assert settings("two", "vit") == settings("one", "vit")
    assert settings("two", "sft") == {"model": {"lr": 2, "warmup": 8}, "steps": 5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vitt: {}\n", "unknown block in .*'vitt'.*did you mean vit"),
        ("vit, rejektion: {}\n", "'rejektion'.*did you mean rejection"),
        ("[1, 2]\n", "one.yaml: expected a mapping, found list"),
        ("vit: {\n", "one.yaml: not valid YAML"),
        ("vit: 3\n", "one.yaml: the block 'vit' must hold settings, not 3"),
    ],
)
def test_a_wrong_preset_is_told_in_a_line(own: Path, text: str, words: str) -> None:
    (own / "presets" / "one.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        settings("one", "vit")


def test_unknown_names_name_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown preset 'smal'.*did you mean small"):
        changes("smal", "sft")
    with pytest.raises(UserError, match=r"unknown settings 'sfft'.*did you mean sft"):
        settings("small", "sfft")


def test_every_size_has_settings_and_every_stage_its_file() -> None:
    assert set(presets()) == set(PRESETS)
    assert set(configs.stages()) == set(STAGES)
    for preset in presets():
        for stage in STAGES:
            found = settings(preset, stage)
            assert found["trainer"]["max_steps"] > 0 and found["model"]["lr"] > 0 and "tasks" in found["data"]


def test_seeds_differ_so_that_stages_see_different_samples() -> None:
    assert len({settings("small", stage)["data"]["seed"] for stage in STAGES}) == len(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_the_table_has_the_steps_of_every_preset(stage: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| {stage} |"))
    told = [int(cell.split()[0].replace(",", "")) for cell in row.strip("| ").split(" | ")[1:]]
    assert told == [settings(preset, stage)["trainer"]["max_steps"] for preset in PRESETS]

"""Checkpoints: official files round trip, load strictly, and never half."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import random_images, text_with_images, tiny_model

from minikimi.errors import UserError
from minikimi.model import checkpoint
from minikimi.model.checkpoint import load_language_model
from minikimi.model.kimi_vl import KimiVL

LAYER = "language_model.model.layers.1."
EXPERT = LAYER + "mlp.experts.3.up_proj.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in one file; tests that change it copy it first."""
    directory = tmp_path_factory.mktemp("model")
    tiny_model(0).save_pretrained(directory)
    return directory


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    tiny_model(0).save_pretrained(tmp_path / "sharded", max_shard_bytes=150_000)
    return tmp_path / "sharded"


def edit(directory: Path, change) -> None:
    state = load_file(directory / "model.safetensors")
    change(state)
    save_file(state, directory / "model.safetensors")


def assert_same(a: KimiVL, b: KimiVL) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def test_round_trip_in_one_file(saved: Path) -> None:
    loaded = KimiVL.from_pretrained(saved)
    assert_same(tiny_model(0), loaded)
    assert not loaded.training and loaded.config == tiny_model(0).config
    grids = [(2, 4)]
    ids, images = text_with_images(5, grids)[None], random_images(grids)
    assert torch.equal(loaded(ids, *images).logits, tiny_model(0)(ids, *images).logits)
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]


def test_round_trip_in_shards(sharded: Path) -> None:
    """Every shard within the limit, the index naming every tensor once with the true total size."""
    assert_same(tiny_model(0), KimiVL.from_pretrained(sharded))
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    files = sorted(sharded.glob("*.safetensors"))
    assert len(files) > 3
    assert [f.name for f in files] == [f"model-{i + 1:05d}-of-{len(files):05d}.safetensors" for i in range(len(files))]
    sizes = 0
    for file in files:
        tensors = load_file(file)
        sizes += sum(t.nbytes for t in tensors.values())
        assert all(index["weight_map"][name] == file.name for name in tensors)
        assert sum(t.nbytes for t in tensors.values()) <= 150_000
    assert index["metadata"]["total_size"] == sizes


def test_files_hold_official_names(saved: Path) -> None:
    """One matrix per expert, gate and up apart, in the layout that other loaders read; `format: pt` as they expect."""
    state = load_file(saved / "model.safetensors")
    model = tiny_model(0)
    stacked = model.language_model.model.layers[1].mlp.experts.gate_up_proj
    assert torch.equal(state[LAYER + "mlp.experts.3.gate_proj.weight"], stacked[3, :24])
    assert torch.equal(state[EXPERT], stacked[3, 24:])
    assert not any("gate_up" in name for name in state)
    assert LAYER + "mlp.gate.e_score_correction_bias" in state
    with checkpoint._open(saved / "model.safetensors") as reader:
        assert reader.metadata() == {"format": "pt"}


def test_saving_smaller_over_larger_leaves_no_stale_shards(sharded: Path) -> None:
    tiny_model(1).save_pretrained(sharded)
    assert sorted(p.name for p in sharded.iterdir()) == ["config.json", "model.safetensors"]
    assert_same(tiny_model(1), KimiVL.from_pretrained(sharded))


def test_bfloat16_load_keeps_the_selection_bias(saved: Path) -> None:
    loaded = KimiVL.from_pretrained(saved, dtype=torch.bfloat16)
    gate = loaded.language_model.model.layers[1].mlp.gate
    assert gate.weight.dtype == loaded.vision_tower.patch_embed.proj.weight.dtype == torch.bfloat16
    assert gate.e_score_correction_bias.dtype == torch.float32
    assert torch.equal(
        gate.e_score_correction_bias, tiny_model(0).language_model.model.layers[1].mlp.gate.e_score_correction_bias
    )


def test_config_dtype_is_the_default(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"torch_dtype": "bfloat16"}))
    assert KimiVL.from_pretrained(copied).language_model.lm_head.weight.dtype == torch.bfloat16


def test_derived_frequencies_are_accepted(copied: Path) -> None:
    """The released checkpoint stores one `inv_freq` per layer although it follows from the config."""
    name = LAYER + "self_attn.rotary_emb.inv_freq"
    edit(copied, lambda state: state.update({name: torch.ones(4)}))
    assert_same(tiny_model(0), KimiVL.from_pretrained(copied))
    edit(copied, lambda state: state.update({"vision_tower.rope.inv_freq": torch.ones(4)}))
    with pytest.raises(UserError, match=r"1 unexpected: vision_tower\.rope\.inv_freq"):
        KimiVL.from_pretrained(copied)


def test_report_of_what_does_not_fit(copied: Path) -> None:
    """Missing, unexpected and misshapen in one line, before any weight is read."""

    def change(state: dict) -> None:
        del state[EXPERT]
        state["language_model.model.layers.9.norm"] = torch.ones(2)
        state["language_model.lm_head.weight"] = torch.ones(64, 40)

    edit(copied, change)
    with pytest.raises(UserError) as error:
        KimiVL.from_pretrained(copied)
    message = str(error.value)
    assert f"1 missing: {EXPERT}" in message and "1 unexpected: language_model.model.layers.9.norm" in message
    assert "1 misshapen: language_model.lm_head.weight [64, 40] instead of [65, 40]" in message
    assert str(copied) in message and "\n" not in message


def test_stacked_experts_are_no_official_file(copied: Path) -> None:
    edit(copied, lambda state: state.update({LAYER + "mlp.experts.gate_up_proj": torch.ones(8, 48, 40)}))
    with pytest.raises(UserError, match="unexpected"):
        KimiVL.from_pretrained(copied)


@pytest.mark.parametrize("keep", [0, 4, 1000, -100])
def test_truncated_file(keep: int, copied: Path) -> None:
    """Cut off before, within and after the header: the file is named, nothing is loaded."""
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"model\.safetensors: truncated"):
        KimiVL.from_pretrained(copied)


def test_missing_shard(sharded: Path) -> None:
    victim = sorted(sharded.glob("*.safetensors"))[1]
    victim.unlink()
    with pytest.raises(UserError, match=f"{victim.name} not found"):
        KimiVL.from_pretrained(sharded)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 5}}', '{"weight_map": null}', "3"]
)
def test_invalid_index(content: str, sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UserError, match="index"):
        KimiVL.from_pretrained(sharded)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/hostname", "..", "gone.safetensors"])
def test_an_index_cannot_lead_out_of_the_directory(name: str, sharded: Path) -> None:
    """The file beside the directory exists and would fit; it is not read."""
    shutil.copy(next(sharded.glob("*.safetensors")), sharded.parent / "outside.safetensors")
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][EXPERT] = name
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match="not found"):
        KimiVL.from_pretrained(sharded)


def test_pickles_are_not_read(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    torch.save({}, copied / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"model\.safetensors not found"):
        KimiVL.from_pretrained(copied)


def test_directories_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        KimiVL.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no config\.json"):
        KimiVL.from_pretrained(tmp_path)


def test_a_finished_run_is_loaded_from_its_model_folder(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "run" / "model")
    assert_same(tiny_model(0), KimiVL.from_pretrained(tmp_path / "run"))


@pytest.mark.parametrize("over_an_old_one", [False, True])
def test_a_crash_while_saving_leaves_nothing_that_looks_like_a_model(
    over_an_old_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up in the third shard: no config.json, so the directory is refused, and no file is half-written
    under its name."""
    if over_an_old_one:
        tiny_model(1).save_pretrained(tmp_path)
    written = []

    def failing(tensors: dict, path: Path, metadata: dict) -> None:
        written.append(path)
        if len(written) == 3:
            Path(path).write_bytes(b"half")
            raise OSError("No space left on device")
        save_file(tensors, path, metadata=metadata)

    monkeypatch.setattr(checkpoint, "save_file", failing)
    with pytest.raises(OSError, match="No space"):
        tiny_model(0).save_pretrained(tmp_path, max_shard_bytes=150_000)
    with pytest.raises(UserError, match=r"no config\.json"):
        KimiVL.from_pretrained(tmp_path)
    for file in tmp_path.glob("*.safetensors"):
        load_file(file)  # whatever has its final name is whole


def test_only_the_language_model_is_taken(tmp_path: Path) -> None:
    """From a whole checkpoint or from one that holds nothing else; the rest of the model stays as it was."""
    source, target = KimiVL.from_preset("nano"), KimiVL.from_preset("nano")
    whole, part = tmp_path / "whole", tmp_path / "part"
    source.save_pretrained(whole)
    part.mkdir()
    source.config.save_pretrained(part)
    tensors = load_file(whole / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k.startswith("language_model.")}, part / "model.safetensors")
    for directory in (whole, part):
        target.reset_parameters()
        before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
        load_language_model(target, directory)
        for name, tensor in target.state_dict().items():
            expected = source.state_dict()[name] if name.startswith("language_model.") else before[name]
            assert torch.equal(tensor, expected), name
    with pytest.raises(UserError, match="missing"):
        KimiVL.from_pretrained(part)


def test_a_language_model_of_another_size_is_refused(tmp_path: Path) -> None:
    KimiVL.from_preset("nano").save_pretrained(tmp_path)
    small = KimiVL.from_preset("small")
    before = small.language_model.lm_head.weight.clone()
    with pytest.raises(UserError, match="do not fit"):
        load_language_model(small, tmp_path)
    assert torch.equal(small.language_model.lm_head.weight, before)


MEMORY_SCRIPT = """
import resource, sys
from dataclasses import replace
import torch
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL

verb, directory = sys.argv[1:]
config = KimiVLConfig.preset("nano")
text = replace(config.text_config, hidden_size=1024, n_routed_experts=64, moe_intermediate_size=256)
if verb == "save":
    with torch.device("meta"):
        model = KimiVL(replace(config, text_config=text))
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(0.5)
    model.save_pretrained(directory, max_shard_bytes=50 * 2**20)
else:
    KimiVL.from_preset("nano", device="meta")  # torch imports 140 MB of its own at the first meta tensor
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = KimiVL.from_pretrained(directory)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = sum(t.nbytes for t in model.state_dict().values())
    print((after - before) * 1024 / 2**20, size / 2**20)
"""


@pytest.mark.slow
def test_peak_memory_is_the_model_and_one_shard(tmp_path: Path) -> None:
    """About 220 MB of weights in 50 MB shards, in a process of its own: the peak grows by the model and one shard."""
    python = [sys.executable, "-c", MEMORY_SCRIPT]
    subprocess.run([*python, "save", str(tmp_path)], check=True, timeout=200)
    result = subprocess.run([*python, "load", str(tmp_path)], check=True, timeout=200, capture_output=True, text=True)
    grown, size = map(float, result.stdout.split())
    assert size > 180
    assert grown < size + 50 + 40  # one shard, and slack for the allocator
    assert len(list(tmp_path.glob("*.safetensors"))) > 3

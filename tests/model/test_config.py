"""The configuration reads and writes the official config.json, and refuses in one line what it cannot build."""

import copy
import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.model.config import PRESETS, KimiVLConfig

# config.json of Kimi-VL-A3B-Instruct.
OFFICIAL = {
    "architectures": ["KimiVLForConditionalGeneration"],
    "model_type": "kimi_vl",
    "auto_map": {
        "AutoConfig": "configuration_kimi_vl.KimiVLConfig",
        "AutoModel": "modeling_kimi_vl.KimiVLForConditionalGeneration",
        "AutoModelForCausalLM": "modeling_kimi_vl.KimiVLForConditionalGeneration",
    },
    "vision_config": {
        "model_type": "moonvit", "patch_size": 14, "num_attention_heads": 16, "num_hidden_layers": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304, "init_pos_emb_height": 64, "init_pos_emb_width": 64, "merge_kernel_size": [2, 2],
        "torch_dtype": "bfloat16",
    },
    "text_config": {
        "vocab_size": 163840, "max_position_embeddings": 131072, "hidden_size": 2048, "intermediate_size": 11264,
        "moe_intermediate_size": 1408, "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16,
        "n_shared_experts": 2, "n_routed_experts": 64, "ep_size": 1, "routed_scaling_factor": 2.446,
        "kv_lora_rank": 512, "q_lora_rank": None, "qk_rope_head_dim": 64, "v_head_dim": 128, "qk_nope_head_dim": 128,
        "topk_method": "noaux_tc", "n_group": 1, "topk_group": 1, "num_experts_per_tok": 6, "moe_layer_freq": 1,
        "first_k_dense_replace": 1, "norm_topk_prob": True, "scoring_func": "sigmoid", "aux_loss_alpha": 0.001,
        "seq_aux": True, "hidden_act": "silu", "initializer_range": 0.02, "rms_norm_eps": 1e-05, "pretraining_tp": 1,
        "use_cache": True, "rope_theta": 800000.0, "rope_scaling": None, "attention_bias": False,
        "attention_dropout": 0.0, "bos_token_id": 163584, "pad_token_id": 163839, "eos_token_id": 163585,
        "torch_dtype": "bfloat16", "tie_word_embeddings": False,
    },
    "ignore_index": -100,
    "media_placeholder_token_id": 163605,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.50.3",
    "tie_word_embeddings": False,
    "vocab_size": 163840,
}  # fmt: skip


def changed(path: str, value: object) -> dict:
    """The official dictionary with one value replaced, `a.b` for a nested one."""
    values = copy.deepcopy(OFFICIAL)
    *outer, last = path.split(".")
    target = values
    for key in outer:
        target = target[key]
    target[last] = value
    return values


def test_official_file_is_the_full_preset() -> None:
    assert KimiVLConfig.from_dict(OFFICIAL) == KimiVLConfig.preset("kimi-vl-a3b")


def test_official_file_round_trips() -> None:
    """What we write is the official file; only the decoder's model_type, a default there, is spelt out."""
    written = KimiVLConfig.from_dict(OFFICIAL).to_dict()
    assert written["text_config"].pop("model_type") == "deepseek_v3"
    assert written == OFFICIAL


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_through_a_file(name: str, tmp_path: Path) -> None:
    config = KimiVLConfig.preset(name)
    config.save_pretrained(tmp_path)
    assert KimiVLConfig.from_pretrained(tmp_path) == config
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]  # nothing left over from writing aside
    assert json.loads((tmp_path / "config.json").read_text())["vision_config"]["merge_kernel_size"] == [2, 2]


def test_small_presets_use_the_official_offsets_of_special_ids() -> None:
    """BOS 0, EOS 1, media_pad 21 after the last ordinary token, PAD last, as in the official vocabulary of 163,584 +
    256."""
    official, nano = KimiVLConfig.preset("kimi-vl-a3b"), KimiVLConfig.preset("nano")
    for config, ordinary in ((official, 163584), (nano, 960)):
        text = config.text_config
        assert text.bos_token_id == ordinary and text.eos_token_id == ordinary + 1
        assert config.media_placeholder_token_id == ordinary + 21
        assert text.pad_token_id == text.vocab_size - 1 and config.vocab_size == text.vocab_size


def test_keys_of_transformers_versions() -> None:
    """Version 5 writes `dtype` for `torch_dtype`, all versions add keys that say nothing about the network."""
    values = changed("_name_or_path", "somewhere")
    values["dtype"] = "float32"
    del values["torch_dtype"]
    config = KimiVLConfig.from_dict(values)
    assert config.torch_dtype == "float32"
    assert "_name_or_path" not in config.to_dict()


def test_missing_keys_take_official_defaults() -> None:
    config = KimiVLConfig.from_dict({"text_config": {"vocab_size": 200000}})
    assert config.vocab_size == 200000 and config.vision_config.hidden_size == 1152


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        KimiVLConfig.preset("nano").vocab_size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "path, value, words",
    [
        ("hidden_szie", 3, "unknown key hidden_szie"),
        ("text_config.n_expert", 3, "text_config: unknown key n_expert"),
        ("vision_config.temporal", 3, "vision_config: unknown key temporal"),
        ("text_config.q_lora_rank", 1536, "q_lora_rank"),
        ("text_config.n_group", 8, "n_group"),
        ("text_config.num_key_value_heads", 4, "num_key_value_heads"),
        ("text_config.num_experts_per_tok", 65, "exceeds n_routed_experts"),
        ("text_config.scoring_func", "softmax", "sigmoid"),
        ("text_config.topk_method", "greedy", "noaux_tc"),
        ("text_config.hidden_act", "gelu", "silu"),
        ("text_config.rope_scaling", {"type": "yarn"}, "rope_scaling"),
        ("text_config.norm_topk_prob", False, "norm_topk_prob"),
        ("text_config.attention_bias", True, "bias"),
        ("text_config.tie_word_embeddings", True, "untied"),
        ("text_config.qk_rope_head_dim", 63, "even"),
        ("vision_config.hidden_size", 1150, "multiple of its heads"),
        ("vision_config.num_attention_heads", 64, "multiple of 4"),
        ("media_placeholder_token_id", 163840, "outside the vocabulary"),
        ("media_placeholder_token_id", -1, "outside the vocabulary"),
        ("torch_dtype", "float8", "torch_dtype"),
        ("text_config.hidden_size", "2048", "hidden_size is '2048'; expected int"),
        ("text_config.hidden_size", 0, "at least 1"),
        ("text_config.kv_lora_rank", -512, "at least 1"),
        ("text_config.rope_theta", None, "rope_theta is None; expected float"),
        ("text_config.use_cache", 1, "use_cache is 1; expected bool"),
        ("text_config", [1, 2], "expected a dictionary"),
        ("vision_config", None, "expected a dictionary"),
    ],
)
def test_refusals_are_one_clear_line(path: str, value: object, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        KimiVLConfig.from_dict(changed(path, value), "some/config.json")
    assert "\n" not in str(error.value)


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="'tiny'; choose one of nano, small, base, kimi-vl-a3b"):
        KimiVLConfig.preset("tiny")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"[1]", b"3"])
def test_files_that_are_no_config(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json"):
        KimiVLConfig.from_pretrained(tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        KimiVLConfig.from_pretrained(tmp_path)


def test_user_errors_are_value_errors() -> None:
    assert issubclass(UserError, ValueError)

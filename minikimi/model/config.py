"""Configuration: what has to be known to build a Kimi-VL of any size.

* Two frozen dataclasses, one for MoonViT and one for the language model, and `KimiVLConfig` around them.
* The field names and defaults are those of the official `config.json` of Kimi-VL-A3B, so that file can be read and
  written.
* `PRESETS` holds four sizes: `nano` (tests), `small` (a laptop), `base` (one GPU) and `kimi-vl-a3b` (the official
  16B-A2.8B model).

Lesson 07 assembles the model from these numbers. Source: Kimi-VL report (arXiv 2504.07491), section 2.1 and the
released `config.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from minikimi.errors import UserError
from minikimi.files import write_json


@dataclass(frozen=True)
class VisionConfig:
    """MoonViT (report section 2.1). Widths in channels, `init_pos_emb_*` in patches, `patch_size` in pixels."""

    patch_size: int = 14
    num_attention_heads: int = 16
    num_hidden_layers: int = 27
    hidden_size: int = 1152
    intermediate_size: int = 4304
    init_pos_emb_height: int = 64
    init_pos_emb_width: int = 64
    merge_kernel_size: tuple[int, int] = (2, 2)
    model_type: str = "moonvit"
    torch_dtype: str = "bfloat16"

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class TextConfig:
    """The Moonlight decoder: latent attention and mixture of experts, DeepSeek-V3 style (report section 2.1)."""

    vocab_size: int = 163840
    max_position_embeddings: int = 131072
    hidden_size: int = 2048
    intermediate_size: int = 11264
    moe_intermediate_size: int = 1408
    num_hidden_layers: int = 27
    num_attention_heads: int = 16
    num_key_value_heads: int = 16
    n_shared_experts: int = 2
    n_routed_experts: int = 64
    ep_size: int = 1
    routed_scaling_factor: float = 2.446
    kv_lora_rank: int = 512
    q_lora_rank: int | None = None
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128
    qk_nope_head_dim: int = 128
    topk_method: str = "noaux_tc"
    n_group: int = 1
    topk_group: int = 1
    num_experts_per_tok: int = 6
    moe_layer_freq: int = 1
    first_k_dense_replace: int = 1
    norm_topk_prob: bool = True
    scoring_func: str = "sigmoid"
    aux_loss_alpha: float = 0.001
    seq_aux: bool = True
    hidden_act: str = "silu"
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-5
    pretraining_tp: int = 1
    use_cache: bool = True
    rope_theta: float = 800000.0
    rope_scaling: dict | None = None
    attention_bias: bool = False
    attention_dropout: float = 0.0
    bos_token_id: int = 163584
    pad_token_id: int = 163839
    eos_token_id: int = 163585
    torch_dtype: str = "bfloat16"
    tie_word_embeddings: bool = False
    model_type: str = "deepseek_v3"

    @property
    def qk_head_dim(self) -> int:
        return self.qk_nope_head_dim + self.qk_rope_head_dim


@dataclass(frozen=True)
class KimiVLConfig:
    """The whole model. `media_placeholder_token_id` is the id that image features replace."""

    vision_config: VisionConfig = field(default_factory=VisionConfig)
    text_config: TextConfig = field(default_factory=TextConfig)
    ignore_index: int = -100
    media_placeholder_token_id: int = 163605
    torch_dtype: str = "bfloat16"
    tie_word_embeddings: bool = False
    vocab_size: int = 163840
    model_type: str = "kimi_vl"
    architectures: tuple[str, ...] = ("KimiVLForConditionalGeneration",)
    auto_map: dict[str, str] = field(
        default_factory=lambda: {
            "AutoConfig": "configuration_kimi_vl.KimiVLConfig",
            "AutoModel": "modeling_kimi_vl.KimiVLForConditionalGeneration",
            "AutoModelForCausalLM": "modeling_kimi_vl.KimiVLForConditionalGeneration",
        }
    )
    transformers_version: str = "4.50.3"

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config") -> KimiVLConfig:
        """Build from the nested dictionary of a `config.json`. Unknown keys raise `UserError` and are named."""
        if not isinstance(values, Mapping):
            raise UserError(f"{source}: expected a dictionary of settings, got {type(values).__name__}")
        values = dict(values)
        text = _build(TextConfig, values.get("text_config", {}), f"{source}: text_config")
        vision = _build(VisionConfig, values.get("vision_config", {}), f"{source}: vision_config")
        return _build(
            cls, {"vocab_size": text.vocab_size, **values, "text_config": text, "vision_config": vision}, source
        )

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike) -> KimiVLConfig:
        """Read `directory/config.json`. Raises `UserError` if it is missing, is no JSON or has unknown keys."""
        path = Path(directory) / "config.json"
        if not path.is_file():
            raise UserError(f"{path}: not found; give a directory that holds config.json and *.safetensors")
        try:
            values = json.loads(path.read_text())
        except ValueError as error:
            raise UserError(f"{path}: not valid JSON ({error}); copy the file again") from None
        return cls.from_dict(values, str(path))

    @classmethod
    def preset(cls, name: str) -> KimiVLConfig:
        """One of `PRESETS`. Raises `UserError` for any other name."""
        if name not in PRESETS:
            raise UserError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
        return PRESETS[name]

    def to_dict(self) -> dict[str, Any]:
        """The nested dictionary as it stands in `config.json`."""
        return json.loads(json.dumps(asdict(self)))

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write `directory/config.json`, all or nothing."""
        write_json(Path(directory) / "config.json", self.to_dict(), indent=2)


ConfigT = TypeVar("ConfigT")

# Written by various versions of transformers into config.json; they say nothing about the network.
INERT_KEYS = {"_name_or_path", "_attn_implementation_autoset", "return_dict", "output_attentions", "use_bfloat16"}

# Field types that are checked on reading; a whole number passes for a float, true for nothing but a bool.
PLAIN_TYPES: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str}


def _build(cls: type[ConfigT], values: Mapping[str, Any], source: str) -> ConfigT:
    if not isinstance(values, Mapping):
        raise UserError(f"{source}: expected a dictionary of settings, got {type(values).__name__}")
    values = dict(values)
    if "dtype" in values:  # the name in transformers 5
        values.setdefault("torch_dtype", values.pop("dtype"))
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known) - INERT_KEYS)
    if unknown:
        raise UserError(f"{source}: unknown key {', '.join(unknown)}; remove it or correct its spelling")
    for key, value in values.items():
        expected = PLAIN_TYPES.get(str(known[key].type)) if key in known else None
        if expected and (not isinstance(value, expected) or isinstance(value, bool) != (expected is bool)):
            raise UserError(f"{source}: {key} is {value!r}; expected {known[key].type}")
    return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items() if key in known})


DTYPES = ("float32", "bfloat16", "float16")
COUNTS = ("num_hidden_layers", "num_attention_heads", "n_shared_experts", "n_routed_experts", "num_experts_per_tok")
WIDTHS = ("hidden_size", "intermediate_size", "moe_intermediate_size", "kv_lora_rank")
HEAD_WIDTHS = ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
EXTENTS = ("patch_size", "init_pos_emb_height", "init_pos_emb_width", "vocab_size", "max_position_embeddings")
SIZES = (*COUNTS, *WIDTHS, *HEAD_WIDTHS, *EXTENTS)


def _check(config: KimiVLConfig) -> None:
    """Refuse what this implementation would silently compute wrongly. Raises `UserError`."""
    vision, text = config.vision_config, config.text_config
    sizes = [(part, name) for part in (vision, text) for name in SIZES if hasattr(part, name)]
    for part, name in sizes:
        if getattr(part, name) < 1:
            raise UserError(f"config: {name} is {getattr(part, name)}; it must be at least 1")
    rules = [
        (vision.hidden_size % vision.num_attention_heads == 0, "vision hidden_size must be a multiple of its heads"),
        (vision.head_dim % 4 == 0, "vision head width must be a multiple of 4 (2-D rotary pairs)"),
        (text.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim must be even"),
        (text.q_lora_rank is None, "q_lora_rank is not part of Kimi-VL; set it to null"),
        (
            text.n_group == 1 and text.topk_group == 1,
            "expert groups are not part of Kimi-VL; set n_group = topk_group = 1",
        ),
        (text.num_key_value_heads == text.num_attention_heads, "num_key_value_heads must equal num_attention_heads"),
        (text.num_experts_per_tok <= text.n_routed_experts, "num_experts_per_tok exceeds n_routed_experts"),
        (text.scoring_func == "sigmoid", "scoring_func must be 'sigmoid'"),
        (text.topk_method == "noaux_tc", "topk_method must be 'noaux_tc' (choice by score plus selection bias)"),
        (text.hidden_act == "silu", "hidden_act must be 'silu'"),
        (text.rope_scaling is None, "rope_scaling is not part of Kimi-VL; set it to null"),
        (text.norm_topk_prob, "norm_topk_prob must be true"),
        (text.moe_layer_freq == 1, "moe_layer_freq must be 1"),
        (not text.attention_bias and not text.attention_dropout, "attention bias and dropout are not part of Kimi-VL"),
        (not config.tie_word_embeddings and not text.tie_word_embeddings, "embeddings are untied in Kimi-VL"),
        (config.torch_dtype in DTYPES, f"torch_dtype {config.torch_dtype!r} is not one of {', '.join(DTYPES)}"),
        (
            0 <= config.media_placeholder_token_id < text.vocab_size,
            "media_placeholder_token_id lies outside the vocabulary",
        ),
    ]
    for holds, remedy in rules:
        if not holds:
            raise UserError(f"config: {remedy}")


def _preset(
    vision: dict[str, Any], table: int, text: dict[str, Any], attention: dict[str, Any], experts: dict[str, Any]
) -> KimiVLConfig:
    """A preset on the shipped byte-level BPE: 960 ordinary tokens, then 64 reserved ids at the official offsets.

    `table` is the side of MoonViT's learned table of positions; the other four are fields of the two configs.
    """
    ordinary, vocab_size = 960, 1024
    ids: dict[str, Any] = {"bos_token_id": ordinary, "eos_token_id": ordinary + 1, "pad_token_id": vocab_size - 1}
    attention = attention | {"num_key_value_heads": attention["num_attention_heads"]}
    small: dict[str, Any] = {"vocab_size": vocab_size, "torch_dtype": "float32", "rope_theta": 50000.0}
    return KimiVLConfig(
        vision_config=VisionConfig(
            torch_dtype="float32", init_pos_emb_height=table, init_pos_emb_width=table, **vision
        ),
        text_config=TextConfig(**small, **ids, **text, **attention, **experts),
        media_placeholder_token_id=ordinary + 21,
        vocab_size=vocab_size,
        torch_dtype="float32",
    )


# routed_scaling_factor keeps the size of the routed sum: the mean of 1/|p| over Gaussian logits (Moonlight report,
# appendix C).
PRESETS: dict[str, KimiVLConfig] = {
    "nano": _preset(
        vision=dict(hidden_size=64, num_attention_heads=2, num_hidden_layers=2, intermediate_size=128),
        table=8,
        text=dict(hidden_size=64, num_hidden_layers=2, intermediate_size=128, max_position_embeddings=1024),
        attention=dict(num_attention_heads=2, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16),
        experts=dict(
            n_routed_experts=8,
            num_experts_per_tok=2,
            n_shared_experts=1,
            moe_intermediate_size=32,
            routed_scaling_factor=1.4088,
        ),
    ),
    "small": _preset(
        vision=dict(hidden_size=128, num_attention_heads=4, num_hidden_layers=3, intermediate_size=384),
        table=12,
        text=dict(
            hidden_size=128,
            num_hidden_layers=3,
            intermediate_size=384,
            max_position_embeddings=4096,
            initializer_range=0.05,
        ),
        attention=dict(num_attention_heads=4, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32),
        experts=dict(
            n_routed_experts=16,
            num_experts_per_tok=4,
            n_shared_experts=1,
            moe_intermediate_size=64,
            routed_scaling_factor=1.9908,
        ),
    ),
    "base": _preset(
        vision=dict(hidden_size=576, num_attention_heads=8, num_hidden_layers=12, intermediate_size=2304),
        table=32,
        text=dict(hidden_size=768, num_hidden_layers=12, intermediate_size=3072, max_position_embeddings=16384),
        attention=dict(
            num_attention_heads=12, kv_lora_rank=192, qk_nope_head_dim=64, qk_rope_head_dim=32, v_head_dim=64
        ),
        experts=dict(
            n_routed_experts=32,
            num_experts_per_tok=4,
            n_shared_experts=2,
            moe_intermediate_size=384,
            routed_scaling_factor=1.9965,
        ),
    ),
    "kimi-vl-a3b": KimiVLConfig(),
}

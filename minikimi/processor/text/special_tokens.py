"""Where the control tokens of Kimi-VL live: a block of reserved ids right behind the ordinary tokens.

The official vocabulary is 163,584 byte-pair tokens plus 256 reserved ids. Only a handful of the reserved ids carry a
name that the chat template uses; the rest are called `<|reserved_token_{id}|>`. We keep the same *offsets* from the
start of the block for a vocabulary of any size, so the small tokenizer (960 + 64) and the official one differ in
nothing but where the block begins.

Lesson 09 uses these to write a conversation as tokens. Source: the tokenizer files of Moonshot's Moonlight / Kimi
line and the token ids in Kimi-VL's `config.json` (bos 163584, eos 163585, pad 163839, media placeholder 163605).
"""

from __future__ import annotations

from collections.abc import Mapping

BOS, EOS, EOT, UNK, PAD = "[BOS]", "[EOS]", "[EOT]", "[UNK]", "[PAD]"
IM_END, IM_MIDDLE = "<|im_end|>", "<|im_middle|>"
IM_ROLE = {"system": "<|im_system|>", "user": "<|im_user|>", "assistant": "<|im_assistant|>"}
MEDIA_START, MEDIA_CONTENT, MEDIA_END, MEDIA_PAD = (
    "<|media_start|>",
    "<|media_content|>",
    "<|media_end|>",
    "<|media_pad|>",
)

OFFSETS = {
    BOS: 0,
    EOS: 1,
    IM_END: 2,
    IM_ROLE["user"]: 3,
    IM_ROLE["assistant"]: 4,
    "<|start_header_id|>": 6,
    "<|end_header_id|>": 7,
    EOT: 9,
    IM_ROLE["system"]: 10,
    IM_MIDDLE: 17,
    MEDIA_START: 18,
    MEDIA_CONTENT: 19,
    MEDIA_END: 20,
    MEDIA_PAD: 21,
}
OFFICIAL_RESERVED = 256

STOPS = (EOS, IM_END)  # either ends an answer

# What rendering a conversation and padding a batch cannot do without.
REQUIRED = (EOS, PAD, IM_END, IM_MIDDLE, *IM_ROLE.values(), MEDIA_START, MEDIA_CONTENT, MEDIA_END, MEDIA_PAD)


def special_token_table(base: int, reserved: int, named: Mapping[int, str] | None = None) -> dict[str, int]:
    """Name and id of every reserved token, in the order of the ids.

    Args:
        base: number of ordinary tokens, which is also the first reserved id.
        reserved: how many ids are reserved (256 officially).
        named: id -> name as read from a tokenizer file; without it the official offsets apply.

    Raises:
        ValueError: two ids share one name.
    """
    if named is None:
        named = {base + offset: name for name, offset in OFFSETS.items()}
        named |= {base + reserved - 2: UNK, base + reserved - 1: PAD}
    table = {named.get(i, f"<|reserved_token_{i}|>"): i for i in range(base, base + reserved)}
    if len(table) != reserved:
        raise ValueError("two reserved ids share one name; correct added_tokens_decoder")
    return table


def stop_ids(eos_token_id: int) -> tuple[int, ...]:
    """Ids of `STOPS`, from that of [EOS], for code that has a model's config and no tokenizer."""
    return tuple(eos_token_id + OFFSETS[name] - OFFSETS[EOS] for name in STOPS)

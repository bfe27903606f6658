"""The chat template of Kimi-VL, assembled as token lists.

    <|im_system|>system<|im_middle|>You are a helpful assistant<|im_end|>
    <|im_user|>user<|im_middle|><|media_start|>image<|media_content|><|media_pad|>...<|media_end|>Who is it?<|im_end|>
    <|im_assistant|>assistant<|im_middle|>A cat.<|im_end|>

without the line breaks and indents: there is nothing between two turns, and no `[BOS]`. Control tokens are placed by
id and contents are encoded as plain text, so a `<|im_end|>` that a user types cannot end a turn. An image of (h, w)
patches takes h * w / 4 copies of `<|media_pad|>`.

The mask `trainable` marks what the loss of fine-tuning looks at: the assistant's words *and* the `<|im_end|>` behind
them. Without that last token a model never learns to stop. Lesson 09 builds it, lesson 13 trains with it. Source:
Kimi-VL report (arXiv 2504.07491), section 2.4, and the template used for Kimi-VL in LLaMA-Factory and ms-swift.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.special_tokens import (
    IM_END,
    IM_MIDDLE,
    IM_ROLE,
    MEDIA_CONTENT,
    MEDIA_END,
    MEDIA_PAD,
    MEDIA_START,
)

DEFAULT_SYSTEM = "You are a helpful assistant"
THINK, END_THINK = "◁think▷", "◁/think▷"  # ordinary text, between which a model thinks

_JINJA = """
{%- for message in messages -%}
{{ '<|im_' + message['role'] + '|>' + message['role'] + '<|im_middle|>' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{ '<|media_start|>image<|media_content|><|media_pad|><|media_end|>' }}
{%- else -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_assistant|>assistant<|im_middle|>' }}
{%- endif -%}
""".strip()

Message = Mapping[str, Any]


@dataclass
class Rendered:
    """A row of T tokens in the making."""

    input_ids: list[int] = field(default_factory=list)
    trainable: list[bool] = field(default_factory=list)  # whether the loss looks at the token

    def add(self, ids: Sequence[int], trainable: bool = False) -> None:
        """Append ids that share one mask value."""
        self.input_ids += ids
        self.trainable += [trainable] * len(ids)

    def add_image(self, inside: Sequence[int], tokenizer: Tokenizer, trainable: bool = False) -> None:
        """Append what stands in the place of an image, between the marks of one; the marks are never trainable."""
        start, content, end = map(tokenizer.special_id, (MEDIA_START, MEDIA_CONTENT, MEDIA_END))
        self.add([start, *tokenizer.encode("image"), content])
        self.add(inside, trainable)
        self.add([end])


def render(
    messages: Sequence[Message],
    tokenizer: Tokenizer,
    image_tokens: Sequence[int] = (),
    add_generation_prompt: bool = False,
    default_system: str | None = DEFAULT_SYSTEM,
) -> Rendered:
    """Write a conversation as tokens.

    Args:
        messages: `{"role": "system" | "user" | "assistant", "content": ...}`; the content is a string or a list of
            `{"type": "text", "text": ...}` and `{"type": "image"}`.
        tokenizer: either kind.
        image_tokens: for each image part, in order, how many `<|media_pad|>` it takes (h * w / 4).
        add_generation_prompt: open an assistant turn at the end, ready to generate.
        default_system: the system message put first where the conversation has none; None puts none.

    Raises:
        ValueError: a message has an unknown role or part, or the number of images differs from `image_tokens`.
    """
    turns = [(_role(message), list(content_parts(message))) for message in messages]
    if not turns:
        raise ValueError("the conversation has no messages; give at least one")
    wanted = sum(kind == "image" for _, parts in turns for kind, _ in parts)
    if wanted != len(image_tokens):
        raise ValueError(
            f"the messages hold {wanted} image parts but {len(image_tokens)} images were given; they must agree"
        )
    if default_system is not None and turns[0][0] != "system":
        turns.insert(0, ("system", [("text", default_system)]))

    out, counts, pad = Rendered(), iter(image_tokens), tokenizer.special_id(MEDIA_PAD)
    for role, parts in turns:
        out.add(_open_turn(role, tokenizer))
        for kind, value in parts:
            if kind == "image":
                out.add_image([pad] * next(counts), tokenizer)
            else:
                out.add(tokenizer.encode(value), trainable=role == "assistant")
        out.add([tokenizer.special_id(IM_END)], trainable=role == "assistant")
    if add_generation_prompt:
        out.add(_open_turn("assistant", tokenizer))
    return out


def content_parts(message: Message) -> Iterator[tuple[str, Any]]:
    """("text", string) and ("image", its `image` entry or None) in order; neighbouring texts are joined.

    Raises:
        ValueError: the content is neither a string nor a list of known parts.
    """
    if not isinstance(message, Mapping):
        kind = type(message).__name__
        raise ValueError(f"a message must be a dict with role and content, not {kind}; give a list of messages")
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list | tuple):
        raise ValueError(f"message content must be a string or a list of parts, not {type(content).__name__}")
    text = ""
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            text += part["text"]
        elif kind == "image":
            if text:
                yield "text", text
            text = ""
            yield "image", part.get("image")
        else:
            raise ValueError(
                f"unknown content part {str(part)[:60]!r}; use a text part with its text, or an image part"
            )
    if text:
        yield "text", text


def _role(message: Message) -> str:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or role not in IM_ROLE:
        raise ValueError(f"unknown role {role!r} in message {str(message)[:60]!r}; use {', '.join(IM_ROLE)}")
    return role


def _open_turn(role: str, tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.special_id(IM_ROLE[role]), *tokenizer.encode(role), tokenizer.special_id(IM_MIDDLE)]


def chat_template(default_system: str | None = DEFAULT_SYSTEM) -> str:
    """The same template in Jinja, for programs that read `chat_template.jinja` beside a checkpoint.

    It gives text with one `<|media_pad|>` an image. A program that encodes this text finds control tokens in what
    users typed; `render` does not.
    """
    first = ""
    if default_system is not None:
        turn = f"<|im_system|>system<|im_middle|>{default_system}<|im_end|>"
        quoted = json.dumps(turn, ensure_ascii=False)
        first = "{%- if messages[0]['role'] != 'system' -%}{{ " + quoted + " }}{%- endif -%}\n"
    return first + _JINJA

"""The processor: conversations with pictures in, tensors for the model out.

It opens and packs the pictures, asks the chat template for the tokens with h * w / 4 `<|media_pad|>` for each, and
pads a batch on the left, so that the last column is the last token of every conversation and generation can start
there.

    model, proc = load("small")
    question = [{"type": "image", "image": "cat.png"}, {"type": "text", "text": "What is this?"}]
    batch = proc([{"role": "user", "content": question}], add_generation_prompt=True)
    print(proc.decode(model.generate(**batch)))

Lesson 09. Source: Kimi-VL report (arXiv 2504.07491), section 2.1, and the released processor.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minikimi.errors import UserError
from minikimi.files import locate, read_json, write_json, write_text
from minikimi.processor.images.open_image import ImageSource
from minikimi.processor.images.processing import CONFIG_FILE as IMAGE_CONFIG_FILE
from minikimi.processor.images.processing import ImageProcessor
from minikimi.processor.text.chat import DEFAULT_SYSTEM, Message, Rendered, chat_template, content_parts, render
from minikimi.processor.text.special_tokens import PAD
from minikimi.processor.text.tokenizer import Tokenizer, load_tokenizer, small_tokenizer

IGNORE_INDEX = -100
CONFIG_FILE, TEMPLATE_FILE = "minikimi_processor.json", "chat_template.jinja"

Conversation = Sequence[Message]


@dataclass(frozen=True)
class Encoded:
    """One sample as tensors: packed with others for training, or continued by the model."""

    input_ids: torch.Tensor  # (T,) int64
    labels: torch.Tensor  # (T,) int64, not shifted: the id itself where the loss looks at that token, else -100
    pixel_values: torch.Tensor  # (P, 3, 14, 14) float32; P = 0 without pictures
    grid_hws: torch.Tensor  # (N, 2) int64, rows and columns of patches of each picture

    @classmethod
    def of(cls, row: Rendered, pixel_values: torch.Tensor, grid_hws: torch.Tensor) -> Encoded:
        """A row of tokens as tensors, beside its pictures."""
        input_ids = torch.tensor(row.input_ids)
        labels = input_ids.masked_fill(~torch.tensor(row.trainable), IGNORE_INDEX)
        return cls(input_ids, labels, pixel_values, grid_hws)

    def followed_by(self, ids: Sequence[int]) -> Encoded:
        """The same with more ids behind it, of which none is learnt: a prompt with some of its answer given."""
        more = torch.tensor(ids, dtype=torch.int64)
        labels = torch.cat([self.labels, torch.full_like(more, IGNORE_INDEX)])
        return replace(self, input_ids=torch.cat([self.input_ids, more]), labels=labels)


class Processor:
    """Tokenizer, image processor and chat template in one.

    Args:
        tokenizer: either kind.
        image_processor: the picture settings; the released ones by default.
        default_system: system message for conversations that have none; None puts none (small models save its tokens).
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        image_processor: ImageProcessor | None = None,
        default_system: str | None = DEFAULT_SYSTEM,
    ) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor or ImageProcessor()
        self.default_system = default_system

    @classmethod
    def small(cls) -> Processor:
        """The shipped 1,024-token tokenizer, the released picture settings and no default system message."""
        return cls(small_tokenizer(), default_system=None)

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike) -> Processor:
        """Read an official directory, a finished run (`runs/NAME`, which holds `model/`) or a shipped name (`small`).

        Needs `preprocessor_config.json` and `tiktoken.model` or `tokenizer.json`. Raises `UserError` naming what is
        missing or damaged.
        """
        directory = locate(directory)
        if not (directory / IMAGE_CONFIG_FILE).is_file() and (directory / "model" / IMAGE_CONFIG_FILE).is_file():
            directory = directory / "model"
        image_processor = ImageProcessor.from_pretrained(directory)
        path = directory / CONFIG_FILE
        config = read_json(path) if path.is_file() else {"default_system": DEFAULT_SYSTEM}
        if config.keys() != {"default_system"} or not isinstance(config["default_system"], str | None):
            raise UserError(
                f"{path}: expected one entry, default_system, a string or null; correct it or delete the file"
            )
        return cls(load_tokenizer(directory), image_processor, config["default_system"])

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write what `from_pretrained` reads, and the chat template as Jinja for other programs."""
        self.tokenizer.save(directory)
        self.image_processor.save_pretrained(directory)
        write_json(Path(directory) / CONFIG_FILE, {"default_system": self.default_system})
        write_text(Path(directory) / TEMPLATE_FILE, chat_template(self.default_system))

    def __call__(
        self,
        messages: Conversation | Sequence[Conversation],
        images: Sequence[Any] | None = None,
        add_generation_prompt: bool = False,
    ) -> dict[str, torch.Tensor]:
        """Prepare one conversation, or a batch of them padded on the left.

        Args:
            messages: a list of messages, or a list of such lists. An image part may carry its picture:
                `{"type": "image", "image": path | bytes | PIL image}`.
            images: the pictures of the image parts, in order, where the parts carry none. For a batch: one list a
                conversation.
            add_generation_prompt: open an assistant turn at the end.

        Returns:
            input_ids (B, T) int64, attention_mask (B, T) int64, and only where there are pictures, in order over the
            whole batch, pixel_values (P, 3, 14, 14) float32 and image_grid_hws (N, 2) int64.

        Raises:
            ValueError: pictures and image parts differ in number; the message names both, and which conversation.
            UserError: a picture cannot be opened.
        """
        conversations, image_lists = _as_batch(messages, images)
        encoded = []
        for number, (conversation, given) in enumerate(zip(conversations, image_lists, strict=True)):
            try:
                encoded.append(self.encode(conversation, given, add_generation_prompt))
            except ValueError as error:
                if len(conversations) == 1:
                    raise
                raise type(error)(f"conversation {number}: {error}") from None
        return self.pad_left(encoded)

    def encode(
        self,
        messages: Conversation,
        images: Sequence[ImageSource] | None = None,
        add_generation_prompt: bool = False,
    ) -> Encoded:
        """One conversation, with labels on the assistant's words and the `<|im_end|>` behind them.

        Raises as `__call__`.
        """
        pixel_values, grid_hws = self.image_processor(_collect_images(messages, images))
        tokens = self.image_processor.tokens(grid_hws)
        row = render(messages, self.tokenizer, tokens, add_generation_prompt, self.default_system)
        return Encoded.of(row, pixel_values, grid_hws)

    def pad_left(self, prompts: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """The inputs of `KimiVL.generate`, padded so that every prompt ends in the last column; see `__call__`."""
        width, pad = max(len(prompt.input_ids) for prompt in prompts), self.tokenizer.special_id(PAD)
        input_ids = torch.full((len(prompts), width), pad)
        attention_mask = torch.zeros_like(input_ids)
        for row, prompt in enumerate(prompts):
            input_ids[row, width - len(prompt.input_ids) :] = prompt.input_ids
            attention_mask[row, width - len(prompt.input_ids) :] = 1
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        if any(len(prompt.grid_hws) for prompt in prompts):
            batch["pixel_values"] = torch.cat([prompt.pixel_values for prompt in prompts])
            batch["image_grid_hws"] = torch.cat([prompt.grid_hws for prompt in prompts])
        return batch

    def decode(self, ids: torch.Tensor | Sequence[Any], skip_special_tokens: bool = True) -> str | list[str]:
        """Text of token ids (T,), or a list of texts of (B, T).

        Raises `ValueError` for an id outside the vocabulary.
        """
        values: list[Any] = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        if values and not isinstance(values[0], int):
            return [str(self.decode(row, skip_special_tokens)) for row in values]
        return self.tokenizer.decode(values, skip_special_tokens)


def _as_batch(
    messages: Conversation | Sequence[Conversation], images: Sequence[Any] | None
) -> tuple[Sequence[Conversation], Sequence[Sequence[ImageSource] | None]]:
    """One conversation becomes a batch of one.

    Raises `ValueError` if the lists of pictures and conversations differ in number.
    """
    if not messages:
        raise ValueError("the conversation has no messages; give at least one")
    if isinstance(messages[0], Mapping):
        return [messages], [images]  # type: ignore[list-item]
    if images is None:
        return messages, [None] * len(messages)  # type: ignore[return-value]
    if len(images) != len(messages):
        raise ValueError(f"{len(messages)} conversations but {len(images)} lists of images; give one list for each")
    return messages, images  # type: ignore[return-value]


def _collect_images(messages: Conversation, images: Sequence[ImageSource] | None) -> list[ImageSource]:
    """The pictures of a conversation in order, from beside the messages or from inside them.

    Raises `ValueError` if it is mixed or short.
    """
    carried = [value for message in messages for kind, value in content_parts(message) if kind == "image"]
    there = [value for value in carried if value is not None]
    given = there if images is None else list(images)
    if images is not None and there:
        raise ValueError(f"{len(there)} image parts carry a picture and {len(given)} were given beside; use one way")
    # Before any file is opened, so that a wrong count is not hidden behind another error.
    if len(given) != len(carried):
        raise ValueError(
            f"the messages hold {len(carried)} image parts but {len(given)} images were given; they must agree"
        )
    return given

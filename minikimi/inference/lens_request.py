"""What the page asks the lens, and what it gets to draw: see `lens.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from minikimi.inference.chat_request import Fields, read_messages
from minikimi.inference.lens import box_score, look
from minikimi.inference.refusal import Refusal
from minikimi.inference.text_stream import TextStream
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded, Processor

MAX_TOKENS, MAX_BOXES = 512, 16  # of an answer, and of a picture


@dataclass(frozen=True)
class LensRequest:
    """A conversation, its answer as token ids, whose attention to show, and the right boxes in its last picture."""

    messages: list[dict[str, Any]]
    pictures: list[Image.Image]
    token_ids: list[int]
    layer: int | None
    head: int | None
    boxes: list[list[float]]


def read_lens_request(values: Any) -> LensRequest:
    """A body as a request. Raises `Refusal` for whatever is wrong with it."""
    fields = Fields(values)
    messages, pictures = read_messages(fields.take("messages"))
    ids, boxes = fields.take("token_ids", []), fields.take("boxes", [])
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_TOKENS or any(type(i) is not int for i in ids):
        raise Refusal(f"token_ids: give 1 to {MAX_TOKENS} whole numbers", param="token_ids")
    if not isinstance(boxes, list) or len(boxes) > MAX_BOXES or not all(map(_is_box, boxes)):
        raise Refusal(f"boxes: give at most {MAX_BOXES} lists [left, top, right, bottom], 0 to 1", param="boxes")
    layer, head = fields.whole("layer", -1, 1000, -1), fields.whole("head", -1, 1000, -1)
    fields.end()
    return LensRequest(messages, pictures, ids, None if layer < 0 else layer, None if head < 0 else head, boxes)


def _is_box(box: Any) -> bool:
    numbers = isinstance(box, list) and len(box) == 4 and all(type(side) in (int, float) for side in box)
    return numbers and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1


def look_again(model: KimiVL, processor: Processor, prompt: Encoded, asked: LensRequest) -> dict[str, Any]:
    """The pass, as the page draws it. Raises `Refusal` for ids, layers or heads that do not exist."""
    text, tokenizer = model.config.text_config, processor.tokenizer
    media = model.config.media_placeholder_token_id
    if not all(0 <= i < min(text.vocab_size, tokenizer.vocab_size) and i != media for i in asked.token_ids):
        raise Refusal("token_ids: an id that no answer can hold", param="token_ids")
    try:
        seen = look(model, prompt, asked.token_ids, asked.layer, asked.head)
    except ValueError as error:
        raise Refusal(str(error)) from None
    maps = seen.maps()
    covered = [shown(processor, picture) for picture in asked.pictures]
    score = None
    if asked.boxes and maps:
        shares, chance = box_score(maps[-1], asked.boxes, covered[-1])
        score = {"shares": rounded(shares), "chance": round(chance, 4)}
    stream = TextStream(processor.decode)
    texts = [stream.push([i], final=k == len(asked.token_ids) - 1) for k, i in enumerate(asked.token_ids)]
    best = zip(seen.candidates.tolist(), seen.probabilities.tolist(), strict=True)
    names = {i: name for name, i in tokenizer.special_tokens.items()}
    return {
        "tokens": [names.get(i, said) for i, said in zip(asked.token_ids, texts, strict=True)],
        "said": rounded(seen.said.tolist()),
        "maps": [
            {"rows": m.shape[1], "columns": m.shape[2], "shown": part, "values": rounded(m.flatten(1).tolist())}
            for m, part in zip(maps, covered, strict=True)
        ],
        "score": score,
        "candidates": [
            [[processor.decode([i], skip_special_tokens=False), round(p, 4)] for i, p in zip(*row, strict=True)]
            for row in best
        ],
        "experts": seen.experts.tolist(),
        "load": rounded(seen.load(text.n_routed_experts).tolist()),
        "layers": text.num_hidden_layers,
        "heads": text.num_attention_heads,
        "dense_layers": text.num_hidden_layers - seen.experts.shape[1],
    }


def shown(processor: Processor, picture: Image.Image) -> tuple[float, float]:
    """How much of the grid of its tokens a picture covers, down and across; the rest is padding."""
    images = processor.image_processor
    width, height = images.fitted_size(*picture.size)
    rows, columns = images.grid(*picture.size)
    return min(1.0, height / (rows * images.patch_size)), min(1.0, width / (columns * images.patch_size))


def rounded(values: Any) -> Any:
    """Nested lists of numbers with as many digits as a drawing needs."""
    return round(values, 5) if isinstance(values, float) else [rounded(value) for value in values]

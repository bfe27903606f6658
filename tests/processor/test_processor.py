"""Conversations with pictures to tensors: counts, padding, labels, saving, and what is refused."""

from __future__ import annotations

import base64
import io
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minikimi.errors import UserError
from minikimi.processor.images import ImageProcessor
from minikimi.processor.processor import Encoded, Processor

QUICK = settings(max_examples=40, deadline=None, database=None)
SMALL = Processor.small()
PART = {"type": "image"}


def text(value: str) -> dict:
    return {"type": "text", "text": value}


def picture(width: int = 56, height: int = 84, colour: str = "red") -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def asking(*parts: dict) -> list[dict]:
    return [{"role": "user", "content": list(parts)}]


def pads(input_ids: torch.Tensor, proc: Processor = SMALL) -> int:
    return int((input_ids == proc.tokenizer.special_id("<|media_pad|>")).sum())


def test_one_conversation():
    batch = SMALL(asking(PART, text("What is this?")), [picture()], add_generation_prompt=True)
    assert batch.keys() == {"input_ids", "attention_mask", "pixel_values", "image_grid_hws"}
    # 56 x 84 pixels: 6 rows of 4 patches, 6 tokens.
    assert batch["image_grid_hws"].tolist() == [[6, 4]] and batch["pixel_values"].shape == (24, 3, 14, 14)
    assert SMALL.decode(batch["input_ids"], skip_special_tokens=False) == [
        "<|im_user|>user<|im_middle|><|media_start|>image<|media_content|>" + 6 * "<|media_pad|>" + "<|media_end|>"
        "What is this?<|im_end|><|im_assistant|>assistant<|im_middle|>"
    ]
    assert batch["input_ids"].dtype == torch.int64 and batch["attention_mask"].all()


def test_text_alone_has_no_picture_keys():
    assert SMALL([{"role": "user", "content": "hi"}]).keys() == {"input_ids", "attention_mask"}


def test_pictures_inside_the_messages(tmp_path):
    # The same picture as object, path, string and bytes; the order of the parts is the order of the patches.
    image, path = picture(), tmp_path / "a.png"
    image.save(path)
    sources = [image, path, str(path), path.read_bytes()]
    carried = SMALL(asking(*({**PART, "image": source} for source in sources)))
    beside = SMALL(asking(*[PART] * 4), sources)
    assert all(torch.equal(carried[key], beside[key]) for key in carried)


def test_order_of_pictures():
    sizes = [(28, 28), (56, 28), (28, 84)]
    batch = SMALL(asking(PART, text("and"), PART, PART), [picture(*size) for size in sizes])
    assert batch["image_grid_hws"].tolist() == [[2, 2], [2, 4], [6, 2]]
    start, end = (SMALL.tokenizer.special_id(name) for name in ("<|media_start|>", "<|media_end|>"))
    ids = batch["input_ids"][0].tolist()
    spans = [
        j - i - 3 for i, j in zip(*([k for k, t in enumerate(ids) if t == mark] for mark in (start, end)), strict=True)
    ]
    # Between start and end stand the word "image", media_content and the placeholders: 1, 2 and 3 of them.
    assert spans == [1, 2, 3]


def test_batch_is_padded_on_the_left():
    conversations = [asking(PART, text("What is this?")), asking(text("hi")), asking(text("a"), PART, PART)]
    images = [[picture()], [], [picture(28, 28), picture(56, 28)]]
    batch = SMALL(conversations, images, add_generation_prompt=True)
    alone = [SMALL(c, i, add_generation_prompt=True) for c, i in zip(conversations, images, strict=True)]
    for row, mask, single in zip(batch["input_ids"], batch["attention_mask"], alone, strict=True):
        length = single["input_ids"].shape[1]
        assert torch.equal(row[-length:], single["input_ids"][0]) and mask[-length:].all() and not mask[:-length].any()
        assert (row[:-length] == SMALL.tokenizer.special_id("[PAD]")).all()
    assert batch["image_grid_hws"].tolist() == [[6, 4], [2, 2], [2, 4]]
    assert torch.equal(batch["pixel_values"], torch.cat([alone[0]["pixel_values"], alone[2]["pixel_values"]]))


@QUICK
@given(
    sizes=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 120)), max_size=3),
    words=st.text(max_size=20)
    | st.sampled_from(["<|media_pad|>", "<|media_start|>image<|media_content|><|media_pad|>"]),
)
def test_as_many_placeholders_as_image_tokens(sizes, words):
    images = [picture(*size) for size in sizes]
    messages = [*asking(text(words), *[PART] * len(sizes), text(words)), {"role": "assistant", "content": words}]
    encoded = SMALL.encode(messages, images)
    assert pads(encoded.input_ids) == int(encoded.grid_hws.prod(1).sum()) // 4
    assert int(encoded.input_ids.min()) >= 0 and int(encoded.input_ids.max()) < SMALL.tokenizer.vocab_size
    # Encoding again expands nothing twice.
    assert torch.equal(SMALL.encode(messages, images).input_ids, encoded.input_ids)
    answer = encoded.labels[encoded.labels >= 0]
    assert SMALL.decode(answer) == words and int(answer[-1]) == SMALL.tokenizer.special_id("<|im_end|>")


def test_labels_are_unshifted():
    messages = [*asking(PART, text("What?")), {"role": "assistant", "content": "A cat."}]
    encoded = SMALL.encode(messages, [picture()])
    assert isinstance(encoded, Encoded) and encoded.input_ids.dtype == encoded.labels.dtype == torch.int64
    there = encoded.labels != -100
    assert torch.equal(encoded.labels[there], encoded.input_ids[there])
    assert SMALL.decode(encoded.labels[there], skip_special_tokens=False) == "A cat.<|im_end|>"


def test_encode_without_pictures_gives_empty_tensors():
    encoded = SMALL.encode([{"role": "user", "content": "hi"}])
    assert encoded.pixel_values.shape == (0, 3, 14, 14) and encoded.grid_hws.shape == (0, 2)


@pytest.mark.parametrize(
    ("messages", "images", "message"),
    [
        (asking(PART), None, "1 image parts but 0 images"),
        (asking(PART), [picture(), picture()], "1 image parts but 2 images"),
        (asking(text("x")), [picture()], "0 image parts but 1 images"),
        (asking({**PART, "image": picture()}), [picture()], "use one way"),
        (asking({**PART, "image": picture()}, PART), None, "2 image parts but 1 images"),
        (
            [asking(PART), asking(PART)],
            [[picture()], []],
            "conversation 1: the messages hold 1 image parts but 0 images",
        ),
        ([asking(PART), asking(PART)], [[picture()]], "2 conversations but 1 lists"),
        ([], None, "no messages"),
        ([[]], None, "no messages"),
        ("hi", None, "list of messages"),
        (asking({**PART, "image": "https://example.org/a.png"}), None, "URLs are not opened"),
        (asking({**PART, "image": "absent.png"}), None, "absent.png: no such file"),
    ],
)
def test_what_is_refused(messages, images, message):
    with pytest.raises(ValueError, match=message):
        SMALL(messages, images)


def test_decode_shapes():
    ids = SMALL.tokenizer.encode("a cat")
    assert SMALL.decode(ids) == SMALL.decode(torch.tensor(ids)) == "a cat"
    assert SMALL.decode([ids, ids]) == SMALL.decode(torch.tensor([ids, ids])) == ["a cat", "a cat"]
    assert SMALL.decode([]) == ""


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_saved_and_loaded_again(tmp_path, system):
    proc = Processor(SMALL.tokenizer, ImageProcessor(in_token_limit=16), default_system=system)
    proc.save_pretrained(tmp_path / "run")
    again = Processor.from_pretrained(tmp_path / "run")
    messages, images = asking(PART, text("What?")), [picture(200, 100)]
    one, two = proc(messages, images), again(messages, images)
    assert again.default_system == system and all(torch.equal(one[key], two[key]) for key in one)


def test_an_official_directory(tmp_path):
    # What the release holds, with a vocabulary of single bytes: ids then are bytes, and 256 the first reserved one.
    lines = (f"{base64.b64encode(bytes([i])).decode()} {i}\n" for i in range(256))
    (tmp_path / "tiktoken.model").write_text("".join(lines))
    config = ImageProcessor().to_dict() | {"auto_map": {}, "num_pooled_tokens": 1024}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    proc = Processor.from_pretrained(tmp_path)
    batch = proc(asking(PART), [picture(28, 28)])
    system = [266, *b"system", 273, *b"You are a helpful assistant", 258]
    user = [259, *b"user", 273, 274, *b"image", 275, 277, 276, 258]
    assert batch["input_ids"].tolist() == [system + user]


@pytest.mark.parametrize("content", ["{}", '{"default_system": 3}', '{"default_system": null, "x": 1}', "[]"])
def test_damaged_settings(tmp_path, content):
    SMALL.save_pretrained(tmp_path)
    (tmp_path / "minikimi_processor.json").write_text(content)
    with pytest.raises(UserError, match=r"minikimi_processor.json"):
        Processor.from_pretrained(tmp_path)


def test_a_truncated_picture_in_a_batch_is_located():
    stream = io.BytesIO()
    picture(300, 300).save(stream, "PNG")
    bad = stream.getvalue()[:100]
    with pytest.raises(UserError, match="conversation 1: image of 100 bytes: cannot be decoded"):
        SMALL([asking(PART), asking(PART)], [[picture()], [bad]])

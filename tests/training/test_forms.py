"""The five forms of a sample: what is shown and what is learnt."""

import re
from dataclasses import replace

import pytest
import torch

from minikimi import Processor, UserError
from minikimi.data import PictureWorld, Sample
from minikimi.data.forms import encoder

PROC = Processor.small()
WORLD = PictureWorld(0, "train")


def learnt(encoded) -> str:
    return PROC.decode(encoded.labels[encoded.labels != -100], skip_special_tokens=False)


@pytest.mark.parametrize("form", ["caption", "document", "chat"])
def test_media_tokens_equal_a_quarter_of_the_patches(form: str) -> None:
    for i in range(20):
        encoded = encoder(form, PROC)(WORLD[i])
        media = (encoded.input_ids == PROC.tokenizer.special_id("<|media_pad|>")).sum()
        assert media == encoded.grid_hws.prod(1).sum() // 4 == len(encoded.pixel_values) // 4 > 0


def test_what_each_form_learns() -> None:
    sample = WORLD[3]
    assert learnt(encoder("caption", PROC)(sample)) == f"{sample.caption}[EOS]"
    words = f"{sample.question} {sample.answer}"
    assert learnt(encoder("document", PROC)(sample)) == f"{words}. {sample.caption}[EOS]"
    assert learnt(encoder("text", PROC)(sample)) == f"{sample.caption}. {words}[EOS]"
    assert learnt(encoder("chat", PROC)(sample)) == f"{sample.answer}<|im_end|>"


def test_text_form_has_no_picture() -> None:
    encoded = encoder("text", PROC)(WORLD[0])
    assert len(encoded.pixel_values) == 0 and len(encoded.grid_hws) == 0
    assert not torch.isin(PROC.tokenizer.special_id("<|media_pad|>"), encoded.input_ids)


def test_thinking_comes_before_the_answer_and_only_where_there_is_some() -> None:
    plain = WORLD[3]
    assert not plain.solution
    assert learnt(encoder("think", PROC)(plain)) == f"{plain.answer}<|im_end|>"
    sample = replace(plain, solution="7 + 5 = 12. 12")
    assert learnt(encoder("think", PROC)(sample)) == f"◁think▷7 + 5 = 12. 12◁/think▷{sample.answer}<|im_end|>"
    assert learnt(encoder("chat", PROC)(sample)) == f"{sample.answer}<|im_end|>"


def test_documents_keep_words_and_images_in_order() -> None:
    """Interleaved data teach which picture is meant: an image must stand behind its own words."""
    two = [WORLD[0].images[0], WORLD[1].images[0]]
    parts = [
        {"type": "text", "text": "Page 1:"},
        {"type": "image"},
        {"type": "text", "text": "Page 2:"},
        {"type": "image"},
    ]
    turns = [
        {"role": "user", "content": [*parts, {"type": "text", "text": "Which?"}]},
        {"role": "assistant", "content": "x"},
    ]
    sample = Sample("a", "pages", turns, two, "x", "cat, dog")
    encoded = encoder("document", PROC)(sample)
    text = re.sub(r"(<.media_pad.>)+", "#", PROC.decode(encoded.input_ids, skip_special_tokens=False))
    image = "<|media_start|>image<|media_content|>#<|media_end|>"
    assert text == f"Page 1:{image}Page 2:{image}Which? x. cat, dog[EOS]"
    assert learnt(encoded) == "Page 1:Page 2:Which? x. cat, dog[EOS]"
    assert sample.question == "Which?"


def test_unknown_form_is_refused() -> None:
    with pytest.raises(UserError, match="unknown form 'poem'; choose one of text, caption, document, chat, think"):
        encoder("poem", PROC)

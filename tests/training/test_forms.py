"""The four forms of a sample: what is shown and what is learnt."""

import pytest
import torch

from minikimi import Processor, UserError
from minikimi.data import PictureWorld
from minikimi.data.forms import encoder, sample_text

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
    assert learnt(encoder("document", PROC)(sample)) == f"{sample_text(sample)}[EOS]"
    assert learnt(encoder("text", PROC)(sample)) == f"{sample_text(sample)}[EOS]"
    assert learnt(encoder("chat", PROC)(sample)) == f"{sample.answer}<|im_end|>"


def test_text_form_has_no_picture() -> None:
    encoded = encoder("text", PROC)(WORLD[0])
    assert len(encoded.pixel_values) == 0 and len(encoded.grid_hws) == 0
    assert not torch.isin(PROC.tokenizer.special_id("<|media_pad|>"), encoded.input_ids)


def test_documents_mix_questions_and_descriptions() -> None:
    described = sum(sample_text(WORLD[i]) == WORLD[i].caption for i in range(90))
    assert 15 < described < 45  # about a third


def test_unknown_form_is_refused() -> None:
    with pytest.raises(UserError, match="unknown form 'poem'; choose one of text, caption, document, chat"):
        encoder("poem", PROC)

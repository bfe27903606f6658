"""How a sample becomes tokens: four forms of the same knowledge, one for each kind of training (lesson 09).

* `text`: its words alone, as the language model's own pre-training sees them;
* `caption`: the picture, then its full description, as in alignment;
* `document`: the picture, then question and answer (or the description) as running text: every word is learnt, as in
  pre-training;
* `chat`: the chat template, where only the assistant's words and `<|im_end|>` are learnt, as in fine-tuning.

Source: Kimi-VL report (arXiv 2504.07491), sections 2.3, 2.4 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from minikimi.config import UserError
from minikimi.data.sample import Sample
from minikimi.processor import IGNORE_INDEX, Encoded, Processor

Encode = Callable[[Sample], Encoded]


def encoder(form: str, processor: Processor) -> Encode:
    """The function that encodes samples in the given form. Raises `UserError` for an unknown form."""
    forms: dict[str, Encode] = {
        "text": lambda sample: running_text(processor, sample, sample_text(sample), with_images=False),
        "caption": lambda sample: running_text(processor, sample, sample.caption),
        "document": lambda sample: running_text(processor, sample, sample_text(sample)),
        "chat": lambda sample: processor.encode(sample.messages, sample.images),
    }
    if form not in forms:
        raise UserError(f"unknown form {form!r}; choose one of {', '.join(forms)}")
    return forms[form]


def sample_text(sample: Sample) -> str:
    """Question and answer, for every third sample the description instead. Which one is a property of the sample's
    id.
    """
    describe = sum(sample.id.encode()) % 3 == 0
    return sample.caption if describe and sample.caption else f"{sample.question} {sample.answer}"


def running_text(processor: Processor, sample: Sample, text: str, with_images: bool = True) -> Encoded:
    """The images, then the text and [EOS]; every token of the text is learnt, none of the images."""
    tokenizer, id_of = processor.tokenizer, processor.tokenizer.special_id
    pixel_values, grid_hws = processor.image_processor(sample.images if with_images else [])
    prefix = [] if len(grid_hws) else [id_of("[BOS]")]
    for count in processor.image_processor.tokens(grid_hws):
        prefix += [id_of("<|media_start|>"), *tokenizer.encode("image"), id_of("<|media_content|>")]
        prefix += [id_of("<|media_pad|>")] * count + [id_of("<|media_end|>")]
    words = [*tokenizer.encode(text), id_of("[EOS]")]
    labels = [IGNORE_INDEX] * len(prefix) + words
    return Encoded(torch.tensor(prefix + words), torch.tensor(labels), pixel_values, grid_hws)

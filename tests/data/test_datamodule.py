"""Batches for Lightning: the form is what the samples are written in, and a wrong one answers at once."""

import pytest
import torch

from minikimi.data.datamodule import PackedData
from minikimi.data.forms import encode
from minikimi.errors import UserError
from minikimi.processor.processor import Processor


@pytest.mark.parametrize("form", ["caption", "chat"])
def test_samples_are_written_in_the_form(form: str) -> None:
    data = PackedData(form, max_tokens=256, max_patches=400, steps=1, tasks={"caption": 1.0}, seed=4)
    (batch,) = data.train_dataloader()
    world, end = data.source(), int(batch.cu_seqlens[1])
    number = int(batch.sample_ids[0].rsplit("-", 1)[1])
    first = encode(Processor.small(), world[number], form)
    assert torch.equal(batch.input_ids[:end], first.input_ids) and torch.equal(batch.labels[:end], first.labels)


def test_an_unknown_form_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(UserError, match="unknown form 'poem'"):
        PackedData("poem", max_tokens=256, max_patches=400, steps=1)

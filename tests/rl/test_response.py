"""A response and the group it belongs to."""

import io
from dataclasses import replace

import torch
from rl_toys import group

from minikimi.inference.request import LENGTH
from minikimi.rl.response import Response


def test_a_response_comes_back_from_a_checkpoint_as_it_was() -> None:
    """Through torch.save with plain values alone, experts included."""
    r = Response((7, 1, 2), [3, 4], [-0.5, -1.5], 1, LENGTH, torch.tensor([[[0, 1]]]), {"exact": 1.0}, 0.75)
    memory = io.BytesIO()
    torch.save(r.state(), memory)
    memory.seek(0)
    back = Response.from_state(torch.load(memory, weights_only=True))
    assert back.experts is not None and r.experts is not None and torch.equal(back.experts, r.experts)
    assert replace(back, experts=None) == replace(r, experts=None)
    back.ids.append(5)
    assert r.ids == [3, 4], "the state is a copy"


def test_a_group_is_complete_when_all_have_ended() -> None:
    assert group("x", "b").complete and group("x", "b", ends={1: LENGTH}).complete
    assert not group("x", "b", ends={1: ""}).complete

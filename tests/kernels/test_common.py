"""The error measure, and what the interpreter says of the card."""

import math

import pytest
import torch
from minikimi_kernels.common import INTERPRET, Card, card, relative_error


def test_relative_error():
    reference = torch.tensor([3.0, 4.0])
    assert relative_error(reference + torch.tensor([0.0, 0.5]), reference) == pytest.approx(0.1)
    assert math.isnan(relative_error(torch.tensor([3.0, math.nan]), reference))
    assert relative_error(torch.tensor([0.0, 2.0]), torch.zeros(2)) == 2.0


@pytest.mark.skipif(not INTERPRET, reason="a real card is what it is")
def test_the_interpreter_has_more_than_one_multiprocessor(device):
    """Else no test would see programs of a persistent grid take turns."""
    assert card(device).multiprocessors > 1


def test_shared_memory_by_capability():
    assert [c for c in (80, 86, 89, 90, 100, 103, 120) if Card(1, c).has_large_shared_memory] == [90, 100, 103]

"""`setup` and `photo`: the first line of every lesson, and its real pictures."""

import pytest
import torch

from minikimi.errors import UserError
from minikimi.lab import photo, setup


def test_setup_prints_one_line_that_is_the_same_everywhere(capsys: pytest.CaptureFixture) -> None:
    setup("02")
    first = torch.rand(1)
    setup("02")
    assert torch.equal(torch.rand(1), first)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1] and torch.__version__ not in lines[0]


def test_a_planned_lesson_is_named_by_its_title() -> None:
    with pytest.raises(UserError, match=r"Triton kernels.*planned"):
        setup("16")


def test_photo_is_real_and_in_range() -> None:
    image = photo("flower", 28, 42)
    assert image.shape == (3, 28, 42) and 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1 and image.std() > 0.1

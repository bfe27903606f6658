"""`minikimi doctor` prints the block of `minikimi.lab.doctor`, whose tests are in tests/notebooks/test_lab.py."""

import pytest

from minikimi.cli import main
from minikimi.lab.doctor import report


def test_it_prints_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 1)  # 1 where this machine lacks something
    assert capsys.readouterr().out.splitlines()[: len(report())] == report()

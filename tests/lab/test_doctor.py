"""The doctor reports, and finds what would stop a learner."""

import pytest
import torch

from minikimi.lab import doctor


def test_doctor_reports_and_finds_problems(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.main() == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("python", "torch", "devices", "triton", "memory", "all well"))
    monkeypatch.setattr(torch, "__version__", "2.3.1+cpu")
    monkeypatch.setattr(doctor, "memory", lambda: 1.5)
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert "torch 2.3.1+cpu: 2.11 to 2.13 is tested" in said and "1.5 GiB" in said

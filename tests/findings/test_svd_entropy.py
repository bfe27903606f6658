"""Spectra under Muon and AdamW: the verdict, and the entropy of matrices whose spectrum is known."""

import pytest
import torch
from finding_checks import check_verdict

from minikimi.findings import svd_entropy
from minikimi.findings.finding import Measurement
from minikimi.findings.toy_training import matrices_of, text_model

SHOWN: Measurement = {
    "muon": 0.95,
    "adamw": 0.9,
    "attention_muon": 0.95,
    "attention_adamw": 0.93,
    "dense_muon": 0.95,
    "dense_adamw": 0.93,
    "experts_muon": 0.95,
    "experts_adamw": 0.93,
    "router_muon": 0.95,
    "router_adamw": 0.85,
}
TURNED: list[Measurement] = [
    {"muon": 0.9, "adamw": 0.95},
    {"router_adamw": 0.95},  # higher, but not most of all in the router
]


def test_the_verdict_can_say_yes_and_no() -> None:
    # The rule speaks of a mean over the seeds, so one seed alone decides nothing.
    check_verdict(svd_entropy.judge, SHOWN, TURNED, each_seed=False)


def test_svd_entropy_of_known_matrices() -> None:
    one_direction = torch.outer(torch.arange(1.0, 5.0), torch.ones(3))
    two_equal = torch.diag(torch.tensor([2.0, 2.0, 0.0, 0.0]))  # log 2 / log 4
    values = [svd_entropy.svd_entropy(m[None]) for m in (torch.eye(4), one_direction, two_equal)]
    assert values == pytest.approx([1.0, 0.0, 0.5], abs=1e-6)


def test_every_matrix_belongs_to_a_part_and_no_part_is_empty() -> None:
    parts = [svd_entropy.part_of(name) for name in matrices_of(text_model(0))]
    assert set(parts) == set(svd_entropy.PARTS)
    assert parts.count("router") == 1 and parts.count("experts") == 2  # one expert layer, its experts stacked

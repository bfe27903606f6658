"""Weight decay under Muon: the verdict, and what counts as the size of the weights."""

import pytest
import torch
from finding_checks import check_verdict

from minikimi.findings import decay
from minikimi.findings.finding import Measurement
from minikimi.findings.toy_training import matrices_of, text_model

SHOWN: Measurement = {
    "steps": [1, 2, 3, 4],
    "with": [3.0, 2.0, 1.5, 1.0],
    "without": [2.5, 1.9, 1.6, 1.2],
    "final_with": 1.0,
    "final_without": 1.2,
    "growth_with": 1.5,
    "growth_without": 3.0,
}
TURNED: list[Measurement] = [
    {"final_with": 1.2, "final_without": 1.0},
    {"with": [2.5, 1.8, 1.5, 1.0]},  # no decay never leads
    {"growth_without": 1.0},
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(decay.judge, SHOWN, TURNED)


@torch.no_grad()
def test_the_size_of_the_weights_is_that_of_the_matrices_alone() -> None:
    model = text_model(0)
    for p, _ in matrices_of(model).values():
        p.fill_(3.0)
    assert decay.weight_rms(model) == pytest.approx(3.0)
    model.language_model.lm_head.weight.fill_(100.0)  # AdamW moves it
    assert decay.weight_rms(model) == pytest.approx(3.0)

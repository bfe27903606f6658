"""Curves and expert loads of the report."""

from __future__ import annotations

import pytest

from minikimi.report import figures


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert figures.smooth([4.0, 4.0, 4.0]) == pytest.approx([4.0, 4.0, 4.0])
    assert figures.smooth([1.0, 2.0], weight=0.5) == pytest.approx([1.0, (0.25 * 1 + 0.5 * 2) / 0.75])


def test_violation_is_the_busiest_expert_over_the_even_share() -> None:
    # Layer 1 ends at 3 : 1 for two experts; counts and shares give the same.
    columns = {"step": [1, 1, 9, 9], "layer": [0, 1, 0, 1], "a": [0.9, 0.9, 0.5, 3.0], "b": [0.1, 0.1, 0.5, 1.0]}
    assert figures.violation(columns) == pytest.approx({0: 0.0, 1: 0.5})


def test_titles_are_no_mathematics() -> None:
    columns = {"step": [1.0, 2.0], "loss_$x": [1.0, 2.0]}
    assert figures.curve_figure(columns, "loss_$x", "#000000").startswith(b"\x89PNG")

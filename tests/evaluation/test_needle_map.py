"""The needle map: needles stand where it says, in texts of the length that it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripted_answers import OPTIONS, PROCESSOR, encoded

from minikimi.evaluation import needle_map
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample


def test_needles_stand_where_the_map_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that reads only the first half of every text: recall is 1 at depth 0, 0 at depth 1, and the answer is
    that of the needle asked for.
    """

    def half_reading(model: Any, processor: Processor, samples: list[Sample], *_: Any) -> list[list[int]]:
        answers = []
        for sample in samples:
            half = sample.question[: len(sample.question) // 2]
            needle_text = f"The secret number of the {sample.facts['key']} is {sample.answer}."
            assert sample.question.count(needle_text) == 1
            answers.append(sample.answer if needle_text in half else "0")
        return encoded(answers)

    monkeypatch.setattr(needle_map, "ask", half_reading)
    options = replace(OPTIONS, needle_lengths=(256, 512, 100_000), needle_depths=3, needles_per_cell=5)
    found = needle_map.needle_map(KimiVL.from_preset("nano"), PROCESSOR, options)
    assert found["depths"] == [0.0, 0.5, 1.0]
    assert [[row[0], row[2]] for row in found["recall"][:2]] == [[1.0, 0.0], [1.0, 0.0]]
    assert found["recall"][2] == [None] * 3 and found["n"] == [[5] * 3, [5] * 3, [0] * 3]


def test_needle_texts_have_their_length() -> None:
    for sample in needle_map.needles(512, 0.5, 1, 4):
        assert 440 <= len(PROCESSOR.encode(sample.messages, []).input_ids) <= 512

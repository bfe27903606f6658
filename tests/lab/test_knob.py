"""The slider draws when it is moved, and not before."""

import pytest

from minikimi.lab import knob


def test_a_slider_draws_what_it_is_moved_to() -> None:
    pytest.importorskip("ipywidgets")
    drawn: list[int] = []
    slider, _ = knob(drawn.append, "theta", [1, 10, 100]).children
    assert not drawn and slider.description == "theta"
    slider.value = 100
    slider.value = 10
    assert drawn == [100, 10]

"""A slider that redraws a picture: for lessons where turning a knob teaches more than a static picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def knob(draw: Callable[[Any], None], name: str, values: list) -> Any:
    """A slider over `values` that calls `draw(value)` whenever it moves; end a cell with it.

    Nothing is drawn before the first move, so that a committed notebook is the same on every machine: put a static
    picture beside it.
    """
    from ipywidgets import Output, SelectionSlider, VBox

    slider = SelectionSlider(options=values, description=name, continuous_update=False)
    picture = Output()

    def redraw(change: dict) -> None:
        picture.clear_output(wait=True)
        with picture:
            draw(change["new"])

    slider.observe(redraw, names="value")
    return VBox([slider, picture])

"""Points on a screen and how they are written, for `click` and `desktop` (lesson 09).

Coordinates are fractions of the screen, x from the left and y from the top, with two decimals, as in ScreenSpot
(SeeClick, arXiv 2401.10935); any point inside the icon's box is right.
"""

from __future__ import annotations

Box = tuple[float, float, float, float]


def normalised(box: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    """A box in px as fractions (0 to 1) of a screen of `size` (width, height) px."""
    (left, top, right, bottom), (width, height) = box, size
    return left / width, top / height, right / width, bottom / height


def centre(box: Box) -> tuple[str, str]:
    """x and y of the middle of a normalised box, as they are written: `("0.25", "0.75")`."""
    return f"{(box[0] + box[2]) / 2:.2f}", f"{(box[1] + box[3]) / 2:.2f}"


def click_on(box: Box) -> str:
    """The action that clicks on the middle of a normalised box: `click(0.25, 0.75)`."""
    x, y = centre(box)
    return f"click({x}, {y})"


def describe_icons(icons: dict[str, Box]) -> str:
    """`cat at 0.25 0.75, dog at 0.75 0.75`."""
    return ", ".join(f"{name} at {' '.join(centre(box))}" for name, box in icons.items())

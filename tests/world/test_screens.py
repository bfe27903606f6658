"""Points on a screen, by hand."""

from minikimi.world.screens import centre, click_on, describe_icons, normalised


def test_boxes_become_fractions_and_clicks():
    box = normalised((0, 28, 28, 56), (112, 56))
    assert box == (0, 0.5, 0.25, 1)
    assert centre(box) == ("0.12", "0.75") and click_on(box) == "click(0.12, 0.75)"
    assert describe_icons({"cat": box, "sun": (0.5, 0, 1, 1)}) == "cat at 0.12 0.75, sun at 0.75 0.50"

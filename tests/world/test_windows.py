"""What a desktop looks like: icons and windows in known cells, and a state that can be seen."""

import numpy as np
from world_checks import cell

from minikimi.world.holdout import cell_held_out
from minikimi.world.windows import FIELD_COLOUR, PRESSED_COLOUR, draw_icons, draw_window

NAMES = ["cat", "sun", "hat", "star"]


def test_icons_stand_in_cells_that_training_knows():
    for seed in range(30):
        screen = draw_icons(np.random.default_rng(seed), NAMES[:3], 4, "white")
        assert screen.size == (112, 84) and set(screen.targets) == set(NAMES[:3])
        assert not any(cell_held_out(name, *cell(box)) for name, box in screen.targets.items())
        assert screen.describe().count(" at ") == 3 and screen.places()[0].split(" at ")[0] in NAMES


def test_what_was_done_in_a_window_can_be_seen_and_told():
    window = draw_window(np.random.default_rng(1), "cat", ["sun", "hat", "star"], "white")
    untouched = np.asarray(window.image())
    assert window.describe().startswith("window of cat, close at ") and window.describe().endswith("text empty")
    assert list(window.targets) == ["close", "sun", "hat", "star"]
    assert np.all(untouched[70, 5:-5] == FIELD_COLOUR)
    window.pressed, window.typed = "hat", "KX"
    touched = np.asarray(window.image())
    assert tuple(touched[28, 28]) == PRESSED_COLOUR and tuple(untouched[28, 28]) != PRESSED_COLOUR
    assert (touched[60:80, 4:52] < 100).any() and not (touched[60:80, 60:80] < 100).any(), "two letters, then none"
    assert window.describe().endswith("pressed hat, text KX")

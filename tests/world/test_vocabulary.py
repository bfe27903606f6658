"""The one table to widen: names stay apart, places fit their layouts, colours stay legible."""

from minikimi.world.vocabulary import BACKGROUNDS, COUNTRIES, FLAGS, GROUP_OF, LAYOUTS, NAMES, PICTURES, PLACES, amount


def test_every_name_and_drawing_is_used_once():
    assert len(NAMES) == 48 and len(COUNTRIES) == 16 and not {*NAMES, *COUNTRIES} & set(GROUP_OF.values())
    codes = [*PICTURES.values(), *FLAGS.values()]
    assert len(set(NAMES + COUNTRIES)) == len(set(codes)) == len(codes)


def test_layouts_have_a_place_for_every_cell():
    assert all(rows * columns == len(places) for rows, columns, places in LAYOUTS.values())
    assert [place for *_, places in LAYOUTS.values() for place in places if place in PLACES]
    assert {place for *_, places in LAYOUTS.values() for place in places} == set(PLACES)


def test_plurals_by_hand():
    assert [amount("cat", n) for n in (1, 2)] == ["1 cat", "2 cats"]
    assert [amount(name, 3) for name in ("fish", "bus", "wrench")] == ["3 fish", "3 buses", "3 wrenches"]


def test_backgrounds_are_light_enough_for_dark_ink():
    assert all(min(colour) > 200 for colour in BACKGROUNDS.values())

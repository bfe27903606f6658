"""From rows to questions: where images stand, how options turn, and which pages and frames are shown."""

from __future__ import annotations

from pathlib import Path

from benchmark_rows import made

from minikimi.benchmarks.harness import items, source_of


def test_mmmu_images_stand_where_the_text_names_them(tmp_path: Path) -> None:
    item, *_, last = items("mmmu", made(tmp_path, "mmmu"))
    kinds = [part["type"] for part in item.content]
    assert kinds == ["text", "image", "text", "image", "text"]
    assert item.content[2]["text"] == " show, unlike "
    assert item.images[0].getpixel((0, 0)) == (0, 90, 200) and item.images[1].getpixel((0, 0)) == (360 % 256, 90, 200)
    assert "B. it's a wave" in item.content[-1]["text"] and source_of("mmmu")["ending"] in item.content[-1]["text"]
    assert last.content[0]["type"] == "image"  # never named: in front
    assert source_of("mmmu")["open_ending"] in last.content[-1]["text"]


def test_mmbench_asks_every_rotation_and_moves_the_right_letter(tmp_path: Path) -> None:
    asked = list(items("mmbench", made(tmp_path, "mmbench")))
    assert len(asked) == 4 + 4 * 3  # four options, then four rows of three; the foreign rotation is passed over
    first = asked[:4]
    assert [item.answer for item in first] == ["C", "B", "A", "D"] and {item.group for item in first} == {"0"}
    for item in first:
        assert f"{item.answer}. cow" in item.content[-1]["text"]


def test_egoschema_shows_options_once_with_their_letters(tmp_path: Path) -> None:
    item = next(items("egoschema", made(tmp_path, "egoschema")))
    assert "A. C does AAA." in item.content[-1]["text"] and "A. A." not in item.content[-1]["text"]
    assert item.score("A. C does AAA.").strict == item.score("A").strict == 1


def test_each_screenspot_is_read_by_its_own_program(tmp_path: Path) -> None:
    """Pixels of the 60 x 40 image count in Pro alone."""
    for name, official in (("screenspot", 0), ("screenspot_v2", 0), ("screenspot_pro", 1)):
        (tmp_path / name).mkdir()
        item = next(items(name, made(tmp_path / name, name)))
        assert item.score("[18, 24]").official == official and item.score("[0.3, 0.6]").strict == 1


def test_pages_and_frames_are_in_order(tmp_path: Path) -> None:
    first = next(items("mmlongbench", made(tmp_path, "mmlongbench")))
    assert [image.width for image in first.images] == [28, 29, 30]  # page-9 before page-10
    (tmp_path / "ego").mkdir()
    clip = next(items("egoschema", made(tmp_path / "ego", "egoschema")))
    assert len(clip.images) == source_of("egoschema")["frames"] == 16

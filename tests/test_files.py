"""Files: what is read names its error, what is written is there whole or not at all."""

import json
from pathlib import Path

import pytest

from minikimi import files
from minikimi.errors import UserError

# Line ends of Unicode that are none of JSON lines: line and paragraph separator, next line.
SEPARATORS = "a\u2028b\u2029c\u0085d"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with byte order mark"])
def test_utf_8_is_read_with_and_without_its_mark(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(mark + '{"ключ": "值"}'.encode())
    assert files.read_text(path) == '{"ключ": "值"}'
    assert files.read_json(path) == {"ключ": "值"}
    assert list(files.read_json_lines(path)) == [(1, {"ключ": "值"})]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),  # deeper than the parser goes
        (b"[1]", "expected a JSON object, found list"),
        (None, "No such file"),
    ],
)
def test_what_is_no_json_object_ends_in_one_line_that_names_the_file(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=rf"a\.json: .*{words}") as caught:
        files.read_json(path)
    assert "\n" not in str(caught.value)


def test_lines_are_cut_at_line_feeds_alone(tmp_path: Path) -> None:
    rows = [{"text": SEPARATORS}, {"text": "e"}]
    files.write_json_lines(tmp_path / "a.jsonl", rows)
    assert SEPARATORS in (tmp_path / "a.jsonl").read_text(encoding="utf-8"), "the test means unescaped characters"
    assert [row for _, row in files.read_json_lines(tmp_path / "a.jsonl")] == rows
    assert files.lines_of(f"{SEPARATORS}\n\nf") == [SEPARATORS, "", "f"]
    assert files.lines_of("a\n") == ["a"] and files.lines_of("") == []


def test_blank_lines_count_and_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n\n  \r\n{"n": 4}\r\n')
    assert list(files.read_json_lines(path)) == [(1, {"n": 1}), (4, {"n": 4})]
    for wrong, words in (('{"n": ', "not JSON"), ("7", "expected an object")):
        path.write_text('{"n": 1}\n\n' + wrong)
        with pytest.raises(UserError, match=rf"a\.jsonl, line 3: {words}"):
            list(files.read_json_lines(path))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"new": object()})

    def killed_half_way() -> None:
        with files.written_aside(path) as aside:
            aside.write_text('{"ne')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_half_way()
    assert files.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"], "nothing is left beside it"


def test_the_name_changes_hands_only_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with files.written_aside(path) as aside:
        aside.write_text("whole")
        assert aside.parent == path.parent and not path.exists()
    assert path.read_text() == "whole"


def test_json_is_written_for_people(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"值": [1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "值" in text and text.endswith("}\n") and json.loads(text) == {"值": [1]}


def test_a_folder_is_kept_until_its_successor_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, name in ((source, "new"), (target, "old")):
        folder.mkdir()
        (folder / name).write_text(name)
    copytree = files.shutil.copytree

    def full(*_: object) -> None:
        (tmp_path / "target.part").mkdir()
        raise OSError("no space left on device")

    monkeypatch.setattr(files.shutil, "copytree", full)
    with pytest.raises(OSError, match="no space"):
        files.replace_directory(source, target)
    assert [p.name for p in target.iterdir()] == ["old"]
    monkeypatch.setattr(files.shutil, "copytree", copytree)
    files.replace_directory(source, target)  # what the failed one left is no hindrance
    assert [p.name for p in target.iterdir()] == ["new"] == [p.name for p in source.iterdir()]
    files.replace_directory(source, tmp_path / "first")
    assert {p.name for p in tmp_path.iterdir()} == {"source", "target", "first"}


def test_a_model_is_found_by_run_folder_or_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "model").mkdir(parents=True)
    with pytest.raises(UserError, match="if this run was interrupted, finish it with --resume"):
        files.model_directory("run")
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    assert files.model_directory("run") == Path("run/model") == files.model_directory("run/model")
    assert files.model_directory("small") == files.SHIPPED / "small"
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text("{}")
    assert files.model_directory("small") == Path("small"), "a folder of one's own comes first"
    with pytest.raises(UserError, match="nowhere: no such directory"):
        files.model_directory("nowhere")

"""The command itself: help at once, one line for whatever goes wrong, the exit code that says it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minikimi
from minikimi.cli import main

Captured = pytest.CaptureFixture[str]
MODULE = [sys.executable, "-m", "minikimi"]


def one_line(capsys: Captured) -> str:
    """What was printed on stderr: one printable line of less than 300 characters."""
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.endswith("\n")
    assert message[:-1].isprintable() and len(message) < 300 and message.startswith("minikimi: ")
    return message


def test_the_bare_command_shows_help(capsys: Captured) -> None:
    assert main([]) == 0
    assert "usage: minikimi" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], [], ["data"]])
def test_help_and_version_do_without_torch(arguments: list[str]) -> None:
    code = "import runpy, sys; sys.argv = ['minikimi', *sys.argv[1:]]\ntry: runpy.run_module('minikimi', run_name="
    code += "'__main__')\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run([*MODULE, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"minikimi {minikimi.__version__}\n"


def test_public_names_are_no_modules() -> None:
    """They are imported when asked for; a module of the same name would hide them once it is imported."""
    for name in minikimi.__all__:
        assert callable(getattr(minikimi, name))
        assert not (Path(minikimi.__file__).parent / f"{name}.py").exists()
    with pytest.raises(AttributeError, match="KimiLV"):
        minikimi.KimiLV  # noqa: B018


def test_an_unknown_verb_names_the_nearest(capsys: Captured) -> None:
    assert main(["evalute"]) == 2
    assert "did you mean evaluate?" in one_line(capsys)


@pytest.mark.parametrize("name", ["x" * 300, "new\nline", "\x1b[31mred", "\u202eright to left", "a\0b", "\udcff"])
def test_odd_names_end_in_one_printable_line(name: str, tmp_path: Path, capsys: Captured, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ["chat", name, "What?"],
        ["evaluate", name],
        ["export", name, "out"],
        ["train", "--preset", "nano", "--from", name],
        [name],
        ["doctor", name],
    ):
        assert main(arguments) == 2
        one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_to_write(tmp_path: Path, capsys: Captured) -> None:
    assert main(["data", "show", "--count", "1", "--task", "number", "--out", str(tmp_path / ("x" * 300))]) == 2
    assert "name too long" in one_line(capsys)


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["data", "show", "--count", "1", "--task", "number", "--out", str(tmp_path / "file" / "a.png")]) == 2
    assert "file" in one_line(capsys) and (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_read_only_folder(tmp_path: Path, capsys: Captured) -> None:
    tmp_path.chmod(0o500)
    assert main(["data", "show", "--count", "1", "--task", "number", "--out", str(tmp_path / "a.png")]) == 2
    assert "Permission denied" in one_line(capsys)


def test_a_full_disk(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "sheet.png")

    monkeypatch.setattr("minikimi.data.contact_sheet.contact_sheet", full)
    assert main(["data", "show", "--count", "1", "--task", "number", "--out", str(tmp_path / "sheet.png")]) == 2
    assert "sheet.png: No space left on device" in one_line(capsys)


def test_a_closed_pipe_is_no_error() -> None:
    """As in `minikimi doctor | head -0`: the reader is gone before anything is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*MODULE, "doctor"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == 141 and done.stderr == b""


def test_ctrl_c_is_one_line(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("minikimi.lab.doctor.main", interrupt)
    assert main(["doctor"]) == 130
    assert "stopped" in one_line(capsys)

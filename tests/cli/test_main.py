"""The command itself: help at once, one line for whatever goes wrong, the exit code that says it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import minikimi
from minikimi.cli import main

Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]
MODULE = [sys.executable, "-m", "minikimi"]


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


def test_an_unknown_verb_names_the_nearest(refused: Refused) -> None:
    assert "did you mean evaluate?" in refused("evalute")


@pytest.mark.parametrize("name", ["x" * 300, "new\nline", "\x1b[31mred", "\u202eright to left", "a\0b", "\udcff"])
def test_odd_names_end_in_one_printable_line(name: str, refused: Refused) -> None:
    for arguments in (
        ["chat", name, "What?"],
        ["evaluate", name],
        ["export", name, "out"],
        ["train", "--preset", "nano", "--from", name],
        [name],
        ["doctor", name],
    ):
        refused(*arguments)


SHOW = ["data", "show", "--count", "1", "--task", "number", "--out"]


def test_a_name_that_is_too_long_to_write(refused: Refused) -> None:
    assert "name too long" in refused(*SHOW, "x" * 300)


def test_a_folder_that_cannot_be_made(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(*SHOW, "file/page.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_a_read_only_folder(tmp_path: Path, refused: Refused) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in refused(*SHOW, "page.png")


def test_a_full_disk(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "page.png")

    monkeypatch.setattr("minikimi.data.contact_sheet.contact_sheet", full)
    assert "page.png: No space left on device" in refused(*SHOW, "page.png")


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
    assert capsys.readouterr().err.startswith("minikimi: stopped")

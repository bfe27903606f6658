"""`minikimi serve`: what is refused before a model is opened. What it serves: tests/inference/test_server.py."""

import socket
from collections.abc import Callable

import pytest

from minikimi.cli.serve import draw, listen

Refused = Callable[..., str]


def test_others_need_a_token(refused: Refused) -> None:
    message = refused("serve", "--host", "0.0.0.0", "--port", "0")
    assert "--token" in message and "others could reach the model" in message
    assert refused("serve", "--host", "0.0.0.0", "--port", "0").split()[-1] != message.split()[-1]  # not one for all


@pytest.mark.parametrize("token", ["short", "with some blanks", "schlüssel-des-hauses"])
def test_a_token_is_hard_to_guess_and_fits_a_header(refused: Refused, token: str) -> None:
    assert "--token: give at least 8 characters" in refused("serve", "--token", token)


def test_a_port_in_use_is_told(refused: Refused) -> None:
    with listen("127.0.0.1", 0) as taken:
        assert "choose others with --host, --port" in refused("serve", "--port", str(taken.getsockname()[1]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-model"], "no such directory"),
        (["--device", "nonsense"], "no such device"),
        (["--slots", "0"], "--slots"),
        (["--port", "70000"], "--port"),
    ],
)
def test_what_is_not_there(refused: Refused, arguments: list[str], words: str) -> None:
    port = [] if "--port" in arguments else ["--port", "0"]
    assert words in refused("serve", *arguments, *port)


def test_it_listens_on_this_machine_only() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.family == socket.AF_INET and listener.getsockname()[0] == "127.0.0.1"


def test_a_picture_is_drawn_anew_each_time() -> None:
    pictures = {draw()[0] for _ in range(4)}
    assert len(pictures) == 4 and all(picture.startswith(b"\x89PNG") for picture in pictures)

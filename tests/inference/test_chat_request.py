"""What a request may say: pictures only as themselves, nothing unread; a refusal is a line that names the field."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from minikimi.files import SHIPPED
from minikimi.inference.chat_request import MAX_PICTURE_BYTES, MAX_PICTURES, read_chat_request, read_json_body
from minikimi.inference.refusal import Refusal

HELLO = [{"role": "user", "content": "Hello"}]
PICTURE = f"data:image/png;base64,{b64encode((SHIPPED / 'samples' / 'where.png').read_bytes()).decode()}"


def message(part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def picture(url: Any) -> dict[str, Any]:
    return message({"type": "image_url", "image_url": {"url": url}})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (picture("http://127.0.0.1:9/cat.png"), "no address is fetched"),
        (picture("https://example.com/cat.png"), "no address is fetched"),
        (picture("file:///etc/passwd"), "no file read"),
        (picture("/etc/passwd"), "no file read"),
        (picture("data:text/plain;base64,QUJD"), "data:image/png"),
        (picture("data:image/png;base64,QUJD"), "not an image of a known kind"),
        (picture("data:image/png;base64,QU*JD"), "not base64"),
        (picture(None), "data:image/png"),
        (message({"type": "image", "image": "/etc/passwd"}), "image_url"),
        (message({"type": "text", "text": "\ud800"}), "lone surrogate"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "give a role"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [1]}]}, "unknown field 'tool_calls'"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "from 0 to 2"),
        ({"top_p": 0}, "above 0"),
        ({"max_tokens": 0}, "whole number"),
        ({"max_tokens": True}, "whole number"),
        ({"n": 9}, "n: give a whole number from 1 to 8"),
        ({"stop": ["a"] * 5}, "at most 4"),
        ({"stop": ""}, "1 to 100"),
        ({"seed": -1}, "seed"),
        ({"top_logprobs": 2}, "needs logprobs"),
        ({"stream": "yes"}, "true or false"),
        ({"temprature": 1}, "did you mean temperature?"),
        ({"presence_penalty": 1}, "presence_penalty: this server does not do that"),
        ({"tools": [{"type": "function"}]}, "tools: this server"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read_chat_request({"messages": HELLO} | fields)
    message = refusal.value.body()["error"]["message"]
    assert refusal.value.status == 400 and message and words in message and message.isprintable() and len(message) < 300


def test_what_is_left_out_has_a_default_and_null_is_left_out() -> None:
    asked = read_chat_request({"messages": HELLO, "seed": 7, "top_p": None, "stop": None})
    assert (asked.temperature, asked.top_p, asked.stop, asked.n, asked.stream) == (0.0, 1.0, [], 1, False)
    assert asked.messages == [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert asked.top_logprobs is None and asked.seed == 7
    assert read_chat_request({"messages": HELLO}).seed != read_chat_request({"messages": HELLO}).seed


def test_what_asks_for_nothing_is_accepted() -> None:
    neutral = {"presence_penalty": 0, "logit_bias": {}, "tools": None, "response_format": {"type": "text"}}
    read_chat_request({"messages": HELLO, "user": "me", "store": False} | neutral)


def test_pictures_come_as_themselves_in_order_and_not_too_many() -> None:
    part = {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}}
    content = [part, {"type": "text", "text": "and"}, part]
    asked = read_chat_request({"messages": [{"role": "user", "content": content}]})
    assert [p["type"] for p in asked.messages[0]["content"]] == ["image", "text", "image"]
    assert len(asked.pictures) == 2 and asked.pictures[0] is asked.messages[0]["content"][0]["image"]
    with pytest.raises(Refusal, match=f"more than {MAX_PICTURES} pictures"):
        read_chat_request({"messages": [{"role": "user", "content": [part] * (MAX_PICTURES + 1)}]})


def test_a_large_picture_is_refused_undecoded() -> None:
    url = "data:image/png;base64," + "*" * (MAX_PICTURE_BYTES * 4 // 3 + 8)
    with pytest.raises(Refusal, match="10 MB") as refusal:
        read_chat_request(picture(url))
    assert refusal.value.status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json(body: bytes) -> None:
    with pytest.raises(Refusal, match="not JSON"):
        read_json_body(body)


@pytest.mark.parametrize("values", [[1], "x", None, 3])
def test_a_body_that_is_no_object(values: Any) -> None:
    with pytest.raises(Refusal, match="JSON object"):
        read_chat_request(values)

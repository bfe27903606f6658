"""The endpoint: what OpenAI's own client sees, what is refused in one line, and slots that come back."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from served import QUESTION, Served, serving

from minikimi.files import SHIPPED
from minikimi.inference.server import Limits

pytestmark = pytest.mark.slow  # a server has to start
needs_openai = pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="no openai here: make setup")
PICTURE = f"data:image/png;base64,{b64encode((SHIPPED / 'samples' / 'where.png').read_bytes()).decode()}"
LOOK = [
    {"type": "image_url", "image_url": {"url": PICTURE}},
    {"type": "text", "text": "Name the thing at the bottom left."},
]
LONG = {"max_tokens": 1500}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def endless() -> Iterator[Served]:
    """Answers that never end by themselves, at most two at a time."""
    with serving(Limits(requests=2, seconds=20), slots=2, endless=True) as server:
        yield server


@pytest.fixture
def client(served: Served) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=f"{served.address}/v1", api_key="none", max_retries=0)


@needs_openai
def test_openais_client_gets_the_same_answer_whole_and_streamed(client: Any) -> None:
    asked: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": LOOK}]}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == "carrot" and whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "carrot"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage == whole.usage
    assert [model.id for model in client.models.list()] == ["small"]


@needs_openai
def test_a_seed_decides_and_choices_differ(client: Any) -> None:
    asked: dict[str, Any] = {"model": "small", "messages": QUESTION, "temperature": 2.0, "max_tokens": 24}
    first, again, other = (client.chat.completions.create(**asked, n=2, seed=s).choices for s in (1, 1, 2))
    texts = [[choice.message.content for choice in choices] for choices in (first, again, other)]
    assert texts[0] == texts[1] != texts[2] and texts[0][0] != texts[0][1]
    greedy = client.chat.completions.create(**asked | {"temperature": 0}, n=2, seed=1).choices
    assert greedy[0].message.content == greedy[1].message.content


@needs_openai
def test_log_probabilities_are_those_of_the_words(client: Any) -> None:
    done = client.chat.completions.create(
        model="small", messages=QUESTION, max_tokens=12, temperature=0, logprobs=True, top_logprobs=3
    )
    words = done.choices[0].logprobs.content
    assert "".join(word.token for word in words) == done.choices[0].message.content
    for word in words:
        assert len(word.top_logprobs) == 3 and word.top_logprobs[0].token == word.token  # greedy
        assert word.logprob == word.top_logprobs[0].logprob <= 0 and bytes(word.bytes).decode() == word.token
        assert sum(math.exp(top.logprob) for top in word.top_logprobs) <= 1 + 1e-5


def test_a_stop_text_is_never_shown(served: Served) -> None:
    text = served.complete()[1]["choices"][0]["message"]["content"]
    stop = text[5:9]
    choice = served.complete(stop=[stop, "never said"])[1]["choices"][0]
    assert choice["message"]["content"] == text[: text.find(stop)] and choice["finish_reason"] == "stop"


def test_a_limit_on_tokens_ends_with_length(served: Served) -> None:
    _, done = served.complete(max_completion_tokens=2, return_token_ids=True)
    assert done["choices"][0]["finish_reason"] == "length" and len(done["choices"][0]["token_ids"]) == 2


def picture(url: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (picture("http://127.0.0.1:9/cat.png"), "no address is fetched"),
        ({"temperature": 3}, "from 0 to 2"),
        ({"max_tokens": 4096}, "exceed"),
        ({"temprature": 1}, "did you mean temperature?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(served: Served, fields: dict[str, Any], words: str) -> None:
    status, reply = served.complete(**fields)
    assert status == 400 and reply["error"]["type"] == "invalid_request_error"
    assert words in reply["error"]["message"] and "\n" not in reply["error"]["message"]


def test_what_asks_for_nothing_is_accepted(served: Served) -> None:
    inert = {"user": "me", "presence_penalty": 0, "logit_bias": {}, "tools": None, "response_format": {"type": "text"}}
    assert served.complete(**inert, store=False, max_tokens=1)[0] == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"NaN", b"[" * 100_000])
def test_a_body_that_is_no_json_object(served: Served, body: bytes) -> None:
    assert served.ask("/v1/chat/completions", body)[0] == 400


def test_too_much_is_413(served: Served) -> None:
    assert served.ask("/v1/chat/completions", b" " * (50 * 2**20))[0] == 413
    status, reply = served.complete(**picture("data:image/png;base64," + "A" * (15 * 2**20)))
    assert status == 413 and "10 MB" in reply["error"]["message"]
    connection = served.connect()  # in pieces, its size not told
    connection.putrequest("POST", "/v1/chat/completions")
    for name, value in (("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")):
        connection.putheader(name, value)
    connection.endheaders()
    try:
        for _ in range(40):
            connection.send(b"100000\r\n" + b" " * 2**20 + b"\r\n")
    except OSError:
        pass  # it has stopped listening
    else:
        assert connection.getresponse().status == 413


def test_other_models_and_places_are_404(served: Served) -> None:
    status, reply = served.complete(model="gpt-9")
    assert status == 404 and reply["error"]["code"] == "model_not_found" and "'small'" in reply["error"]["message"]
    assert served.ask("/v1/nothing")[0] == 404 and served.ask("/v1/chat/completions")[0] == 405
    assert served.ask("/samples/../../small/config.json")[0] == 404


def test_another_web_page_cannot_use_a_server_without_token(served: Served) -> None:
    body = json.dumps({"messages": QUESTION}).encode()
    assert served.ask("/v1/chat/completions", body, Content_Type="text/plain")[0] == 415  # what needs no leave
    assert served.ask("/v1/models", None, Host="evil.example")[0] == 403  # a name that leads here


def test_a_token_is_needed_where_one_is_set() -> None:
    with serving(token="open-sesame") as server:
        assert server.ask("/v1/models")[0] == 401
        assert server.complete()[0] == 401
        assert server.ask("/lens", {})[0] == 401 and server.ask("/draw", {})[0] == 401
        assert server.ask("/v1/models", None, Authorization="Bearer open")[0] == 401
        assert server.ask("/v1/models", None, Authorization="Bearer open-sesame", Host="my.example")[0] == 200
        assert server.ask("/health")[0] == 200


def begin(server: Served, stream: bool = True) -> Any:
    """A long answer, begun; closing the connection is leaving."""
    connection = server.connect()
    body = json.dumps({"messages": QUESTION, "stream": stream} | LONG)
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    if stream:
        assert connection.getresponse().read(200).startswith(b"data: {")
    else:
        while not server.ask("/health")[1]["running"]:
            time.sleep(0.02)
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_gives_the_slot_back(endless: Served, stream: bool) -> None:
    connection = begin(endless, stream)
    assert endless.ask("/health")[1]["running"] == 1
    connection.close()
    endless.wait_until_free()
    assert max(slot.read for slot in endless.engine.scheduler.slots) < LONG["max_tokens"]  # it was cut short


def test_a_full_queue_is_429(endless: Served) -> None:
    connections = [begin(endless), begin(endless)]
    status, reply = endless.complete()
    assert status == 429 and "try again" in reply["error"]["message"]
    for connection in connections:
        connection.close()
    endless.wait_until_free()
    assert endless.complete(max_tokens=2)[0] == 200
    assert endless.complete(n=3, max_tokens=2)[0] == 429  # more than ever fit at one time


def test_a_request_that_takes_too_long_ends() -> None:
    with serving(Limits(seconds=0.3), endless=True) as server:
        status, reply = server.complete(**LONG)
        assert status == 504 and "fewer tokens" in reply["error"]["message"]
        server.wait_until_free()


def test_an_engine_that_fails_is_told_and_nothing_hangs() -> None:
    with serving(endless=True) as server:

        def fail() -> None:
            raise RuntimeError("out of memory")

        server.engine.step = fail  # type: ignore[assignment,method-assign]
        assert server.complete()[0] == 500
        status, reply = server.complete()
        assert status == 503 and "out of memory" in reply["error"]["message"]
        assert server.ask("/health")[0] == 503


def test_the_lens_shows_what_the_answer_looked_at(served: Served) -> None:
    messages = [{"role": "user", "content": LOOK}]
    ids = served.complete(messages=messages, return_token_ids=True)[1]["choices"][0]["token_ids"]
    box = [0.0893, 0.5088, 0.4464, 0.9123]
    status, seen = served.ask("/lens", {"messages": messages, "token_ids": ids, "boxes": [box]})
    assert status == 200 and seen["tokens"] == ["carrot", "<|im_end|>"]
    (heat,) = seen["maps"]
    assert [len(row) for row in heat["values"]] == [heat["rows"] * heat["columns"]] * 2
    assert seen["score"]["shares"][0] > seen["score"]["chance"]  # the small model looks at the carrot
    assert seen["candidates"][0][0][0] == "carrot" and seen["said"][0] == pytest.approx(
        seen["candidates"][0][0][1], abs=1e-3
    )
    one = served.ask("/lens", {"messages": messages, "token_ids": ids, "layer": 0, "head": 1})[1]
    assert one["maps"][0]["values"] != heat["values"] and one["score"] is None


@pytest.mark.parametrize(
    "fields",
    [{"token_ids": []}, {"token_ids": [10**6]}, {"token_ids": [981]}, {"token_ids": [1], "layer": 99},
     {"token_ids": [1], "boxes": [[0, 0, 2, 1]]}, {"token_ids": [1], "extra": 1}, {"token_ids": [1] * 513}],
)  # fmt: skip
def test_the_lens_refuses_what_it_cannot_show(served: Served, fields: dict[str, Any]) -> None:
    assert served.ask("/lens", {"messages": QUESTION} | fields)[0] == 400


def test_a_picture_is_drawn_with_its_truth(served: Served) -> None:
    status, drawn = served.ask("/draw", {})
    assert status == 200 and drawn["question"] and drawn["answer"] and drawn["image"].startswith("data:image/png")
    assert served.complete(**picture(drawn["image"]), max_tokens=2)[0] == 200

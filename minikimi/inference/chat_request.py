"""What `/v1/chat/completions` is asked: JSON in the shape of OpenAI's endpoint, read with care.

What would change the answer and is not known here is refused by name; what is inert is accepted when its value asks for
nothing. A picture comes as a data URI and no other way: no request can make the server read a file or fetch an address.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from minikimi.errors import UserError, nearest
from minikimi.inference.refusal import Refusal
from minikimi.processor.images.open_image import open_image

MAX_CHOICES, MAX_TOP_LOGPROBS, MAX_STOPS, MAX_STOP_LENGTH = 8, 20, 4, 100
MAX_PICTURES, MAX_PICTURE_BYTES = 16, 10 * 2**20
DEFAULT_TOKENS = 256
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
DATA_URI = re.compile(r"data:image/[\w.+-]{1,40};base64,")
# Accepted whatever they say: they name the caller, or where the provider keeps or runs things.
INERT = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}
# Accepted when they ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
}


@dataclass(frozen=True)
class ChatRequest:
    """A request that makes sense. `messages` are those of the chat template, each image part with its picture."""

    messages: list[dict[str, Any]]
    pictures: list[Image.Image]
    model: str | None
    stream: bool
    include_usage: bool
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: list[str]
    top_logprobs: int | None  # None: no log-probabilities at all
    n: int
    return_token_ids: bool


class Fields:
    """The fields of a JSON object, taken out one by one; `end` refuses what nobody took."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise Refusal('the body must be a JSON object, such as {"messages": [...]}')
        self.values, self.taken = values, set()  # type: tuple[dict[str, Any], set[str]]

    def take(self, name: str, default: Any = None) -> Any:
        """A field; null is as good as missing."""
        self.taken.add(name)
        value = self.values.get(name)
        return default if value is None else value

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        value = self.take(name, default)
        if type(value) is not int or not least <= value <= most:
            raise Refusal(f"{name}: give a whole number from {least} to {most}", param=name)
        return value

    def number(self, name: str, least: float, most: float, default: float) -> float:
        value = self.take(name, default)
        if type(value) not in (int, float) or not least <= value <= most:
            raise Refusal(f"{name}: give a number from {least:g} to {most:g}", param=name)
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.take(name, False)
        if not isinstance(value, bool):
            raise Refusal(f"{name}: give true or false", param=name)
        return value

    def end(self) -> None:
        for name, value in self.values.items():
            if name in self.taken or name in INERT or value is None:
                continue
            if name in NEUTRAL:
                if value not in NEUTRAL[name]:
                    raise Refusal(f"{name}: this server does not do that; leave it out", param=name)
                continue
            close = nearest(name, self.taken)
            raise Refusal(f"unknown field {name!r}" + (f" (did you mean {close}?)" if close else ""), param=name)


def read_json_body(body: bytes) -> Any:
    """The JSON value of a body. Raises `Refusal` if it is none."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is not JSON ({error}); send a JSON object") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_chat_request(values: Any) -> ChatRequest:
    """A body as a request. Raises `Refusal` for whatever is wrong with it."""
    fields = Fields(values)
    messages, pictures = read_messages(fields.take("messages"))
    stream = fields.flag("stream")
    options = Fields(fields.take("stream_options", {}))
    include_usage = options.flag("include_usage")
    options.flag("include_obfuscation")
    options.end()
    most = fields.whole("max_tokens", 1, 10**6, DEFAULT_TOKENS)
    temperature = fields.number("temperature", 0, 2, 0.0)
    top_p = fields.number("top_p", 0, 1, 1.0)
    if top_p == 0:
        raise Refusal("top_p: give a number above 0, at most 1", param="top_p")
    logprobs, top = fields.flag("logprobs"), fields.whole("top_logprobs", 0, MAX_TOP_LOGPROBS, 0)
    if top and not logprobs:
        raise Refusal("top_logprobs needs logprobs: true", param="top_logprobs")
    model = fields.take("model")
    if model is not None and not isinstance(model, str):
        raise Refusal("model: give the name of the model, see /v1/models", param="model")
    asked = ChatRequest(
        messages,
        pictures,
        model,
        stream,
        include_usage,
        fields.whole("max_completion_tokens", 1, 10**6, most),
        temperature,
        top_p,
        fields.whole("seed", 0, 2**63 - 1, secrets.randbits(63)),
        _stops(fields.take("stop", [])),
        top if logprobs else None,
        fields.whole("n", 1, MAX_CHOICES, 1),
        fields.flag("return_token_ids"),
    )
    fields.end()
    return asked


def _stops(value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise Refusal(f"stop: give a text or a list of at most {MAX_STOPS}", param="stop")
    for stop in stops:
        if not isinstance(stop, str) or not 0 < len(stop) <= MAX_STOP_LENGTH:
            raise Refusal(f"stop: give texts of 1 to {MAX_STOP_LENGTH} characters", param="stop")
    return stops


def read_messages(value: Any) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """Messages as the chat template wants them, and their pictures in order. Raises `Refusal`."""
    if not isinstance(value, list) or not value:
        raise Refusal("messages: give a list of at least one message", param="messages")
    messages: list[dict[str, Any]] = []
    pictures: list[Image.Image] = []
    for i, message in enumerate(value):
        place = f"messages[{i}]"
        if not isinstance(message, Mapping) or message.get("role") not in list(ROLES):
            raise Refusal(f"{place}: give a role, one of {', '.join(ROLES)}, and content", param=place)
        if extra := {key for key, v in message.items() if v is not None} - {"role", "content", "name", "refusal"}:
            raise Refusal(f"{place}: unknown field {min(map(str, extra))!r}", param=place)
        content = message.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or not content:
            raise Refusal(f"{place}.content: give a text or a list of parts", param=place)
        parts = [_part(part, f"{place}.content[{k}]", pictures) for k, part in enumerate(content)]
        messages.append({"role": ROLES[message["role"]], "content": parts})
    return messages, pictures


def _part(part: Any, place: str, pictures: list[Image.Image]) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind == "text" and isinstance(part.get("text"), str):
        try:
            part["text"].encode()
        except UnicodeEncodeError:
            raise Refusal(f"{place}: holds a lone surrogate, not Unicode text; remove it", param=place) from None
        return {"type": "text", "text": part["text"]}
    if kind != "image_url":
        raise Refusal(f"{place}: give a part of type text with its text, or image_url", param=place)
    if len(pictures) == MAX_PICTURES:
        raise Refusal(f"{place}: more than {MAX_PICTURES} pictures; send fewer", param=place)
    address = part.get("image_url")
    url = address.get("url") if isinstance(address, Mapping) else address
    pictures.append(read_picture(url, place))
    return {"type": "image", "image": pictures[-1]}


def read_picture(url: Any, place: str) -> Image.Image:
    """The picture of a data URI, upright RGB. Raises `Refusal`, also for anything that is an address or a path."""
    start = DATA_URI.match(url) if isinstance(url, str) else None
    if start is None:
        raise Refusal(
            f"{place}: send the picture itself as data:image/png;base64,...; no address is fetched and no file read",
            param=place,
        )
    if (len(url) - start.end()) * 3 // 4 > MAX_PICTURE_BYTES:
        raise Refusal(
            f"{place}: a picture of more than {MAX_PICTURE_BYTES // 2**20} MB; scale it down", 413, place, "too_large"
        )
    try:
        return open_image(base64.b64decode(url[start.end() :], validate=True))
    except binascii.Error:
        raise Refusal(f"{place}: not base64; encode the picture again", param=place) from None
    except UserError as error:
        raise Refusal(f"{place}: {error}", param=place) from None

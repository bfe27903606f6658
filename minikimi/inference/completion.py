"""An answer in the shape of OpenAI's endpoint, whole or in pieces (lesson 17)."""

from __future__ import annotations

import secrets
import time
from typing import Any

from minikimi.inference.chat_request import ChatRequest
from minikimi.inference.request import LENGTH, STOP
from minikimi.inference.text_stream import BROKEN, TextStream
from minikimi.inference.worker import News
from minikimi.processor.processor import Processor

FINISH = {"": None, LENGTH: "length"}  # everything else that ends an answer is a "stop"


class Completion:
    """What `n` requests for one prompt of `prompt_tokens` say, gathered from their news."""

    def __init__(self, processor: Processor, model: str, asked: ChatRequest, prompt_tokens: int) -> None:
        self.processor, self.model, self.asked, self.prompt_tokens = processor, model, asked, prompt_tokens
        self.id, self.created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        self.streams = [TextStream(processor.decode, asked.stop) for _ in range(asked.n)]
        self.texts = [""] * asked.n
        self.ids: list[list[int]] = [[] for _ in range(asked.n)]
        self.logprobs: list[list[dict[str, Any]]] = [[] for _ in range(asked.n)]
        self.finish: list[str | None] = [None] * asked.n

    def add(self, news: News) -> dict[str, Any]:
        """Take in news; returns them as a chunk of a stream."""
        i, stream = news.choice, self.streams[news.choice]
        text = stream.push(news.ids, final=bool(news.finish))
        self.texts[i] += text
        self.ids[i] += news.ids
        self.finish[i] = FINISH.get(news.finish, STOP)
        said = self._logprobs(news) if self.asked.top_logprobs is not None else None
        self.logprobs[i] += said or []
        return self._chunk(i, {"content": text}, said, news.ids, self.finish[i])

    def opening(self, choice: int) -> dict[str, Any]:
        """The first chunk of a choice."""
        return self._chunk(choice, {"role": "assistant", "content": ""}, None, [], None)

    def usage_chunk(self) -> dict[str, Any]:
        """The chunk that closes a stream whose usage was asked for."""
        return self._head("chat.completion.chunk") | {"choices": [], "usage": self.usage()}

    def whole(self) -> dict[str, Any]:
        """The answer that is not streamed."""
        choices = [
            self._choice(i, "message", {"role": "assistant", "content": text}, self.logprobs[i], self.ids[i])
            for i, text in enumerate(self.texts)
        ]
        return self._head("chat.completion") | {"choices": choices, "usage": self.usage()}

    def usage(self) -> dict[str, int]:
        new = sum(map(len, self.ids))
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": new,
            "total_tokens": self.prompt_tokens + new,
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(
        self, i: int, delta: dict[str, Any], said: list[dict[str, Any]] | None, ids: list[int], finish: str | None
    ) -> dict[str, Any]:
        choice = self._choice(i, "delta", delta, said, ids) | {"finish_reason": finish}
        usage = {"usage": None} if self.asked.include_usage else {}
        return self._head("chat.completion.chunk") | {"choices": [choice]} | usage

    def _choice(
        self, i: int, part: str, words: dict[str, Any], said: list[dict[str, Any]] | None, ids: list[int]
    ) -> dict[str, Any]:
        logprobs = {"content": said} if said is not None and self.asked.top_logprobs is not None else None
        choice = {"index": i, part: words, "logprobs": logprobs, "finish_reason": self.finish[i]}
        return choice | ({"token_ids": ids} if self.asked.return_token_ids else {})

    def _logprobs(self, news: News) -> list[dict[str, Any]]:
        """Token by token; the stop token that ends an answer is none of its words."""
        count = len(news.ids)
        ended = news.finish == STOP and count and news.ids[-1] >= self.processor.tokenizer.base_size
        out = []
        for k in range(count - bool(ended)):
            best = news.candidates[k] if news.candidates else []
            top = [self._token(token, log_prob) for token, log_prob in best]
            out.append(self._token(news.ids[k], news.log_probs[k]) | {"top_logprobs": top})
        return out

    def _token(self, token: int, log_prob: float) -> dict[str, Any]:
        text = str(self.processor.decode([token], skip_special_tokens=False))
        raw = None if BROKEN in text else list(text.encode())  # part of a letter
        return {"token": text, "logprob": max(log_prob, -9999.0), "bytes": raw}

"""The shipped small model behind a real server on a free port of this machine, in a thread of the test."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from minikimi.cli.serve import draw, listen
from minikimi.inference.engine import Engine
from minikimi.inference.server import Limits, build_app
from minikimi.loading import load

QUESTION = [{"role": "user", "content": "Calculate 12 + 5."}]
WAIT = 30.0


@dataclass
class Served:
    port: int
    engine: Engine

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)

    def ask(self, path: str, values: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; `values` are posted as JSON, bytes as they are."""
        connection = self.connect()
        body = values if isinstance(values, bytes | None) else json.dumps(values)
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if values is None else "POST", path, body, sent)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text)

    def complete(self, **fields: Any) -> tuple[int, Any]:
        return self.ask("/v1/chat/completions", {"messages": QUESTION} | fields)

    def wait_until_free(self) -> None:
        """Returns when no request holds a slot or waits; an AssertionError if that never comes."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            health = self.ask("/health")[1]
            if not health["running"] and not health["waiting"]:
                return
            time.sleep(0.05)
        raise AssertionError(f"slots are not given back: {health}")


@contextmanager
def serving(
    limits: Limits | None = None, token: str | None = None, slots: int = 4, endless: bool = False
) -> Iterator[Served]:
    """A server that is up. endless: answers never end by themselves."""
    model, processor = load("small")
    engine = Engine(model, slots, capacity=2048, decode=processor.decode)
    if endless:
        engine.stops = ()
    app = build_app(engine, processor, "small", draw, token, limits)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Served(listener.getsockname()[1], engine)
    finally:
        server.should_exit = True
        thread.join(timeout=WAIT)
        listener.close()

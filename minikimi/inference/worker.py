"""The one thread that owns the engine, between many visitors and one model (lesson 17).

An engine is called by one thread at a time. Whatever others want of it they put into the inbox as a function, which
runs between two steps; what a step has given goes back through the event loop to whoever waits for it. A request that
is cancelled, or whose visitor has gone, gives its slot back before the next step.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from minikimi.inference.engine import Engine
from minikimi.inference.refusal import Refusal
from minikimi.inference.request import Request

T = TypeVar("T")
FAILED = "failed"


@dataclass(frozen=True)
class News:
    """What a step, or several, have added to an answer."""

    choice: int
    ids: list[int]
    log_probs: list[float]
    candidates: list[list[tuple[int, float]]]
    finish: str  # "" while there is more to come; see `Request`, and FAILED


@dataclass
class Listener:
    """Who waits for an answer."""

    choice: int
    news: asyncio.Queue[News]
    loop: asyncio.AbstractEventLoop
    told: int = 0

    def tell(self, news: News) -> None:
        self.loop.call_soon_threadsafe(self.news.put_nowait, news)


class Worker:
    """Steps the engine while there is anything to do. `most`: requests that may run and wait at one time."""

    def __init__(self, engine: Engine, most: int) -> None:
        self.engine, self.most = engine, most
        self.inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.live: dict[Request, Listener] = {}
        self.broken = ""  # what an engine died of
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.inbox.put(None)
        self.thread.join(timeout=30)

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises, when it runs in the engine's thread."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        self.inbox.put(run)
        return await asyncio.wrap_future(future)

    def check_room(self, new: int = 1) -> None:
        """Raises `Refusal` if there is no room for so many more requests, or no engine."""
        if self.broken:
            raise Refusal(f"the engine has stopped ({self.broken}); start the server again", 503)
        if len(self.live) + new > self.most:
            raise Refusal(f"{len(self.live)} requests run and wait already; try again in a moment", 429, code="busy")

    async def submit(self, requests: Sequence[Request]) -> asyncio.Queue[News]:
        """Put requests into the engine; their news come out of the queue, each with its place in the list.

        Raises `Refusal` if there is no room, `UserError` if the engine cannot answer such a request.
        """
        news: asyncio.Queue[News] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def submit() -> None:
            self.check_room(len(requests))
            for i, request in enumerate(requests):
                self.engine.submit(request)
                self.live[request] = Listener(i, news, loop)

        try:
            await self.do(submit)
        except BaseException:
            self.cancel(requests)
            raise
        return news

    def cancel(self, requests: Sequence[Request]) -> None:
        """Nobody waits for these any more. Returns at once; one that has ended stays as it is."""

        def cancel() -> None:
            for request in requests:
                if self.live.pop(request, None):
                    self.engine.cancel(request)

        self.inbox.put(cancel)

    def _run(self) -> None:
        while True:
            while self.broken or self.engine.idle or not self.inbox.empty():
                work = self.inbox.get()
                if work is None:
                    return
                work()
            try:
                self.engine.step()
                self._report()
            except Exception as error:
                logging.getLogger("uvicorn.error").exception("the engine has stopped")
                self._break(error)

    def _report(self) -> None:
        for request, listener in list(self.live.items()):
            a, b = listener.told, len(request.ids)
            if a == b and not request.finish:
                continue
            said = request.ids[a:b], request.log_probs[a:b], request.candidates[a:b]
            listener.tell(News(listener.choice, *said, request.finish))
            listener.told = b
            if request.finish:
                del self.live[request]

    def _break(self, error: Any) -> None:
        self.broken = f"{type(error).__name__}: {error}"
        for listener in self.live.values():
            listener.tell(News(listener.choice, [], [], [], FAILED))
        self.live.clear()

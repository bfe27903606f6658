"""A page in the browser and an endpoint in OpenAI's shape, in front of one engine (lesson 17).

    GET  /                      the page, with /page.css, /page.js, /samples/...
    POST /v1/chat/completions   text and pictures in, text out, whole or streamed     GET /v1/models    GET /health
    POST /lens                  what an answer looked at: see `lens.py`               POST /draw        a new picture

A conversation lives with the visitor, who sends all of it with every turn; nothing of it is kept here but the entries
of the cache, which give themselves away to nobody: who sends the same beginning gets the same answer sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as WebRequest
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from minikimi.errors import UserError
from minikimi.files import SHIPPED
from minikimi.inference.chat_request import ChatRequest, read_chat_request, read_json_body
from minikimi.inference.completion import Completion
from minikimi.inference.engine import Engine
from minikimi.inference.lens_request import look_again, read_lens_request
from minikimi.inference.refusal import Refusal
from minikimi.inference.request import Request
from minikimi.inference.sampling import Sampling
from minikimi.inference.worker import FAILED, News, Worker
from minikimi.processor.processor import Encoded, Processor

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The page may load nothing from elsewhere, and nobody else may show it inside his own.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Draw = Callable[[], tuple[bytes, dict[str, Any]]]  # a PNG file and what is known of it


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for: bytes of a body, seconds for a request, requests that run and wait at one time."""

    body: int = 24 * 2**20
    seconds: float = 300.0
    requests: int = 64


class Server:
    """The handlers, and what they share: an engine in its thread, a processor, and who may come in."""

    def __init__(
        self, engine: Engine, processor: Processor, name: str, draw: Draw, token: str | None, limits: Limits
    ) -> None:
        self.engine, self.processor, self.name, self.draw = engine, processor, name, draw
        self.token, self.limits = token, limits
        self.worker = Worker(engine, limits.requests)
        self.preparing = asyncio.Semaphore(2)  # pictures are opened in threads; a few at a time, for they are large
        self.started = int(time.time())

    def app(self) -> Starlette:
        files = [("/", "index.html"), ("/page.css", "page.css"), ("/page.js", "page.js"), ("/lens.js", "lens.js")]
        routes: list[BaseRoute] = [Route(path, self.handler(self.file(name), public=True)) for path, name in files]
        routes += [
            Route("/health", self.handler(self.health, public=True)),
            Route("/v1/models", self.handler(self.models)),
            Route("/v1/chat/completions", self.handler(self.chat), methods=["POST"]),
            Route("/lens", self.handler(self.lens), methods=["POST"]),
            Route("/draw", self.handler(self.drawn), methods=["POST"]),
            Mount("/samples", StaticFiles(directory=SHIPPED / "samples")),
        ]
        return Starlette(routes=routes, lifespan=self.lifespan, exception_handlers={404: missing, 405: missing})

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.worker.start()
        try:
            yield
        finally:
            self.worker.stop()

    def handler(
        self, answer: Callable[[WebRequest], Awaitable[Response]], public: bool = False
    ) -> Callable[[WebRequest], Awaitable[Response]]:
        """`answer` behind the door, its refusals as responses."""

        async def handle(request: WebRequest) -> Response:
            try:
                self.admit(request, public)
                response = await answer(request)
            except Refusal as refusal:
                response = refusal.response()
            except UserError as error:
                response = Refusal(str(error)).response()
            except ClientDisconnect:
                response = Response(status_code=499)
            for key, value in HEADERS.items():
                response.headers.setdefault(key, value)
            return response

        return handle

    def admit(self, request: WebRequest, public: bool) -> None:
        """Raise `Refusal` for who has not the token; without one, for what another web page has sent here."""
        if self.token is None:
            if request.url.hostname not in LOOPBACK:
                raise Refusal("this server answers at localhost only; start it with --host and --token", 403)
        elif not public:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                raise Refusal("a token is needed: send it as Authorization: Bearer TOKEN", 401, code="invalid_api_key")
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            raise Refusal("send the body as application/json", 415)

    async def body(self, request: WebRequest) -> Any:
        """The JSON of a request. Raises `Refusal` for one that is too large or takes too long to come."""
        limit, body = self.limits.body, bytearray()
        too_large = Refusal(f"the request is larger than {limit // 2**20} MB; send smaller pictures", 413)
        if int(request.headers.get("content-length") or 0) > limit:
            raise too_large
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            raise Refusal("the request did not arrive in time; send it again", 408) from None
        return read_json_body(bytes(body))

    def file(self, name: str) -> Callable[[WebRequest], Awaitable[Response]]:
        async def answer(request: WebRequest) -> Response:
            return FileResponse(PAGE / name)

        return answer

    async def health(self, request: WebRequest) -> Response:
        if self.worker.broken:
            raise Refusal(f"the engine has stopped ({self.worker.broken}); start the server again", 503)
        return JSONResponse({"status": "ok"} | await self.worker.do(self.engine.facts))

    async def models(self, request: WebRequest) -> Response:
        model = {"id": self.name, "object": "model", "created": self.started, "owned_by": "minikimi"}
        return JSONResponse({"object": "list", "data": [model | {"context_length": self.engine.capacity}]})

    async def drawn(self, request: WebRequest) -> Response:
        png, known = await run_in_threadpool(self.draw)
        return JSONResponse(known | {"image": f"data:image/png;base64,{b64encode(png).decode()}"})

    async def lens(self, request: WebRequest) -> Response:
        values = await self.body(request)
        self.worker.check_room()
        async with self.preparing:
            asked = await run_in_threadpool(read_lens_request, values)
            prompt = await run_in_threadpool(self.encode, asked.messages)
            if len(prompt.input_ids) + len(asked.token_ids) > self.engine.capacity:
                raise Refusal(f"conversation and answer take more than the {self.engine.capacity} tokens of the engine")
            model = self.engine.runner.model
            return JSONResponse(await self.worker.do(lambda: look_again(model, self.processor, prompt, asked)))

    def encode(self, messages: list[dict[str, Any]]) -> Encoded:
        return self.processor.encode(messages, add_generation_prompt=True)

    async def chat(self, request: WebRequest) -> Response:
        self.worker.check_room()  # before a large body is read
        values = await self.body(request)
        async with self.preparing:
            asked = await run_in_threadpool(read_chat_request, values)
            if asked.model not in (None, self.name):
                message = f"there is no model {asked.model!r} here; ask for {self.name!r}"
                raise Refusal(message, 404, "model", "model_not_found")
            prompt = await run_in_threadpool(self.encode, asked.messages)
        requests = [self.engine_request(asked, prompt, choice) for choice in range(asked.n)]
        news = await self.worker.submit(requests)
        completion = Completion(self.processor, self.name, asked, len(prompt.input_ids))
        if asked.stream:
            return Streamed(self.events(requests, news, completion), lambda: self.worker.cancel(requests))
        gone = asyncio.ensure_future(disconnected(request))
        collecting = asyncio.ensure_future(self.collect(requests, news, completion))
        try:
            await asyncio.wait([gone, collecting], return_when=asyncio.FIRST_COMPLETED)
            return JSONResponse(collecting.result()) if collecting.done() else Response(status_code=499)
        finally:
            gone.cancel()
            collecting.cancel()
            self.worker.cancel(requests)

    def engine_request(self, asked: ChatRequest, prompt: Encoded, choice: int) -> Request:
        sampling = Sampling(asked.temperature, asked.top_p, [asked.seed, choice])
        return Request(
            prompt,
            asked.max_tokens,
            sampling,
            stop_texts=asked.stop,
            candidates_wanted=asked.top_logprobs or 0,
        )

    async def news(
        self, requests: list[Request], queue: asyncio.Queue[News], completion: Completion
    ) -> AsyncIterator[dict[str, Any]]:
        """Pieces of the completion as they come, until every choice has ended. Raises `Refusal` if they do not."""
        ends = asyncio.get_running_loop().time() + self.limits.seconds
        left = len(requests)
        while left:
            try:
                async with asyncio.timeout_at(ends):
                    news = await queue.get()
            except TimeoutError:
                raise Refusal(f"no end after {self.limits.seconds:g} seconds; ask for fewer tokens", 504) from None
            if news.finish == FAILED:
                raise Refusal("the engine has stopped; start the server again", 500)
            left -= bool(news.finish)
            yield completion.add(news)

    async def collect(
        self, requests: list[Request], queue: asyncio.Queue[News], completion: Completion
    ) -> dict[str, Any]:
        async for _ in self.news(requests, queue, completion):
            pass
        return completion.whole()

    async def events(
        self, requests: list[Request], queue: asyncio.Queue[News], completion: Completion
    ) -> AsyncIterator[str]:
        """The completion as server-sent events."""
        try:
            for choice in range(len(requests)):
                yield event(completion.opening(choice))
            async for piece in self.news(requests, queue, completion):
                yield event(piece)
            if completion.asked.include_usage:
                yield event(completion.usage_chunk())
            yield "data: [DONE]\n\n"
        except Refusal as refusal:
            yield event(refusal.body())


class Streamed(StreamingResponse):
    """Server-sent events; `after` is called however they end: told to the last, or left by the visitor."""

    def __init__(self, events: AsyncIterator[str], after: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self.after = after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.after()


def build_app(
    engine: Engine, processor: Processor, name: str, draw: Draw, token: str | None = None, limits: Limits | None = None
) -> Starlette:
    """The web application.

    Args:
        engine: its `decode` is the processor's; once the application has started, nobody else may call it.
        processor: of the same model.
        name: what the model is called in requests.
        draw: draws a picture for the page.
        token: what visitors must send; None lets in whoever is on this machine, and only them.
        limits: None takes the defaults.
    """
    return Server(engine, processor, name, draw, token, limits or Limits()).app()


def event(values: dict[str, Any]) -> str:
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"


async def disconnected(request: WebRequest) -> None:
    """Returns when the visitor has gone; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def missing(request: WebRequest, error: Any) -> Response:
    message = f"{request.method} {request.url.path}: there is no such thing here; see GET /v1/models"
    return Refusal(message, error.status_code).response()

"""`minikimi serve`: a page in the browser and an OpenAI-style endpoint (lesson 17)."""

from __future__ import annotations

import argparse
import secrets
import socket
from typing import Any

from minikimi.cli.parser import Verb, whole
from minikimi.errors import UserError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", default="small", help="a run, an official directory, or the shipped `small`"
    )
    what = "the address to listen at; any but this machine's own needs --token (default: 127.0.0.1)"
    parser.add_argument("--host", default="127.0.0.1", help=what)
    parser.add_argument("--port", type=whole(0, 65535), default=8000, help="0: any free one (default: 8000)")
    parser.add_argument("--token", help="what visitors must know; open the page as http://.../#TOKEN")
    what = "answers given at one time; more wait (default: 8)"
    parser.add_argument("--slots", type=whole(1, 1024), default=8, help=what)
    parser.add_argument("--device", default="cpu", help="where the model runs, such as cuda (default: cpu)")


def run(options: argparse.Namespace) -> int:
    if options.host not in LOOPBACK and not options.token:
        suggestion = secrets.token_urlsafe(12)
        raise UserError(f"--host {options.host}: others could reach the model; add --token, such as {suggestion}")
    if options.token is not None and (len(options.token) < 8 or not options.token.isascii() or " " in options.token):
        raise UserError("--token: give at least 8 characters, ASCII without blanks")
    listener = listen(options.host, options.port)  # before the model, so that a port in use is told at once

    import torch
    import uvicorn

    from minikimi.inference.engine import Engine
    from minikimi.inference.server import build_app
    from minikimi.loading import load

    try:
        device = torch.device(options.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise UserError(f"--device {options.device}: there is no such device here; use cpu, or cuda") from None
    model, processor = load(options.model, device)
    engine = Engine(model, options.slots, decode=processor.decode)
    name = options.model.rstrip("/").rpartition("/")[2]
    app = build_app(engine, processor, name, draw, options.token)
    port = listener.getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{host}:{port}"
    print(f"{name}: the page is at {address}/, the endpoint at {address}/v1; Ctrl-C ends it", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `UserError` if the address is not to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot listen at {host}, port {port} ({reason}); choose others with --host, --port") from None


def draw() -> tuple[bytes, dict[str, Any]]:
    """A new held-out picture of the world, as a PNG file, with what is known of it."""
    from minikimi.world.samples import draw_sample, known, png

    sample = draw_sample(secrets.randbits(32), 0)
    return png(sample), known(sample)


SERVE = Verb("serve", "answer in a web page and at an OpenAI-style endpoint", run, add_options)

"""A request that the server does not answer: the status, and one line that says what is wrong and what to do.

The body has the shape that programs written for OpenAI's endpoint read.
"""

from __future__ import annotations

from starlette.responses import JSONResponse

from minikimi.errors import one_line

TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}


class Refusal(Exception):
    """What is wrong with a request; `param` names the field, `code` the kind of trouble."""

    def __init__(self, message: str, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = one_line(message), status, param, code

    def body(self) -> dict[str, dict[str, str | None]]:
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(self.status)
        return JSONResponse(self.body(), self.status, headers)

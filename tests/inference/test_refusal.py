"""A refusal: one line, in the shape that OpenAI's client reads."""

import json

from minikimi.inference.refusal import Refusal


def test_it_is_one_line_with_its_field() -> None:
    refusal = Refusal("two\nlines\x1b[31m", 429, "n", "busy")
    response = refusal.response()
    error = {"message": "two lines\\x1b[31m", "type": "rate_limit_error", "param": "n", "code": "busy"}
    assert response.status_code == 429 and json.loads(response.body) == {"error": error}
    assert response.headers["Retry-After"] == "1"
    assert Refusal("x", 401).response().headers["WWW-Authenticate"] == "Bearer"
    assert Refusal("x").body()["error"]["type"] == "invalid_request_error"

"""Lesson 00: solutions that are not in the library, the cases that answers are tried on, and common wrong answers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from minikimi.answers import normalise
from minikimi.benchmarks.screenspot import inside
from minikimi.lab.exercise import Case, Misfit
from minikimi.model.config import KimiVLConfig, TextConfig

CLICK = re.compile(r"click\((\d\.\d\d), (\d\.\d\d)\)")
Messages = list[dict[str, Any]]


# 0.1 ------------------------------------------------------------------------------------------------------------------
def question_turn(question: str, images: list, label: str = "Image") -> Messages:
    """A conversation of one user message: the images, numbered if there are several, then the question."""
    parts: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        if len(images) > 1:
            parts.append({"type": "text", "text": f"{label} {number}:"})
        parts.append({"type": "image", "image": image})
    parts.append({"type": "text", "text": question})
    return [{"role": "user", "content": parts}]


def turn_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # One picture, two and three: the rule for the numbers differs between the first and the rest.
    two, three = ["cat.png", f"dog{seed}.png"], ["a.png", "b.png", "c.png"]
    return [("What is this?", ["cat.png"]), (f"Which shows thing {seed}?", two), ("Which way?", three, "Frame")]


def parts_in_order(run: Callable, question: str, images: list, label: str = "Image") -> None:
    result = run(question, images, label)
    if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
        raise Misfit("a conversation is a list of messages, here a list with a single dict: role and content")
    mine, true = (_outline(messages[0].get("content")) for messages in (result, question_turn(question, images, label)))
    if mine != true:
        raise Misfit(f"for {len(images)} image(s) the parts are [{mine}], expected [{true}]")


def _outline(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    return ", ".join(str(part.get("text", part.get("type"))) for part in parts if isinstance(part, dict))


def question_first(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    *pictures, last = message["content"]
    return [message | {"content": [last, *pictures]}]


def numbered_from_zero(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    names = {f"{label} {number}:": f"{label} {number - 1}:" for number in range(1, len(images) + 1)}
    parts = [p if p["type"] == "image" else p | {"text": names.get(p["text"], p["text"])} for p in message["content"]]
    return [message | {"content": parts}]


def always_numbered(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    first = [] if len(images) > 1 else [{"type": "text", "text": f"{label} 1:"}]
    return [message | {"content": [*first, *message["content"]]}]


def message_per_image(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    return [{"role": "user", "content": [part]} for part in message["content"]]


def not_in_a_list(question: str, images: list, label: str = "Image") -> dict[str, Any]:
    return question_turn(question, images, label)[0]


# 0.2 ------------------------------------------------------------------------------------------------------------------
def text_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Blanks around and inside, a closing full stop, full stops that belong to numbers, capitals that mean something.
    return [(f"  page  {seed + 3}. ",), ("MQK",), (f"click(0.2{seed}, 0.75).",), ("cat at top left,\n dog at right",)]


def text_by_text(run: Callable, text: str) -> None:
    if (result := run(text)) != normalise(text):
        raise Misfit(f"{text!r} becomes {result!r}, expected {normalise(text)!r}")


def lower_case(text: str) -> str:
    return normalise(text).lower()


def all_full_stops(text: str) -> str:
    return " ".join(text.split()).replace(".", "")


def ends_only(text: str) -> str:
    return text.strip().removesuffix(".")


def no_blanks(text: str) -> str:
    return "".join(text.split()).removesuffix(".")


def full_stop_kept(text: str) -> str:
    return " ".join(text.split())


# 0.3 ------------------------------------------------------------------------------------------------------------------
def parse_click(text: str, width: int, height: int) -> tuple[float, float]:
    """The point in px that "click(x, y)" names on a picture of width x height; ValueError for anything else."""
    match = CLICK.fullmatch(normalise(text))
    if match is None:
        raise ValueError(f"not a click: {text!r}")
    x, y = float(match[1]), float(match[2])
    if x > 1 or y > 1:
        raise ValueError(f"outside the picture: {text!r}")
    return x * width, y * height


def run_click(answer: Callable, text: str, width: int, height: int) -> Any:
    try:
        return answer(text, width, height)
    except ValueError:
        return "refused"


def click_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Never a square, so that swapped sides show; then what a program must not turn into a click.
    good = [(f"click(0.2{seed}, 0.75)", 84, 139), (" click(1.00, 0.00). ", 56, 83)]
    bad = ["I would click(0.25, 0.75) there", "click(0.25)", "click(1.20, 0.50)", "click(0.50, 7.00)", "right", ""]
    return good + [(text, 84, 139) for text in bad]


def refuses_what_is_no_click(run: Callable, text: str, width: int, height: int) -> None:
    refused, expected = run(text, width, height) == "refused", run_click(parse_click, text, width, height) == "refused"
    if expected and not refused:
        raise Misfit(f"{text!r} is no click inside the picture: raise a ValueError, never guess where to click")
    if refused and not expected:
        raise Misfit(f"{text!r} is a click, but it is refused")


def point_on_this_picture(run: Callable, text: str, width: int, height: int) -> None:
    true, mine = (run_click(parse_click, text, width, height), run(text, width, height))
    if "refused" not in (true, mine) and max(abs(a - b) for a, b in zip(true, mine, strict=True)) > 1e-3:
        raise Misfit(f"{text!r} on a picture {width} wide and {height} high: you say {mine}")


def _click(
    pattern: Callable = CLICK.fullmatch, outside: bool = False, point: Callable = lambda x, y, w, h: (x * w, y * h)
):
    def answer(text: str, width: int, height: int) -> tuple[float, float]:
        match = pattern(normalise(text))
        if match is None:
            raise ValueError(f"not a click: {text!r}")
        x, y = float(match[1]), float(match[2])
        if (x > 1 or y > 1) and not outside:
            raise ValueError(f"outside the picture: {text!r}")
        return point(x, y, width, height)

    return answer


def match_not_examined(text: str, width: int, height: int) -> tuple[float, float]:
    match: Any = CLICK.fullmatch(normalise(text))
    return float(match[1]) * width, float(match[2]) * height


# 0.4 ------------------------------------------------------------------------------------------------------------------
def box_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A box far from the diagonal: axes that are mixed up, or sizes taken for edges, give another answer.
    box = (40.0 + seed, 5.0, 60.0 + seed, 21.0)
    points = [(50.0, 10.0), (10.0, 10.0), (50.0, 40.0), (40.0 + seed, 21.0), (75.0, 24.0), (10.0, 50.0)]
    return [(point, box) for point in points]


def point_by_point(run: Callable, point: tuple[float, float], box: tuple[float, float, float, float]) -> None:
    if (result := run(point, box)) != inside(point, box):
        raise Misfit(f"point {point} and box {box}, left, top, right, bottom: you say {result}")


def edges_open(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = box
    return left < point[0] < right and top < point[1] < bottom


def rows_first(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return inside((point[1], point[0]), box)


def sizes_for_edges(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, width, height = box
    return inside(point, (left, top, left + width, top + height))


def one_axis_is_enough(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = box
    return left <= point[0] <= right or top <= point[1] <= bottom


# 0.5 ------------------------------------------------------------------------------------------------------------------
def image_grid(width: int, height: int) -> tuple[int, int, int]:
    """Rows and columns of patches of a picture in px, padded to multiples of 28, and its image tokens."""
    rows, columns = 2 * math.ceil(height / 28), 2 * math.ceil(width / 28)
    return rows, columns, rows * columns // 4


def size_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Exact multiples, one px more, one px less, less than one token.
    return [(56, 28), (57, 28 + seed), (83, 139 + seed), (1920, 1080), (10, 20)]


def even_rows(run: Callable, width: int, height: int) -> None:
    rows, columns, _ = run(width, height)
    if rows % 2 or columns % 2:
        raise Misfit(f"{rows} x {columns} patches cannot be merged 2 x 2: both must be even")


def size_by_size(run: Callable, width: int, height: int) -> None:
    if tuple(result := run(width, height)) != (true := image_grid(width, height)):
        padded = f"{14 * true[1]} x {14 * true[0]} px"
        raise Misfit(f"a picture {width} wide and {height} high is padded to {padded}; you say {tuple(result)}")


def sides_swapped(width: int, height: int) -> tuple[int, int, int]:
    return image_grid(height, width)


def floored(width: int, height: int) -> tuple[int, int, int]:
    rows, columns = 2 * (height // 28), 2 * (width // 28)
    return rows, columns, rows * columns // 4


def padded_to_14(width: int, height: int) -> tuple[int, int, int]:
    rows, columns = math.ceil(height / 14), math.ceil(width / 14)
    return rows, columns, math.ceil(rows * columns / 4)


def token_per_patch(width: int, height: int) -> tuple[int, int, int]:
    rows, columns, _ = image_grid(width, height)
    return rows, columns, rows * columns


def grid_of_tokens(width: int, height: int) -> tuple[int, int, int]:
    rows, columns, tokens = image_grid(width, height)
    return rows // 2, columns // 2, tokens


# 0.6 ------------------------------------------------------------------------------------------------------------------
def without_pictures(messages: Messages) -> Messages:
    """The same conversation without its image parts; the messages given are left as they are."""
    blind = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [part for part in content if part["type"] != "image"]
        blind.append({**message, "content": content})
    return blind


def run_blind(answer: Callable, messages: Messages) -> Any:
    result = answer(messages)
    return None if result is None else (result, messages)


def conversation_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A later turn with a picture, an answer that is a plain string, and labels between several pictures.
    clip = question_turn(f"Which way does thing {seed} go?", ["a.png", "b.png", "c.png"], "Frame")
    first = question_turn("What is this?", [f"cat{seed}.png"])
    return [(clip,), ([*first, {"role": "assistant", "content": "cat"}, *question_turn("And this?", ["dog.png"])],)]


def leaves_the_original(run: Callable, messages: Messages) -> None:
    before = sum(len(message["content"]) for message in messages if not isinstance(message["content"], str))
    _, after = run(messages)
    left = sum(len(message["content"]) for message in after if not isinstance(message["content"], str))
    if left != before:
        raise Misfit(f"the conversation given had {before} parts and has {left} after the call: build a new one")


def the_parts_left(run: Callable, messages: Messages) -> None:
    result, _ = run(messages)
    for mine, true in zip(result, without_pictures(messages), strict=False):
        if mine != true:
            raise Misfit(f"a message is left as [{_outline(mine['content'])}], expected [{_outline(true['content'])}]")
    if len(result) != len(messages):
        raise Misfit(f"{len(messages)} messages became {len(result)}: a message keeps its place, only its pictures go")


def in_place(messages: Messages) -> Messages:
    for message in messages:
        if not isinstance(message["content"], str):
            message["content"] = [part for part in message["content"] if part["type"] != "image"]
    return messages


def whole_messages_dropped(messages: Messages) -> Messages:
    return [
        m for m in messages if isinstance(m["content"], str) or all(part["type"] != "image" for part in m["content"])
    ]


def first_picture_only(messages: Messages) -> Messages:
    def shorter(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        at = next((i for i, part in enumerate(parts) if part["type"] == "image"), len(parts))
        return parts[:at] + parts[at + 1 :]

    return [m if isinstance(m["content"], str) else {**m, "content": shorter(m["content"])} for m in messages]


def question_only(messages: Messages) -> Messages:
    return [m if isinstance(m["content"], str) else {**m, "content": m["content"][-1:]} for m in messages]


def first_message_only(messages: Messages) -> Messages:
    return [*without_pictures(messages[:1]), *messages[1:]]


# 0.7 ------------------------------------------------------------------------------------------------------------------
def mean_interval(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Share of right answers (n,) and the ends of its 95 % interval over resamples `picks` (draws, n)."""
    means = right[picks].mean(dim=1)
    low, high = means.quantile(torch.tensor([0.025, 0.975]))
    return right.mean(), low, high


def answer_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Different numbers of answers and draws, and an even number of neither: a mean over the wrong axis shows.
    g = torch.Generator().manual_seed(seed)
    return [
        ((torch.rand(n, generator=g) < share).float(), torch.randint(n, (draws, n), generator=g))
        for n, share, draws in ((60, 0.7, 300), (37, 0.4, 500))
    ]


def mean_lies_inside(run: Callable, right: Tensor, picks: Tensor) -> None:
    mean, low, high = (float(number) for number in run(right, picks))
    if not low <= mean <= high:
        raise Misfit(f"the share {mean:.2f} does not lie in its own interval, {low:.2f} to {high:.2f}")


def holds_95_percent(run: Callable, right: Tensor, picks: Tensor) -> None:
    means = right[picks].mean(dim=1)
    mine, true = (
        100 * float(((low <= means) & (means <= high)).float().mean())
        for _, low, high in (run(right, picks), mean_interval(right, picks))
    )
    if abs(mine - true) > 0.5:
        raise Misfit(f"{mine:.0f} % of the drawn scores lie in your interval; here it should be {true:.0f} %")


def _interval(ends: Callable[[Tensor], tuple[Tensor, Tensor]], dim: int = 1):
    def answer(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return right.mean(), *ends(right[picks].mean(dim=dim))

    return answer


def quantiles(low: float, high: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda means: (means.quantile(low), means.quantile(high))


def one_deviation(means: Tensor) -> tuple[Tensor, Tensor]:
    return means.mean() - means.std(), means.mean() + means.std()


def answers_not_means(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return right.mean(), right.quantile(0.025), right.quantile(0.975)


# 0.8 ------------------------------------------------------------------------------------------------------------------
def used_parameters(text: TextConfig, total: int) -> int:
    """Of `total` parameters, those that one token passes through: all but the routed experts it is not sent to."""
    layers = text.num_hidden_layers - text.first_k_dense_replace
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    idle = layers * (text.n_routed_experts - text.num_experts_per_tok) * expert
    return total - idle


def config_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    big = KimiVLConfig.preset("kimi-vl-a3b").text_config
    return [(big, 16_407_656_048), (replace(big, num_hidden_layers=5 + seed, first_k_dense_replace=2), 10**10)]


def _used(layers: int = 0, matrices: int = 3, experts: Callable[[TextConfig], int] | None = None):
    def answer(text: TextConfig, total: int) -> int:
        idle = experts(text) if experts else text.n_routed_experts - text.num_experts_per_tok
        depth = layers or text.num_hidden_layers - text.first_k_dense_replace
        return total - depth * idle * matrices * text.hidden_size * text.moe_intermediate_size

    return answer


def every_layer(text: TextConfig, total: int) -> int:
    return _used(layers=text.num_hidden_layers)(text, total)


def share_of_everything(text: TextConfig, total: int) -> int:
    return total * text.num_experts_per_tok // text.n_routed_experts

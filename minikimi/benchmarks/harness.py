"""Run one real benchmark on a model: ask every item, score it twice, say how much was not readable (lesson 15).

    minikimi evaluate RUN --benchmark mmmu --limit 50 --data PATH --form think --max-new-tokens 2048

writes `RUN/benchmarks/mmmu.json` (`runs/evaluate-NAME/benchmarks/mmmu.json` for a model that is no run): for every item
the raw output, the parsed answer, the branch of the parser that found it and both scores, and over all of them
`official` and `strict` (shares, 0 to 1, with 95 % bootstrap intervals), `policy` (how each of the two counts: whose
program, and in which version), the parse-failure rate and n. A prompt longer than the model's context is not asked
(`asked: false`): wrong, without dice, and counted in `not_asked`. No judge is asked; the file says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.progress import Progress
from rich.table import Table

from minikimi.answers import without_thinking
from minikimi.benchmarks.adapters import SCHEMAS
from minikimi.benchmarks.item import Item, Score
from minikimi.benchmarks.mmlongbench import f1
from minikimi.benchmarks.rows import load_rows
from minikimi.errors import UserError
from minikimi.evaluation.ask import fits, generate
from minikimi.evaluation.facts import results_directory
from minikimi.evaluation.statistics import bootstrap
from minikimi.files import CONFIGS, write_json
from minikimi.loading import load
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded, Processor
from minikimi.processor.text.chat import THINK
from minikimi.report.score_table import percent

SOURCES = CONFIGS / "benchmarks.yaml"
AT_ONCE = 16  # items whose pictures are held in memory together
ROOM = {"chat": 64, "think": 1024}  # new tokens by form, where none are asked for
EXTRAS = {  # what some benchmarks count beside
    "paper": "by the paper's formula",
    "vanilla": "vanilla (first rotation, dice)",
    "f1": "F1",
    "f1_strict": "F1, strict",
}


def source_of(name: str) -> dict[str, Any]:
    """The entry of a benchmark in configs/benchmarks.yaml. Raises `UserError` for an unknown name."""
    sources = yaml.safe_load(SOURCES.read_text())
    if name not in SCHEMAS or name not in sources:
        raise UserError(f"unknown benchmark {name!r}; choose one of {', '.join(SCHEMAS)}")
    return sources[name]


def items(name: str, data: Path | None = None, limit: int | None = None) -> Iterator[Item]:
    """The items of the first `limit` rows. Pages and videos are looked for in `data`, or here if it is not given."""
    source = source_of(name)
    folder = (data if data and data.is_dir() else data.parent if data else None) or Path()
    for row in islice(load_rows(name, source, data), limit):
        yield from SCHEMAS[name].items(row, source, folder, f"{name}, {row['_place']}")


def check_references(name: str, data: Path | None, limit: int | None) -> None:
    """Read what the answers will be compared with. Raises `UserError` for the first reference that cannot be used, so
    that no answer is lost to it.
    """
    for row in islice(load_rows(name, source_of(name), data), limit):
        SCHEMAS[name].reference(row, f"{name}, {row['_place']}")


def score_output(item: Item, output: str) -> Score:
    """The item's rule on what follows the thinking, as it stands; thinking without end is scored as silence."""
    return item.score(without_thinking(output) or "")


def prompt_of(processor: Processor, item: Item, begun: Sequence[int]) -> Encoded:
    """The item as a turn of the user, and the ids `begun` of the answer."""
    turns = [{"role": "user", "content": item.content}]
    return processor.encode(turns, item.images, add_generation_prompt=True).followed_by(begun)


def run_benchmark(
    model: KimiVL,
    processor: Processor,
    name: str,
    data: Path | None,
    limit: int | None,
    form: str = "chat",
    max_new_tokens: int | None = None,
) -> dict[str, Any]:
    """Ask and score all items; returns what `RUN/benchmarks/NAME.json` holds. In the form `think`, ◁think▷ is written
    for the model and counts as part of its output. max_new_tokens: 64 in `chat`, 1024 in `think` if None.
    """
    check_references(name, data, limit)
    room = ROOM[form] if max_new_tokens is None else max_new_tokens
    begun = processor.tokenizer.encode(THINK) if form == "think" else []
    stream, answered = items(name, data, limit), []
    with Progress(transient=True) as bar:
        line = bar.add_task(name, total=None)
        while chunk := list(islice(stream, AT_ONCE)):
            prompts = [prompt_of(processor, item, begun) for item in chunk]
            outputs = generate(model, processor, prompts, room)
            for item, prompt, ids in zip(chunk, prompts, outputs, strict=True):
                output = str(processor.decode([*begun, *ids])) if fits(model, prompt, room) else None
                answered.append(record(item, output))
            bar.advance(line, len(chunk))
    if not answered:
        raise UserError(f"{name}: the data holds no rows; check --data and --limit")
    asked_how = {"judge": "none", "form": form, "max_new_tokens": room}
    return {"benchmark": name, "source": source_of(name), **asked_how, **summary(name, answered), "items": answered}


def record(item: Item, output: str | None) -> dict[str, Any]:
    """One line of the results; output: None for an item that was not asked."""
    score = Score(0.0, 0.0, None, "not asked") if output is None else score_output(item, output)
    return {
        "id": item.id,
        "group": item.group or item.id,
        "asked": output is not None,
        "output": output or "",
        "parsed": score.parsed,
        "branch": score.branch,
        "official": score.official,
        "strict": score.strict,
        "paper": score.paper,
        "answer": item.answer,
        **item.about,
    }


def summary(name: str, answered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares over all questions; items of one group count once, as their worst. For MMBench also `vanilla`, which
    looks at the first rotation only; for MMLongBench-Doc also F1; `paper` where a paper and its program disagree.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for line in answered:
        groups.setdefault(line["group"], []).append(line)
    asked = [line for line in answered if line["asked"]]
    result: dict[str, Any] = {"n": len(groups), "asked": len(asked), "not_asked": len(answered) - len(asked)}
    circular = "circular, " if name == "mmbench" else ""
    result["policy"] = {"official": f"{circular}{source_of(name)['program']}", "strict": f"{circular}exact"}
    for policy in ("official", "strict"):
        values = [min(line[policy] for line in group) for group in groups.values()]
        result[policy] = float(np.mean(values))
        result[f"{policy}_interval"] = bootstrap([values])
    result["parse_failures"] = sum(line["parsed"] is None for line in asked) / max(len(asked), 1)
    result["branches"] = dict(Counter(line["branch"] for line in answered).most_common())
    if name == "mmbench":
        result["vanilla"] = float(np.mean([group[0]["official"] for group in groups.values()]))
    if name == "mmlongbench":
        wanted, given = ([line[key] for line in answered] for key in ("answer", "parsed"))
        result["f1"] = f1([line["official"] for line in answered], wanted, given)
        result["f1_strict"] = f1([line["strict"] for line in answered], wanted, given, strict=True)
    if any(line.get("paper") is not None for line in answered):
        result["paper"] = float(np.mean([line["paper"] or 0.0 for line in answered]))
    return result


def benchmark_table(result: Mapping[str, Any]) -> Table:
    """The numbers for the terminal."""
    table = Table(title=f"{result['benchmark']} (judge: {result['judge']}, form: {result['form']})")
    for head in ("policy", "score", "95 % interval", "n", "not parsed", "not asked"):
        table.add_column(head, justify="left" if head == "policy" else "right")
    for policy, meaning in result["policy"].items():
        low, high = result[f"{policy}_interval"]
        shares = (percent(result[policy]), f"{100 * low:.0f} – {100 * high:.0f} %")
        left = (percent(result["parse_failures"]), str(result["not_asked"]))
        table.add_row(f"{policy} ({meaning})", *shares, str(result["n"]), *left)
    for extra, label in EXTRAS.items():
        if extra in result:
            table.add_row(label, percent(result[extra]), "", str(result["n"]))
    return table


def evaluate_benchmark(
    model: Path,
    name: str,
    data: Path | None,
    limit: int | None,
    form: str = "chat",
    max_new_tokens: int | None = None,
) -> tuple[dict[str, Any], Path]:
    """Load a model, run a benchmark, write benchmarks/`name`.json in the directory of its results; returns what was
    written, and where. Raises `UserError` for bad input.
    """
    source_of(name)  # before the model, so that a misspelt name answers at once
    if form not in ROOM:
        raise UserError(f"--form {form}: a real benchmark is asked in the forms {' and '.join(ROOM)}")
    for option, value in (("--limit", limit), ("--max-new-tokens", max_new_tokens)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: give at least 1")
    path = results_directory(model) / "benchmarks" / f"{name}.json"
    result = run_benchmark(*load(model), name, data, limit, form, max_new_tokens)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return result, path

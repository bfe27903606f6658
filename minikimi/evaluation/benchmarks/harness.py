"""Run one real benchmark on a model: ask every item, score it twice, say how much was not readable (lesson 15).

    minikimi evaluate MODEL --benchmark mmmu --limit 50 --data PATH

writes `MODEL/benchmarks/mmmu.json`: for every item the raw output, the parsed answer, the branch of the parser that
found it and both scores, and over all of them `official` and `strict` (shares, 0 to 1, with 95 % bootstrap intervals),
the parse-failure rate and n. No judge is asked; the file says so.
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

from minikimi.config import UserError
from minikimi.evaluation.asking import chat_prompt, generate
from minikimi.evaluation.benchmarks.adapters import ADAPTERS
from minikimi.evaluation.benchmarks.item import Item, Score
from minikimi.evaluation.benchmarks.mmlongbench import f1
from minikimi.evaluation.benchmarks.rows import load_rows
from minikimi.evaluation.facts import write_json
from minikimi.evaluation.scoring import bootstrap, final_answer
from minikimi.evaluation.table import percent
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor import Processor
from minikimi.training.pipeline import CONFIGS

SOURCES = CONFIGS / "benchmarks.yaml"
AT_ONCE = 16  # items whose pictures are held in memory together


def source_of(name: str) -> dict[str, Any]:
    """The entry of a benchmark in configs/benchmarks.yaml. Raises `UserError` for an unknown name."""
    sources = yaml.safe_load(SOURCES.read_text())
    if name not in ADAPTERS or name not in sources:
        raise UserError(f"unknown benchmark {name!r}; choose one of {', '.join(ADAPTERS)}")
    return sources[name]


def items(name: str, data: Path | None = None, limit: int | None = None) -> Iterator[Item]:
    """The items of the first `limit` rows. Pages and videos are looked for in `data`, or here if it is not given."""
    source = source_of(name)
    folder = (data if data and data.is_dir() else data.parent if data else None) or Path()
    for number, row in enumerate(islice(load_rows(name, source, data), limit)):
        yield from ADAPTERS[name](row, source, folder, f"{name}, row {number}")


def score_output(item: Item, output: str) -> Score:
    """The item's rule on what follows the thinking; thinking without end is scored as silence."""
    return item.score(final_answer(output) or "")


def run_benchmark(
    model: KimiVL, processor: Processor, name: str, data: Path | None, limit: int | None, max_new_tokens: int = 64
) -> dict[str, Any]:
    """Ask and score all items; returns what `MODEL/benchmarks/NAME.json` holds."""
    stream, answered = items(name, data, limit), []
    with Progress(transient=True) as bar:
        line = bar.add_task(name, total=None)
        while chunk := list(islice(stream, AT_ONCE)):
            prompts = [
                chat_prompt(processor, [{"role": "user", "content": item.content}], item.images) for item in chunk
            ]
            for item, ids in zip(chunk, generate(model, processor, prompts, max_new_tokens), strict=True):
                answered.append(record(item, str(processor.decode(ids))))
            bar.advance(line, len(chunk))
    if not answered:
        raise UserError(f"{name}: the data holds no rows; check --data and --limit")
    return {"benchmark": name, "source": source_of(name), "judge": "none", **summary(name, answered), "items": answered}


def record(item: Item, output: str) -> dict[str, Any]:
    """One line of the results."""
    score = score_output(item, output)
    return {
        "id": item.id,
        "group": item.group or item.id,
        "output": output,
        "parsed": score.parsed,
        "branch": score.branch,
        "official": score.official,
        "strict": score.strict,
        "answer": item.answer,
        **item.about,
    }


def summary(name: str, answered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares over all questions; items of one group count once, as their worst. For MMBench also `vanilla`, which
    looks at the first rotation only; for MMLongBench-Doc also F1.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for line in answered:
        groups.setdefault(line["group"], []).append(line)
    result: dict[str, Any] = {"n": len(groups), "asked": len(answered)}
    for policy in ("official", "strict"):
        values = [min(line[policy] for line in group) for group in groups.values()]
        result[policy] = float(np.mean(values))
        result[f"{policy}_interval"] = bootstrap([values])
    result["parse_failures"] = float(np.mean([line["parsed"] is None for line in answered]))
    result["branches"] = dict(Counter(line["branch"] for line in answered).most_common())
    if name == "mmbench":
        result["vanilla"] = float(np.mean([group[0]["official"] for group in groups.values()]))
    if name == "mmlongbench":
        columns = ([line[key] for line in answered] for key in ("official", "answer", "parsed"))
        result["f1"] = f1(*columns)
    return result


def benchmark_table(result: Mapping[str, Any]) -> Table:
    """The numbers for the terminal."""
    table = Table(title=f"{result['benchmark']} (judge: {result['judge']})")
    for head in ("policy", "score", "95 % interval", "n", "not parsed"):
        table.add_column(head, justify="left" if head == "policy" else "right")
    for policy in ("official", "strict"):
        low, high = result[f"{policy}_interval"]
        shares = (percent(result[policy]), f"{100 * low:.0f} – {100 * high:.0f} %")
        table.add_row(policy, *shares, str(result["n"]), percent(result["parse_failures"]))
    for extra in ("vanilla", "f1"):
        if extra in result:
            table.add_row(extra, percent(result[extra]), "", str(result["n"]), "")
    return table


def evaluate_benchmark(directory: Path, name: str, data: Path | None, limit: int | None) -> dict[str, Any]:
    """Load a model, run a benchmark, write `directory`/benchmarks/`name`.json. Raises `UserError` for bad input."""
    from minikimi.checkpoint import model_directory

    source_of(name)  # before the model, so that a misspelt name answers at once
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: give at least 1")
    where = model_directory(directory)
    result = run_benchmark(KimiVL.from_pretrained(where), Processor.from_pretrained(where), name, data, limit)
    (directory / "benchmarks").mkdir(exist_ok=True)
    write_json(directory / "benchmarks" / f"{name}.json", result)
    return result

"""rollouts.jsonl: a few responses of every iteration, to be read by people (lesson 14).

A reward that rises says nothing about how. Rows of iterations that run again after a resume are dropped first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from minikimi.files import lines_of, read_text, write_text
from minikimi.processor.processor import Processor
from minikimi.rl.scoring import Scored


class RolloutTable:
    """Appends to `path`: of the first `shown` problems of an iteration, the best and the worst response."""

    def __init__(self, path: Path, processor: Processor, shown: int) -> None:
        self.path, self.processor, self.shown = path, processor, shown

    def keep_before(self, iteration: int) -> None:
        """Drop rows from `iteration` on, and a last line that a kill has cut."""
        lines = lines_of(read_text(self.path)) if self.path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["iteration"] < iteration]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def write(self, iteration: int, scored: Sequence[Scored]) -> None:
        rows = []
        for s in scored[: self.shown]:
            ranked = sorted(s.group.responses, key=lambda r: r.total)
            for r in (ranked[-1], ranked[0]):
                question, text = s.group.sample.question, str(self.processor.decode(r.ids))
                row = {"iteration": iteration, "id": s.group.sample.id, "task": s.group.sample.task}
                row |= {"question": question, "answer": s.group.sample.answer, "completion": text, "end": r.end}
                rows.append(row | {"tokens": len(r.ids), "reward": round(r.total, 4), "parts": r.parts})
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

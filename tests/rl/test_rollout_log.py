"""rollouts.jsonl: what stands in it, and that a resume leaves no row twice."""

import json
from pathlib import Path

from rl_toys import Letters, engine
from tiny_models import tiny_model

from minikimi.rl.rollout_log import RolloutTable


def test_table_survives_a_resume(tmp_path: Path) -> None:
    """Rows of iterations that run again are dropped, and so is a line that was cut by the kill."""
    path = tmp_path / "rollouts.jsonl"
    table = RolloutTable(path, Letters(), shown=2)  # type: ignore[arg-type]
    e = engine(tiny_model(0), steps=6)
    e.table = table
    list(e)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 3 * 2 * 2 and {row["iteration"] for row in rows} == {0, 1, 2}
    assert rows[0]["reward"] >= rows[1]["reward"] and rows[0]["id"] == rows[1]["id"]
    with path.open("a") as file:
        file.write('{"iteration": 1, "id"')
    table.keep_before(2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows[:8]

"""Every schema, end to end and offline, and the command: what is asked, scored, counted and written."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from benchmark_rows import made

from minikimi import files
from minikimi.benchmarks import choices, harness
from minikimi.benchmarks.adapters import SCHEMAS
from minikimi.benchmarks.choices import option_lines, score_mmmu
from minikimi.benchmarks.distance import score_anls
from minikimi.benchmarks.harness import benchmark_table, items, run_benchmark, score_output, source_of, summary
from minikimi.benchmarks.item import Item
from minikimi.benchmarks.open_answers import score_open
from minikimi.cli import main
from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK

FOUR = option_lines(["red apple", "green pear", "blue plum", "dark grape"])[1]
PROCESSOR = Processor.small()
MODEL: Any = None  # never asked: `generate` is replaced


RIGHT = {"screenspot": "[0.3, 0.6]", "screenspot_v2": "[0.3, 0.6]", "screenspot_pro": "[0.3, 0.6]"}


def right_output(name: str, item: Item) -> str:
    return RIGHT.get(name) or str(item.answer[0] if isinstance(item.answer, list) else item.answer)


def answering(monkeypatch: pytest.MonkeyPatch, outputs: list[str]) -> list[Any]:
    """Let the model say `outputs` in turn; returns the growing list of prompts."""
    said, prompts = iter(outputs), []

    def generate(model: Any, processor: Any, asked: list[Any], limit: int) -> list[list[int]]:
        prompts.extend(asked)
        return [PROCESSOR.tokenizer.encode(next(said)) for _ in asked]

    monkeypatch.setattr(harness, "generate", generate)
    monkeypatch.setattr(harness, "fits", lambda model, prompt, room: True)
    return prompts


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_perfect_model_gets_all_of_every_schema(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "mmlongbench":
        pytest.importorskip("pypdfium2", reason="the extra `benchmarks` is not installed: make setup")
    asked = list(items(name, made(tmp_path, name)))
    prompts = answering(monkeypatch, [right_output(name, item) for item in asked])
    result = run_benchmark(MODEL, PROCESSOR, name, tmp_path, None)
    assert (result["n"], result["official"], result["strict"], result["parse_failures"]) == (5, 1, 1, 0)
    assert result["judge"] == "none" and len(result["items"]) == len(prompts) == result["asked"]
    json.dumps(result)
    assert all(len(prompt.grid_hws) == len(item.images) > 0 for prompt, item in zip(prompts, asked, strict=True))

    answering(monkeypatch, [""] * len(asked))
    result = run_benchmark(MODEL, PROCESSOR, name, tmp_path, 3)
    assert (result["n"], result["strict"], result["parse_failures"]) == (3, 0, 1)
    dice = name in ("mmmu", "mmbench", "egoschema")  # officially, silence is luck there
    lucky = dice or name == "mathvista"  # where the shortest choice is the nearest to nothing
    assert (result["branches"].keys() == {"dice"}) is dice and (lucky or result["official"] == 0)


@pytest.mark.parametrize("name", ["mmmu", "infovqa"])
def test_what_does_not_fit_is_not_asked_and_gets_no_dice(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of five prompts are too long; the others get no answer either."""
    prompts = answering(monkeypatch, [""] * 5)
    monkeypatch.setattr(choices, "guess", lambda *_: "B")  # the dice are always right
    monkeypatch.setattr(harness, "fits", lambda model, prompt, room: all(prompt is not p for p in prompts[:2]))
    result = run_benchmark(MODEL, PROCESSOR, name, made(tmp_path, name), None)
    assert (result["asked"], result["not_asked"], result["n"], result["parse_failures"]) == (3, 2, 5, 1)
    assert [line["asked"] for line in result["items"]] == [False, False, True, True, True]
    assert [line["official"] for line in result["items"]][:2] == [0, 0] and result["branches"]["not asked"] == 2
    assert result["official"] == (2 / 5 if name == "mmmu" else 0)  # of the three asked, two are thrown for
    assert list(harness.benchmark_table(result).columns[-1].cells) == ["2", "2", *([""] if name == "infovqa" else [])]


def test_asked_to_think_the_opening_is_written_and_the_thought_not_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = answering(monkeypatch, ["(A) or so◁/think▷B"] * 4 + ["12, as I began to thi"])
    rooms: list[int] = []
    said = harness.generate
    monkeypatch.setattr(harness, "generate", lambda *args: rooms.append(args[3]) or said(*args))
    result = run_benchmark(MODEL, PROCESSOR, "mmmu", made(tmp_path, "mmmu"), None, "think")
    opening = PROCESSOR.tokenizer.encode(THINK)
    assert all(prompt.input_ids[-len(opening) :].tolist() == opening for prompt in prompts)
    assert [line["strict"] for line in result["items"]] == [1, 1, 1, 1, 0]  # the last never ends its thinking
    assert result["items"][0]["output"] == f"{THINK}(A) or so{END_THINK}B"
    assert rooms == [1024] and (result["form"], result["max_new_tokens"]) == ("think", 1024)
    answering(monkeypatch, ["B"])
    assert run_benchmark(MODEL, PROCESSOR, "mmmu", tmp_path, 1, max_new_tokens=9)["max_new_tokens"] == 9


def test_a_lucky_letter_does_not_pass_all_rotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "mmbench")
    answering(monkeypatch, ["C"] * 16)
    result = run_benchmark(MODEL, PROCESSOR, "mmbench", tmp_path, None)
    assert (result["official"], result["vanilla"]) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--benchmark", "poem"], "unknown benchmark 'poem'; choose one of mmmu, mmbench"),
        (["--benchmark", "mmmu", "--limit", "0"], "--limit 0"),
        (["--benchmark", "mathvista", "--limit", "1"], "go online once, or download it elsewhere and give --data PATH"),
        (["--benchmark", "infovqa", "--data", "nowhere"], "nowhere: not found; give --data"),
        (["--limit", "3"], "belong to --benchmark"),
        (["--max-new-tokens", "3"], "belong to --benchmark"),
        (["--benchmark", "mmmu", "--max-new-tokens", "0"], "--max-new-tokens 0"),
        (["--benchmark", "mmmu", "--form", "document"], "asked in the forms chat and think"),
    ],
)
def test_the_command_names_what_is_wrong(arguments: list[str], words: str, tmp_path: Path, capsys: Any) -> None:
    KimiVL.from_preset("nano").save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    assert main(["evaluate", str(tmp_path), *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1


@pytest.mark.parametrize(
    ("folder", "name", "results"),
    [
        ("myrun/model", "myrun", "myrun"),
        ("official", "official", "runs/evaluate-official"),
        ("shipped/tiny", "tiny", "runs/evaluate-tiny"),  # a name, not a path
    ],
)
def test_the_command_writes_scores_and_outputs(
    folder: str, name: str, results: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real way: a small random model, real prompts, a file to look into. A model that is no run stays as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")
    KimiVL.from_preset("nano").save_pretrained(tmp_path / folder)
    PROCESSOR.save_pretrained(tmp_path / folder)
    before = sorted((tmp_path / folder).iterdir())
    (tmp_path / "data").mkdir()
    made(tmp_path / "data", "infovqa")
    data = ["--benchmark", "infovqa", "--limit", "2", "--data", str(tmp_path / "data")]
    assert main(["evaluate", name, *data, "--form", "think", "--max-new-tokens", "8"]) == 0
    assert f"written: {results}/benchmarks/infovqa.json" in capsys.readouterr().out
    result = json.loads((tmp_path / results / "benchmarks" / "infovqa.json").read_text())
    assert result["n"] == 2 and {"output", "parsed", "branch", "official", "strict"} <= result["items"][0].keys()
    assert (result["form"], result["max_new_tokens"]) == ("think", 8)
    assert sorted((tmp_path / folder).iterdir()) == before


def test_thinking_is_left_out_of_every_rule() -> None:
    score = partial(score_mmmu, answer="B", options=FOUR, item_id="x")
    item = Item("x", [], [], "B", score)
    assert score_output(item, "◁think▷(A) or (C)?◁/think▷B").strict == 1
    endless = score_output(item, "◁think▷it is (B)")
    assert (endless.strict, endless.parsed, endless.branch) == (0, None, "dice")


def test_rules_get_the_output_as_it_stands() -> None:
    """Lines stay lines, and a closing stop counts: only the thinking is cut off."""
    lines = Item("x", [], [], "8", partial(score_open, references=["8"]))
    output = "◁think▷so 5◁/think▷The final answer is 8\nwhich is more than 3"
    assert score_output(lines, output).official == 1  # in one line the last tail, "more than 3", would be all
    paris = Item("x", [], [], ["Paris"], partial(score_anls, references=["Paris"]))
    assert score_output(paris, "Paris.").official == pytest.approx(5 / 6)
    assert score_output(paris, "◁think▷Paris◁/think▷Paris").official == 1


def test_mmbench_counts_a_question_as_its_worst_rotation() -> None:
    lines = [
        {"group": group, "asked": True, "official": official, "strict": official, "parsed": "A", "branch": "letter"}
        for group, official in (("1", 1.0), ("1", 1.0), ("2", 1.0), ("2", 0.0))
    ]
    result = summary("mmbench", lines)
    assert (result["n"], result["asked"], result["official"], result["vanilla"]) == (2, 4, 0.5, 1.0)
    assert result["policy"] == {"official": f"circular, {source_of('mmbench')['program']}", "strict": "circular, exact"}
    table = benchmark_table(result | {"benchmark": "mmbench", "judge": "none", "form": "chat"})
    assert list(table.columns[0].cells)[1] == "strict (circular, exact)"


def test_mmlongbench_shows_both_f1_and_infovqa_both_formulas() -> None:
    line = {"group": "1", "asked": True, "official": 1.0, "strict": 1.0, "parsed": "a", "branch": "Str", "answer": "a"}
    refused = {**line, "group": "2", "parsed": "Not answerable.", "answer": "Not answerable"}
    result = summary("mmlongbench", [line, refused])
    assert (result["f1"], result["f1_strict"], "paper" in result) == (pytest.approx(2 / 3), 1, False)
    halves = [{**line, "official": 0.5, "paper": 0.0}, {**line, "group": "2", "paper": 1.0}]
    result = summary("infovqa", halves)
    assert (result["official"], result["paper"]) == (0.75, 0.5)
    labels = list(benchmark_table(result | {"benchmark": "infovqa", "judge": "none", "form": "chat"}).columns[0].cells)
    assert labels[0] == "official (lmms-eval 0.7.3)" and labels[-1] == "by the paper's formula"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_benchmark_names_the_program_it_follows(name: str) -> None:
    assert any(digit in source_of(name)["program"] for digit in "0123456789")


def test_a_bad_reference_is_found_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of five rows, and pictures are not needed to find it."""
    made(tmp_path, "infovqa")
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:4], lines[4].replace('["Ann Lee", "no. 4"]', "[]")]) + "\n")
    prompts = answering(monkeypatch, ["Ann Lee"] * 5)
    monkeypatch.setattr(harness, "AT_ONCE", 1)
    with pytest.raises(UserError, match=r"infovqa, rows\.jsonl, row 4: answers is '\[\]', expected at least one text"):
        run_benchmark(MODEL, PROCESSOR, "infovqa", tmp_path, None)
    assert prompts == []
    assert run_benchmark(MODEL, PROCESSOR, "infovqa", tmp_path, 4)["n"] == 4  # beyond the limit nothing is read

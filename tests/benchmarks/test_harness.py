"""Every schema, end to end and offline: five items each, made here in the layout of the published data."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from minikimi import files
from minikimi.benchmarks import choices, harness, media
from minikimi.benchmarks.adapters import ADAPTERS
from minikimi.benchmarks.harness import items, run_benchmark, source_of
from minikimi.benchmarks.item import Item
from minikimi.benchmarks.rows import load_rows
from minikimi.cli import main
from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK

PROCESSOR = Processor.small()
MODEL: Any = None  # never asked: `generate` is replaced


def drawing(number: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB", size, (40 * number % 256, 90, 200))


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    drawing(number).save(buffer, "PNG")
    return buffer.getvalue()


def to_parquet(folder: Path, rows: list[dict[str, Any]], images: list[str]) -> None:
    features = datasets.Dataset.from_list(rows).features
    for name in images:
        features[name] = datasets.Image()
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(folder / "rows.parquet"))


def to_jsonl(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def picture_files(folder: Path) -> list[str]:
    for i in range(5):
        drawing(i).save(folder / f"{i}.png")
    return [f"{i}.png" for i in range(5)]


def make_mmmu(folder: Path) -> None:
    """Options are a list written as text; one question is open; images stand inside the text."""
    common = {"explanation": "", "img_type": "['Photo']", "topic_difficulty": "Easy", "subfield": "Optics"}
    rows = [
        {"id": f"validation_Physics_{i}", "question": f"What does <image 1> show, unlike <image 2>? {i}",
         "options": "['a \"ray\"', \"it's a wave\", 'dust']", "image_1": {"bytes": png(i), "path": None},
         "image_2": {"bytes": png(i + 9), "path": None}, "image_3": None, "answer": "B",
         "question_type": "multiple-choice", **common}
        for i in range(4)
    ]  # fmt: skip
    rows.append({**rows[0], "id": "validation_Physics_9", "question": "How many?", "options": "[]", "answer": "12",
                 "question_type": "open", "image_2": None})  # fmt: skip
    to_parquet(folder, rows, ["image_1", "image_2", "image_3"])


def make_mmbench(folder: Path) -> None:
    """Tab-separated, images in base64, fewer options in some rows, and one row that is a rotation."""
    lines = ["index\thint\tquestion\tA\tB\tC\tD\tanswer\tcategory\timage\tL2-category\tsplit"]
    image = base64.b64encode(png(1)).decode()
    for i in range(5):
        options = ["cat", "dog", "cow", ""] if i else ["cat", "dog", "cow", "pig"]
        lines.append("\t".join([str(i), "", f"Which? {i}", *options, "C", "x", image, "y", "dev"]))
    lines.append("\t".join(["1000000", "", "Which? 0", "dog", "cow", "pig", "cat", "B", "x", image, "y", "dev"]))
    (folder / "MMBench_DEV_EN_V11.tsv").write_text("\n".join(lines) + "\n")


def make_mathvista(folder: Path) -> None:
    rows = [
        {"pid": str(i), "question": "?", "image": f"images/{i}.jpg", "decoded_image": {"bytes": png(i), "path": None},
         "choices": ["red", "blue"] if i < 2 else None, "unit": None, "precision": 1.0 if i == 4 else None,
         "answer": ["blue", "red", "7", "8", "1.5"][i],
         "question_type": "multi_choice" if i < 2 else "free_form",
         "answer_type": ["text", "text", "integer", "integer", "float"][i],
         "query": f"Hint: please answer.\nQuestion: {i}?"}
        for i in range(5)
    ]  # fmt: skip
    to_parquet(folder, rows, ["decoded_image"])


def make_infovqa(folder: Path) -> None:
    rows = [{"questionId": str(i), "question": f"Who? {i}", "answers": ["Ann Lee", f"no. {i}"], "image": name}
            for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot(folder: Path) -> None:
    rows = [{"file_name": name, "bbox": [0.25, 0.5, 0.5, 0.75], "instruction": f"open {i}", "data_type": "icon",
             "data_source": "web", "image": name} for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot_v2(folder: Path) -> None:
    """The same boxes as a corner and the size, in pixels of a 60 x 40 image."""
    rows = [{"bbox": [15, 20, 15, 10], "instruction": f"open {i}", "image": name}
            for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot_pro(folder: Path) -> None:
    rows = [{"bbox": [15, 20, 30, 30], "img_size": [60, 40], "ui_type": "text", "instruction": f"open {i}",
             "image": name} for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_mmlongbench(folder: Path) -> None:
    """Two documents: a folder of page images, and a PDF."""
    (folder / "documents" / "report").mkdir(parents=True)
    for i in range(3):
        drawing(i, (28 + i, 28)).save(folder / "documents" / "report" / f"page-{i + 9}.png")
    drawing(0).save(folder / "documents" / "book.pdf", save_all=True, append_images=[drawing(1)], resolution=72)
    answers = [("12", "Int"), ("Not answerable", "None"), ("['a', 'b']", "List"), ("50%", "Float"), ("fox", "Str")]
    rows = [{"doc_id": "book.pdf" if i == 4 else "report.pdf", "doc_type": "Guide", "question": f"What? {i}",
             "answer": answer, "evidence_pages": "[1]", "evidence_sources": "['Text']", "answer_format": kind}
            for i, (answer, kind) in enumerate(answers)]  # fmt: skip
    to_jsonl(folder, rows)


def make_egoschema(folder: Path) -> None:
    rows = []
    for i in range(5):
        (folder / "videos" / f"clip{i}").mkdir(parents=True)
        for k in range(20):
            drawing(k, (28, 28)).save(folder / "videos" / f"clip{i}" / f"{k}.png")
        rows.append({"question_idx": str(i), "question": "What is C doing?", "video_idx": f"clip{i}",
                     "option": [f"{x}. C does {x * 3}." for x in "ABCDE"], "answer": str(i)})  # fmt: skip
    to_jsonl(folder, rows)


MAKERS: dict[str, Callable[[Path], None]] = {name: globals()[f"make_{name}"] for name in ADAPTERS}
RIGHT = {"screenspot": "[0.3, 0.6]", "screenspot_v2": "[0.3, 0.6]", "screenspot_pro": "[0.3, 0.6]"}


def right_output(name: str, item: Item) -> str:
    return RIGHT.get(name) or str(item.answer[0] if isinstance(item.answer, list) else item.answer)


def made(tmp_path: Path, name: str) -> Path:
    MAKERS[name](tmp_path)
    return tmp_path


def answering(monkeypatch: pytest.MonkeyPatch, outputs: list[str]) -> list[Any]:
    """Let the model say `outputs` in turn; returns the growing list of prompts."""
    said, prompts = iter(outputs), []

    def generate(model: Any, processor: Any, asked: list[Any], limit: int) -> list[list[int]]:
        prompts.extend(asked)
        return [PROCESSOR.tokenizer.encode(next(said)) for _ in asked]

    monkeypatch.setattr(harness, "generate", generate)
    monkeypatch.setattr(harness, "fits", lambda model, prompt, room: True)
    return prompts


@pytest.mark.parametrize("name", ADAPTERS)
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
    dice = name in ("mmmu", "mmbench")  # officially, silence is luck there
    assert (result["branches"].keys() == {"dice"}) is dice and (dice or result["official"] == 0)


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
    assert list(harness.benchmark_table(result).columns[-1].cells) == ["2", "2"]


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


def infovqa_rows(*names: str) -> list[dict[str, Any]]:
    return [{"questionId": name, "question": "Who?", "answers": ["a"]} for name in names]


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        (["Art/dev-00000-of-00001", "Art/validation-00000-of-00001", "Art/test-0-of-1"], "validation",
         ["Art/validation-00000-of-00001"]),
        (["data/test-00000-of-00002", "data/testmini-00000-of-00001"], "testmini", ["data/testmini-00000-of-00001"]),
        (["data/test-00000-of-00002", "data/testmini-00000-of-00001"], "test", ["data/test-00000-of-00002"]),
        (["MMBench_DEV_EN_V11", "MMBench_TEST_EN_V11"], "dev", ["MMBench_DEV_EN_V11"]),
        (["validation/0", "test/0"], "validation", ["validation/0"]),
        (["a", "b"], "validation", ["a", "b"]),
    ],
)  # fmt: skip
def test_only_the_split_is_read(files: list[str], split: str, expected: list[str], tmp_path: Path) -> None:
    for file in files:
        path = tmp_path / f"{file}.parquet"
        path.parent.mkdir(exist_ok=True)
        datasets.Dataset.from_list(infovqa_rows(file)).to_parquet(str(path))
    assert [row["questionId"] for row in load_rows("x", {"split": split}, tmp_path)] == expected
    chosen = tmp_path / f"{files[0]}.parquet"  # a file that is named is read, whatever it is called
    assert [row["questionId"] for row in load_rows("x", {"split": split}, chosen)] == files[:1]


def test_of_a_saved_dictionary_only_the_split_is_read(tmp_path: Path) -> None:
    tables = {name: datasets.Dataset.from_list(infovqa_rows(name)) for name in ("dev", "test", "validation")}
    datasets.DatasetDict(tables).save_to_disk(str(tmp_path / "all"))
    tables["test"].save_to_disk(str(tmp_path / "one"))
    read = {
        (folder, split): [row["questionId"] for row in load_rows("x", {"split": split}, tmp_path / folder)]
        for folder in ("all", "one")
        for split in ("validation", "train")
    }
    assert read["all", "validation"] == ["validation"] and read["all", "train"] == ["dev", "test", "validation"]
    assert read["one", "validation"] == read["one", "train"] == ["test"]


def test_the_first_id_that_opens_gives_the_rows_of_all_its_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first id is gone, the second has lost its last configuration, the third has all."""
    asked: list[tuple[str, str, str]] = []

    def load_dataset(repository: str, config: str, split: str) -> datasets.Dataset:
        asked.append((repository, config, split))
        if repository == "a/gone" or (repository, config) == ("b/half", "Biology"):
            raise ConnectionError(f"no {repository}\nat all")
        image = {"bytes": png(1), "path": None}
        rows = [{"id": f"{repository} {config}", "image_1": image}]
        features = datasets.Features({"id": datasets.Value("string"), "image_1": datasets.Image()})
        return datasets.Dataset.from_list(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    source = {"ids": ["a/gone", "b/half", "c/whole", "d/later"], "configs": ["Art", "Biology"], "split": "validation"}
    rows = list(load_rows("mmmu", source, None))
    assert [row["id"] for row in rows] == ["c/whole Art", "c/whole Biology"]
    assert rows[0]["image_1"]["bytes"] == png(1)  # not decoded by `datasets`
    assert asked == [("a/gone", "Art", "validation"), ("b/half", "Art", "validation"),
                     ("b/half", "Biology", "validation"), ("c/whole", "Art", "validation"),
                     ("c/whole", "Biology", "validation")]  # fmt: skip
    with pytest.raises(
        UserError, match=r"no source opens \(a/gone: no a/gone at all; b/half: no b/half at all\)"
    ) as caught:
        load_rows("mmmu", source | {"ids": ["a/gone", "b/half"]}, None)
    assert "\n" not in str(caught.value)


def test_mmmu_images_stand_where_the_text_names_them(tmp_path: Path) -> None:
    item, *_, last = items("mmmu", made(tmp_path, "mmmu"))
    kinds = [part["type"] for part in item.content]
    assert kinds == ["text", "image", "text", "image", "text"]
    assert item.content[2]["text"] == " show, unlike "
    assert item.images[0].getpixel((0, 0)) == (0, 90, 200) and item.images[1].getpixel((0, 0)) == (360 % 256, 90, 200)
    assert "B. it's a wave" in item.content[-1]["text"] and source_of("mmmu")["ending"] in item.content[-1]["text"]
    assert last.content[0]["type"] == "image"  # never named: in front
    assert source_of("mmmu")["open_ending"] in last.content[-1]["text"]


def test_mmbench_asks_every_rotation_and_moves_the_right_letter(tmp_path: Path) -> None:
    asked = list(items("mmbench", made(tmp_path, "mmbench")))
    assert len(asked) == 4 + 4 * 3  # four options, then four rows of three; the foreign rotation is passed over
    first = asked[:4]
    assert [item.answer for item in first] == ["C", "B", "A", "D"] and {item.group for item in first} == {"0"}
    for item in first:
        assert f"{item.answer}. cow" in item.content[-1]["text"]


def test_a_lucky_letter_does_not_pass_all_rotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "mmbench")
    answering(monkeypatch, ["C"] * 16)
    result = run_benchmark(MODEL, PROCESSOR, "mmbench", tmp_path, None)
    assert (result["official"], result["vanilla"]) == (0, 1)


def test_pages_and_frames_are_spread_and_in_order(tmp_path: Path) -> None:
    assert media.spread(3, 5) == [0, 1, 2] and media.spread(100, 4) == [12, 37, 62, 87] and media.spread(5, 1) == [2]
    first = next(items("mmlongbench", made(tmp_path, "mmlongbench")))
    assert [image.width for image in first.images] == [28, 29, 30]  # page-9 before page-10
    (tmp_path / "ego").mkdir()
    clip = next(items("egoschema", made(tmp_path / "ego", "egoschema")))
    assert len(clip.images) == source_of("egoschema")["frames"] == 16


def test_pdfs_are_rendered_and_broken_ones_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `benchmarks` is not installed: make setup")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(UserError, match=r"report\.pdf: not a readable PDF"):
        media.pages(tmp_path, "report.pdf", 3)
    drawing(1, (50, 30)).save(tmp_path / "book.pdf", resolution=72)
    assert media.pages(tmp_path, "book.pdf", 3)[0].size == (100, 60)  # 144 dots per inch
    for name in ("none.pdf", "../book.pdf"):
        with pytest.raises(UserError, match=r"not found|lies outside"):
            media.pages(tmp_path / "sub" if name.startswith("..") else tmp_path, name, 3)


def test_videos_are_decoded(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="the extra `benchmarks` is not installed: make setup")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(10):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (25 * k, 0, 0)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    shown = media.frames(tmp_path, "clip", 5)
    reds = [image.getpixel((30, 20))[0] for image in shown]
    assert len(reds) == 5 and reds == sorted(reds) and abs(reds[0] - 25) < 20 and abs(reds[4] - 225) < 20
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"bad\.mp4: not a readable video"):
        media.frames(tmp_path, "bad", 5)


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "book.pdf").touch()
    (tmp_path / "clip.mp4").touch()
    for name, read in (("pypdfium2", lambda: media.pages(tmp_path, "book.pdf", 3)),
                       ("av", lambda: media.frames(tmp_path, "clip", 3))):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match=rf"needs {name}; pip install 'minikimi\[benchmarks\]'"):
            read()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"questionId": "1", "question": "?", "answers": ["a"]}], "row 0: no image"),
        ([{"questionId": "1", "question": "?", "answers": ["a"], "image": "../secret.png"}], "lies outside"),
        ([{"questionId": "1", "question": "?", "answers": ["a"], "image": "broken.png"}], r"row 0, image: .*broken"),
        ([{"questionId": "1", "question": "?", "answers": "__import__('os')", "image": "0.png"}], "expected a list"),
    ],
)
def test_bad_rows_end_in_one_line(rows: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    picture_files(data)
    drawing(0).save(tmp_path / "secret.png")
    (data / "broken.png").write_bytes(png(0)[:60])
    to_jsonl(data, rows)
    with pytest.raises(UserError, match=words) as caught:
        list(items("infovqa", data))
    assert "\n" not in str(caught.value)


def test_a_file_name_in_foreign_rows_is_not_opened(tmp_path: Path) -> None:
    """A table may come from anywhere: only pictures that it carries itself are opened."""
    drawing(0).save(tmp_path / "private.png")
    row = {"questionId": "1", "question": "?", "answers": ["a"], "image": str(tmp_path / "private.png")}
    (tmp_path / "data").mkdir()
    datasets.Dataset.from_list([row]).to_parquet(str(tmp_path / "data" / "rows.parquet"))
    with pytest.raises(UserError, match="neither an image nor base64"):
        list(items("infovqa", tmp_path / "data"))


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

"""Where rows come from: the split that is asked for, the first source that opens, and pictures that may be hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from benchmark_rows import drawing, infovqa_rows, picture_files, png, to_jsonl

from minikimi.benchmarks.harness import items
from minikimi.benchmarks.rows import load_rows
from minikimi.errors import UserError


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


def test_every_row_knows_its_file_and_its_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        to_jsonl(tmp_path / folder, infovqa_rows("x", "y"))
    places = [row["_place"] for row in load_rows("x", {"split": "test"}, tmp_path)]
    assert places == [f"{folder}/rows.jsonl, row {i}" for folder in "ab" for i in range(2)]
    single = next(load_rows("x", {"split": "test"}, tmp_path / "b" / "rows.jsonl"))
    assert single["_place"] == "rows.jsonl, row 0"

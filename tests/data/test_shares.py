"""Names and shares become weights of tasks, and the stages read what the papers say, by tokens."""

from __future__ import annotations

from collections import Counter

import pytest

from minikimi.configs import presets, settings
from minikimi.data.datamodule import PackedData
from minikimi.data.loader import Phases
from minikimi.data.shares import Mixtures, Weights, tokens_per_sample
from minikimi.errors import UserError
from minikimi.world import TASKS, tasks_of

TEXT = ("story", "arithmetic", "needle", "needle_512", "needle_2048")
LONG = ("needle_512", "needle_2048", "pages_long")
# story: 10 tokens a sample, caption 40, count 60
SOME = Mixtures(
    {"prose": {"story": 2}, "things": {"caption": 3, "count": 1}, "more": {"things": 2, "count": 0, "word": 5}},
    {"story": 10, "caption": 40, "count": 60},
)


def share_of(mixtures: Mixtures, weights: Weights, tasks: tuple[str, ...]) -> float:
    """The share of the tokens that samples drawn at these weights give to `tasks`."""
    tokens = {task: weight * mixtures.tokens[task] for task, weight in weights.items()}
    return sum(tokens.get(task, 0) for task in tasks) / sum(tokens.values())


def test_a_name_stands_for_its_group_and_a_task_for_itself() -> None:
    assert SOME.weights("prose") == {"story": 2}
    assert SOME.weights("caption") == {"caption": 1}
    assert SOME.weights("more") == {"caption": 6, "word": 5}, "a group within a group, one task taken out"
    assert SOME.weights({"caption": 3, "story": 1}) == {"caption": 3, "story": 1}
    assert SOME.phases(["prose", {"count": 1}]) == [{"story": 2}, {"count": 1}]
    assert SOME.phases(None) is None


def test_a_group_of_the_world_holds_all_its_tasks() -> None:
    bare = Mixtures({"pictures": {"count": 3, "word": 0}}, {})
    assert bare.weights("long") == dict.fromkeys(tasks_of("long"), 1)
    pictures = bare.weights("pictures")
    assert set(pictures) == set(tasks_of("pictures")) - {"word"} and pictures["count"] == 3
    assert set(pictures.values()) == {1, 3}, "a new task is in it without a word"


def test_tokens_that_are_not_listed_are_measured() -> None:
    assert SOME.tokens_of("story") == 10 and SOME.tokens_of("glyph") == tokens_per_sample("glyph", 100)


def test_shares_are_of_the_tokens_not_of_the_samples() -> None:
    """Half prose, half things: a sample of prose has 10 tokens, one of things (3 * 40 + 60) / 4 = 45 on average, so
    of 55 samples 45 are prose: 82 of 100."""
    weights = SOME.weights({"prose": 50, "things": 50})
    assert weights == {"story": 82, "caption": 13.5, "count": 4.5}
    assert share_of(SOME, weights, ("story",)) == pytest.approx(0.5, abs=0.01)
    assert SOME.weights({"prose": 1, "things": 1}) == weights, "only their proportion counts"


@pytest.mark.parametrize("share", [5, 25, 60, 97])
def test_any_share_is_kept(share: float) -> None:
    weights = SOME.weights({"prose": share, "things": 100 - share})
    assert share_of(SOME, weights, ("story",)) == pytest.approx(share / 100, abs=0.02)
    assert weights["caption"] / weights["count"] == pytest.approx(3, rel=0.02), "within a group nothing changes"


def test_weights_that_have_the_shares_already_stay_as_they_are_written() -> None:
    """20 tokens of prose to 180 of things is 10 %."""
    assert SOME.weights({"prose": 10.6, "things": 89.4}) == {"story": 2, "caption": 3, "count": 1}
    assert SOME.weights({"prose": 14, "things": 86})["story"] != 2


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("prosa", "unknown mixture or task 'prosa'.*did you mean prose"),
        ({"prose": 50, "thinsg": 50}, "'thinsg'.*did you mean things"),
        ({"coun": 1}, "'coun'.*did you mean count"),
        ({"prose": -1, "things": 2}, "shares .* cannot be a mixture"),
        ({"prose": 0, "things": 0}, "shares .* cannot be a mixture"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(tasks: str | Weights, words: str) -> None:
    with pytest.raises(UserError, match=words):
        SOME.weights(tasks)


def test_a_group_that_holds_itself_is_refused() -> None:
    with pytest.raises(UserError, match="unknown mixture or task 'a'"):
        Mixtures({"a": {"b": 1}, "b": {"a": 1}}, {}).weights("a")


def test_names_of_groups_are_no_names_of_tasks() -> None:
    for preset in presets():
        mixtures = Mixtures.of(preset)
        assert not set(mixtures.groups) & set(TASKS)
        assert all(mixtures.group(name) for name in mixtures.groups)


@pytest.mark.parametrize("task", Mixtures.of().tokens)
def test_the_listed_tokens_are_those_of_the_samples(task: str) -> None:
    count = 20 if task in LONG else 100
    assert Mixtures.of().tokens[task] == pytest.approx(tokens_per_sample(task, count), rel=0.2, abs=1)


@pytest.mark.parametrize(
    ("preset", "stage", "tasks", "wanted"),
    [
        ("small", "joint", TEXT, [1, 0.78, 0.57, 0.57]),
        ("base", "joint", TEXT, [1, 0.78, 0.57, 0.57]),
        ("base", "long1", LONG, [0.25]),
        ("base", "long2", LONG, [0.25]),
        ("small", "sft2", LONG, [0.14]),
        ("small", "cooldown", TEXT, [0.08]),
    ],
)
def test_stages_have_the_shares_they_name(preset: str, stage: str, tasks: tuple[str, ...], wanted: list[float]) -> None:
    mixtures = Mixtures.of(preset)
    weights = mixtures.phases(settings(preset, stage)["data"]["tasks"])
    phases = weights if isinstance(weights, list) else [weights]
    assert [share_of(mixtures, phase, tasks) for phase in phases] == pytest.approx(wanted, abs=0.015)  # type: ignore[arg-type]


def tokens_by_task(stage: str, shares: list[float]) -> Counter[str]:
    """Tokens of each task in the batches at these shares of a stage."""
    config = settings("small", stage)
    steps = config["trainer"]["max_steps"]
    data = PackedData(steps=steps, **config["data"])
    source, loader, found = data.source(), data.train_dataloader(), Counter[str]()
    for share in shares:
        batch, n = loader.batch(int(share * steps)), int(share * steps)
        world = source.at(n / steps) if isinstance(source, Phases) else source
        for sample_id, length in zip(batch.sample_ids, batch.cu_seqlens.diff().tolist(), strict=True):
            found[world[int(sample_id.rsplit("-", 1)[1])].task] += length
    return found


def share(found: Counter[str], tasks: tuple[str, ...]) -> float:
    return sum(found[task] for task in tasks) / found.total()


def test_joint_training_begins_with_words_and_ends_with_four_tokens_in_ten_about_pictures() -> None:
    quarters = [[(quarter + i / 12) / 4 for i in range(12)] for quarter in range(4)]
    multimodal = [1 - share(tokens_by_task("joint", quarter), TEXT) for quarter in quarters]
    assert multimodal[0] == 0 and 0.1 < multimodal[1] < 0.35
    assert multimodal[3] == pytest.approx(0.4, abs=0.07)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["long1", "long2"])
def test_a_quarter_of_the_long_stages_is_long(stage: str) -> None:
    found = tokens_by_task(stage, [i / 40 for i in range(40)])
    assert share(found, LONG) == pytest.approx(0.25, abs=0.06)

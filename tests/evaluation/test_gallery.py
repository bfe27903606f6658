"""Which conversations are kept to be shown: in the proportion of the whole, and many tasks."""

import pytest

from minikimi.answers import Verdict
from minikimi.evaluation.gallery import choose
from minikimi.evaluation.minis import Outcome
from minikimi.sample import Sample, question_and_answer


def outcomes(rights: dict[str, list[bool]]) -> dict[str, list[Outcome]]:
    sample = {task: Sample(task, task, question_and_answer("?", "a"), [], "a") for task in rights}
    return {
        task: [Outcome(sample[task], "a", Verdict("a", right), None, 0.0, False, 1) for right in found]
        for task, found in rights.items()
    }


@pytest.mark.parametrize(
    ("right", "wrong", "failures"), [(50, 10, 2), (59, 1, 1), (60, 0, 0), (0, 60, 12), (1, 59, 11), (30, 30, 6)]
)
def test_right_and_wrong_stand_in_the_proportion_of_the_whole(right: int, wrong: int, failures: int) -> None:
    chosen = choose(outcomes({"a": [True] * right, "b": [False] * wrong}), 12)
    assert len(chosen) == 12 and sum(not o.verdict.right for o in chosen) == failures


def test_few_conversations_show_many_tasks() -> None:
    chosen = choose(outcomes({f"task {i}": [True, False] for i in range(12)}), 12)
    assert len({o.sample.task for o in chosen}) == 12

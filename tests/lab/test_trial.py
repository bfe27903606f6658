"""How an answer is tried: copies of the cases, differences that are seen, mistakes that are recognised."""

import pytest
import torch

from minikimi.lab.exercise import Misfit
from minikimi.lab.lessons import exercise
from minikimi.lab.lessons.lesson_02.e02_rotate_vector import rotate_vector
from minikimi.lab.trial import Trial, difference, recognise, try_answer


def test_an_answer_that_spoils_its_input_is_tried_by_its_result() -> None:
    def spoils(x, angles):
        out = rotate_vector(x, angles)
        x.zero_()
        return out

    assert try_answer(exercise("2.2"), spoils).state == "right"


def test_an_error_without_words_is_a_result() -> None:
    def stops(x, angles):
        raise ValueError

    assert try_answer(exercise("2.2"), stops) == Trial("wrong", "it stops with ValueError: ")


def test_a_mistake_is_recognised_by_what_it_computes() -> None:
    e = exercise("2.2")
    assert recognise(e, lambda x, angles: rotate_vector(x, 0 - angles)) is e.wrong[1]
    assert recognise(e, lambda x, angles: 7 * x) is None


def test_difference_sees_structure_dtype_and_nan() -> None:
    x = torch.ones(3)
    for bad in (x.double(), x[:2], [1, 1, 1], None, x * float("nan"), x + 1e-2):
        with pytest.raises(Misfit):
            difference(bad, x, 1e-4)
    with pytest.raises(Misfit):
        difference((x,), (x, x), 1e-4)
    difference((x, 2, "a"), (x + 1e-6, 2, "a"), 1e-4)


def test_results_do_not_depend_on_global_random_numbers() -> None:
    e = exercise("0.1")
    torch.manual_seed(1)
    first = try_answer(e, e.wrong[0].answer)
    torch.manual_seed(2)
    assert try_answer(e, e.wrong[0].answer) == first

"""Exercise 7.3: Put image features into the stream (difficulty 2, 4 minutes)

Hint 1: Find the places where input_ids equals the placeholder, compare their number with len(features), then place the
rows in order.

Hint 2: places = (input_ids == placeholder).nonzero()[:, 0]; x.index_put((places,), features.to(x.dtype)) makes a new
tensor.

Why: The order of the features is the order of the placeholders, so text and pictures can mix freely. The comparison is
the only thing that notices a wrong image size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.kimi_vl import place_features

wrong = Wrongs()


def placing_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Two pictures with words between them; then one feature for three places, which torch would spread over all of
    # them, and too many features. Features are float32 whatever the embeddings are.
    ids = torch.tensor([4, 9, 9, 7 + seed, 1, 9, 9, 9, 2])
    other = torch.tensor([9, 3, 9, 9])
    return [
        (numbers(seed, 9, 4, dtype=dtype), ids, numbers(seed + 1, 5, 4), 9),
        (numbers(seed, 4, 4, dtype=dtype), other, numbers(seed + 1, 1, 4), 9),
        (numbers(seed, 4, 4, dtype=dtype), other, numbers(seed + 1, 4, 4), 9),
    ]


def run_place(answer, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int):
    """What comes back, and the embeddings as they are afterwards; "ValueError" if the answer raises one."""
    try:
        return answer(x, input_ids, features, placeholder), x
    except ValueError:
        return "ValueError", x


def refuses_other_numbers(run, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> None:
    places = int((input_ids == placeholder).sum())
    result = run(x, input_ids, features, placeholder)[0]
    if places != len(features) and not isinstance(result, str):
        raise Misfit(
            f"{places} placeholders go through with {len(features)} feature(s); raise a ValueError with both numbers"
        )
    if places == len(features) and isinstance(result, str):
        raise Misfit(f"{places} placeholders and {places} features agree, yet it raises a ValueError")


def leaves_the_embeddings(run, x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> None:
    if not torch.equal(run(x, input_ids, features, placeholder)[1], x):
        raise Misfit("the embeddings x that came in have changed; return a new tensor and leave x as it was")


@wrong(
    "numbers not compared",
    "Compare the number of placeholders with the number of features and raise a ValueError. A single feature would be "
    "spread over all places without any error.",
)
def placed_unchecked(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return x.index_put(((input_ids == placeholder).nonzero()[:, 0],), features.to(x.dtype))


@wrong(
    "written into x",
    "x is the embedding's output: writing into it breaks the gradient "
    "or the next use. index_put without underscore returns a new tensor.",
)
def placed_in_place(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    x.copy_(place_features(x, input_ids, features, placeholder))
    return x


@wrong(
    "added to the placeholder's embedding",
    "A feature replaces the embedding of <|media_pad|>, which means nothing by itself.",
)
def added(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return x + place_features(torch.zeros_like(x), input_ids, features, placeholder)


@wrong("left in another dtype", "The result must have the dtype of x: features.to(x.dtype), not x.float().")
def own_dtype(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return place_features(x.float(), input_ids, features, placeholder)


@wrong("all in front", "Features go where the placeholders stand, in the middle of the text.")
def at_the_front(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    return place_features(x, (input_ids == placeholder).sort(descending=True, stable=True).values.long(), features, 1)


properties = (refuses_other_numbers, leaves_the_embeddings)
EXERCISE = Exercise(
    **words(__doc__),
    solution=place_features,
    cases=placing_cases,
    run=run_place,
    properties=properties,
    dtypes=BOTH,
    wrong=wrong,
)

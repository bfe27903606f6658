"""Task `arithmetic`: the problem stands in the question, and nothing is drawn."""

from world_checks import BOTH_SPLITS, samples, value


@BOTH_SPLITS
def test_the_question_holds_the_problem(split):
    for sample in samples("arithmetic", split, 200):
        assert sample.images == [] and sample.caption == "" and sample.kind == "arithmetic"
        terms = " ".join(str(sample.facts[key]) for key in ("a", "sign", "b"))
        assert terms in sample.question and int(sample.answer) == value(terms)

"""The rules by which tasks judge and guess, by hand."""

from minikimi.sample import Sample
from minikimi.world.task import exactly, in_the_box, one_of_the_answers


def sample(answer="12", **facts):
    return Sample("x", "toy", [], [], answer, facts=facts)


def test_exactly_is_the_whole_answer():
    assert exactly(sample(), "◁think▷5 + 7◁/think▷12").right
    assert not exactly(sample(box=(0, 0, 1, 1)), "(0.5, 0.5)").right
    assert exactly(sample(), "◁think▷5 + 7").answer is None


def test_a_box_takes_any_point_inside_and_none_takes_the_answer():
    click = sample("click(0.25, 0.50)", box=(0.2, 0.4, 0.3, 0.6))
    assert in_the_box(click, "click(0.21, 0.59)").right and not in_the_box(click, "click(0.50, 0.25)").right
    for without in (sample("done()"), sample("done()", box=None)):
        assert in_the_box(without, "done()").right and not in_the_box(without, "click(0.21, 0.59)").right


def test_training_is_stricter_than_the_examination():
    click = sample("click(0.25, 0.50)", box=(0.2, 0.4, 0.3, 0.6))
    for judge, asked, said in ((in_the_box, click, "click(0.21, 0.59) please"), (exactly, sample(), "a◁/think▷12")):
        assert not judge(asked, said, alone=True).right and judge(asked, asked.answer, alone=True).right
    assert in_the_box(click, "click(0.21, 0.59) please").right


def test_a_guess_among_the_answers_of_its_kind():
    assert one_of_the_answers(sample(kind="a"), {"a": 4, "b": 2}) == 1 / 4
    assert one_of_the_answers(sample(kind="c"), {"a": 4}) == 0

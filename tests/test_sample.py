"""A sample: its question, its kind, and the commonest conversation."""

from PIL import Image

from minikimi.sample import Sample, question_and_answer


def sample(content: object, **known: object) -> Sample:
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": "left"}]
    return Sample("x", "where", turns, [Image.new("RGB", (28, 28))], "left", **known)  # type: ignore[arg-type]


def test_the_question_is_what_follows_the_images_of_the_last_turn() -> None:
    first = [{"type": "text", "text": "Page 1:"}, {"type": "image"}, {"type": "text", "text": "Where?"}]
    assert sample(first).question == "Where?"
    assert sample("Where?").question == "Where?"
    turns = [*sample(first).messages, {"role": "user", "content": "And now?"}]
    assert Sample("x", "where", turns, [], "left").question == "And now?"


def test_the_kind_is_finer_than_the_task_where_the_facts_say_so() -> None:
    assert sample("?").kind == "where"
    assert sample("?", facts={"kind": "where.place"}).kind == "where.place"


def test_images_come_first_or_behind_their_labels() -> None:
    user, assistant = question_and_answer("Which?", "page 1", images=2)
    assert [part["type"] for part in user["content"]] == ["image", "image", "text"]
    assert assistant == {"role": "assistant", "content": "page 1"}
    labelled = question_and_answer("Which?", "page 1", images=2, label="Page")[0]["content"]
    assert [part.get("text") for part in labelled] == ["Page 1:", None, "Page 2:", None, "Which?"]
    assert question_and_answer("Which?", "x", images=0)[0]["content"] == [{"type": "text", "text": "Which?"}]

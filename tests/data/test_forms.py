"""The forms of a sample: what is shown and what is learnt."""

import re
from dataclasses import replace

import pytest
import torch

from minikimi import Processor, UserError
from minikimi.data.forms import ASKED, encode, fixed_number, prompt
from minikimi.sample import Sample
from minikimi.world import TASKS, PictureWorld

PROC = Processor.small()
WORLD = PictureWorld(0, "train", dict.fromkeys(["caption", "count", "flag", "word"], 1))  # one image, one question
ASKED_ON = PictureWorld(
    0, "train", dict.fromkeys(["where", "click", "chart", "table", "receipt", "pages", "compare"], 1)
)
TALK = ["chat", "think", "chat_some_think"]
PLAIN = next(s for s in WORLD if not s.solution)
STEPS = "7 + 5 = 12. 12"


def learnt(encoded) -> str:
    return PROC.decode(encoded.labels[encoded.labels != -100], skip_special_tokens=False)


def written(encoded) -> str:
    """Everything, with `#` for the placeholders of one image."""
    return re.sub(r"(<.media_pad.>)+", "#", PROC.decode(encoded.input_ids, skip_special_tokens=False))


def media(encoded) -> int:
    return int((encoded.input_ids == PROC.tokenizer.special_id("<|media_pad|>")).sum())


def numbered(remainder: int, divisor: int) -> Sample:
    """A sample with worked steps whose number has this remainder."""
    ids = (f"a-{i}" for i in range(1000))
    samples = (replace(PLAIN, id=name, solution=STEPS) for name in ids)
    return next(s for s in samples if fixed_number(s) % divisor == remainder)


@pytest.mark.parametrize("form", ["caption", "document", *TALK])
@pytest.mark.parametrize("world", [WORLD, ASKED_ON])
def test_media_tokens_equal_a_quarter_of_the_patches(form: str, world: PictureWorld) -> None:
    for i in range(20):
        encoded = encode(PROC, world[i], form)
        assert media(encoded) == encoded.grid_hws.prod(1).sum() // 4 == len(encoded.pixel_values) // 4 > 0
        assert len(encoded.grid_hws) == len(world[i].images), "each image once, however many questions follow"


def test_what_each_form_learns() -> None:
    sample = PLAIN
    assert learnt(encode(PROC, sample, "caption")) == f"{sample.caption}[EOS]"
    words = f"{sample.question} {sample.answer}"
    assert learnt(encode(PROC, sample, "document")) == f"{words}.\n{sample.caption}.[EOS]"
    assert learnt(encode(PROC, sample, "text")) == f"{sample.caption}. {words}.[EOS]"
    assert learnt(encode(PROC, sample, "chat")) == f"{sample.answer}<|im_end|>"


def test_text_form_has_no_picture() -> None:
    encoded = encode(PROC, WORLD[0], "text")
    assert len(encoded.pixel_values) == 0 and len(encoded.grid_hws) == 0 and media(encoded) == 0
    assert encoded.input_ids[0] == PROC.tokenizer.special_id("[BOS]") and encoded.labels[0] == -100


def test_further_questions_are_turns_behind_the_first() -> None:
    sample = replace(PLAIN, more=[("What else?", "a cat"), ("And there?", "a dog")])
    image = "<|media_start|>image<|media_content|>#<|media_end|>"
    turns = [(f"{image}{sample.question}", sample.answer), *sample.more]
    expected = "".join(
        f"<|im_user|>user<|im_middle|>{question}<|im_end|><|im_assistant|>assistant<|im_middle|>{answer}<|im_end|>"
        for question, answer in turns
    )
    for form in TALK:
        encoded = encode(PROC, sample, form)
        assert written(encoded) == expected
        assert learnt(encoded) == f"{sample.answer}<|im_end|>a cat<|im_end|>a dog<|im_end|>"


@pytest.mark.parametrize("form", TALK)
def test_each_answer_and_its_end_are_learnt_and_nothing_else(form: str) -> None:
    for sample in (ASKED_ON[i] for i in range(30)):
        first = sample.answer
        if form == "think" or (form == "chat_some_think" and fixed_number(sample) % 3):
            first = f"◁think▷{sample.solution}◁/think▷{first}" if sample.solution else first
        answers = [first, *(answer for _, answer in sample.more)]
        encoded = encode(PROC, sample, form)
        assert learnt(encoded) == "".join(f"{answer}<|im_end|>" for answer in answers)
        # Unshifted, as in Hugging Face: a label is the token that stands in its own place.
        at = encoded.labels != -100
        assert torch.equal(encoded.labels[at], encoded.input_ids[at])


def test_further_questions_in_running_text() -> None:
    sample = replace(PLAIN, more=[("What else?", "a cat")])
    words = f"{sample.question} {sample.answer}.\nWhat else? a cat."
    assert learnt(encode(PROC, sample, "document")) == f"{words}\n{sample.caption}.[EOS]"
    assert learnt(encode(PROC, sample, "text")) == f"{sample.caption}. {words}[EOS]"


def test_thinking_comes_before_the_answer_and_only_where_there_is_some() -> None:
    assert learnt(encode(PROC, PLAIN, "think")) == f"{PLAIN.answer}<|im_end|>"
    sample = replace(PLAIN, solution=STEPS)
    assert learnt(encode(PROC, sample, "think")) == f"◁think▷{STEPS}◁/think▷{sample.answer}<|im_end|>"
    assert learnt(encode(PROC, sample, "chat")) == f"{sample.answer}<|im_end|>"


def test_two_of_three_samples_think_when_some_shall() -> None:
    direct = f"{PLAIN.answer}<|im_end|>"
    zero, one, two = (learnt(encode(PROC, numbered(remainder, 3), "chat_some_think")) for remainder in range(3))
    assert zero == direct and one == two == f"◁think▷{STEPS}◁/think▷{direct}"
    thirds = [fixed_number(replace(PLAIN, id=f"world-0-train-{i}")) % 3 == 0 for i in range(900)]
    assert 0.28 < sum(thirds) / 900 < 0.39


@pytest.mark.parametrize("form", ["text", "document"])
def test_running_text_works_every_second_problem_out(form: str) -> None:
    direct, worked = (learnt(encode(PROC, numbered(remainder, 2), form)) for remainder in (0, 1))
    assert STEPS not in direct and PLAIN.answer in direct
    assert STEPS in worked


def test_documents_keep_words_and_images_in_order() -> None:
    """Interleaved data teach which picture is meant: an image must stand behind its own words."""
    two = [WORLD[0].images[0], WORLD[1].images[0]]
    parts = [
        {"type": "text", "text": "Page 1:"},
        {"type": "image"},
        {"type": "text", "text": "Page 2:"},
        {"type": "image"},
    ]
    turns = [
        {"role": "user", "content": [*parts, {"type": "text", "text": "Which?"}]},
        {"role": "assistant", "content": "x"},
    ]
    sample = Sample("a", "pages", turns, two, "x", caption="cat, dog")
    encoded = encode(PROC, sample, "document")
    image = "<|media_start|>image<|media_content|>#<|media_end|>"
    assert written(encoded) == f"Page 1:{image}Page 2:{image}Which? x.\ncat, dog.[EOS]"
    assert learnt(encoded) == "Page 1:Page 2:Which? x.\ncat, dog.[EOS]"
    assert sample.question == "Which?"


@pytest.mark.parametrize("task", ["glyph", "pages", "compare", "motion", "order", "table", "desktop", "needle"])
def test_told_is_the_document_with_words_in_the_place_of_each_image(task: str) -> None:
    """Between the same two marks, each image's own words in order; no picture, and every word is learnt."""
    for i in range(10):
        sample = PictureWorld(0, "train", {task: 1})[i]
        told, seen = encode(PROC, sample, "told"), encode(PROC, sample, "document")
        assert len(told.pixel_values) == len(told.grid_hws) == media(told) == 0
        assert len(sample.told) == len(sample.images)
        expected = written(seen)
        for words in sample.told:
            expected = expected.replace("#", f" {words}", 1)
        assert written(told) == expected and "#" not in expected
        marks = ("<|media_start|>", "image", "<|media_content|>", "<|media_end|>")
        assert learnt(told) == learnt(seen) if not sample.images else all(f" {w}" in learnt(told) for w in sample.told)
        assert not any(mark in learnt(told) for mark in marks if mark != "image")


def test_told_words_describe_the_images() -> None:
    """What stands in the place of page 3 is what page 3 shows, so an answer can be looked up there."""
    pages = PictureWorld(0, "train", {"pages": 1})
    for i in range(40):
        sample = pages[i]
        if sample.kind == "pages.what" and sample.facts["answerable"]:
            assert sample.told[sample.facts["asked"] - 1] == sample.answer


@pytest.mark.parametrize("task", ["arithmetic", "needle", "story"])
def test_words_alone_have_every_form_but_the_caption(task: str) -> None:
    sample = PictureWorld(0, "train", {task: 1})[0]
    for form in ("text", "document", *TALK):
        encoded = encode(PROC, sample, form)
        assert len(encoded.grid_hws) == 0 and sample.answer in learnt(encoded)


def test_unknown_form_is_refused() -> None:
    with pytest.raises(
        UserError,
        match="unknown form 'poem'; choose one of text, told, caption, document, chat, think, chat_",
    ):
        encode(PROC, PLAIN, "poem")


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_is_the_beginning_of_what_training_shows(task: str) -> None:
    sample = PictureWorld(3, "held_out", {task: 1.0})[0]
    for form in ASKED:
        asked, whole = prompt(PROC, sample, form), encode(PROC, sample, form)
        length = len(asked.input_ids)
        assert torch.equal(asked.input_ids, whole.input_ids[:length]) and length < len(whole.input_ids)
        assert torch.equal(asked.pixel_values, whole.pixel_values) and torch.equal(asked.grid_hws, whole.grid_hws)
        assert (asked.labels == -100).all()
        rest = PROC.decode(whole.input_ids[length:]).strip()
        thought = f"◁think▷{sample.solution}◁/think▷" if form == "think" and sample.solution else ""
        assert rest.startswith(thought + sample.answer) or (sample.solution and rest.startswith(sample.solution))


def test_a_conversation_goes_on_where_it_stopped() -> None:
    """What was said before the question is shown in every form, and none of it is learnt in a prompt."""
    image = {"type": "image"}
    turns = [
        {"role": "user", "content": [image, {"type": "text", "text": "Who?"}]},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "here"},
    ]
    sample = Sample("a", "talk", turns, WORLD[0].images[:1], "here", told=["a cat"])
    for form, shown in (("document", "#"), ("told", " a cat")):
        expected = f"<|media_start|>image<|media_content|>{shown}<|media_end|>Who?A cat.Where?"
        assert written(prompt(PROC, sample, form)) == expected
        assert written(encode(PROC, sample, form)) == f"{expected} here.[EOS]"
    assert "A cat.<|im_end|>" in written(prompt(PROC, sample, "chat"))
    assert learnt(encode(PROC, sample, "chat")) == "A cat.<|im_end|>here<|im_end|>"
    assert learnt(prompt(PROC, sample, "chat")) == ""


@pytest.mark.parametrize("form", ASKED)
def test_blind_prompts_hold_the_same_words_and_no_picture(form: str) -> None:
    sample = PictureWorld(3, "held_out", {"order": 1.0})[0]  # words between its pictures
    seeing, blind = (written(prompt(PROC, sample, form, hidden)) for hidden in (False, True))
    words = re.sub(r"<.media_start.>.*?<.media_end.>", "", seeing)
    assert words != seeing and blind == ("[BOS]" if form in ("document", "told") else "") + words
    asked = prompt(PROC, sample, form, blind=True)
    assert media(asked) == len(asked.grid_hws) == len(asked.pixel_values) == 0


@pytest.mark.parametrize("form", ["poem", "caption", "text"])
def test_nothing_can_be_asked_in_other_forms(form: str) -> None:
    with pytest.raises(UserError, match=f"unknown form '{form}'; choose one of document, told, chat, think"):
        prompt(PROC, PLAIN, form)

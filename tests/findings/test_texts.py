"""The text of the findings: what is learnt, and that held-out problems are none of training's."""

import torch

from minikimi.findings.texts import as_chat, as_text, batches, held_out_batches, processor, world


def test_running_text_is_learnt_whole_and_a_chat_only_in_its_answer() -> None:
    sample = world(0)[0]
    text, chat, think = as_text(sample), as_chat("chat")(sample), as_chat("think")(sample)
    assert (
        processor().decode(text.input_ids.tolist()).startswith(f"{sample.question} {sample.solution} {sample.answer}")
    )
    learnt = [processor().decode([i for i in e.labels.tolist() if i >= 0]) for e in (text, chat, think)]
    assert sample.question in learnt[0] and sample.question not in learnt[1] + learnt[2]
    assert learnt[1] == sample.answer
    assert sample.solution in learnt[2] and learnt[2].endswith(sample.answer)


def test_equal_arguments_give_equal_batches_within_the_limit() -> None:
    first, again, other = (batches(world(seed), as_text, 3, 200) for seed in (1, 1, 2))
    assert all(torch.equal(a.input_ids, b.input_ids) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].input_ids, other[0].input_ids)
    assert len(first) == 3 and all(batch.tokens <= 200 for batch in first)


def test_held_out_problems_are_never_trained_on() -> None:
    trained = {sample.question for sample in (world(5)[i] for i in range(300))}
    asked = {sample.question for sample in (world(5, held_out=True)[i] for i in range(300))}
    assert len(asked) > 100 and not asked & trained
    assert len(held_out_batches(5, as_text, quick=True)) < len(held_out_batches(5, as_text, quick=False))

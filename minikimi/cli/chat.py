"""`minikimi chat`: one question about one picture (lesson 00)."""

from __future__ import annotations

import argparse

from minikimi.cli.parser import Verb, number, whole
from minikimi.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help="a picture file")
    parser.add_argument("question", help="what to ask about it, in quotes")
    parser.add_argument("--model", default="small", help="a run, an official directory, or the shipped `small`")
    what = "the longest answer, in tokens (default: 64)"
    parser.add_argument("--max-new-tokens", type=whole(1, 10**6), default=64, help=what)
    what = "0: the likeliest answer; above: drawn at random, the higher the wilder (default: 0)"
    parser.add_argument("--temperature", type=number(0, 100), default=0.0, help=what)


def run(options: argparse.Namespace) -> int:
    from minikimi.loading import load
    from minikimi.processor.images.open_image import open_image

    image = open_image(options.image)  # before the model, so that a bad path answers at once
    model, processor = load(options.model)
    content = [{"type": "image", "image": image}, {"type": "text", "text": options.question}]
    inputs = processor([{"role": "user", "content": content}], add_generation_prompt=True)
    asked, context = inputs["input_ids"].shape[1], model.config.text_config.max_position_embeddings
    if asked + options.max_new_tokens > context:
        raise UserError(
            f"picture and question take {asked} tokens, --max-new-tokens {options.max_new_tokens}: together more than "
            f"the {context} this model reads; ask a shorter question or allow a shorter answer"
        )
    ids = model.generate(**inputs, max_new_tokens=options.max_new_tokens, temperature=options.temperature)
    print(processor.decode(ids[0]))
    return 0


CHAT = Verb("chat", "ask a question about a picture", run, add_options)

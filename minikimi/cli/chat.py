"""`minikimi chat`: a conversation in the terminal, about pictures or without (lesson 00)."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from minikimi.cli.parser import Verb, number, whole
from minikimi.errors import UserError, unknown

if TYPE_CHECKING:
    from PIL import Image

    from minikimi.inference.conversation import Conversation
    from minikimi.model.kimi_vl import KimiVL
    from minikimi.processor.processor import Processor
    from minikimi.sample import Sample

DIM, PLAIN = "\033[2m", "\033[0m"
COMMANDS = {"/image": "PATH: show another picture", "/think": "on|off: think before answering", "/new": "start afresh"}
NOTE = "In the conversation:\n" + "\n".join(f"  {name} {what}" for name, what in COMMANDS.items())
NOTE += "\n  Ctrl-C stops an answer, Ctrl-D ends the conversation"


def device(text: str) -> str:
    """The `type` of --device: one that is there."""
    import torch

    try:
        torch.empty(1, device=text)
    except (RuntimeError, AssertionError):
        raise argparse.ArgumentTypeError(f"{text}: not on this machine; cpu always is") from None
    return text


def add_options(parser: argparse.ArgumentParser) -> None:
    what = "a picture file; without one, a picture of the world that no training has drawn is shown and asked about"
    parser.add_argument("image", nargs="?", help=what)
    what = "what to ask about it, in quotes: answered once; without it, a conversation begins"
    parser.add_argument("question", nargs="?", help=what)
    parser.add_argument("--model", default="small", help="a run, an official directory, or the shipped `small`")
    what = "the longest answer, in tokens (default: 256)"
    parser.add_argument("--max-new-tokens", type=whole(1, 10**6), default=256, help=what)
    what = "0: the likeliest answer; above: drawn at random, the higher the wilder (default: 0)"
    parser.add_argument("--temperature", type=number(0, 100), default=0.0, help=what)
    what = "draws the picture and the random answers (default: another every time)"
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), help=what)
    parser.add_argument("--device", type=device, default="cpu", help="where the model runs (default: cpu)")
    what = "of the weights (default: the model's own)"
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help=what)


def run(options: argparse.Namespace) -> int:
    import torch

    from minikimi.inference.conversation import Conversation
    from minikimi.inference.engine import Engine
    from minikimi.loading import load
    from minikimi.processor.images.open_image import open_image

    images = [open_image(options.image)] if options.image else []  # before the model: a bad path answers at once
    model, processor = load(options.model, options.device, options.dtype and getattr(torch, options.dtype))
    context = model.config.text_config.max_position_embeddings
    talk = Talk(options, Conversation(Engine(model, slots=1, capacity=context), processor), model, processor)
    talk.show(images)
    if options.question:
        talk.ask(options.question)
        return 0
    if not images:
        talk.ask_about_the_world()
    talk.listen()
    return 0


class Talk:
    """The terminal's side of a conversation."""

    def __init__(
        self, options: argparse.Namespace, conversation: Conversation, model: KimiVL, processor: Processor
    ) -> None:
        self.options, self.conversation, self.processor, self.model = options, conversation, processor, model
        self.images: list[Image.Image] = []  # that go with the next question
        self.seed = secrets.randbits(31) if options.seed is None else options.seed
        self.colours = sys.stdout.isatty()

    def show(self, images: list[Image.Image]) -> None:
        """Pictures for the next question; an honest word about those unlike any that the shipped model saw."""
        self.images += images
        vision = self.model.config.vision_config
        familiar = 2 * vision.init_pos_emb_height * vision.patch_size
        for image in images:
            if self.options.model == "small" and max(image.size) > familiar:
                print(
                    f"(A picture of {image.width} x {image.height} pixels. The small model has seen drawings of up "
                    f"to about {familiar} pixels a side: do not expect it to make sense of a photograph.)",
                    file=sys.stderr,
                )

    def ask(self, question: str) -> str:
        """Put a question and print the answer as it comes; what was said. Ctrl-C stops it. Raises `UserError`."""
        from minikimi.inference.sampling import Sampling

        images, self.images = self.images, []
        limit, kind = self.options.max_new_tokens, "answer"
        sampling = Sampling(self.options.temperature, seed=(self.seed, len(self.conversation.turns)))
        pieces = self.conversation.ask(question, images, limit, sampling)
        try:
            for piece in pieces:
                if piece[0] != kind:
                    kind = piece[0]
                    self.write(DIM if kind == "thought" else PLAIN + "\n", style=True)
                self.write(piece[1])
        except UserError as error:
            self.images = images
            remedy = "ask a shorter question, allow a shorter answer (--max-new-tokens) or begin afresh (/new)"
            raise UserError(f"{str(error).partition(';')[0]}; {remedy}") from None
        except KeyboardInterrupt:
            self.write(PLAIN, style=True)
            self.write(" (stopped)")
        finally:
            pieces.close()  # type: ignore[attr-defined]
        self.write(PLAIN, style=True)
        print(flush=True)
        return self.conversation.answer

    def write(self, text: str, style: bool = False) -> None:
        """To the terminal at once. What a model says must not steer it: unprintable characters become escapes."""
        if style:
            text = text if self.colours else text.replace(DIM, "").replace(PLAIN, "")
        else:
            safe = (c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
            text = "".join(safe)
        print(text, end="", flush=True)

    def ask_about_the_world(self) -> None:
        """Draw a picture that no training has drawn, save it, ask, answer, and tell the truth."""
        from minikimi.evaluation.minis import graded

        sample = drawn(self.seed)
        path = Path(tempfile.gettempdir()) / f"minikimi-{sample.id}.png"
        sample.images[0].save(path)
        print(f"A picture that no training has drawn: {path}\n> {sample.question}")
        self.show(sample.images)
        right = graded(sample, self.ask(sample.question)).right
        print(f"({'Right' if right else 'Wrong'}. The truth: {sample.answer})")

    def listen(self) -> None:
        """Questions and commands, line by line, until the end of the input."""
        with suppress(ImportError):
            import readline  # noqa: F401 - gives `input` the arrow keys
        print(f"Ask on, or {', '.join(COMMANDS)}; Ctrl-D ends.", file=sys.stderr)
        while True:
            try:
                line = input("> ").strip()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print(" (Ctrl-D ends the conversation)")
                continue
            try:
                if line.startswith("/"):
                    self.obey(*line.partition(" ")[::2])
                elif line:
                    self.ask(line)
            except UserError as error:
                print(f"minikimi: {error}", file=sys.stderr)

    def obey(self, command: str, rest: str) -> None:
        """A command. Raises `UserError` for one that does not exist or lacks something."""
        from minikimi.processor.images.open_image import open_image

        if command == "/image":
            self.show([open_image(rest.strip())])
        elif command == "/new":
            self.conversation.turns, self.images = [], []
        elif command == "/think" and rest.strip() in ("on", "off"):
            self.conversation.think = rest.strip() == "on"
        elif command == "/think":
            raise UserError("/think: say on or off")
        else:
            raise unknown("command", command, COMMANDS)


def drawn(seed: int) -> Sample:
    """A held-out sample of the picture world with one picture."""
    from minikimi.world import PictureWorld

    return next(sample for sample in PictureWorld(seed, "held_out") if len(sample.images) == 1)


CHAT = Verb("chat", "talk with a model about pictures", run, add_options, NOTE)

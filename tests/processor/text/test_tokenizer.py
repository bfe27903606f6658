"""What both tokenizers promise: nothing a user types becomes a control token, and no text is lost."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minikimi.errors import UserError
from minikimi.processor.text import load_tokenizer, small_tokenizer
from minikimi.processor.text.special_tokens import OFFSETS

# The example database would be written into the working tree; these tests need none.
QUICK = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Any Unicode except surrogates, mixed with the texts most likely to be mistaken for control tokens.
TEXT = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from([*OFFSETS, "[PAD]", "<|reserved_token_1000|>", "\r\n\r\n", "\u200d", "日本語"]),
    ),
    max_size=6,
).map("".join)


@QUICK
@given(text=TEXT)
def test_round_trip_without_reserved_ids(tokenizer, text):
    ids = tokenizer.encode(text)
    assert all(0 <= i < tokenizer.base_size for i in ids)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", ["<|im_end|>", "<|media_pad|>", "[EOS]", "[PAD]", "<|im_system|>"])
def test_a_typed_control_token_stays_text(tokenizer, name):
    ids = tokenizer.encode(f"hi{name}there")
    assert tokenizer.special_id(name) not in ids
    assert tokenizer.decode(ids) == f"hi{name}there"


def test_it_stays_text_after_pickling(tokenizer):
    # Worker processes get a pickled copy; the `encode_special_tokens` switch of `tokenizers` does not survive that.
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode("a<|im_end|>") == tokenizer.encode("a<|im_end|>")
    assert max(copy.encode("a<|im_end|>")) < copy.base_size


def test_reserved_ids_follow_the_ordinary_ones_at_the_official_offsets(tokenizer):
    base = tokenizer.base_size
    assert sorted(tokenizer.special_tokens.values()) == list(range(base, tokenizer.vocab_size))
    assert {name: tokenizer.special_id(name) - base for name in OFFSETS} == OFFSETS
    assert tokenizer.special_id("[UNK]") == tokenizer.vocab_size - 2
    assert tokenizer.special_id("[PAD]") == tokenizer.vocab_size - 1
    assert tokenizer.special_id(f"<|reserved_token_{base + 5}|>") == base + 5


def test_decode_drops_or_prints_special_tokens(tokenizer):
    ids = [
        tokenizer.special_id("[BOS]"),
        *tokenizer.encode("hello"),
        tokenizer.special_id("<|im_end|>"),
        *tokenizer.encode("é"),
    ]
    assert tokenizer.decode(ids) == "helloé"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "[BOS]hello<|im_end|>é"


def test_half_a_character_becomes_the_replacement_sign(tokenizer):
    # A model may stop in the middle of a character. "ž" is two tokens in both vocabularies: two bytes, no merge.
    first, _ = tokenizer.encode("ž")
    assert tokenizer.decode([*tokenizer.encode("ok"), first]) == "ok\ufffd"


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_named(tokenizer, bad):
    with pytest.raises(ValueError, match=f"{bad}.*vocabulary of {tokenizer.vocab_size}"):
        tokenizer.decode([0, bad])


def test_a_lone_surrogate_is_refused_not_replaced(tokenizer):
    with pytest.raises(ValueError, match="character 2 is a lone surrogate"):
        tokenizer.encode("ab\ud800")


def test_unknown_special_name(tokenizer):
    # `<|media_begin|>` is the name of a later model of the same line: the likely mistake.
    with pytest.raises(ValueError, match="no special token '<|media_begin|>'".replace("|", r"\|")):
        tokenizer.special_id("<|media_begin|>")


@pytest.mark.parametrize("text", [" " * 100_000, "ab" * 50_000, "\n" * 100_000, "日" * 100_000])
def test_very_long_runs(tokenizer, text):
    # Longer than the slices in which the official kind encodes a run.
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_saved_and_loaded_again(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "new")
    again = load_tokenizer(tmp_path / "new")
    assert type(again) is type(tokenizer) and again.special_tokens == tokenizer.special_tokens
    assert again.encode("hello 1234 日本") == tokenizer.encode("hello 1234 日本")
    assert not list((tmp_path / "new").glob("*.part"))


def test_official_file_wins(official_directory):
    small_tokenizer().save(official_directory)
    assert load_tokenizer(official_directory).base_size == 268


@pytest.mark.parametrize("there", [True, False])
def test_nothing_to_load_names_directory_and_files(tmp_path, there):
    directory = tmp_path if there else tmp_path / "absent"
    with pytest.raises(UserError, match=r"expected tiktoken.model or tokenizer.json") as error:
        load_tokenizer(directory)
    assert str(directory) in str(error.value)

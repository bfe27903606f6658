"""The official tokenizer: split pattern, merge order, the official ids by arithmetic, damaged files."""

from __future__ import annotations

import json

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.errors import UserError
from minikimi.processor.text import TikTokenTokenizer, load_tokenizer
from minikimi.processor.text.special_tokens import special_token_table
from minikimi.processor.text.tiktoken_bpe import SPLIT_PATTERN, read_ranks


def pieces(text: str) -> list[str]:
    # `regex` in version-1 mode knows the set intersections `&&`: an independent reading of the pattern.
    return regex.findall(SPLIT_PATTERN, text, regex.V1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello world", ["Hello", " world"]),
        ("HelloWorld", ["Hello", "World"]),
        ("12345", ["123", "45"]),
        ("don't DON'T", ["don't", " DON'T"]),
        # Chinese characters never share a piece with letters: this is what the intersections are for.
        ("a日本b", ["a", "日本", "b"]),
        ("日本のtest", ["日本", "のtest"]),
        ("x  y", ["x", " ", " y"]),
        ("a!\n\nb", ["a", "!\n\n", "b"]),
        ("a \r\n b", ["a", " \r\n", " b"]),
    ],
)
def test_split_pattern(text, expected):
    assert pieces(text) == expected


@settings(max_examples=150, deadline=None, database=None)
@given(st.text(alphabet=st.sampled_from("aB1 \n\r.'s日のñ\u0301"), max_size=12))
def test_merges_stay_inside_the_pieces(text):
    # With a token for every piece that occurs, each piece must come out as that one token: so tiktoken's reading of the
    # pattern (fancy-regex) is compared with `regex` piece by piece.
    expected = pieces(text)
    tokens = [bytes([i]) for i in range(256)]
    for piece in expected:
        raw = piece.encode()
        tokens += [raw[:n] for n in range(2, len(raw) + 1) if raw[:n] not in tokens]
    tokenizer = TikTokenTokenizer({token: rank for rank, token in enumerate(dict.fromkeys(tokens))})
    assert [tokenizer.decode([i]) for i in tokenizer.encode(text)] == expected


def test_lowest_rank_merges_first(official_directory):
    tokenizer = load_tokenizer(official_directory)
    # 256 he, 257 ll, 258 hell, 259 hello, 260 " w", 261 12, 262 123. 1234 (263) is never reached: digits go by threes.
    assert tokenizer.encode("hello wo1234") == [259, 260, ord("o"), 262, ord("4")]
    # "a日" (267) crosses the Han border.
    assert tokenizer.encode("a日本") == [ord("a"), 266]


@pytest.mark.parametrize("blank", [" ", "\n"])
def test_a_million_blanks(official_directory, blank):
    # tiktoken alone overflows the stack of its regular expressions here, and panics.
    text = "a" + blank * 1_500_000 + "b"
    tokenizer = load_tokenizer(official_directory)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_official_ids():
    table = special_token_table(163_584, 256)
    official = {
        "[BOS]": 163584, "[EOS]": 163585, "<|im_end|>": 163586, "<|im_user|>": 163587, "<|im_assistant|>": 163588,
        "<|start_header_id|>": 163590, "<|end_header_id|>": 163591, "[EOT]": 163593, "<|im_system|>": 163594,
        "<|im_middle|>": 163601, "<|media_start|>": 163602, "<|media_content|>": 163603, "<|media_end|>": 163604,
        "<|media_pad|>": 163605, "[UNK]": 163838, "[PAD]": 163839, "<|reserved_token_163589|>": 163589,
    }  # fmt: skip
    assert {name: table[name] for name in official} == official
    assert len(table) == 256 and max(table.values()) == 163_839


def test_names_come_from_tokenizer_config(official_directory):
    # A file may name other reserved ids, and carries much that says nothing about the ids.
    tokenizer = load_tokenizer(official_directory)
    names = {str(i): {"content": name, "special": True} for name, i in tokenizer.special_tokens.items() if i < 268 + 30}
    names |= {"522": {"content": "[UNK]"}, "523": {"content": "[PAD]"}, "300": {"content": "<|extra|>"}}
    config = {"added_tokens_decoder": names, "model_max_length": 1048576, "auto_map": {"AutoTokenizer": ["x", None]}}
    (official_directory / "tokenizer_config.json").write_text(json.dumps(config))
    again = load_tokenizer(official_directory)
    assert again.special_id("<|extra|>") == 300 and again.special_id("<|media_pad|>") == 268 + 21


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ('{"added_tokens_decoder": {"268": {"content": "[BOS]"}}}', "no special token"),
        ('{"added_tokens_decoder": {"x": {"content": "[BOS]"}}}', "do not fit together"),
        ('{"added_tokens_decoder": {"268": "[BOS]"}}', "do not fit together"),
    ],
)
def test_damaged_config(official_directory, config, message):
    (official_directory / "tokenizer_config.json").write_text(config)
    with pytest.raises(UserError, match=message):
        load_tokenizer(official_directory)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("aGU= x\n", ":1: expected base64"),
        ("!!! 3\n", ":1: expected"),
        ("aGU= 0 1\n", ":1:"),
        ("aGU= 0\n", "single byte"),
        ("aGU= 7\n", "not 0 .. 0"),
        ("", "single byte"),
    ],
)
def test_damaged_ranks(tmp_path, lines, message):
    (tmp_path / "tiktoken.model").write_text(lines)
    with pytest.raises(UserError, match=message):
        load_tokenizer(tmp_path)


def test_binary_file_is_no_rank_file(tmp_path):
    (tmp_path / "tiktoken.model").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        read_ranks(tmp_path / "tiktoken.model")

"""Where the control tokens stand, and which of them end an answer."""

import pytest

from minikimi.model.config import PRESETS
from minikimi.processor.processor import Processor
from minikimi.processor.text.special_tokens import (
    EOS,
    IM_END,
    OFFICIAL_RESERVED,
    PAD,
    STOPS,
    special_token_table,
    stop_ids,
)


def test_official_ids() -> None:
    table = special_token_table(163584, OFFICIAL_RESERVED)
    assert (table[EOS], table[IM_END], table[PAD], len(table)) == (163585, 163586, 163839, 256)
    assert list(table.values()) == list(range(163584, 163840))


@pytest.mark.parametrize("name", ["nano", "small"])
def test_a_config_and_a_tokenizer_stop_at_the_same_ids(name: str) -> None:
    tokenizer = Processor.small().tokenizer
    assert stop_ids(PRESETS[name].text_config.eos_token_id) == tuple(tokenizer.special_id(stop) for stop in STOPS)
    assert stop_ids(163585) == (163585, 163586)


def test_one_name_for_two_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="share one name"):
        special_token_table(10, 4, {10: EOS, 12: EOS})

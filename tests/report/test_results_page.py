"""docs/results.md says what the shipped card says."""

import copy
from pathlib import Path

from minikimi.files import SHIPPED, read_json
from minikimi.report.results_page import results_page

CARD = read_json(SHIPPED / "small" / "card.json")
PAGE = Path(__file__).parents[2] / "docs" / "results.md"


def test_the_page_is_that_of_the_card() -> None:
    assert PAGE.read_text() == results_page(CARD), "run `make results`"


def test_every_number_follows_the_card() -> None:
    other = copy.deepcopy(CARD)
    other["mean"]["score"], other["stages"]["sft"]["mean"], other["tasks"]["flag"]["score"] = 0.123, 0.456, 0.789
    other["gain"]["gain"]["pass@1"] = 0.0321
    page = results_page(other)
    for number in ("**12 %**", "46 % (± 7)", "flag 79", "+3.2 points"):
        assert number in page and number not in results_page(CARD)

"""The page in a real browser: ask, read, look, again, side by side, and what it refuses.

Needs chromium (Debian: apt install chromium; `make setup` installs the rest); without it the test is skipped.
"""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, serving

from minikimi.inference.server import PAGE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser_needed = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="no playwright: make setup"),
]
SECONDS = 30_000.0


def test_the_page_names_no_other_address() -> None:
    for file in PAGE.iterdir():
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text()):
            raise AssertionError(f"{file.name}: {address}")
    assert {file.name for file in PAGE.iterdir()} == {"index.html", "page.css", "page.js", "lens.js"}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(served: Served, browser: Any) -> Iterator[Any]:
    """Opens the page; at the end nothing may have gone wrong or elsewhere."""
    trouble: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(SECONDS)

    def own(url: str) -> bool:
        return url.startswith((served.address, "data:", "blob:"))

    def opened(path: str = "/") -> Any:
        page = context.new_page()
        page.on("request", lambda r: None if own(r.url) else trouble.append(r.url))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
        page.goto(served.address + path)
        page.locator("#samples button").nth(11).wait_for()
        return page

    yield opened
    context.close()
    assert not trouble


def choose(page: Any, task: str) -> None:
    page.locator("#samples button").get_by_text(task, exact=True).click()
    page.locator("#attached img").wait_for()


def answers(page: Any, count: int) -> str:
    """The last of `count` answers, when it is complete and can be looked into."""
    page.locator(".answer").nth(count - 1).locator(".t").first.wait_for(state="attached")  # a thought is folded
    return page.locator(".answer").nth(count - 1).inner_text()


class TestPage:
    pytestmark = browser_needed

    def test_ask_and_look(self, open_page: Any) -> None:
        page = open_page()
        choose(page, "where")
        page.keyboard.press("Enter")  # the question is there, the cursor in it
        assert answers(page, 1).startswith("carrot") and "The truth: carrot" in answers(page, 1)
        assert float(page.locator("#heat").get_attribute("data-total")) > 0.01
        painted = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
        assert page.locator("#heat").evaluate(painted)
        assert page.locator("#experts .strip canvas").count() == 2
        assert page.locator("#experts .strip canvas").first.evaluate(painted)
        assert "chance is" in page.locator("#score").inner_text()
        assert "tokens/s" in page.locator("#speed").inner_text() and "cache" in page.locator("#speed").inner_text()
        before = page.locator("#heat").get_attribute("data-total")
        page.select_option("#layer", "0")
        page.select_option("#head", "1")
        page.wait_for_function("before => document.getElementById('heat').dataset.total !== before", arg=before)

    def test_words_stream_in_and_thoughts_fold(self, open_page: Any) -> None:
        page = open_page()
        page.evaluate(
            "() => { window.grown = new Set(); new MutationObserver(() => window.grown.add("
            "document.querySelector('.answer')?.textContent)).observe(document.getElementById('log'),"
            "{childList: true, subtree: true}); }"
        )
        page.fill("#question", "Calculate 12 + 5.")
        page.click("#send")
        assert "17" in answers(page, 1)
        assert page.evaluate("window.grown.size") > 3
        fold = page.locator(".answer details")
        assert not fold.evaluate("d => d.open") and "◁" not in answers(page, 1)
        fold.locator("summary").click()
        assert fold.evaluate("d => d.open")

    def test_by_keyboard(self, open_page: Any) -> None:
        page = open_page()
        choose(page, "caption")
        page.keyboard.press("Enter")
        answers(page, 1)
        page.locator(".answer .t").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowRight")
        assert page.locator(".t[aria-pressed=true]").get_attribute("data-token") == "1"
        assert "token 2" in page.locator("#token").inner_text()
        assert page.locator("#candidates li").count() == 5

    def test_a_second_turn_and_a_new_conversation(self, open_page: Any, served: Served) -> None:
        page = open_page()
        choose(page, "where")
        page.click("#send")
        answers(page, 1)
        page.fill("#question", "Name the thing at the top left.")
        with page.expect_request("**/v1/chat/completions") as sent:
            page.keyboard.press("Enter")
        assert [m["role"] for m in sent.value.post_data_json["messages"]] == ["user", "assistant", "user"]
        assert answers(page, 2).startswith("dog")
        page.click("#new")
        assert page.locator(".turn").count() == 0 and page.locator("#nothing").is_visible()

    def test_two_tabs_know_nothing_of_each_other(self, open_page: Any) -> None:
        one, other = open_page(), open_page()
        choose(one, "flag")
        choose(other, "number")
        one.click("#send")
        other.click("#send")
        assert "Germany" in answers(one, 1) and "405" in answers(other, 1)  # as the truth, whatever was said
        assert one.locator(".turn").count() == other.locator(".turn").count() == 2

    def test_draw_me_one(self, open_page: Any) -> None:
        page = open_page()
        page.click("#draw")
        page.locator("#attached img").wait_for()
        page.click("#send")
        assert "The truth:" in answers(page, 1)

    def test_what_is_no_picture_is_refused_in_words(self, open_page: Any, tmp_path: Path) -> None:
        page = open_page()
        (tmp_path / "notes.txt").write_text("no picture")
        with (tmp_path / "large.png").open("wb") as file:
            file.truncate(50 * 2**20)
        for name, words in (("notes.txt", "notes.txt is not a picture"), ("large.png", "50 MB; a picture may have")):
            page.set_input_files("#file", tmp_path / name)
            page.get_by_text(words).wait_for()
            assert page.locator("#attached").is_hidden()
        page.fill("#question", " ")
        page.click("#send")
        page.get_by_text("Type a question first.").wait_for()

    @pytest.mark.parametrize("width", [400, 1280])
    def test_nothing_is_wider_than_the_screen(self, open_page: Any, width: int) -> None:
        page = open_page()
        page.set_viewport_size({"width": width, "height": 900})
        choose(page, "caption")
        page.keyboard.press("Enter")
        answers(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

"""Documents of many pages, for `pages` and `pages_long`: which page, or what is on it? (lesson 09)

One question in five has no answer in the document, as in MMLongBench-Doc (arXiv 2407.01523); the model has to say so.
The long-document data of the Kimi-VL report (arXiv 2504.07491, section 3.1) at toy scale: a page is 56 x 28 px, two
image tokens.
"""

from __future__ import annotations

from minikimi.world import art
from minikimi.world.canvas import CELL, Canvas, Rng, between, draw_background, pick
from minikimi.world.glyphs import FONT_SIZES, printed, stamp
from minikimi.world.holdout import text_held_out
from minikimi.world.scene import Scene, sheet_facts
from minikimi.world.sequence import draw_names
from minikimi.world.vocabulary import INKS, NAMES
from minikimi.world.words import CONSONANTS

SIZES = (22, 26)  # longest side of a picture, px
LEAFED = 6  # pages of the longest document whose worked steps go through all of them
NOT_ANSWERABLE = "Not answerable"
CODES = {h: [a + b for a in CONSONANTS for b in CONSONANTS if text_held_out(a + b) == h] for h in (False, True)}

PICTURE_QUESTIONS = ["Which page shows the {}?", "On which page is the {}?"]
CODE_QUESTIONS = ["Which page says {}?", "On which page is {} printed?"]
WHAT_QUESTIONS = ["What is on page {}?", "What does page {} show?"]


def _draw_code(rng: Rng, held_out: bool, taken: list[str]) -> str:
    """Two consonants of the split, not in `taken`."""
    return pick(rng, [code for code in CODES[held_out] if code not in taken])


def _draw_contents(rng: Rng, pages: int, asked: int, held_out: bool) -> dict[int, str]:
    """A picture's name or a code for each page, about half of each; on page `asked` one that is held out if told."""
    codes: dict[int, str] = {}
    with_code = [page for page in range(1, pages + 1) if rng.random() < 0.5]
    for page in with_code:
        codes[page] = _draw_code(rng, held_out and page == asked, list(codes.values()))
    with_picture = [page for page in range(1, pages + 1) if page not in codes]
    names = draw_names(rng, with_picture, asked if held_out and asked in with_picture else None)
    return {page: (codes | names)[page] for page in range(1, pages + 1)}


def _page(rng: Rng, content: str) -> Canvas:
    """A page with one picture in its left half, or two capitals, on a background of its own."""
    page = Canvas.blank(rng, (2 * CELL, CELL), draw_background(rng, [content] if content in NAMES else []))
    if content in NAMES:
        page.paste(rng, content, between(rng, *SIZES), (0, 0, CELL, CELL))
        return page
    font, size, ink = pick(rng, art.FONTS), between(rng, *FONT_SIZES), pick(rng, INKS)
    for letter, cell in zip(content, page.cells(1, 2), strict=True):
        stamp(rng, page, printed(letter, font, size), cell, ink)
    page.placements.append({"text": content, "font": font, "size": size, "ink": ink})
    return page


def _ask(rng: Rng, contents: dict[int, str], page: int, held_out: bool) -> tuple[str, str, str, str]:
    """(kind, what is asked for, question, answer) about `page`; one in five about something that the document does not
    hold."""
    kind, content, answer = pick(rng, ["pages.which", "pages.what"]), contents[page], f"page {page}"
    absent = rng.random() < 0.2
    if kind == "pages.what":
        number = len(contents) + between(rng, 1, 3) if absent else page
        return kind, f"page {number}", pick(rng, WHAT_QUESTIONS).format(number), NOT_ANSWERABLE if absent else content
    taken = list(contents.values())
    if absent and content in NAMES:
        content, answer = pick(rng, [n for n in NAMES if n not in taken]), NOT_ANSWERABLE
    elif absent:
        content, answer = _draw_code(rng, held_out, taken), NOT_ANSWERABLE
    questions = PICTURE_QUESTIONS if content in NAMES else CODE_QUESTIONS
    return kind, content, pick(rng, questions).format(content), answer


def draw_document(rng: Rng, held_out: bool, fewest: int, most: int) -> Scene:
    """A document of `fewest` to `most` pages, each with a picture or a code of two letters."""
    pages = between(rng, fewest, most)
    asked = between(rng, 1, pages)
    contents = _draw_contents(rng, pages, asked, held_out)
    kind, wanted, question, answer = _ask(rng, contents, asked, held_out)
    others = [] if held_out else [page for page in rng.permutation(pages).tolist() if page + 1 != asked][:3]
    more = [_ask(rng, contents, page + 1, held_out)[2:] for page in others]
    sheets = [_page(rng, content) for content in contents.values()]
    answerable = answer != NOT_ANSWERABLE
    index = ", ".join(f"{content} on page {page}" for page, content in contents.items())
    found = f"{wanted} on {answer if answerable else 'no page'}"
    leafing = kind == "pages.which" and pages <= LEAFED  # a page has to be found, and not in too many
    return Scene(
        images=[sheet.image for sheet in sheets],
        label="Page",
        question=question,
        answer=answer,
        caption=", ".join(f"page {page}: {content}" for page, content in contents.items()),
        solution=f"{index}. {found}. {answer}" if leafing else "",
        more=more,
        facts=sheet_facts(kind, sheets, asked=asked, answerable=answerable),
        told=list(contents.values()),
    )

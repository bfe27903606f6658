"""Documents of many images: `pages` and `pages_long` (which page? what is on it?), `compare` (which image?)
(lesson 09).

One question in five about pages has no answer in the document, as in MMLongBench-Doc (arXiv 2407.01523); the model
has to say so. The interleaved and long-document data of the Kimi-VL report (arXiv 2504.07491, section 3.1) at toy
scale: a page is 56 x 28 px, two image tokens.
"""

from __future__ import annotations

from minikimi.world import art
from minikimi.world.canvas import Canvas, Rng, Scene, between, draw_background, pick
from minikimi.world.glyphs import FONT_SIZES, printed, stamp
from minikimi.world.holdout import text_held_out
from minikimi.world.sequence import draw_name, draw_names, numbered_scene
from minikimi.world.vocabulary import INKS, NAMES
from minikimi.world.words import CONSONANTS

CELL, SIZES = 28, (22, 26)  # px: a letter or a picture
LONG = (36, 40)  # pages of a long document: about 500 tokens in all
NOT_ANSWERABLE = "Not answerable"
CODES = {h: [a + b for a in CONSONANTS for b in CONSONANTS if text_held_out(a + b) == h] for h in (False, True)}

PICTURE_QUESTIONS = ["Which page shows the {}?", "On which page is the {}?"]
CODE_QUESTIONS = ["Which page says {}?", "On which page is {} printed?"]
WHAT_QUESTIONS = ["What is on page {}?", "What does page {} show?"]
WHICH_QUESTIONS = ["Which image shows the {}?", "In which image is the {}?"]
ONLY_QUESTIONS = ["Which thing is only in image {}?", "What does only image {} show?"]


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
    for letter, cell in zip(content, page.cells(1, 2, CELL), strict=True):
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


def _document(rng: Rng, held_out: bool, length: tuple[int, int]) -> Scene:
    """A document of `length` (fewest, most) pages, each with a picture or a code of two letters."""
    pages = between(rng, *length)
    asked = between(rng, 1, pages)
    contents = _draw_contents(rng, pages, asked, held_out)
    kind, wanted, question, answer = _ask(rng, contents, asked, held_out)
    others = [] if held_out else [page for page in rng.permutation(pages).tolist() if page + 1 != asked][:3]
    more = [_ask(rng, contents, page + 1, held_out)[2:] for page in others]
    sheets = [_page(rng, content) for content in contents.values()]
    caption = ", ".join(f"page {page}: {content}" for page, content in contents.items())
    leafing = kind == "pages.which" and pages < LONG[0]  # a page has to be found, and not in too many
    index = ", ".join(f"{content} on page {page}" for page, content in contents.items())
    answerable = answer != NOT_ANSWERABLE
    found = f"{wanted} on {answer if answerable else 'no page'}"
    solution = f"{index}. {found}. {answer}" if leafing else ""
    return numbered_scene(
        "Page",
        sheets,
        kind,
        [(question, answer), *more],
        caption,
        list(contents.values()),
        solution,
        asked=asked,
        answerable=answerable,
    )


def pages(rng: Rng, held_out: bool) -> Scene:
    """Three to six pages; which one shows something, or what one shows."""
    return _document(rng, held_out, (3, 6))


def pages_long(rng: Rng, held_out: bool) -> Scene:
    """The same with 36 to 40 pages: about 500 tokens, of which four answer the question."""
    return _document(rng, held_out, LONG)


def _small_sheet(rng: Rng, names: list[str], background: str) -> Canvas:
    """Up to four pictures in the cells of a sheet of 2 x 2."""
    sheet = Canvas.blank(rng, (2 * CELL, 2 * CELL), background)
    cells = sorted(rng.permutation(4)[: len(names)].tolist())
    for cell, i in zip(cells, rng.permutation(len(names)), strict=True):
        sheet.paste(rng, names[i], between(rng, *SIZES), sheet.cells(2, 2, CELL)[cell])
    return sheet


def _draw_different(rng: Rng, target: int, held_out: bool) -> dict[int, list[str]]:
    """Two to four images of one or two pictures, all different; image `target` begins with the one asked for."""
    names = {target: [draw_name(rng, [target], (), new=held_out)]}
    for number in range(1, between(rng, max(2, target), 4) + 1):
        for _ in range(between(rng, 1, 2) - len(names.setdefault(number, []))):
            taken = [name for drawn in names.values() for name in drawn]
            names[number].append(draw_name(rng, [number], taken))
    return names


def _draw_sharing(rng: Rng, target: int, held_out: bool) -> dict[int, list[str]]:
    """Two images that share one or two pictures; each begins with one of its own."""
    own = {target: draw_name(rng, [target], (), new=held_out)}
    own[3 - target] = draw_name(rng, [3 - target], own.values())
    shared: list[str] = []
    for _ in range(between(rng, 1, 2)):
        shared.append(draw_name(rng, [1, 2], [*own.values(), *shared]))
    return {number: [name, *shared] for number, name in own.items()}


def _side_by_side(shown: list[str], own: str) -> str:
    """The things of an image as far as its own one, which no other image has: `cat both, dog both, hat only`."""
    shared = shown[: shown.index(own)]
    return ", ".join([*(f"{name} both" for name in shared), f"{own} only"])


def compare(rng: Rng, held_out: bool) -> Scene:
    """Which of two to four images shows a thing, or which thing only one of two images shows."""
    kind = pick(rng, ["compare.which", "compare.only"])
    which = kind == "compare.which"
    target = between(rng, 1, 4 if which else 2)
    names = (_draw_different if which else _draw_sharing)(rng, target, held_out)
    thing, image = names[target][0], f"image {target}"
    question = pick(rng, WHICH_QUESTIONS).format(thing) if which else pick(rng, ONLY_QUESTIONS).format(target)
    background = draw_background(rng, *names.values())
    sheets = [_small_sheet(rng, names[number], background) for number in sorted(names)]
    contents = {i: [drawn["name"] for drawn in sheet.placements] for i, sheet in enumerate(sheets, 1)}
    told = [", ".join(shown) for shown in contents.values()]
    caption = "; ".join(f"image {i}: {words}" for i, words in enumerate(told, 1))
    answer = image if which else thing
    others = [n for n in names if n != target] if which and not held_out else []
    more = [(pick(rng, WHICH_QUESTIONS).format(names[n][0]), f"image {n}") for n in others]
    turns = [(question, answer), *more]
    index = ", ".join(f"{name} in image {i}" for i, shown in contents.items() for name in shown)
    seen = f"{index}. {thing} in {image}" if which else f"{caption}. {_side_by_side(contents[target], thing)}"
    solution = f"{seen}. {answer}"
    return numbered_scene("Image", sheets, kind, turns, caption, told, solution, target=thing, number=target)

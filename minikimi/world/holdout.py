"""What training never sees: combinations, values, handwriting and resolutions, held out by simple rules (lesson 09).

A model that has only memorised pairs (this picture there, this many of those) fails on the held-out split; one that
reads places, counts and digits apart passes. Every rule is arithmetic on positions in the vocabulary, or a checksum,
so both splits can prove they keep to it.

- picture x place, picture x count, picture x background, flag x background: every picture loses one place, one count
  and one background, and every place, count and background loses its share of pictures. A background counts wherever a
  picture stands alone on its sheet.
- numbers and words: one in six by checksum. Digit images: every fifth. Tested are those that no task shows: no single
  letters, no numbers below 100.
- sums: one in six pairs of addends, in either order, together with both subtractions from their total. Tested are those
  that no receipt adds up; columns of one digit are shared by all sums.
- colour x value of a bar: every colour loses one or two of nine values. Glyph x cell of a table: one cell in nine.
  Picture x price: one price in six.
- picture x cell of a screen; picture x direction of motion; picture x number of a page, an image or a frame.
- goals on a desktop (what to open, what to press or type) and key-value pairs in a text: one in six by checksum.
- resolutions: one (width, height) in eight; a training image never has such a size, a held-out one always, except in
  the tasks whose images have one size or two for both splits (glyph, motion, order, pages, compare, desktop).

What is held out in one task no other task shows or tells in training.
"""

from zlib import crc32

from minikimi.world.vocabulary import BACKGROUNDS, BARS, COUNTRIES, NAMES, PLACES

COUNTS = range(1, 7)
TABLE_GLYPHS = ["ABCDEFGHJKLMNPQRSTUVWXYZ", "0123456789"]  # letters without I and O, which look like 1 and 0
TOP_PRICE = 30  # of a thing on a receipt
DIRECTIONS = ("left", "right", "up", "down")
_NAME_INDEX = {name: i for i, name in enumerate(NAMES)}
_COUNTRY_INDEX = {name: i for i, name in enumerate(COUNTRIES)}
_PLACE_INDEX = {place: i for i, place in enumerate(PLACES)}
_BAR_INDEX = {colour: i for i, colour in enumerate(BARS)}
_BACKGROUND_INDEX = {name: i for i, name in enumerate(BACKGROUNDS)}


def place_held_out(name: str, place: str) -> bool:
    """Whether this picture at this place is kept from training."""
    return (_NAME_INDEX[name] + _PLACE_INDEX[place]) % len(PLACES) == 0


def count_held_out(name: str, count: int) -> bool:
    """Whether this many (1 to 6) of this picture is kept from training."""
    return (_NAME_INDEX[name] + count) % len(COUNTS) == 0


def background_held_out(name: str, background: str) -> bool:
    """Whether this picture or flag, alone on a sheet of this background, is kept from training."""
    index = _NAME_INDEX[name] if name in _NAME_INDEX else _COUNTRY_INDEX[name]
    return (index + _BACKGROUND_INDEX[background]) % len(BACKGROUNDS) == 0


def text_held_out(text: str) -> bool:
    """Whether this printed word is kept from what training reads and types, or this handwritten number, in decimal,
    from what it reads."""
    return crc32(text.encode()) % 6 == 0


def text_unseen(text: str) -> bool:
    """Whether this text is held out and, in other tasks, not shown either: single letters stand in tables, numbers of
    one and two digits in sums."""
    return text_held_out(text) and len(text) > (2 if text.isdigit() else 1)


def digit_held_out(index: int) -> bool:
    """Whether image `index` of scikit-learn's handwritten digits is kept from training."""
    return index % 5 == 0


def resolution_held_out(width: int, height: int) -> bool:
    """Whether images of this size (pixels) are kept from training."""
    return (width + 3 * height) % 8 == 3


def cell_held_out(name: str, row: int, column: int) -> bool:
    """Whether this picture in this cell of a screen of up to three rows and four columns (from 0) is kept from
    training."""
    return (_NAME_INDEX[name] + 3 * row + column) % 6 == 0


def direction_held_out(name: str, direction: str) -> bool:
    """Whether this picture moving `left`, `right`, `up` or `down` is kept from training: for every second picture,
    one direction."""
    return (_NAME_INDEX[name] + DIRECTIONS.index(direction)) % 8 == 0


def ordinal_held_out(name: str, number: int) -> bool:
    """Whether this picture on page, image or frame `number` (from 1) is kept from training. A clip of `motion`, whose
    picture is on every frame, does not count: no number is to be learnt there."""
    return (_NAME_INDEX[name] + number) % 8 == 0


def pair_held_out(first: str, second: str) -> bool:
    """Whether these two words belong together only outside training: a goal, or a key and its value."""
    return text_held_out(f"{first} {second}")


def sum_held_out(first: int, second: int) -> bool:
    """Whether first + second is kept from the training of `sum` and `arithmetic`, and with it second + first and both
    subtractions from their total: otherwise a subtraction could be known from the sum that checks it."""
    return crc32(f"{min(first, second)} + {max(first, second)}".encode()) % 6 == 0


def sum_unseen(first: int, second: int) -> bool:
    """Whether these addends are held out and no receipt or chart adds them, apart from two of one digit: a column of
    any longer sum may have them. A receipt has up to three prices, so it adds one to a total of at most two."""
    low, high = sorted((first, second))
    return sum_held_out(first, second) and (high < 10 or low > TOP_PRICE or high > 2 * TOP_PRICE)


def bar_held_out(colour: str, value: int) -> bool:
    """Whether a bar of this colour and value (1 to 9) is kept from training."""
    return (_BAR_INDEX[colour] + value) % 5 == 0


def glyph_held_out(glyph: str, row: int, column: int) -> bool:
    """Whether this glyph in this row and column (1 to 3) of a table is kept from training."""
    return ("".join(TABLE_GLYPHS).index(glyph) + 3 * row + column) % 9 == 0


def price_held_out(name: str, price: int) -> bool:
    """Whether this picture at this price is kept from training."""
    return (_NAME_INDEX[name] + price) % 6 == 0

"""What training never sees: combinations, values, handwriting and resolutions, held out by simple rules (lesson 09).

A model that has only memorised pairs (this picture there, this many of those) fails on the held-out split; one that
reads places, counts and digits apart passes. Every rule is arithmetic on positions in the vocabulary, or a checksum,
so both splits can prove they keep to it.

- picture x place, picture x count, picture x background, flag x background: every picture loses one place, one count
  and one background, and every place, count and background loses its share of pictures.
- numbers and words: one in six by checksum. Digit images: every fifth.
- sums: one in six pairs of addends, in either order, together with both subtractions from their total.
- colour x value of a bar: every colour loses one or two of nine values. Glyph x cell of a table: one cell in nine.
  Picture x price: one price in six.
- picture x cell of a screen; picture x direction of motion; picture x number of a page, an image or a frame.
- goals on a desktop (what to open, what to press or type) and key-value pairs in a text: one in six by checksum.
- resolutions: one (width, height) in eight; a held-out image always has such a size, a training image never.
"""

from zlib import crc32

from minikimi.data.world.vocabulary import BACKGROUNDS, BARS, COUNTRIES, NAMES, PLACES

COUNTS = range(1, 7)
TABLE_GLYPHS = ["ABCDEFGHJKLMNPQRSTUVWXYZ", "0123456789"]  # letters without I and O, which look like 1 and 0
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
    """Whether this picture or flag alone on this background is kept from training."""
    index = _NAME_INDEX[name] if name in _NAME_INDEX else _COUNTRY_INDEX[name]
    return (index + _BACKGROUND_INDEX[background]) % len(BACKGROUNDS) == 0


def text_held_out(text: str) -> bool:
    """Whether this printed word, or handwritten number in decimal, is kept from training."""
    return crc32(text.encode()) % 6 == 0


def digit_held_out(index: int) -> bool:
    """Whether image `index` of scikit-learn's handwritten digits is kept from training."""
    return index % 5 == 0


def resolution_held_out(width: int, height: int) -> bool:
    """Whether images of this size (pixels) are kept from training."""
    return (width + 3 * height) % 8 == 3


def cell_held_out(name: str, row: int, column: int) -> bool:
    """Whether this picture in this cell of a screen of up to three rows and columns is kept from training."""
    return (_NAME_INDEX[name] + 3 * row + column) % 6 == 0


def direction_held_out(name: str, direction: str) -> bool:
    """Whether this picture moving `left`, `right`, `up` or `down` is kept from training: for every second picture,
    one direction."""
    return (_NAME_INDEX[name] + DIRECTIONS.index(direction)) % 8 == 0


def ordinal_held_out(name: str, number: int) -> bool:
    """Whether this picture on page, image or frame `number` (from 1) is kept from training."""
    return (_NAME_INDEX[name] + number) % 8 == 0


def pair_held_out(first: str, second: str) -> bool:
    """Whether these two words belong together only outside training: a goal, or a key and its value."""
    return text_held_out(f"{first} {second}")


def sum_held_out(first: int, second: int) -> bool:
    """Whether first + second is kept from training, and with it second + first and both subtractions from their total:
    otherwise a subtraction could be known from the sum that checks it."""
    return crc32(f"{min(first, second)} + {max(first, second)}".encode()) % 6 == 0


def bar_held_out(colour: str, value: int) -> bool:
    """Whether a bar of this colour and value (1 to 9) is kept from training."""
    return (_BAR_INDEX[colour] + value) % 5 == 0


def glyph_held_out(glyph: str, row: int, column: int) -> bool:
    """Whether this glyph in this row and column (1 to 3) of a table is kept from training."""
    return ("".join(TABLE_GLYPHS).index(glyph) + 3 * row + column) % 9 == 0


def price_held_out(name: str, price: int) -> bool:
    """Whether this picture at this price is kept from training."""
    return (_NAME_INDEX[name] + price) % 6 == 0

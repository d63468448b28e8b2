"""Eight looks as a handful of colours each, the style sheet made of one, and the pairs that must be readable.

1. A look is a list of colours, a corner and a font: no address, no rule and no word of a customer is in it.
2. The address of a style sheet says the whole look, so that it can be kept for ever and needs no look-up.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import NotFound
from dastak.web.landing.contrast import RATIO_MIN, RATIO_SHAPES_MIN, luminance, mix, nearest_passing, ratio
from dastak.web.landing.design import Corner, Font, Look


class Palette(msgspec.Struct, frozen=True, kw_only=True):
    """All that makes a look.

    Attributes:
        paper, ink: Of the card with the form.
        accent, on_accent: Of the button.
        hero, on_hero: Of the band at the top, and of what is around the card.
    """

    paper: str
    ink: str
    accent: str
    on_accent: str
    hero: str
    on_hero: str
    corner: Corner = Corner.SOFT
    font: Font = Font.PLAIN


class Theme(NamedTuple):
    """A palette with its name."""

    title: str
    palette: Palette


THEMES: Final[Mapping[str, Theme]] = {
    "meadow": Theme(
        "Meadow",
        Palette(
            paper="#ffffff", ink="#16241c", accent="#0f6b43", on_accent="#ffffff", hero="#e3f2e8",
            on_hero="#12402a",
        ),
    ),
    "ocean": Theme(
        "Ocean",
        Palette(
            paper="#ffffff", ink="#14202e", accent="#0b5cad", on_accent="#ffffff", hero="#0a2f57",
            on_hero="#ffffff",
        ),
    ),
    "marigold": Theme(
        "Marigold",
        Palette(
            paper="#fffdf8", ink="#2b1d0e", accent="#b4420f", on_accent="#ffffff", hero="#ffcf5c",
            on_hero="#3a2203", corner=Corner.ROUND, font=Font.FRIENDLY,
        ),
    ),
    "rose": Theme(
        "Rose",
        Palette(
            paper="#ffffff", ink="#2d1420", accent="#a81e5b", on_accent="#ffffff", hero="#fde7ef",
            on_hero="#6d1038", corner=Corner.ROUND,
        ),
    ),
    "plum": Theme(
        "Plum",
        Palette(
            paper="#ffffff", ink="#221a33", accent="#5b2aa8", on_accent="#ffffff", hero="#2d1654",
            on_hero="#f4ecff",
        ),
    ),
    "slate": Theme(
        "Slate",
        Palette(
            paper="#ffffff", ink="#1c2127", accent="#30363d", on_accent="#ffffff", hero="#eceff2",
            on_hero="#1c2127", corner=Corner.SQUARE,
        ),
    ),
    "paper": Theme(
        "Paper",
        Palette(
            paper="#fbf7ef", ink="#2a2520", accent="#7a2e1d", on_accent="#fff8ee", hero="#efe6d5",
            on_hero="#2a2520", corner=Corner.SQUARE, font=Font.BOOK,
        ),
    ),
    "night": Theme(
        "Night",
        Palette(
            paper="#171a21", ink="#eceff4", accent="#7cc4ff", on_accent="#08243b", hero="#0b0d12",
            on_hero="#ffffff",
        ),
    ),
}  # fmt: skip

COLOURS: Final = ("paper", "ink", "accent", "on_accent", "hero", "on_hero")
COLOUR_TITLES: Final[Mapping[str, str]] = {
    "paper": "Card",
    "ink": "Text on the card",
    "accent": "Button and links",
    "on_accent": "Text on the button",
    "hero": "Band at the top",
    "on_hero": "Text on the band",
}
_CORNERS: Final = {Corner.SQUARE: "2px", Corner.SOFT: "10px", Corner.ROUND: "24px"}
_FONTS: Final = {
    Font.PLAIN: "system-ui,sans-serif",
    Font.BOOK: "Georgia,'Noto Serif',serif",
    Font.FRIENDLY: "'Trebuchet MS','Noto Sans',system-ui,sans-serif",
}
_BAD: Final = ("#b3261e", "#f2b8b5")
_KEY: Final = re.compile(r"((?:[0-9a-f]{6}-){6})(square|soft|round)-(plain|book|friendly)")


class Pair(NamedTuple):
    """Two colours that stand on one another, and how different they must be.

    Attributes:
        text, background: The names of the colours, as in `COLOURS`.
    """

    text: str
    background: str
    at_least: float


PAIRS: Final = (
    Pair("ink", "paper", RATIO_MIN),
    Pair("accent", "paper", RATIO_MIN),  # links, and the button's own edge
    Pair("on_accent", "accent", RATIO_MIN),
    Pair("on_hero", "hero", RATIO_MIN),
)


class Poor(NamedTuple):
    """A pair that cannot be read, and what could."""

    pair: Pair
    ratio: float
    offered: str


def palette_of(look: Look) -> Palette:
    """Return what a look comes to. Raises: NotFound (there is no such theme)."""
    theme = THEMES.get(look.theme)
    if theme is None:
        raise NotFound("There is no such theme.")
    own = {name: value for name in (*COLOURS, "corner", "font") if (value := getattr(look, name)) is not None}
    return msgspec.structs.replace(theme.palette, **own)


def poor_pairs(palette: Palette) -> tuple[Poor, ...]:
    """Return the pairs that cannot be read, each with the nearest colour for its text that can."""
    return tuple(
        Poor(pair, found, nearest_passing(text, background, at_least=pair.at_least))
        for pair in PAIRS
        for text, background in ((getattr(palette, pair.text), getattr(palette, pair.background)),)
        if (found := ratio(text, background)) < pair.at_least
    )


def key_of(palette: Palette) -> str:
    """Return a palette as it stands in the address of its style sheet."""
    colours = "".join(f"{getattr(palette, name)[1:]}-" for name in COLOURS)
    return f"{colours}{palette.corner}-{palette.font}"


def palette_named(key: str) -> Palette:
    """Read a palette back. Raises: NotFound."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise NotFound("There is no such style sheet.")
    colours = [f"#{part}" for part in found[1].split("-") if part]
    named = dict(zip(COLOURS, colours, strict=True))
    return Palette(**named, corner=Corner(found[2]), font=Font(found[3]))


def variables(palette: Palette) -> str:
    """Return a palette as CSS; all else is in `landing.css`."""
    dark = luminance(palette.paper) < 0.2
    line = nearest_passing(mix(palette.ink, palette.paper, 0.55), palette.paper, at_least=RATIO_SHAPES_MIN)
    quiet = nearest_passing(mix(palette.ink, palette.paper, 0.3), palette.paper)
    said = {
        "color-scheme": "dark" if dark else "light",
        **{f"--{name.replace('_', '-')}": getattr(palette, name) for name in COLOURS},
        "--line": line,
        "--quiet": quiet,
        "--bad": nearest_passing(_BAD[dark], palette.paper),
        "--radius": _CORNERS[palette.corner],
        "--letters": _FONTS[palette.font],
    }
    return ":root{" + ";".join(f"{name}:{value}" for name, value in said.items()) + "}\n"

"""How well text can be read on its background, and the nearest colour that can.

Source: WCAG 2.2, definitions of relative luminance and contrast ratio; success criterion 1.4.3.
"""

from collections.abc import Iterator
from typing import Final

RATIO_MIN: Final = 4.5
# Borders of fields and what else is no text; criterion 1.4.11.
RATIO_SHAPES_MIN: Final = 3.0
_WHITE: Final = (255, 255, 255)
_BLACK: Final = (0, 0, 0)
_STEPS: Final = 256

Rgb = tuple[int, int, int]


def rgb(colour: str) -> Rgb:
    """Read `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def written(colour: Rgb) -> str:
    """Write a colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def luminance(colour: str) -> float:
    """Return the relative luminance, 0 to 1."""
    red, green, blue = (_linear(channel / 255) for channel in rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def nearest_passing(colour: str, background: str, *, at_least: float = RATIO_MIN) -> str:
    """Return the colour nearest to this one that can be read on a background.

    It is found between the colour and white, and between the colour and black, so that its hue stays. One of
    the two always passes: a background is at least 4.58 from white or from black.
    """
    if ratio(colour, background) >= at_least:
        return colour
    passing = [
        shade
        for end in (_WHITE, _BLACK)
        if (shade := next(_passing(rgb(colour), end, background, at_least), None)) is not None
    ]
    return min(passing, key=lambda shade: _distance(rgb(shade), rgb(colour)))


def mix(one: str, other: str, share: float) -> str:
    """Return a colour between two: `share` of the other."""
    pairs = zip(rgb(one), rgb(other), strict=True)
    red, green, blue = (round(here + (there - here) * share) for here, there in pairs)
    return written((red, green, blue))


def _passing(colour: Rgb, end: Rgb, background: str, at_least: float) -> Iterator[str]:
    for step in range(1, _STEPS + 1):
        shade = mix(written(colour), written(end), step / _STEPS)
        if ratio(shade, background) >= at_least:
            yield shade


def _distance(one: Rgb, other: Rgb) -> int:
    return sum((here - there) ** 2 for here, there in zip(one, other, strict=True))


def _linear(channel: float) -> float:
    return float(channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4)

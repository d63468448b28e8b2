"""Say which browser it was, in words that its person knows it by."""

from collections.abc import Sequence
from typing import Final

# The first that is found counts: almost every browser also says that it is another one.
_BROWSERS: Final[Sequence[tuple[str, str]]] = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("UCBrowser", "UC Browser"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final[Sequence[tuple[str, str]]] = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_OTHER_CHARACTERS_MAX: Final = 24


def browser_name(agent: str) -> str:
    """Return `Chrome, Android`; of an unknown one the beginning of what it says of itself."""
    found = [next((name for sign, name in known if sign in agent), "") for known in (_BROWSERS, _SYSTEMS)]
    named = ", ".join(name for name in found if name)
    return named or agent[:_OTHER_CHARACTERS_MAX].strip() or "?"

"""Letters that pass for others: what a brand or an address may not be made of.

Source: Unicode UTS 39, sections 4 and 5, narrowed to the scripts that our pages speak.
"""

import re
import unicodedata
from typing import Final

from dastak.core.landing import SLUG_CHARACTERS_MAX

# By the first word of a letter's name. Latin may stand beside one of the others, as in many Indian brands.
_SCRIPTS: Final = frozenset(
    {
        "LATIN",
        "DEVANAGARI",
        "BENGALI",
        "TELUGU",
        "TAMIL",
        "GUJARATI",
        "KANNADA",
        "MALAYALAM",
        "GURMUKHI",
        "ORIYA",
        "ARABIC",
    }
)
_JOINERS: Final = frozenset("\u200c\u200d")
_SLUG: Final = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{SLUG_CHARACTERS_MAX - 2}}}[a-z0-9])?")
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}")
# Beside `/f/<slug>` there are style sheets and scripts of our own.
_TAKEN: Final = frozenset({"look", "image", "embed"})


def doubtful(text: str) -> str | None:
    """Say what makes a brand doubtful, or nothing.

    Returns:
        A sentence for its maker; None: the text is what it seems.
    """
    scripts = set()
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] == "C" and character not in _JOINERS:
            return f"It has the invisible character U+{ord(character):04X}; type the name again."
        if kind[0] not in "LM":
            continue
        script = unicodedata.name(character, "UNKNOWN").split()[0]
        if kind[0] == "M" and script not in _SCRIPTS:
            continue  # an accent that stands on its own
        if script not in _SCRIPTS:
            return (
                f"The letter {character} (U+{ord(character):04X}) is {script.capitalize()} and passes for "
                "another one; type the name again."
            )
        # A Latin letter of another width or alphabet has the same first word.
        if script == "LATIN" and unicodedata.normalize("NFKC", character) != character:
            return f"The letter U+{ord(character):04X} passes for another one; type the name again."
        scripts.add(script)
    if len(scripts - {"LATIN"}) > 1:
        return "It mixes letters of several scripts; use one beside Latin."
    return None


def slug_fault(slug: str) -> str | None:
    """Say what is wrong with the name of a page in its address, or nothing."""
    if not _SLUG.fullmatch(slug):
        return "Use small letters a to z, digits and hyphens, beginning and ending with a letter or digit."
    if slug.startswith("xn--"):
        return "An address that begins with xn-- stands for letters that are not shown; use another one."
    return "This address is used by Dastak itself; use another one." if slug in _TAKEN else None


def host_fault(host: str) -> str | None:
    """Say what is wrong with a host, or nothing."""
    if not _HOST.fullmatch(host):
        return "Write a host such as offers.example.in, in small letters, without https:// and path."
    if any(part.startswith("xn--") for part in host.split(".")):
        return "A host with xn-- stands for letters that are not shown; use another one."
    return None

"""Text with paragraphs, lists, bold words and links, as marketers write it; all else is shown as typed.

1. The text is read into these four things, and they are drawn with every letter escaped: there is no way
   from a text to another element or attribute.
2. A link leads to https and nowhere else; anything else that looks like one stays text.

It is our own and not a Markdown library with a sanitiser behind it: four rules need neither of the two
packages, and what never was HTML need not be cleaned.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_ITEM: Final = re.compile(r"[-*] +(.*)")
_INLINE: Final = re.compile(
    r"\*\*(?P<bold>[^*\n]{1,300})\*\*|\[(?P<label>[^\]\n]{1,300})\]\((?P<to>[^)\s]{1,500})\)"
)
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def rich_text(text: str) -> Markup:
    """Draw a text."""
    return Markup("\n").join(_block(block) for block in _blocks(text))


def is_link(address: str) -> bool:
    """Say whether a visitor may be led there: https, a plain host, no user, nothing that bends it."""
    if not address.isascii() or not address.isprintable() or "\\" in address or '"' in address:
        return False
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - it raises for a port that is none
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        address.startswith("https://")
        and "@" not in parts.netloc
        and _HOST.fullmatch(host) is not None
        and "." in host
    )


def refused_links(text: str) -> tuple[str, ...]:
    """Return what looks like a link and leads nowhere we let people go, so that its writer hears of it."""
    return tuple(
        found["to"]
        for found in _INLINE.finditer(text)
        if found["to"] is not None and not is_link(found["to"])
    )


def _blocks(text: str) -> Iterator[list[str]]:
    """Divide a text at empty lines, and where a list begins or ends."""
    block: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        bare = line.strip()
        if block and (not bare or bool(_ITEM.fullmatch(bare)) != bool(_ITEM.fullmatch(block[0]))):
            yield block
            block = []
        if bare:
            block.append(bare)
    if block:
        yield block


def _block(lines: list[str]) -> Markup:
    items = [_ITEM.fullmatch(line) for line in lines]
    if all(items):
        drawn = Markup("").join(Markup("<li>{}</li>").format(_inline(item[1])) for item in items if item)
        return Markup("<ul>{}</ul>").format(drawn)
    return Markup("<p>{}</p>").format(Markup("<br>").join(map(_inline, lines)))


def _inline(line: str) -> Markup:
    drawn, at = Markup(""), 0
    for found in _INLINE.finditer(line):
        drawn += escape(line[at : found.start()])
        at = found.end()
        if found["bold"] is not None:
            drawn += Markup("<strong>{}</strong>").format(found["bold"])
        elif is_link(found["to"]):
            drawn += Markup('<a href="{}" rel="noopener">{}</a>').format(found["to"], found["label"])
        else:
            drawn += escape(found[0])
    return drawn + escape(line[at:])

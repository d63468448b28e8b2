"""Where a browser may be sent after a sign-in: to a path of ours, and nowhere else."""

import re
from typing import Final
from urllib.parse import urlsplit

NEXT_CHARACTERS_MAX: Final = 4000
# One slash and then neither a slash nor what browsers take for one; nothing they would drop, such as a tab.
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%?/-][A-Za-z0-9._~!$&'()*+,;=:@%?/-]*)?")


def next_path(text: str | None) -> str:
    """Return a path that a browser may be sent to, or an empty text.

    Args:
        text: As the address or the form had it; anybody may have made it.

    Source: WHATWG URL, section 4.4 (a backslash is a slash, tabs and line breaks are dropped).
    """
    if text is None or len(text) > NEXT_CHARACTERS_MAX or not _PATH.fullmatch(text):
        return ""
    parts = urlsplit(text)
    if text.startswith("//") or parts.scheme or parts.netloc or "//" in parts.path:
        return ""
    return text

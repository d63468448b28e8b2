"""Where a page of ours goes on to by itself, as it does at the end of a form."""

import re
from html import unescape
from typing import Final

_REFRESH: Final = re.compile(r'<meta http-equiv="refresh" content="0;url=([^"]*)">')


def led_to(html: str) -> str:
    """Return the address; it stands in a link as well, for who wants no page to go on by itself."""
    found = _REFRESH.search(html)
    assert found is not None, html
    assert f'<a class="button" href="{found[1]}">' in html
    return unescape(found[1])

"""A page of ours that asks a person for a code, at an address that is given to one browser.

1. Whoever opens the address first has the page; to every other browser it does not exist.
2. It leads back to one address, which was checked when the page was made.
3. What it asks for may change, a new code or a new number; what it was made for names it for good.
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.core.ids import VerificationId, show
from dastak.core.ports import Once
from dastak.core.tenant import Mode

# 160 random bits, so that nobody finds a page by guessing.
TOKEN_OCTETS: Final = 20
ADDRESS_CHARACTERS_MAX: Final = 2000
STATE_CHARACTERS_MAX: Final = 512
# Whoever mistypes the own number three times needs another kind of help.
NUMBER_CHANGES_MAX: Final = 3

VERIFICATION_FIELD: Final = "verification"
STATE_FIELD: Final = "state"
_LOOPBACK: Final = ("127.0.0.1", "localhost")
# RFC 3986, section 2, without what programs read differently: a back slash, brackets, an `@` before the host.
_ADDRESS: Final = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)


class CodePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page as it stands.

    Attributes:
        token_digest: Of the secret in its address.
        made_for: The verification that it was made for.
        asks_for: The one that it asks for now.
        return_url: Where it leads back to.
        state: The caller's, given back as it came; None if none came.
        language: A tag, if the caller chose one.
        number_changes: How often the person took another number.
        browser: Digest of the secret of the browser that has it; None before it was opened.
        finished_at: When its code was right.
    """

    token_digest: bytes
    tenant: int
    service: int
    mode: Mode
    made_for: VerificationId
    asks_for: VerificationId
    return_url: str
    expires_at: datetime
    state: str | None = None
    may_change_number: bool = False
    language: str | None = None
    number_changes: int = 0
    browser: bytes | None = None
    finished_at: datetime | None = None


class CodePageStore(Protocol):
    """The pages in the database; it raises `Overloaded` as `Store` does."""

    async def put_page(self, page: CodePage, *, once: Once | None = None) -> CodePage:
        """Insert a page; an earlier one for the same verification is gone.

        Raises:
            Conflict: `once` was answered since it was last looked for.
        """

    async def find_page(self, token_digest: bytes) -> CodePage:
        """Return a page. Raises: NotFound."""

    async def page_for(self, tenant: int, made_for: VerificationId) -> CodePage:
        """Return the page of a verification. Raises: NotFound (the tenant has none such)."""

    async def claim_page(self, token_digest: bytes, browser: bytes) -> bool:
        """Give a page to a browser; False if one has it already. Of many at once, one gets it."""

    async def turn_page(self, token_digest: bytes, *, asks: VerificationId, now_asks: VerificationId) -> bool:
        """Have a page ask for another verification, unless it did so meanwhile."""

    async def count_change(self, token_digest: bytes, *, most: int) -> bool:
        """Count one more number that the person takes; False if there were as many as there may be."""

    async def finish_page(self, token_digest: bytes, at: datetime) -> None:
        """Note that the code was right."""


def check_return_url(text: str, *, domains: Collection[str], tried_out: bool) -> str:
    """Return an address that a page may lead back to.

    Args:
        text: Absolute; `verification` and `state` are added to its query.
        domains: The hosts that the service has.
        tried_out: Whether it is for a test key, which may go back to a program on the same machine.

    Raises:
        InvalidRequest: It is malformed, not https, or of another host.
    """
    if len(text) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(text):
        raise _refused("is an absolute address in plain ASCII, without a fragment, user or password")
    parts = urlsplit(text)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("has a port that does not exist") from error
    taken = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if taken & {VERIFICATION_FIELD, STATE_FIELD}:
        raise _refused(f"may not have `{VERIFICATION_FIELD}` or `{STATE_FIELD}` in its query")
    if tried_out and host in _LOOPBACK:
        return text
    if parts.scheme != "https":
        raise _refused("begins with https; a test key may use http on 127.0.0.1 or localhost")
    if host not in domains:
        raise _refused("is of a host that this service does not have; add it to its `domains` first")
    return text


def way_back(page: CodePage) -> str:
    """Return the address that the page leads back to, with what its caller wants to know."""
    parts = urlsplit(page.return_url)
    said = [(VERIFICATION_FIELD, show(page.made_for))]
    if page.state is not None:
        said.append((STATE_FIELD, page.state))
    query = "&".join(part for part in (parts.query, urlencode(said)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _refused(rule: str) -> InvalidRequest:
    return InvalidRequest(f"`return_url` {rule}.", field="return_url")

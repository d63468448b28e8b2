"""The hidden field of a page's form: which page, version and variant it is of, and that we showed it.

1. It is signed and not kept, so that a page in a foreign frame, where no cookie comes through, has one too.
2. The secret of a visit's address follows from it: a form that comes twice is one visit and one message.

Source: RFC 2104 for the signature.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from dastak.core.codes import KeyRing
from dastak.core.errors import Forbidden
from dastak.core.landing import Variant

GOOD_FOR: Final = timedelta(hours=12)
_CHARACTERS_MAX: Final = 120
_NONCE_OCTETS: Final = 16
_MAC_OCTETS: Final = 16
# One key of the ring does one thing only.
_PURPOSE: Final = b"dastak/landing/1\0"


class Ticket(NamedTuple):
    """What a form was shown with."""

    page: int
    version: int
    variant: Variant
    shown_at: datetime
    nonce: bytes


class Tickets:
    """Signs what forms carry.

    Args:
        ring: Its current key signs; any key of it is believed.
        entropy: Returns that many random octets.
    """

    def __init__(self, ring: KeyRing, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._keys = {n: hmac.digest(key, _PURPOSE, "sha256") for n, key in ring.keys.items()}
        self._current = ring.current

    def new(self, page: int, version: int, variant: Variant, now: datetime) -> str:
        """Make the field of one form."""
        nonce = self._entropy(_NONCE_OCTETS)
        said = f"{self._current}.{page}.{version}.{variant}.{int(now.timestamp())}.{_base64(nonce)}"
        return f"{said}.{_base64(self._sign(self._current, said))}"

    def read(self, text: str, now: datetime) -> Ticket:
        """Read a field back.

        Raises:
            Forbidden: It is not ours, or too old.
        """
        said, _, signature = text.rpartition(".")
        parts = said.split(".")
        stale = Forbidden("This page is too old; open it again.", reason="stale_form")
        if len(text) > _CHARACTERS_MAX or not text.isascii() or len(parts) != 6 or not parts[0].isdigit():
            raise stale
        key = int(parts[0])
        if key not in self._keys or not hmac.compare_digest(
            _base64(self._sign(key, said)).encode(), signature.encode()
        ):
            raise stale
        shown_at = datetime.fromtimestamp(int(parts[4]), UTC)
        if now - shown_at > GOOD_FOR:
            raise stale
        nonce = urlsafe_b64decode(parts[5] + "==")
        return Ticket(int(parts[1]), int(parts[2]), Variant(parts[3]), shown_at, nonce)

    def secret(self, ticket: Ticket) -> str:
        """Return the secret in the address of the visit that a form begins."""
        return _base64(hmac.digest(self._keys[self._current], b"visit\0" + ticket.nonce, "sha256"))

    def token(self, visit: bytes) -> str:
        """Return what a server may exchange for the lead of a visit, whose digest tells nothing of it."""
        return _base64(hmac.digest(self._keys[self._current], b"token\0" + visit, "sha256"))

    def ip_digest(self, page: int, client_ip: str) -> str:
        """Return a keyed hash of an address: it proves a known one, and tells no unknown one."""
        said = f"ip\0{page}\0{client_ip}".encode()
        return hmac.digest(self._keys[self._current], said, "sha256").hex()[:32]

    def _sign(self, key: int, said: str) -> bytes:
        return hmac.digest(self._keys[key], b"form\0" + said.encode(), "sha256")[:_MAC_OCTETS]


def _base64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()

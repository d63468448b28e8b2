"""Asks who calls to prove that it knows the password of the exchange, and sees whether it does.

1. A nonce is ours and fresh, and no count of it is taken twice: what was heard on the wire opens nothing.
2. How many nonces are remembered is bounded; a forgotten one is asked for anew, and said to be stale.

Source: RFC 3261, section 22; RFC 7616.
"""

import hmac
from collections.abc import Callable
from typing import Final

from dastak.voice.sip.sip_digest import digest
from dastak.voice.sip.sip_headers import MalformedSip, quote, read_uri, split_outside, unquote
from dastak.voice.sip.sip_message import Header, SipMessage

NONCES_MAX: Final = 256
COUNTS_MAX: Final = 10_000
_PROOFS_MAX: Final = 8
ALGORITHM: Final = "MD5"  # what every phone and trunk knows


class DigestGate:
    """The lock of one exchange.

    Args:
        username: Who may call.
        password: What it knows.
        realm: What stands for the exchange.
        draw: Gives a new unguessable token at each call.
    """

    def __init__(self, username: str, password: str, realm: str, draw: Callable[[], str]) -> None:
        self._username, self._password, self._realm, self._draw = username, password, realm, draw
        # nonce -> the counts of it that were used.
        self._used: dict[str, set[str]] = {}

    def admits(self, request: SipMessage) -> bool:
        """Say whether a request proves what it has to."""
        for value in request.all("Proxy-Authorization")[:_PROOFS_MAX]:
            said = _read(value)
            if said.get("realm") == self._realm:
                return self._is_right(said, request)
        return False

    def challenge(self, request: SipMessage) -> Header:
        """Return what a request that was not admitted is asked for."""
        nonce = self._draw()
        self._used[nonce] = set()
        while len(self._used) > NONCES_MAX:
            del self._used[next(iter(self._used))]
        stale = ", stale=true" if request.all("Proxy-Authorization") else ""
        asked = f'Digest realm={quote(self._realm)}, nonce={quote(nonce)}, algorithm={ALGORITHM}, qop="auth"'
        return "Proxy-Authenticate", asked + stale

    def _is_right(self, said: dict[str, str], request: SipMessage) -> bool:
        nonce, count = said.get("nonce", ""), said.get("nc", "")
        used = self._used.get(nonce)
        if used is None or count in used or len(used) >= COUNTS_MAX or said.get("qop") != "auth":
            return False
        known = digest(ALGORITHM, f"{self._username}:{self._realm}:{self._password}")
        asked = digest(ALGORITHM, f"{request.method}:{said.get('uri', '')}")
        right = digest(ALGORITHM, f"{known}:{nonce}:{count}:{said.get('cnonce', '')}:auth:{asked}")
        names_us = said.get("username") == self._username
        if (
            not names_us
            or not _same_host(said.get("uri", ""), request.uri)
            or not hmac.compare_digest(right, said.get("response", ""))
        ):
            return False
        used.add(count)
        return True


def _same_host(said: str, asked: str) -> bool:
    """Say whether a proof is for us; callers differ in whether it names the number as well."""
    try:
        return read_uri(said).hop == read_uri(asked).hop
    except MalformedSip:
        return False


def _read(value: str) -> dict[str, str]:
    """Read a Proxy-Authorization; empty where it cannot be."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    try:
        parts = [part.partition("=") for part in split_outside(rest, ",")]
    except MalformedSip:
        return {}
    return {name.strip().lower(): unquote(text.strip()) for name, _, text in parts}

"""Digest authentication of a trunk's client: challenges in, Authorization headers out, one counter per nonce.

1. The password appears in no repr and no header; only digests of it leave.
2. What was learned from a challenge serves every later request of the trunk, so that few are asked again.
3. A nonce is never used twice with one count.

Source: RFC 7616; RFC 8760 for SIP.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from dastak.voice.sip.sip_headers import MalformedSip, clean, quote, unquote
from dastak.voice.sip.sip_message import Header, SipMessage

# The realms a trunk is known to ask for, its own and those of proxies before it.
REALMS_MAX: Final = 4
# In one response.
CHALLENGES_MAX: Final = 8
CHALLENGE_OCTETS_MAX: Final = 2048

# The stronger first: a trunk that offers several has the best of them.
_ALGORITHMS: Final[Mapping[str, str]] = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
_ASKED_BY: Final[Mapping[int, tuple[str, str]]] = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}
_PARAMETER: Final = re.compile(
    r'\s*([A-Za-z0-9_\-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*)\s*(?:,|$)', re.DOTALL
)


class Credentials(msgspec.Struct, frozen=True):
    """Who the trunk takes us for."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, ...)"


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a server wants to see proved, and how."""

    realm: str
    nonce: str
    opaque: str | None = None
    algorithm: str = "MD5"
    named: bool = False  # whether the challenge named its algorithm: then the answer does
    session: bool = False
    qop: bool = False


class DigestClient:
    """The proofs of one trunk.

    Args:
        credentials: None for a trunk that knows us by our address: nothing can be proved.
        draw: Gives a new unguessable token at each call.
    """

    def __init__(self, credentials: Credentials | None, draw: Callable[[], str]) -> None:
        self._credentials = credentials
        self._draw = draw
        # (header, realm) -> challenge, times its nonce was used, cnonce of a session.
        self._known: dict[tuple[str, str], tuple[Challenge, int, str]] = {}

    def challenged(self, response: SipMessage) -> bool:
        """Learn from a 401 or 407; False when it asks for nothing that can be proved."""
        asks, proves = _ASKED_BY[response.status]
        best: dict[str, Challenge] = {}
        for challenge in _challenges(response.all(asks)[:CHALLENGES_MAX]):
            other = best.get(challenge.realm)
            if other is None or _rank(challenge) < _rank(other):
                best[challenge.realm] = challenge
        if self._credentials is None or not best:
            return False
        for realm, challenge in best.items():
            known = self._known.pop((proves, realm), None)
            if known is not None and known[0].nonce == challenge.nonce:
                self._known[proves, realm] = (challenge, known[1], known[2])
            else:
                self._known[proves, realm] = (challenge, 0, self._draw())
        while len(self._known) > REALMS_MAX:
            del self._known[next(iter(self._known))]
        return True

    def proofs(self, method: str, uri: str) -> list[Header]:
        """Return the headers for one request; none before the first challenge.

        Args:
            method: Of the request.
            uri: The Request-URI of that very request.

        Raises:
            MalformedSip: The user name would end its line.
        """
        headers: list[Header] = []
        if self._credentials is None:
            return headers
        for key, (challenge, used, of_session) in self._known.items():
            count = used + 1
            cnonce = of_session if challenge.session else self._draw()
            self._known[key] = (challenge, count, cnonce)
            value = authorization(challenge, self._credentials, method, uri, count=count, cnonce=cnonce)
            headers.append((key[0], value))
        return headers


def authorization(
    challenge: Challenge, credentials: Credentials, method: str, uri: str, *, count: int, cnonce: str
) -> str:
    """Write the value of an Authorization header.

    Raises:
        MalformedSip: A part would end its line.

    Source: RFC 7616, section 3.4.
    """
    secret = f"{credentials.username}:{challenge.realm}:{credentials.password}"
    ha1 = digest(challenge.algorithm, secret)
    if challenge.session:
        ha1 = digest(challenge.algorithm, f"{ha1}:{challenge.nonce}:{cnonce}")
    ha2 = digest(challenge.algorithm, f"{method}:{uri}")
    middle = f"{count:08x}:{cnonce}:auth:" if challenge.qop else ""
    response = digest(challenge.algorithm, f"{ha1}:{challenge.nonce}:{middle}{ha2}")
    parts = [
        f"username={quote(credentials.username)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(uri)}",
        f'response="{response}"',
    ]
    if challenge.named:
        parts.append(f"algorithm={challenge.algorithm}{'-sess' if challenge.session else ''}")
    if challenge.qop:
        parts.append(f"qop=auth, nc={count:08x}")
    if challenge.qop or challenge.session:
        parts.append(f"cnonce={quote(cnonce)}")
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    return "Digest " + ", ".join(parts)


def read_challenge(value: str) -> Challenge | None:
    """Read one WWW-Authenticate or Proxy-Authenticate; None for a scheme or algorithm that is not ours.

    Raises:
        MalformedSip: It says Digest and cannot be read.
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    parameters = _parameters(rest)
    if "realm" not in parameters or "nonce" not in parameters:
        raise MalformedSip("a challenge has no realm or no nonce")
    algorithm = parameters.get("algorithm", "MD5").upper()
    session = algorithm.endswith("-SESS")
    algorithm = algorithm.removesuffix("-SESS")
    offered = {one.strip().lower() for one in parameters.get("qop", "").split(",") if one.strip()}
    if algorithm not in _ALGORITHMS or (offered and "auth" not in offered):
        return None
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        opaque=parameters.get("opaque"),
        algorithm=algorithm,
        named="algorithm" in parameters,
        session=session,
        qop=bool(offered),
    )


def digest(algorithm: str, text: str) -> str:
    """Return the hexadecimal digest of a text; MD5 is what trunks ask for, not what we trust."""
    octets = text.encode("utf-8", "surrogateescape")
    return hashlib.new(_ALGORITHMS[algorithm], octets, usedforsecurity=False).hexdigest()


def _challenges(values: Iterable[str]) -> Iterable[Challenge]:
    for value in values:
        try:
            challenge = read_challenge(value) if len(value) <= CHALLENGE_OCTETS_MAX else None
        except MalformedSip:
            continue
        if challenge is not None:
            yield challenge


def _rank(challenge: Challenge) -> int:
    return list(_ALGORITHMS).index(challenge.algorithm)


def _parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            raise MalformedSip("a challenge cannot be read")
        parameters.setdefault(found[1].lower(), clean(unquote(found[2])))
        at = found.end()
    return parameters

"""The grammar of SIP headers: lists, parameters, addresses, URIs, Via; strict in what it writes.

1. Whatever cannot be read raises `MalformedSip` and nothing else.
2. Nothing that is built carries CR, LF or NUL: names and numbers of tenants come this way.

Source: RFC 3261, sections 20 and 25.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote as percent_encode

import msgspec

PORT_MAX: Final = 65_535
TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
# Where a port is not said.
SIP_PORT: Final = 5060
SIPS_PORT: Final = 5061

_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)"
# Beside tokens, an IPv6 address is the only value that is written as it is.
_ADDRESS: Final = re.compile(r"\[?[0-9A-Fa-f:.]+\]?", re.ASCII)
_VIA: Final = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*([A-Za-z\-]+)\s+({_HOST})(?:\s*:\s*([0-9]{{1,5}}))?\s*(;.*)?", re.ASCII
)
_URI: Final = re.compile(
    rf'(sips?):(?:([^@<>"\s]*)@)?({_HOST})(?::([0-9]{{1,5}}))?((?:;[^?<>"\s]*)?)(?:\?[^<>"\s]*)?',
    re.ASCII | re.IGNORECASE,
)
# Blanks around a name are taken with it and stripped: tried for apart, they cost the square of their number.
_NAME_ADDR: Final = re.compile(r'(\s*"(?:[^"\\]|\\.)*"\s*|[^"<>]*)<([^<>\s]+)>\s*(;.*)?', re.DOTALL)
_CAUSE: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\r\n\0]")
# What may stand in the user part of a URI as it is, beside letters and digits.
_USER_PLAIN: Final = "-_.!~*'()&=+$,;?/"


class MalformedSip(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets are no SIP message, or these values do not fit into one."""


class Via(msgspec.Struct, frozen=True):
    """One hop a request took; the response goes back the same way."""

    transport: str
    host: str
    port: int | None = None
    parameters: dict[str, str | None] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{write_parameters(self.parameters)}"


class NameAddr(msgspec.Struct, frozen=True):
    """An address with a name for people and the parameters of its header."""

    uri: str
    display: str = ""
    parameters: dict[str, str | None] = msgspec.field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Return the tag, empty where there is none."""
        return self.parameters.get("tag") or ""

    def __str__(self) -> str:
        name = f"{quote(self.display)} " if self.display else ""
        return f"{name}<{_clean_uri(self.uri)}>{write_parameters(self.parameters)}"


class SipUri(msgspec.Struct, frozen=True):
    """A SIP URI, as far as routing needs it. Headers after `?` are passed over."""

    host: str
    user: str = ""
    port: int | None = None
    secure: bool = False
    parameters: dict[str, str | None] = msgspec.field(default_factory=dict)

    @property
    def hop(self) -> tuple[str, int]:
        """Return host and port to send to; the host may be a name."""
        port = self.port or (SIPS_PORT if self.secure else SIP_PORT)
        return (self.parameters.get("maddr") or self.host).strip("[]"), port

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = "" if self.port is None else f":{self.port}"
        scheme = "sips" if self.secure else "sip"
        return _clean_uri(f"{scheme}:{user}{self.host}{port}{write_parameters(self.parameters)}")


def clean(value: str) -> str:
    """Return a header value that may be written.

    Raises:
        MalformedSip: It would end its line.
    """
    if _FORBIDDEN.search(value):
        raise MalformedSip("a header value has CR, LF or NUL")
    return value


def quote(text: str) -> str:
    """Write a quoted-string.

    Raises:
        MalformedSip: It has CR, LF or NUL.
    """
    return '"' + clean(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Read a value that may be a quoted-string."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def escape_user(text: str) -> str:
    """Write the user part of a URI, such as a number, with everything unusual as %XX."""
    return percent_encode(text, safe=_USER_PLAIN)


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a comma or semicolon that stands outside quotes and angle brackets; pieces are stripped.

    Raises:
        MalformedSip: A quote or bracket does not end.
    """
    if '"' not in text and "<" not in text:
        return [piece.strip() for piece in text.split(separator)]
    pieces: list[str] = []
    pattern, at = _piece(separator), 0
    while True:
        found = pattern.match(text, at)
        end = found.end() if found else at
        pieces.append(text[at:end].strip())
        if end == len(text):
            return pieces
        if text[end] != separator:
            raise MalformedSip("a quote or bracket does not end")
        at = end + 1


def read_parameters(text: str) -> dict[str, str | None]:
    """Read `;name=value;name`; names are told apart without regard to case, the first of two counts.

    Raises:
        MalformedSip: A name is no token, or a quote does not end.
    """
    parameters: dict[str, str | None] = {}
    if not text:
        return parameters
    for piece in split_outside(text, ";"):
        if not piece:
            continue
        name, equals, value = piece.partition("=")
        name = name.rstrip().lower()
        if not TOKEN.fullmatch(name):
            raise MalformedSip("the name of a parameter is no token")
        parameters.setdefault(name, unquote(value.strip()) if equals else None)
    return parameters


def write_parameters(parameters: Mapping[str, str | None]) -> str:
    """Write parameters; values that are neither token nor host are quoted.

    Raises:
        MalformedSip: A name is no token, or a value has CR, LF or NUL.
    """
    parts: list[str] = []
    for name, value in parameters.items():
        if not TOKEN.fullmatch(name):
            raise MalformedSip("the name of a parameter is no token")
        if value is None:
            parts.append(f";{name}")
        else:
            plain = TOKEN.fullmatch(value) or _ADDRESS.fullmatch(value)
            parts.append(f";{name}={value if plain else quote(value)}")
    return "".join(parts)


def read_via(text: str) -> Via:
    """Read one Via.

    Raises:
        MalformedSip: It is none.
    """
    found = _VIA.fullmatch(text.strip())
    if found is None:
        raise MalformedSip("Via cannot be read")
    transport, host, port, parameters = found.groups()
    return Via(transport.upper(), host, _port(port), read_parameters(parameters or ""))


def read_name_addr(text: str) -> NameAddr:
    """Read From, To, Contact, Route or Record-Route: `"name" <uri>;tag=x`, or a bare URI.

    A tag is looked for after the bracket: parameters of the URI are not parameters of the header.

    Raises:
        MalformedSip: It is none of these.
    """
    found = _NAME_ADDR.fullmatch(text)
    if found is not None:
        display, uri, parameters = found.groups()
        return NameAddr(uri, unquote(display.strip()), read_parameters(parameters or ""))
    uri, _, rest = text.partition(";")
    uri = uri.strip()
    if not uri or re.search(r'[\s<>"]', uri):
        raise MalformedSip("an address cannot be read")
    return NameAddr(uri, "", read_parameters(rest))


def read_uri(text: str) -> SipUri:
    """Read a SIP or SIPS URI.

    Raises:
        MalformedSip: It is none; `tel:` is none either.
    """
    found = _URI.fullmatch(text)
    if found is None:
        raise MalformedSip("a SIP URI cannot be read")
    scheme, user, host, port, parameters = found.groups()
    return SipUri(
        host=host,
        user=user or "",
        port=_port(port),
        secure=scheme.lower() == "sips",
        parameters=read_parameters(parameters),
    )


def read_reason(text: str) -> int | None:
    """Return the Q.850 cause of a Reason header, None where there is none.

    Source: RFC 3326.
    """
    try:
        for one in split_outside(text, ","):
            protocol, _, parameters = one.partition(";")
            if protocol.strip().upper() == "Q.850":
                cause = read_parameters(parameters).get("cause") or ""
                return int(cause) if _CAUSE.fullmatch(cause) and int(cause) <= 127 else None
    except MalformedSip:
        pass
    return None


@lru_cache(maxsize=2)
def _piece(separator: str) -> re.Pattern[str]:
    return re.compile(rf'(?:[^{separator}"<]|"(?:[^"\\]|\\.)*"|<[^>]*>)+', re.DOTALL)


def _port(digits: str | None) -> int | None:
    if digits is None:
        return None
    if not 0 < int(digits) <= PORT_MAX:
        raise MalformedSip("a port is not between 1 and 65535")
    return int(digits)


def _clean_uri(uri: str) -> str:
    if re.search(r'[\s<>"\0]', uri) or not uri:
        raise MalformedSip("a URI has blanks, quotes or brackets")
    return uri

"""SIP messages to octets and back, from datagrams and from streams.

1. A message that was read has one readable Via on top, From, To, Call-ID and CSeq.
2. Lists of addresses and hops are one entry each; every other header stays whole.
3. Text is UTF-8 where it can be, and octets that are not come out as they came in.
4. Whatever cannot be read raises `MalformedSip` and nothing else: it is dropped, counted, never answered.

Source: RFC 3261, sections 7, 8.2.6 and 18.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from dastak.voice.sip.sip_headers import (
    SIP_PORT,
    TOKEN,
    MalformedSip,
    Via,
    clean,
    read_name_addr,
    read_reason,
    read_via,
    split_outside,
)

MESSAGE_OCTETS_MAX: Final = 64 * 1024
# The headers of one message. What we answer copies some of them, so this leaves room below the bound above.
HEAD_OCTETS_MAX: Final = 16 * 1024
assert 3 * HEAD_OCTETS_MAX < MESSAGE_OCTETS_MAX
HEADERS_MAX: Final = 128
# Shorter datagrams are keep-alives (CRLF, STUN) and no business of ours.
MESSAGE_OCTETS_MIN: Final = 20
CSEQ_MAX: Final = 2**31 - 1
# The mark of RFC 3261: a branch that begins so is unlike any other.
BRANCH_COOKIE: Final = "z9hG4bK"

Header: TypeAlias = tuple[str, str]
Address: TypeAlias = tuple[str, int]

_COMPACT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "m": "contact",
    "i": "call-id",
    "l": "content-length",
    "c": "content-type",
    "e": "content-encoding",
    "k": "supported",
    "s": "subject",
    "x": "session-expires",
    "r": "refer-to",
    "o": "event",
    "u": "allow-events",
}
_SPELLED: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "rseq": "RSeq",
    "rack": "RAck",
    "min-se": "Min-SE",
}
_LISTS: Final = frozenset({"Via", "Route", "Record-Route", "Contact"})
_SINGLE: Final = frozenset({"From", "To", "Call-ID", "CSeq", "Content-Length"})
_REQUEST_LINE: Final = re.compile(
    r"([A-Za-z0-9\-.!%*_+`'~]+) ([^\s<>\"]+) SIP/2\.0", re.ASCII | re.IGNORECASE
)
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.ASCII | re.IGNORECASE)
_CSEQ: Final = re.compile(r"([0-9]{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]+)", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]{1,1024})", re.IGNORECASE)
_END_OF_HEAD: Final = b"\r\n\r\n"


class SipMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the peer sent it.

    Attributes:
        method: Of the request, or of the request that this answers.
        status: 0 in a request.
        uri: Empty in a response.
        via: The topmost.
    """

    method: str
    status: int = 0
    uri: str = ""
    reason: str = ""
    headers: tuple[Header, ...]
    body: bytes = b""
    via: Via
    from_tag: str
    to_tag: str
    call_id: str
    cseq: int

    @property
    def branch(self) -> str:
        """Return the branch of the topmost Via: with the method it names the transaction."""
        return self.via.parameters.get("branch") or ""

    @property
    def cause(self) -> int | None:
        """Return the Q.850 cause that a Reason header gives."""
        return next(
            (cause for value in self.all("Reason") if (cause := read_reason(value)) is not None), None
        )

    def first(self, name: str) -> str:
        """Return the first value of a header, empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a header, in order."""
        return [value for key, value in self.headers if key == name]

    def tokens(self, name: str) -> frozenset[str]:
        """Return the members of a header that lists words, in lower case."""
        return frozenset(
            word.strip().lower() for value in self.all(name) for word in value.split(",") if word.strip()
        )


def peek_call_id(octets: bytes) -> str:
    """Return the Call-ID of a message that is not read yet; empty where none is seen at a glance.

    It costs a twentieth of `parse`, which is what a flood from strangers shall cost us.
    """
    found = _CALL_ID.search(octets, 0, HEAD_OCTETS_MAX)
    return found[1].decode("utf-8", "surrogateescape").strip() if found else ""


def parse(octets: bytes) -> SipMessage:
    """Read one message.

    Raises:
        MalformedSip: It is none.
    """
    if not MESSAGE_OCTETS_MIN <= len(octets) <= MESSAGE_OCTETS_MAX:
        raise MalformedSip("too short or too long")
    head, blank, body = octets.partition(_END_OF_HEAD)
    if not blank or len(head) > HEAD_OCTETS_MAX:
        raise MalformedSip("the headers do not end")
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    headers = tuple(_headers(lines))
    length = _content_length(headers)
    if length is not None:
        if length > len(body):
            raise MalformedSip("the body is shorter than Content-Length")
        body = body[:length]
    return _message(start, headers, body)


def encode_request(method: str, uri: str, headers: Iterable[Header], body: bytes = b"") -> bytes:
    """Write a request.

    Raises:
        MalformedSip: A part would end its line, or is not what its place takes.
    """
    if not _REQUEST_LINE.fullmatch(line := f"{method} {uri} SIP/2.0"):
        raise MalformedSip("the request line has blanks, quotes or brackets")
    return _encode(line, headers, body)


def encode_response(status: int, reason: str, headers: Iterable[Header], body: bytes = b"") -> bytes:
    """Write a response.

    Raises:
        MalformedSip: A part would end its line.
    """
    return _encode(f"SIP/2.0 {status} {clean(reason)}", headers, body)


def answer(
    request: SipMessage,
    status: int,
    reason: str,
    *,
    source: Address,
    to_tag: str = "",
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> bytes:
    """Write the response to a request.

    Args:
        request: What is answered.
        status: The final or provisional status.
        reason: In words.
        source: Where the request came from: behind NAT its Via does not tell.
        to_tag: Ours, where the request has none.
        headers: Further ones.
        body: With its Content-Type in `headers`.

    Raises:
        MalformedSip: A header would end its line.

    Source: RFC 3261, section 8.2.6; RFC 3581, section 4.
    """
    _, *vias = request.all("Via")
    to = request.first("To")
    if not request.to_tag and to_tag:
        to = f"{to};tag={to_tag}"
    return encode_response(
        status,
        reason,
        [
            ("Via", str(_seen_from(request.via, source))),
            *(("Via", via) for via in vias),
            *(("Record-Route", route) for route in request.all("Record-Route")),
            ("From", request.first("From")),
            ("To", to),
            ("Call-ID", request.call_id),
            ("CSeq", f"{request.cseq} {request.method}"),
            *headers,
        ],
        body,
    )


def answer_to(request: SipMessage, source: Address) -> Address:
    """Return where the response goes over UDP.

    Source: RFC 3261, section 18.2.2; RFC 3581, section 4.
    """
    return source if "rport" in request.via.parameters else (source[0], request.via.port or SIP_PORT)


class StreamFramer:
    """Cuts a TCP or TLS stream, in pieces of any size, into the octets of messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # octets in which no end of the headers is
        self._end = 0  # of the message in hand, 0 until its headers are there

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """Yield every message that is now whole. Blank lines between messages are keep-alives.

        Raises:
            MalformedSip: The end of a message cannot be known any more: the stream is lost.
        """
        self._buffer += octets
        while self._find_end():
            if len(self._buffer) < self._end:
                return
            message = bytes(self._buffer[: self._end])
            del self._buffer[: self._end]
            self._searched = self._end = 0
            yield message

    def _find_end(self) -> bool:
        """Find where the message in hand ends; False when its headers are not whole yet."""
        if self._end:
            return True
        while not self._searched and self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        head_end = self._buffer.find(_END_OF_HEAD, max(0, self._searched - 3))
        if head_end < 0:
            self._searched = len(self._buffer) if self._buffer != b"\r" else 0
            self._bounded(len(self._buffer), HEAD_OCTETS_MAX)
            return False
        self._bounded(head_end, HEAD_OCTETS_MAX)
        self._end = head_end + len(_END_OF_HEAD) + self._body_octets(head_end)
        self._bounded(self._end, MESSAGE_OCTETS_MAX)
        return True

    def _body_octets(self, head_end: int) -> int:
        """Read Content-Length, which a stream cannot do without."""
        lines = bytes(self._buffer[:head_end]).decode("utf-8", "surrogateescape").split("\r\n")
        length = _content_length(tuple(_headers(lines[1:])))
        if length is None:
            raise MalformedSip("a message in a stream has no Content-Length")
        return length

    def _bounded(self, octets: int, octets_max: int) -> None:
        if octets > octets_max:
            raise MalformedSip(f"a message of more than {octets_max} octets")


def _seen_from(via: Via, source: Address) -> Via:
    parameters = dict(via.parameters)
    if "rport" in parameters:
        parameters["rport"] = str(source[1])
    if "rport" in parameters or via.host.strip("[]") != source[0]:
        parameters["received"] = source[0]
    return Via(via.transport, via.host, via.port, parameters)


def _encode(line: str, headers: Iterable[Header], body: bytes) -> bytes:
    lines = [line]
    for name, value in headers:
        if not TOKEN.fullmatch(name):
            raise MalformedSip("the name of a header is no token")
        lines.append(f"{name}: {clean(value)}")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    octets = "\r\n".join(lines).encode("utf-8", "surrogateescape") + body
    if len(octets) > MESSAGE_OCTETS_MAX:
        raise MalformedSip(f"a message of more than {MESSAGE_OCTETS_MAX} octets")
    return octets


def _headers(lines: Sequence[str]) -> Iterator[Header]:
    """Unfold lines, name headers as the standard does, and split lists."""
    unfolded: list[str] = []
    for line in lines:
        if line[:1] in {" ", "\t"} and unfolded:
            unfolded[-1] = f"{unfolded[-1]} {line.strip()}"
        else:
            unfolded.append(line)
    count = 0
    for line in unfolded:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not TOKEN.fullmatch(name):
            raise MalformedSip("a header cannot be read")
        name, value = _spelled(name), clean(value).strip()
        for one in split_outside(value, ",") if name in _LISTS else (value,):
            count += 1
            if count > HEADERS_MAX:
                raise MalformedSip(f"more than {HEADERS_MAX} headers")
            yield name, one


def _message(start: str, headers: tuple[Header, ...], body: bytes) -> SipMessage:
    singles: dict[str, str] = {}
    via = None
    for name, value in headers:
        if name == "Via" and via is None:
            via = read_via(value)
        elif name in _SINGLE and singles.setdefault(name, value) != value:
            raise MalformedSip(f"{name} is there twice")
    if via is None or not singles.keys() >= {"From", "To", "Call-ID", "CSeq"}:
        raise MalformedSip("Via, From, To, Call-ID or CSeq is missing")
    cseq = _CSEQ.fullmatch(singles["CSeq"])
    if cseq is None or int(cseq[1]) > CSEQ_MAX or not singles["Call-ID"]:
        raise MalformedSip("CSeq or Call-ID cannot be read")
    status = _STATUS_LINE.fullmatch(start)
    request = None if status else _REQUEST_LINE.fullmatch(start)
    if request is not None and request[1] != cseq[2]:
        raise MalformedSip("CSeq names another method")
    if status is None and request is None:
        raise MalformedSip("neither a request nor a response")
    return SipMessage(
        method=cseq[2],
        status=int(status[1]) if status else 0,
        reason=clean(status[2] or "") if status else "",
        uri=request[2] if request else "",
        headers=headers,
        body=body,
        via=via,
        from_tag=read_name_addr(singles["From"]).tag,
        to_tag=read_name_addr(singles["To"]).tag,
        call_id=singles["Call-ID"],
        cseq=int(cseq[1]),
    )


def _content_length(headers: tuple[Header, ...]) -> int | None:
    values = {value for name, value in headers if name == "Content-Length"}
    if not values:
        return None
    value = values.pop()
    if values or not _DIGITS.fullmatch(value):
        raise MalformedSip("Content-Length cannot be read")
    return int(value)


@lru_cache(maxsize=256)
def _spelled(name: str) -> str:
    """Return a header's name as the standard writes it, from any case and from its compact form."""
    name = _COMPACT.get(name.lower(), name.lower())
    return _SPELLED.get(name, name.title())

"""The far side of a trunk, as cheap as Python makes it: it answers every call, or is busy.

It knows the order in which our engine says things and is no SIP server: SIPp, Kamailio and baresip stand for
those in the tests; here they would be what is measured.
"""

import time
from collections.abc import Callable
from enum import Enum


class Does(Enum):
    """What it does with a call."""

    ANSWERS = "answers"
    IS_BUSY = "is busy"
    HANGS_UP = "answers, and hangs up at once"


class SipCallee:
    """All phones behind one port.

    Args:
        does: With every call.
        host: In digits.
        port: Where it hears SIP.
        media_port: Returns where the next phone hears sound.

    Attributes:
        invited_s: When the INVITE to a number came, by the clock of the machine.
        answered: How many ACKs of a 200 came.
        ended: How many calls are over.
    """

    def __init__(
        self, does: Does, *, host: str = "127.0.0.1", port: int = 0, media_port: Callable[[], int] = lambda: 9
    ) -> None:
        self.does, self.host, self.port, self._media_port = does, host, port, media_port
        self.invited_s: dict[str, float] = {}
        self.answered = self.ended = 0
        self._byes: dict[bytes, bytes] = {}

    def hear(self, octets: bytes) -> list[bytes]:
        """Return what is said to a message."""
        method = octets[: octets.find(b" ")]
        if method == b"INVITE":
            return self._invited(octets)
        if method == b"ACK":
            return self._acknowledged(octets)
        if method == b"BYE":
            self.ended += 1
            return [_answer(octets, b"200 OK")]
        # What is no request is an answer, or the report on the sound of a phone at the port below.
        is_request = octets[: octets.find(b"\r\n")].endswith(b" SIP/2.0")
        return [_answer(octets, b"200 OK")] if is_request else []

    def _invited(self, invite: bytes) -> list[bytes]:
        number = invite[invite.find(b"sip:") + 4 : invite.find(b"@")].decode()
        self.invited_s.setdefault(number, time.perf_counter())
        if self.does is Does.IS_BUSY:
            return [_answer(invite, b"486 Busy Here", tag=b"busy")]
        sdp = (
            b"v=0\r\no=- 1 1 IN IP4 %(host)s\r\ns=-\r\nc=IN IP4 %(host)s\r\nt=0 0\r\n"
            b"m=audio %(port)d RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        ) % {b"host": self.host.encode(), b"port": self._media_port()}
        contact = b"Contact: <sip:phone@%s:%d>\r\n" % (self.host.encode(), self.port)
        tag = b"t" + number.encode().lstrip(b"+")
        if self.does is Does.HANGS_UP:
            self._byes[_header(invite, b"Call-ID")] = self._bye(invite, tag)
        return [
            _answer(invite, b"180 Ringing", tag=tag, more=contact),
            _answer(invite, b"200 OK", tag=tag, more=contact, sdp=sdp),
        ]

    def _acknowledged(self, ack: bytes) -> list[bytes]:
        if b";tag=busy" in ack:
            self.ended += 1
            return []
        self.answered += 1
        if self.does is not Does.HANGS_UP:
            return []
        bye = self._byes.pop(_header(ack, b"Call-ID"), None)
        if bye is None:
            return []
        self.ended += 1
        return [bye]

    def _bye(self, invite: bytes, tag: bytes) -> bytes:
        contact = _header(invite, b"Contact")
        target = contact[contact.find(b"<") + 1 : contact.find(b">")]
        call = _header(invite, b"Call-ID")
        return (
            b"BYE %b SIP/2.0\r\nVia: SIP/2.0/UDP %b:%d;branch=z9hG4bK%b\r\nMax-Forwards: 70\r\n"
            b"From: %b;tag=%b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
        ) % (
            target, self.host.encode(), self.port, call[:20], _header(invite, b"To"), tag,
            _header(invite, b"From"), call,
        )  # fmt: skip


def _header(message: bytes, name: bytes) -> bytes:
    at = message.index(b"\r\n" + name + b":") + len(name) + 3
    return message[at : message.index(b"\r\n", at)].strip()


def _answer(request: bytes, status: bytes, *, tag: bytes = b"", more: bytes = b"", sdp: bytes = b"") -> bytes:
    to = _header(request, b"To")
    if tag and b";tag=" not in to:
        to += b";tag=" + tag
    kind = b"Content-Type: application/sdp\r\n" if sdp else b""
    return (
        b"SIP/2.0 %b\r\nVia: %b\r\nFrom: %b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %b\r\n"
        b"%b%bContent-Length: %d\r\n\r\n%b"
    ) % (
        status, _header(request, b"Via"), _header(request, b"From"), to, _header(request, b"Call-ID"),
        _header(request, b"CSeq"), more, kind, len(sdp), sdp,
    )  # fmt: skip

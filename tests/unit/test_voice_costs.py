"""What a stranger's octets may cost: in step with their number, whatever they say."""

import time
from collections.abc import Callable

import pytest

from dastak.voice.sip.sip_digest import CHALLENGE_OCTETS_MAX, read_challenge
from dastak.voice.sip.sip_headers import MalformedSip, read_reason, read_uri
from dastak.voice.sip.sip_message import HEAD_OCTETS_MAX, StreamFramer, parse
from dastak.voice.sound.rtcp import RTCP_OCTETS_MAX, MalformedRtcp, read_compound
from dastak.voice.sound.sdes import read_crypto
from dastak.voice.sound.sdp import SDP_OCTETS_MAX, Ours, UnusableSdp, read_answer
from dastak.voice.sound.telephone_event import read_info
from tests.support import sip_samples

TIMES_LARGER = 8
# In step is 8 times, by the square 64; between them lies what a busy machine does to a measurement.
TIMES_DEARER_MAX = 28.0
# What runs once over so few octets is lost in what a call of a function costs, so each is run several times.
RUNS, BEST_OF = 20, 5
OURS = Ours(address="127.0.0.1", port=40_000, session_id=1)
SDP = b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n"


def header(name: bytes, value: bytes) -> bytes:
    """Return an answer with this value of a header, in place of its own."""
    kept = [line for line in sip_samples.RINGING.split(b"\r\n") if not line.startswith(name + b":")]
    return b"\r\n".join([kept[0], name + b": " + value, *kept[1:]])


def of_header(name: str, begins: str, again: str, ends: str = "") -> Callable[[int], None]:
    def read(octets: int) -> None:
        filling = again * ((octets - len(begins) - len(ends)) // len(again))
        parse(header(name.encode(), f"{begins}{filling}{ends}".encode()))

    return read


def of(reads: Callable[[str], object], begins: str, again: str, ends: str = "") -> Callable[[int], None]:
    return lambda octets: void(reads(begins + again * (octets // len(again)) + ends))


def of_sdp(again: bytes, ends: bytes = b"") -> Callable[[int], None]:
    return lambda octets: void(read_answer(SDP + again * ((octets - 200) // len(again)) + ends, OURS))


def of_stream(pieces: bytes) -> Callable[[int], None]:
    def read(octets: int) -> None:
        framer = StreamFramer()
        for _ in range(octets // len(pieces)):
            for _ in framer.feed(pieces):
                pass

    return read


def void(_: object) -> None:
    """Leave a result alone."""


HOSTILE: dict[str, tuple[int, Callable[[int], None]]] = {
    "blanks in a name": (HEAD_OCTETS_MAX, of_header("From", "a", " ", "b")),
    "tabs in a name": (HEAD_OCTETS_MAX, of_header("To", "a", "\t", "b")),
    "blanks before a bracket that never comes": (HEAD_OCTETS_MAX, of_header("From", '"a"', " ", "b")),
    "backslashes in a quote that does not end": (HEAD_OCTETS_MAX, of_header("From", '"', "\\a")),
    "quotes": (HEAD_OCTETS_MAX, of_header("From", "", '"a"')),
    "semicolons": (HEAD_OCTETS_MAX, of_header("From", "<sip:a@b>", ";")),
    "parameters": (HEAD_OCTETS_MAX, of_header("From", "<sip:a@b>", ";a=b")),
    "parameters with quotes": (HEAD_OCTETS_MAX, of_header("From", "<sip:a@b>", ';a="b;"')),
    "brackets that do not end": (HEAD_OCTETS_MAX, of_header("Contact", "", "<")),
    "quotes that do not end": (HEAD_OCTETS_MAX, of_header("Contact", "", '"a",', '"')),
    "a list of nothing": (HEAD_OCTETS_MAX, of_header("Record-Route", "", ",")),
    "blanks in Via": (HEAD_OCTETS_MAX, of_header("Via", "SIP/2.0/UDP h", " ", "x")),
    "blanks in CSeq": (HEAD_OCTETS_MAX, of_header("CSeq", "1", " ", "INVITE x")),
    "folded lines": (HEAD_OCTETS_MAX, of_header("Subject", "a", "\r\n b")),
    "words of Require": (HEAD_OCTETS_MAX, of_header("Require", "a", ",b")),
    "colons in a URI": (HEAD_OCTETS_MAX, of(read_uri, "sip:", "a:")),
    "parameters of a URI": (HEAD_OCTETS_MAX, of(read_uri, "sip:h", ";a?", " ")),
    "a user without a host": (HEAD_OCTETS_MAX, of(read_uri, "sip:", "a", "@")),
    "causes": (HEAD_OCTETS_MAX, of(read_reason, "Q.850;", "cause=1;")),
    "blanks in a challenge": (CHALLENGE_OCTETS_MAX, of(read_challenge, "Digest a=", " ", "x")),
    "backslashes in a challenge": (CHALLENGE_OCTETS_MAX, of(read_challenge, 'Digest a="', '\\"')),
    "commas in a challenge": (CHALLENGE_OCTETS_MAX, of(read_challenge, 'Digest a="b"', " ,", "=")),
    "attributes": (SDP_OCTETS_MAX, of_sdp(b"a=rtpmap:0 PCMU/8000\r\n")),
    "directions": (SDP_OCTETS_MAX, of_sdp(b"a=sendonl\r\n")),
    "blank lines of SDP": (SDP_OCTETS_MAX, of_sdp(b"\n")),
    "keys of SRTP": (SDP_OCTETS_MAX, of(read_crypto, "1 AES_CM_128_HMAC_SHA1_80 inline:", "|")),
    "a stream octet by octet": (HEAD_OCTETS_MAX, of_stream(b"a")),
    "a stream of keep-alives": (HEAD_OCTETS_MAX, of_stream(b"\r\n")),
    "a body of INFO": (
        HEAD_OCTETS_MAX,
        lambda octets: void(read_info(b"\n" + b" " * octets)),
    ),
    "parts of a report": (
        RTCP_OCTETS_MAX,
        lambda octets: void(read_compound(b"\x80\xc9\0\1abcd" + b"\x80\xcc\0\0" * (octets // 4 - 3))),
    ),
}


def cost_s(reads: Callable[[int], None], octets: int) -> float:
    """Return what reading takes of the processor, at best."""
    best = float("inf")
    for _ in range(BEST_OF):
        began = time.thread_time()
        for _ in range(RUNS):
            try:
                reads(octets)
            except (MalformedSip, UnusableSdp, MalformedRtcp):
                continue
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("what", HOSTILE)
def test_cost_grows_no_faster_than_the_octets(what: str) -> None:
    octets, reads = HOSTILE[what]

    dearer = cost_s(reads, octets - 400) / max(1e-6, cost_s(reads, (octets - 400) // TIMES_LARGER))

    assert dearer < TIMES_DEARER_MAX, f"{TIMES_LARGER} times the octets cost {dearer:.0f} times as much"

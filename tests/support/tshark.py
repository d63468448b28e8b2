"""Wireshark's dissector as a judge of captures: tshark takes each packet apart, and is asked what it read.

It complains of little in texts such as SIP and SDP: what it cannot read there, it leaves out. So the judge is
not only asked for complaints, but for every field that a message has to have.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.needed import program

# Of expert information: chats, notes and warnings are below.
ERROR: Final = 0x0080_0000
_SAID: Final = (
    "frame.number",
    "frame.protocols",
    "_ws.expert.severity",
    "_ws.expert.message",
    "_ws.malformed",
)
_OF_SIP: Final = (
    *("sip.Method", "sip.Status-Code", "sip.Via.transport", "sip.Via.sent-by.address", "sip.Via.branch"),
    *("sip.from.addr", "sip.from.tag", "sip.to.addr", "sip.Call-ID"),
    *("sip.CSeq.seq", "sip.CSeq.method", "sip.Content-Length", "sip.contact.uri", "sip.auth.digest.response"),
)
_OF_SDP: Final = (
    *(
        "sdp.version",
        "sdp.owner.sessionid",
        "sdp.owner.version",
        "sdp.connection_info.address",
        "sdp.time.start",
    ),
    *("sdp.media.media", "sdp.media.port", "sdp.media.proto", "sdp.media.format", "sdp.mime.type"),
)
_OF_SOUND: Final = (
    *("rtp.version", "rtp.p_type", "rtp.setup-method", "rtp.payload", "rtcp.version", "rtcp.pt"),
    *("rtcp.length_check", "rtpevent.event_id", "rtpevent.duration"),
)
_FIELDS: Final = (*_SAID, *_OF_SIP, *_OF_SDP, *_OF_SOUND)
# What each message of SIP has to have, request or answer, and each description.
_NEEDED: Final = _OF_SIP[2:12]
_NEEDED_OF_SDP: Final = _OF_SDP
_NUMBERS: Final = ("sdp.media.port", "sdp.owner.sessionid", "sdp.owner.version", "sip.Content-Length")
_WORD: Final = "\x1f"


class Dissected(NamedTuple):
    """What the judge read in one packet, by the names that it gives to fields."""

    fields: dict[str, list[str]]

    @property
    def protocols(self) -> frozenset[str]:
        """Those found in it, such as `sip` and `sdp`."""
        return frozenset(self.one("frame.protocols").split(":"))

    @property
    def method(self) -> str:
        """Of a SIP request, or the status of an answer; empty for all else."""
        return self.one("sip.Method") or self.one("sip.Status-Code")

    def one(self, name: str) -> str:
        """Return the first value of a field, empty where it was not read."""
        return self.fields[name][0] if self.fields[name] else ""

    def wrong(self) -> list[str]:
        """Return what is wrong with it."""
        found = [f"{name} was not read" for name in self._needed() if not self.fields[name]]
        severities, messages = self.fields["_ws.expert.severity"], self.fields["_ws.expert.message"]
        found += [
            message
            for severity, message in zip(severities, messages, strict=True)
            if int(severity, 0) >= ERROR
        ]
        found += self.fields["_ws.malformed"]
        if "_ws.malformed" in self.protocols or "data" in self.protocols:
            found.append(f"malformed or unknown: {sorted(self.protocols)}")
        if self.one("sip.Method") and self.one("sip.Method") != self.one("sip.CSeq.method"):
            found.append("CSeq names another method")
        if not all(number.isdigit() for name in _NUMBERS for number in self.fields[name]):
            found.append("a number is none")
        if not all(one in {"1", "True"} for one in self.fields["rtcp.length_check"]):
            found.append("the length of a report is wrong")
        return found

    def _needed(self) -> tuple[str, ...]:
        return (_NEEDED if "sip" in self.protocols else ()) + (
            _NEEDED_OF_SDP if "sdp" in self.protocols else ()
        )


def dissected(capture: Path, *, sip_port: int) -> list[Dissected]:
    """Take every packet of a capture apart; skip where there is no tshark."""
    arguments = [
        *("-r", str(capture), "-n", "-T", "fields", "-E", "separator=/t", "-E", f"aggregator={_WORD}"),
        *(word for field in _FIELDS for word in ("-e", field)),
        *("-d", f"udp.port=={sip_port},sip", "-d", f"tcp.port=={sip_port},sip"),
        # Headers of IP and TCP are the capture's own.
        *("-o", "tcp.analyze_sequence_numbers:FALSE"),
    ]
    done = subprocess.run(
        [program("tshark"), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [_read(line) for line in done.stdout.splitlines()]


def wrong(judged: Sequence[Dissected]) -> list[tuple[str, list[str]]]:
    """Return every packet with which something is wrong, and what."""
    return [(one.one("frame.number"), found) for one in judged if (found := one.wrong())]


def _read(line: str) -> Dissected:
    values = line.split("\t")
    return Dissected(
        {name: value.split(_WORD) if value else [] for name, value in zip(_FIELDS, values, strict=True)}
    )

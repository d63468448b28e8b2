"""A whole phone of the tests' own: it answers over UDP, hears, presses keys, holds and hangs up."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dastak.voice.sip.sip_message import Address, Header, SipMessage, parse
from dastak.voice.sound.g711 import SILENT_FRAME
from tests.support import sip_samples
from tests.support.rtp_phone import RtpPhone
from tests.support.smpp_pair import soon

FRAME_OCTETS = 160
_MEDIA = re.compile(rb"\nm=audio ([0-9]+)")
_DTMF: Header = ("Content-Type", "application/dtmf-relay")
_SDP: Header = ("Content-Type", "application/sdp")


class TalkingPhone(asyncio.DatagramProtocol):
    """The phone; it has one call.

    Args:
        sound: Where it hears.
        rings: Answers that it gives before the one that counts, each a status and a tag.
        sdp: Whether its answer has a description.

    Attributes:
        answers: What we answered to its requests.
        hung_up: Set when we said BYE.
    """

    def __init__(
        self, sound: RtpPhone, *, rings: Sequence[tuple[int, str]] = ((180, "theirs"),), sdp: bool = True
    ) -> None:
        self.sound = sound
        self.answers: asyncio.Queue[SipMessage] = asyncio.Queue()
        self.hung_up = asyncio.Event()
        self.port = 0
        self._rings, self._sdp = rings, sdp
        self._invite: SipMessage | None = None
        self._line: Address = ("", 0)
        self._cseq = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = parse(data)
        self._line = addr
        if message.status:
            self.answers.put_nowait(message)
        elif message.method == "INVITE":
            self._invite = message
            for status, tag in self._rings:
                self._reply(message, status, tag=tag)
            body, kind = (self._description(), [_SDP]) if self._sdp else (b"", [])
            self._reply(message, 200, body=body, headers=kind)
        elif message.method == "BYE":
            self._reply(message, 200)
            self.hung_up.set()

    @property
    def line_port(self) -> int:
        """Where we hear."""
        assert self._invite is not None
        found = _MEDIA.search(self._invite.body)
        assert found is not None
        return int(found[1])

    def press(self, key: str) -> None:
        """Press a key as RTP tells it."""
        self.sound.presses(key, self.line_port)

    def speak(self) -> None:
        """Send one packet of sound."""
        self.sound.speaks(self.line_port)

    async def asks(
        self, method: str, *, headers: Sequence[Header] = (), body: bytes = b"", branch: str | None = None
    ) -> SipMessage:
        """Ask something within the call; return what was answered."""
        assert self._invite is not None
        self._cseq += 1
        octets = sip_samples.ask(
            self._invite, method, cseq=self._cseq, headers=headers, body=body, branch=branch
        )
        self._say(octets)
        while (answer := await soon(self.answers.get())).status < 200:
            pass
        if method == "INVITE":
            self._say(sip_samples.ask(self._invite, "ACK", cseq=self._cseq))
        return answer

    async def presses_by_info(self, key: str) -> SipMessage:
        """Press a key as gateways tell it that have no RTP for it."""
        return await self.asks("INFO", headers=[_DTMF], body=f"Signal={key}\r\nDuration=160\r\n".encode())

    async def says(self, direction: str = "sendrecv") -> SipMessage:
        """Invite anew, to hold, to resume, or only to refresh the session."""
        timed = [("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]
        contact = ("Contact", f"<sip:phone@127.0.0.1:{self.port}>")
        return await self.asks("INVITE", headers=[contact, *timed, _SDP], body=self._description(direction))

    def recorded(self) -> bytes:
        """Return what was heard in time: each packet in its place, silence where none came."""
        packets = self.sound.packets
        if not packets:
            return b""
        # Late packets may come before the first in time.
        first = packets[0].timestamp
        places = {((one.timestamp - first + 2**31) % 2**32 - 2**31) // FRAME_OCTETS: one for one in packets}
        begins, ends = min(places), max(places)
        return b"".join(
            places[place].payload if place in places else SILENT_FRAME for place in range(begins, ends + 1)
        )

    async def until_heard(self, look: Callable[[bytes], bool]) -> None:
        """Wait for something in the recording; looked for twice a second."""
        while not look(self.recorded()):
            await self.sound.hears_more(25)

    def _description(self, direction: str = "sendrecv") -> bytes:
        return (
            "v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.sound.port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na={direction}\r\n"
        ).encode()

    def _say(self, octets: bytes) -> None:
        """Send a request; its answer comes to where its Via says."""
        self._transport.sendto(octets.replace(b"127.0.0.1:5066", b"127.0.0.1:%d" % self.port), self._line)

    def _reply(self, request: SipMessage, status: int, **how: Any) -> None:
        octets = sip_samples.reply(request, status, contact=f"<sip:phone@127.0.0.1:{self.port}>", **how)
        self._transport.sendto(octets, self._line)


@asynccontextmanager
async def talking_phone(**how: Any) -> AsyncIterator[TalkingPhone]:
    """Run a phone; see `TalkingPhone`."""
    loop = asyncio.get_running_loop()
    async with RtpPhone() as sound:
        wire, phone = await loop.create_datagram_endpoint(
            lambda: TalkingPhone(sound, **how), local_addr=("127.0.0.1", 0)
        )
        try:
            yield phone
        finally:
            wire.close()

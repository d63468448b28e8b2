"""The telephone exchange in the box: a SIP server that anybody may dial into, and the phones that it rings.

1. It is a peer over sockets, for Dastak and for any other caller; it shares the codec alone with ours.
2. Everything is bounded; calls that ended are kept for a while, and the oldest goes first.
3. The same faults, seed and calls have the same logs.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from dastak.core.errors import Overloaded
from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import CallScript, Refusal
from dastak.simulator.exchange.called_call import CalledCall
from dastak.simulator.exchange.called_dialog import Hop, Place
from dastak.simulator.exchange.called_endpoint import CALLS_MAX, CalledEndpoint
from dastak.simulator.exchange.digest_gate import DigestGate
from dastak.simulator.exchange.exchange_sockets import ExchangeSockets
from dastak.simulator.exchange.phone_sound import PhoneSound
from dastak.simulator.exchange.virtual_call import CallState, VirtualCall
from dastak.simulator.faults import FaultScript
from dastak.simulator.phone import read_number
from dastak.voice.sip.sip_headers import MalformedSip, read_name_addr, read_uri
from dastak.voice.sip.sip_message import Address, SipMessage
from dastak.voice.sip.sip_sockets import local_host_to
from dastak.voice.sip.sip_transactions import Timing
from dastak.voice.sound.media_ports import MediaPorts
from dastak.voice.sound.sdp import Ours, UnusableSdp

# Ended calls that can still be looked at.
KEPT_MAX: Final = 50
# Below the ports that systems hand out, and apart from those that trunks take by default.
RTP_PORTS: Final = range(30_000, 32_000)
assert len(RTP_PORTS) >= 2 * CALLS_MAX
REALM: Final = "dastak-exchange"
TOKEN_OCTETS: Final = 12
GOODBYE_S_MAX: Final = 1.0
CALLER_LETTERS_MAX: Final = 40

_NO_SOUND: Final = Refusal(488, "Not Acceptable Here", None)
_NO_PORTS: Final = Refusal(503, "Service Unavailable", 42)
_GOING_DOWN: Final = Refusal(503, "Service Unavailable", 41)


class Exchange:
    """Runs while the context lasts.

    Args:
        faults: What calls meet.
        tell: Told of every call that begins to ring, is answered or ends.
        host: Where it listens, over UDP and over TCP, in digits.
        port: Zero takes a free one.
        username: Who may call.
        password: What who calls has to know; empty lets everybody call.
        timing: The times of SIP.

    Attributes:
        address: Where it listens; known once it does.
    """

    def __init__(
        self,
        faults: FaultScript,
        tell: Callable[[VirtualCall], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = "",
        password: str = "",
        timing: Timing | None = None,
    ) -> None:
        self.address: Address = (host, port)
        self._faults, self._tell = faults, tell
        gate = DigestGate(username, password, REALM, _token) if password else None
        self._endpoint = CalledEndpoint(self._look_up, self._place, gate, _token, timing=timing or Timing())
        self._sockets = ExchangeSockets(self._hear)
        self._ports = MediaPorts(host, RTP_PORTS, first=secrets.randbelow(len(RTP_PORTS)))
        self._calls: dict[int, VirtualCall] = {}
        self._of: dict[CalledCall, VirtualCall] = {}
        self._called = 0
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        """Listen. Raises: OSError."""
        await self._sockets.open(*self.address)
        self.address = self._sockets.address
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every call as a phone network does, and close."""
        for call in list(self._of.values()):
            call.sip.refuse(_GOING_DOWN, (), self.now())
            call.put_down()
            self.flush(call)
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S_MAX):
                await self._idle.wait()
        if self._timer is not None:
            self._timer.cancel()
        for call in self._of.values():
            call.drop()
        await self._sockets.close()

    def calls(self, msisdn: Msisdn) -> list[VirtualCall]:
        """Return the calls to a phone, oldest first."""
        return [call for call in self._calls.values() if call.msisdn == msisdn]

    def call(self, number: int) -> VirtualCall | None:
        """Return a call by its id."""
        return self._calls.get(number)

    def ringing(self, msisdn: Msisdn) -> VirtualCall | None:
        """Return the call that rings a phone now."""
        calls = self._calls.values()
        return next(
            (c for c in calls if c.msisdn == msisdn and c.state is CallState.RINGING and c.rang), None
        )

    async def changes(self) -> None:
        """Wait until anything happens in a call."""
        await self._news.wait()

    @property
    def dropped(self) -> int:
        """How many messages could not be read."""
        return self._endpoint.dropped

    def now(self) -> float:
        """Return the monotonic time."""
        return asyncio.get_running_loop().time()

    def flush(self, call: VirtualCall) -> None:
        """Send what a call has to say, and tell what has changed."""
        self._endpoint.touched(call.sip)
        self._deliver()

    def _hear(self, octets: bytes, hop: Hop) -> None:
        self._endpoint.receive(octets, hop, self.now())
        arrived, self._endpoint.arrived = self._endpoint.arrived, []
        for sip, msisdn in arrived:
            self._begin(sip, msisdn)
        self._deliver()

    def _begin(self, sip: CalledCall, msisdn: Msisdn) -> None:
        self._called += 1
        ours = Ours(
            address=self._place(sip.hop.address[0]).host,
            port=self.address[1],
            session_id=int.from_bytes(secrets.token_bytes(4), "big"),
        )
        call = VirtualCall(self._called, msisdn, _caller(sip.invite), sip, ours, exchange=self)
        self._calls[call.id] = self._of[sip] = call
        while len(self._calls) > CALLS_MAX + KEPT_MAX:
            del self._calls[next(iter(self._calls))]
        try:
            call.begin(self._open_sound)
        except UnusableSdp:
            sip.refuse(_NO_SOUND, (), self.now())
        except Overloaded:
            sip.refuse(_NO_PORTS, (), self.now())
        self._endpoint.touched(sip)

    def _open_sound(self, call: VirtualCall) -> PhoneSound:
        return PhoneSound(
            self._ports,
            call.script.fault,
            call.script.seed,
            on_sound=call.on_sound,
            on_key=call.on_key,
        )

    def _deliver(self) -> None:
        """Send and tell whatever there is, and set the clock."""
        for sip, call in list(self._of.items()):
            before = len(call.log), call.state
            while sip.events:
                call.take(sip.events.pop(0))
                self._endpoint.touched(sip)
            call.stamp()
            if call.state is CallState.ENDED:
                del self._of[sip]
            if (len(call.log), call.state) != before:
                self._changed(call)
        packets, self._endpoint.packets = self._endpoint.packets, []
        for packet in packets:
            self._sockets.send(packet)
        if self._endpoint.under_way:
            self._idle.clear()
        else:
            self._idle.set()
        self._set_clock()

    def _changed(self, call: VirtualCall) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        shown = (call.rang, call.state, call.keys, call.keys_heard)
        if shown != call.shown and (call.rang or call.state is not CallState.RINGING):
            call.shown = shown
            self._tell(call)

    def _set_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._endpoint.deadline
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._endpoint.tick(self.now())
        self._deliver()

    def _look_up(self, user: str) -> tuple[Msisdn, CallScript]:
        msisdn = read_number(user)
        return msisdn, self._faults.call_to(msisdn)

    def _place(self, peer: str) -> Place:
        """Return where we are, as a peer at an address sees it."""
        host, port = self.address
        return Place(local_host_to((peer, port)) if ip_address(host).is_unspecified else host, port)


def _caller(invite: SipMessage) -> str:
    """Return what the phone shows of who calls: a name, or else the number."""
    try:
        shown = read_name_addr(invite.first("From"))
        said = shown.display or unquote(read_uri(shown.uri).user)
    except MalformedSip:
        return ""
    return "".join(letter for letter in said if letter.isprintable())[:CALLER_LETTERS_MAX]


def _token() -> str:
    return secrets.token_hex(TOKEN_OCTETS)

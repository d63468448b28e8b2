"""The calls and the clock of one SIP trunk, around the pure endpoint.

1. No name is resolved inside a send: a name is looked up first, while everything else goes on.
2. A lost connection ends the calls on it. Another is tried for after a pause, and at once by the next call.
3. What waits is bounded: events of a call, octets of a connection, names being looked up.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import msgspec

from dastak.voice.sip.call_events import CallEvent, Ended
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import CallState, SipCall
from dastak.voice.sip.sip_dialog import Packet
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_endpoint import SipEndpoint
from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_probe import Reached
from dastak.voice.sip.sip_registration import Registered
from dastak.voice.sip.sip_sockets import Datagrams, LineSettings, Stream, TrunkUnreachable, is_address

EVENTS_MAX: Final = 256
LOOKUPS_MAX: Final = 64
# The reason until the trunk said something or could not be reached.
NOT_YET: Final = "not asked yet"


class LineCall:
    """One call as the rest of the program sees it: its events, and three things to say.

    Attributes:
        events: What happens; `Ended` is the last.
    """

    def __init__(self, line: "SipLine", call: SipCall) -> None:
        self.events: asyncio.Queue[CallEvent] = asyncio.Queue(EVENTS_MAX)
        self._line = line
        self._call = call

    def hang_up(self, outcome: CallOutcome) -> None:
        """End it, whatever state it is in."""
        self._call.hang_up(outcome, self._line.now())
        self._line.flush(self._call)

    def answer_offer(self, sdp: bytes | None) -> None:
        """Answer what `Offered` told of; None refuses it."""
        self._call.answer_offer(sdp, self._line.now())
        self._line.flush(self._call)


class SipLine:
    """The line to one trunk: `async with SipLine(...) as line`, then `await line.call(...)`.

    Args:
        settings: Where the trunk is.
        draw: Gives a new unguessable token at each call.
    """

    def __init__(self, settings: LineSettings, draw: Callable[[], str]) -> None:
        self._settings = settings
        self._draw = draw
        self._digest = DigestClient(settings.credentials, draw)
        self._loop = asyncio.get_running_loop()
        self._link: Datagrams | Stream | None = None
        self._endpoint: SipEndpoint | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._calls: dict[SipCall, LineCall] = {}
        self._ending: set[SipCall] = set()
        self._lookups: set[asyncio.Task[None]] = set()
        self._local: Address = ("", 0)
        self._opening = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._settled = asyncio.Event()
        self._reopening: asyncio.Task[None] | None = None
        self._opened_at = 0.0
        self._fault = ""
        self._marks: tuple[object, ...] = ()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self, *, within_s: float = 2.0) -> None:
        """Hang up every call, give the last messages a moment, and close. Stopping twice is fine."""
        if self._reopening is not None:
            self._reopening.cancel()
            with suppress(asyncio.CancelledError):
                await self._reopening
        for call in list(self._calls):
            call.hang_up(CallOutcome.CANCELED, self.now())
            self.flush(call)
        if self._endpoint is not None:
            self._idle.clear()
            self._endpoint.leave(self.now())
            self._deliver()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link is not None:
            await self._link.close()
            self._link = None
        if self._endpoint is not None:
            self._endpoint.lose()
            self._deliver()

    async def call(self, callee: Callee) -> LineCall:
        """Begin a call.

        Raises:
            TrunkUnreachable: There is no connection and none can be had.
            MalformedSip: A number or name would end its line.
        """
        await self._open()
        assert self._endpoint is not None
        call = self._endpoint.call(callee, self.now())
        line_call = self._calls[call] = LineCall(self, call)
        self._idle.clear()
        self._deliver()
        return line_call

    def now(self) -> float:
        """Return the monotonic time."""
        return self._loop.time()

    @property
    def available(self) -> bool:
        """Whether the trunk can be called, as far as is known."""
        return self._standing()[0]

    @property
    def reason(self) -> str:
        """Why it is available or not, in words; `NOT_YET` until that is known."""
        return self._standing()[1]

    async def changes(self) -> None:
        """Wait until something of `available` or `reason` changes."""
        await self._changed.wait()

    @property
    def local_host(self) -> str:
        """Return the address of ours that reaches the trunk; known once the line is open."""
        return self._local[0]

    @property
    def registered(self) -> Registered | None:
        """Return how we stand in the trunk's book; None where it keeps none or there is no connection."""
        registration = self._endpoint.registration if self._endpoint else None
        return registration.state if registration else None

    async def registration_settled(self) -> Registered | None:
        """Wait until the trunk has said yes or no to our registration, or nothing for too long."""
        await self._settled.wait()
        return self.registered

    @property
    def junk(self) -> tuple[int, int]:
        """Return how many messages could not be read, and how many came from strangers."""
        return (self._endpoint.dropped, self._endpoint.strangers) if self._endpoint else (0, 0)

    def flush(self, call: SipCall) -> None:
        """Send and tell what a call has to say."""
        if self._endpoint is not None:
            self._endpoint.touched(call)
            self._deliver()

    def hear(self, octets: bytes, source: Address) -> None:
        """Take one message from the network."""
        if self._endpoint is not None:
            self._endpoint.receive(octets, source, self.now())
            self._deliver()

    def lost(self) -> None:
        """Learn that the connection is gone."""
        self._link = None
        if self._endpoint is not None:
            self._endpoint.lose()
            self._deliver()
        if self._reopening is None:
            self._reopening = self._loop.create_task(self._reopen())

    def _standing(self) -> tuple[bool, str]:
        if self._fault or self._endpoint is None:
            return False, self._fault or NOT_YET
        if self._settings.registrar is not None and self.registered is not Registered.YES:
            return False, self._unregistered()
        probe = self._endpoint.probe
        if probe is None:
            return True, "the trunk is not asked whether it is there"
        if probe.state is Reached.SILENT:
            return False, f"OPTIONS was not answered within {self._settings.trunk.timing.silence_s:g} s"
        if probe.state is Reached.UNKNOWN:
            return False, NOT_YET
        return True, f"OPTIONS was answered with SIP {probe.status} in {probe.took_s * 1000:.0f} ms"

    def _note_changes(self) -> None:
        """Wake up who waits for `changes`; called after every packet, so it compares what is cheap."""
        probe = self._endpoint.probe if self._endpoint else None
        asked = (probe.state, probe.status, probe.silences) if probe else ()
        marks = (self._fault, self.registered, *asked)
        if marks != self._marks:
            self._marks = marks
            self._changed.set()
            self._changed = asyncio.Event()

    def _unregistered(self) -> str:
        registration = self._endpoint.registration if self._endpoint else None
        if registration is not None and registration.state is Registered.REFUSED:
            return f"the trunk refuses our REGISTER: SIP {registration.status}"
        if registration is not None and registration.state is Registered.SILENT:
            return "REGISTER was not answered"
        return NOT_YET

    async def _reopen(self) -> None:
        """Try for a connection until there is one; at once where the last one had lasted."""
        lasted_s = self.now() - self._opened_at
        pause_s = 0.0 if lasted_s >= self._settings.reopen_s else self._settings.reopen_s
        while self._link is None:
            await asyncio.sleep(pause_s)
            pause_s = self._settings.reopen_s
            with suppress(TrunkUnreachable):
                await self._open()
        self._reopening = None

    async def _open(self) -> None:
        """Have a socket; where there is one already this does nothing. Raises: TrunkUnreachable."""
        async with self._opening:
            if self._link is not None:
                return
            try:
                await self._connect()
            except TrunkUnreachable as error:
                self._fault = str(error)
                self._note_changes()
                raise
            self._fault, self._opened_at = "", self.now()
            self._note_changes()

    async def _connect(self) -> None:
        """Open a socket to the trunk, and begin what goes on as long as there is one."""
        addresses = await self._look_up(self._settings.host, self._settings.port_used)
        trunk = self._settings.trunk
        link = Stream(self) if trunk.reliable else Datagrams(self)
        self._local = await link.open(self._settings, addresses[0])
        host, port = self._settings.advertised or self._local
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        over = f";transport={trunk.transport.lower()}" if trunk.reliable else ""
        trunk = msgspec.structs.replace(trunk, sent_by=shown, contact=f"sip:dastak@{shown}{over}")
        hosts = {address[0] for address in addresses}
        if self._endpoint is None:
            self._endpoint = SipEndpoint(trunk, self._digest, self._draw, hosts=hosts)
        else:
            self._endpoint.reopen(trunk, hosts)
        self._link = link
        if self._settings.registrar is not None:
            self._settled.clear()
            self._endpoint.register(self._settings.registrar, self.now())
            self._deliver()
        if self._settings.probe_s:
            self._endpoint.ask(self._settings.probe_uri, self._settings.probe_s, self.now())
            self._deliver()

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise TrunkUnreachable(f"the name {host} cannot be found") from error
        return [(str(address[0]), int(address[1])) for *_, address in found]

    def _deliver(self) -> None:
        """Send and tell whatever the endpoint has, and set the clock."""
        assert self._endpoint is not None
        while self._endpoint.packets or self._endpoint.events:
            packets, events = self._endpoint.packets, self._endpoint.events
            self._endpoint.packets, self._endpoint.events = [], []
            for packet in packets:
                self._send(packet)
            for call, event in events:
                self._tell(call, event)
        self._ending = {call for call in self._ending if call.state is not CallState.OVER}
        if self.registered is not Registered.ASKING:
            self._settled.set()
            if not self._calls and not self._ending:
                self._idle.set()
        self._set_clock(self._endpoint.deadline)
        self._note_changes()

    def _set_clock(self, deadline: float | None) -> None:
        """Wake up in time; earlier than needed does no harm, so that most packets leave the clock alone."""
        if deadline is None or (self._timer is not None and self._wakes_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self.now()), self._tick)

    def _tell(self, call: SipCall, event: CallEvent) -> None:
        line_call = self._calls.get(call)
        if line_call is None:
            return
        if isinstance(event, Ended):
            del self._calls[call]
            self._ending.add(call)
            if event.outcome is CallOutcome.UNREACHABLE and self._endpoint is not None:
                self._endpoint.hurry(self.now())
        if line_call.events.full():
            line_call.events.get_nowait()  # a flood of keys; the end is never lost
        line_call.events.put_nowait(event)

    def _tick(self) -> None:
        self._timer = None
        if self._endpoint is not None:
            self._endpoint.tick(self.now())
            self._deliver()

    def _send(self, packet: Packet) -> None:
        if self._link is None:
            return
        if packet.to is None or self._settings.trunk.reliable or is_address(packet.to[0]):
            self._link.send(packet.octets, packet.to)
        elif len(self._lookups) < LOOKUPS_MAX:
            lookup = self._loop.create_task(self._send_by_name(packet.octets, packet.to))
            self._lookups.add(lookup)
            lookup.add_done_callback(self._lookups.discard)

    async def _send_by_name(self, octets: bytes, to: Address) -> None:
        """Send to a name; what cannot be found is lost, as a datagram may be, and is repeated."""
        with suppress(TrunkUnreachable):
            address, *_ = await self._look_up(*to)
            if self._link is not None:
                self._link.send(octets, address)

"""The calls and the clock of one SIP trunk, around the pure endpoint.

1. No name is resolved inside a send: a name is looked up first, while everything else goes on.
2. A lost connection ends the calls on it. Another is tried for after a pause, and at once by the next call.
3. What waits is bounded: events of a call, octets of a connection, names being looked up.
4. Where a name leads to several places, one that is silent is left for the next. So does a call over UDP that
   nobody answers, or that is refused with 503; to whoever placed it, it is the same call.

Source: RFC 3263, section 4.3, on going on elsewhere.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import msgspec

from dastak.voice.sip.call_events import CallEvent, Ended, Trying
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.line_call import LineCall
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import CallState, SipCall
from dastak.voice.sip.sip_dialog import Packet
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_endpoint import SipEndpoint
from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_places import Places
from dastak.voice.sip.sip_probe import Reached
from dastak.voice.sip.sip_registration import Registered
from dastak.voice.sip.sip_sockets import (
    Datagrams,
    LineSettings,
    Stream,
    TrunkUnreachable,
    is_address,
    local_host_to,
)
from dastak.voice.sip.sip_standing import Standing, marks, standing

LOOKUPS_MAX: Final = 64
# A phone should ring soon: a call is not tried at every place that a name leads to.
CALL_TARGETS_MAX: Final = 2


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
        self._places = Places(settings, self._follow)
        self._at: Address | None = None
        self._silences = 0
        self._dropping: asyncio.Task[None] | None = None
        self._marks: tuple[object, ...] = ()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self, *, within_s: float = 1.0) -> None:
        """Hang up every call, give the last messages a moment, and close. Stopping twice is fine."""
        for task in (self._reopening, self._dropping):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._places.stop()
        for call in list(self._calls):
            call.hang_up(CallOutcome.CANCELED, self.now())
            self.flush(call)
        if self._endpoint is not None:
            self._idle.clear()
            self._endpoint.leave(self.now())
            self._deliver()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()
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
        line_call = self._calls[call] = LineCall(self, callee, call)
        self._idle.clear()
        self._deliver()
        return line_call

    def now(self) -> float:
        """Return the monotonic time."""
        return self._loop.time()

    @property
    def standing(self) -> Standing:
        """Return whether the trunk can be called, as far as is known, and why; at first `NOT_YET`."""
        wanted = self._settings
        registers, silence_s = wanted.registrar is not None, wanted.trunk.timing.silence_s
        return standing(self._fault, self._endpoint, registers=registers, silence_s=silence_s)

    async def changes(self) -> None:
        """Wait until the standing changes."""
        await self._changed.wait()

    @property
    def local(self) -> Address:
        """Return our own address and port that reach the trunk; known once the line is open."""
        return self._local

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
    def junk(self) -> Mapping[str, int]:
        """Return how many messages were thrown away without an answer, by reason."""
        return self._endpoint.junk if self._endpoint else {}

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

    def _note_changes(self) -> None:
        """Wake up who waits for `changes`."""
        now = marks(self._fault, self._endpoint)
        if now != self._marks:
            self._marks = now
            self._changed.set()
            self._changed = asyncio.Event()

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
        await self._places.find()
        refused: TrunkUnreachable | None = None
        for address in self._places.targets.by_hope(self.now()):
            link = Stream(self) if self._settings.trunk.reliable else Datagrams(self)
            try:
                self._local = await link.open(self._settings, address)
            except TrunkUnreachable as error:
                refused = error
                self._places.targets.shun(address, self.now())
                continue
            self._link = link
            self._turn_to(address)
            return
        raise refused or TrunkUnreachable(f"the name {self._settings.host} leads nowhere")

    def _turn_to(self, address: Address) -> None:
        """Speak with the trunk at this address from now on; calls under way stay where they are."""
        self._at, trunk = address, self._settings.trunk
        host, port = self._settings.advertised or self._local
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        over = f";transport={trunk.transport.lower()}" if trunk.reliable else ""
        trunk = msgspec.structs.replace(
            trunk,
            sent_by=shown,
            contact=f"sip:dastak@{shown}{over}",
            target=None if trunk.reliable else address,
        )
        if self._endpoint is None:
            self._endpoint = SipEndpoint(trunk, self._digest, self._draw, hosts=self._places.targets.hosts)
        else:
            self._endpoint.reopen(trunk, self._places.targets.hosts)
        if self._settings.registrar is not None:
            self._settled.clear()
            self._endpoint.register(self._settings.registrar, self.now())
        if self._settings.probe_s:
            self._endpoint.ask(self._settings.probe_uri, self._settings.probe_s, self.now())
        self._deliver()

    def _follow(self) -> None:
        """Learn that the name leads elsewhere."""
        if self._endpoint is not None:
            self._endpoint.hosts = self._places.targets.hosts
        self._move()

    def _move(self) -> None:
        """Be where it is best now. A connection that is good stays until it is lost."""
        best = self._places.targets.by_hope(self.now())[0]
        if self._link is None or best == self._at or self._settings.trunk.reliable:
            return
        try:
            local = self._settings.local_host or local_host_to(best)
        except OSError:
            self._places.targets.shun(best, self.now())  # no network leads there
            return
        if local == self._local[0]:
            self._turn_to(best)
        else:
            self._drop()  # another way out of this machine, and so another socket

    def _drop(self) -> None:
        """Give the connection up, and try for another."""
        link, self._link = self._link, None
        if link is not None:
            self._dropping = self._loop.create_task(link.close())
            self.lost()

    def _hear_silence(self) -> None:
        """Go elsewhere when the trunk does not answer where we ask, if there is an elsewhere."""
        probe = self._endpoint.probe if self._endpoint else None
        if probe is None or self._at is None:
            return
        if probe.silences == self._silences:
            if probe.state is Reached.YES:
                self._places.targets.trust(self._at)
            return
        self._silences = probe.silences
        self._places.targets.shun(self._at, self.now())
        if self._settings.trunk.reliable:
            self._drop()
        else:
            self._move()

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
        self._hear_silence()
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
            if self._goes_on_elsewhere(line_call, call, event):
                return
        elif not isinstance(event, Trying):
            line_call.settled = True
        if line_call.events.full():
            line_call.events.get_nowait()  # a flood of keys; the end is never lost
        line_call.events.put_nowait(event)

    def _goes_on_elsewhere(self, line_call: LineCall, call: SipCall, ended: Ended) -> bool:
        """Place a call anew at another address, where this one is silent or full."""
        assert self._endpoint is not None
        silent, here = ended.outcome is CallOutcome.UNREACHABLE, call.party.trunk.target
        if silent:
            self._endpoint.hurry(self.now())
        full = ended.outcome is CallOutcome.TRUNK_DOWN and ended.status == 503
        rung_out = self.now() >= line_call.callee.rings_until
        if here is None or rung_out or line_call.settled or not (silent or full):
            return False
        if silent:
            self._places.targets.shun(here, self.now())
            self._move()
        others = self._places.targets.by_hope(self.now(), but=line_call.tried)
        if not others or len(line_call.tried) >= CALL_TARGETS_MAX:
            return False
        anew = self._endpoint.call(line_call.callee, self.now(), target=others[0])
        line_call.goes_on(anew)
        self._calls[anew] = line_call
        return True

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
            address = await self._places.look_up(*to)
            if self._link is not None:
                self._link.send(octets, address)

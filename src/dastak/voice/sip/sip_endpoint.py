"""All calls over one trunk without I/O: octets to the call they belong to, and what belongs to none.

1. Junk is counted and never answered. So is a stranger's request: a scanner learns nothing, not even that
   something listens, and what it sends is hardly looked at.
2. The trunk itself is answered outside of calls as well: OPTIONS says that we live; an INVITE is refused, for
   Dastak takes no calls.
3. Finding what is due costs no look at every call.

Source: RFC 3261, sections 8.2, 11 and 12.2.2.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Final

import msgspec

from dastak.voice.sip.call_events import CallEvent
from dastak.voice.sip.sip_asking import Callee
from dastak.voice.sip.sip_call import SipCall
from dastak.voice.sip.sip_dialog import ALLOW, SDP, Packet, SipTrunk
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import MalformedSip
from dastak.voice.sip.sip_message import (
    MESSAGE_OCTETS_MIN,
    Address,
    SipMessage,
    answer,
    answer_to,
    parse,
    peek_call_id,
)
from dastak.voice.sip.sip_probe import Probe
from dastak.voice.sip.sip_registration import Registrar, Registration

# What the trunk is told when it asks for something outside of any call. ACK is never answered.
_OUTSIDE: Final = {"OPTIONS": (200, "OK"), "INVITE": (403, "Forbidden")}
_GONE: Final = (481, "Call/Transaction Does Not Exist")
_UNKNOWN: Final = (405, "Method Not Allowed")


class Junk(StrEnum):
    """Why a message was thrown away without an answer."""

    UNREADABLE = "unreadable"
    STRANGER = "stranger"  # a request of somebody who has no business here
    STRAY = "stray"  # an answer to nothing that we asked, or asked too long ago


class SipEndpoint:
    """The calls of one trunk.

    Args:
        trunk: How we look to it.
        digest: Our proofs.
        draw: Gives a new unguessable token at each call.
        hosts: The addresses of the trunk; requests outside of calls are answered to them alone.

    Attributes:
        hosts: As above; they may change.
        packets: What is to be sent; the shell takes it away.
        events: What happened in which call; the shell takes it away.
        junk: How many messages were thrown away, and why.
        registration: Our entry in the trunk's book, where it wants one.
        probe: What asks whether the trunk is there, where it is asked.
    """

    def __init__(
        self,
        trunk: SipTrunk,
        digest: DigestClient,
        draw: Callable[[], str],
        *,
        hosts: Collection[str] = (),
    ) -> None:
        self.packets: list[Packet] = []
        self.events: list[tuple[SipCall, CallEvent]] = []
        self.junk: Counter[str] = Counter()
        self._trunk = trunk
        self._digest = digest
        self._draw = draw
        self.hosts = frozenset(hosts)
        self.registration: Registration | None = None
        self.probe: Probe | None = None
        self._calls: dict[str, SipCall] = {}
        self._due: list[tuple[float, str]] = []

    @property
    def calls(self) -> int:
        """Return how many calls are kept, those that only wait for late messages included."""
        return len(self._calls)

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due at the latest; it may come to nothing."""
        first = self._due[0][0] if self._due else None
        times = [first, *(one.deadline for one in self._outside_calls())]
        return min((time for time in times if time is not None), default=None)

    def call(self, callee: Callee, now: float, *, target: Address | None = None) -> SipCall:
        """Begin a call.

        Args:
            callee: Whom to call.
            now: The monotonic time.
            target: Where it goes, if not where the trunk is.

        Raises:
            MalformedSip: A number or name would end its line.
        """
        trunk = self._trunk if target is None else msgspec.structs.replace(self._trunk, target=target)
        call = SipCall(trunk, callee, self._digest, self._draw, now=now)
        self._calls[call.party.call_id] = call
        self.touched(call)
        return call

    def register(self, registrar: Registrar, now: float) -> None:
        """Begin to be registered; what was before is forgotten.

        Raises:
            MalformedSip: A URI would end its line.
        """
        self.registration = Registration(self._trunk, registrar, self._digest, self._draw, now=now)
        self._collect(self.registration)

    def ask(self, uri: str, every_s: float, now: float) -> None:
        """Ask the trunk whether it is there, now and from time to time; what is known of it stays.

        Raises:
            MalformedSip: The URI would end its line.
        """
        if self.probe is None:
            self.probe = Probe(self._trunk, uri, every_s, self._draw, now=now)
        else:
            self.probe.restart(self._trunk, now)
        self._collect(self.probe)

    def hurry(self, now: float) -> None:
        """Ask the trunk at once, where it is asked at all."""
        if self.probe is not None:
            self.probe.hurry(now)
            self._collect(self.probe)

    def leave(self, now: float) -> None:
        """Take our registration back, if there is one."""
        if self.registration is not None:
            self.registration.leave(now)
            self._collect(self.registration)

    def receive(self, octets: bytes, source: Address, now: float) -> None:
        """Take one message, whatever it may be."""
        if len(octets) < MESSAGE_OCTETS_MIN:
            return  # keep-alives
        if source[0] not in self.hosts and not self._knows(call_id := peek_call_id(octets)):
            self.junk[Junk.STRANGER if call_id else Junk.UNREADABLE] += 1
            return
        try:
            message = parse(octets)
            call = self._calls.get(message.call_id)
            if call is not None:
                call.receive(message, source, now)
                self.touched(call)
            elif self._take_outside_calls(message, now):
                return
            elif message.status:
                self.junk[Junk.STRAY] += 1
            else:
                self._answer(message, source)
        except MalformedSip:
            self.junk[Junk.UNREADABLE] += 1

    def tick(self, now: float) -> None:
        """Do what is due in every call."""
        while self._due and self._due[0][0] <= now:
            call = self._calls.get(heapq.heappop(self._due)[1])
            if call is not None:
                call.tick(now)
                self.touched(call)
        for one in self._outside_calls():
            one.tick(now)
            self._collect(one)

    def reopen(self, trunk: SipTrunk, hosts: Collection[str]) -> None:
        """Learn how we look now that there is another connection. Calls of before are over."""
        self._trunk = trunk
        self.hosts = frozenset(hosts)

    def lose(self) -> None:
        """Learn that the connection is lost, and every call and the registration with it."""
        self.registration = None
        if self.probe is not None:
            self.probe.pause()
        for call in list(self._calls.values()):
            call.lose()
            self.touched(call)

    def touched(self, call: SipCall) -> None:
        """Collect what a call has to say after something was done with it."""
        self.packets += call.packets
        call.packets.clear()
        self.events += [(call, event) for event in call.events]
        call.events.clear()
        call_id = call.party.call_id
        if call.finished:
            self._calls.pop(call_id, None)
        elif (deadline := call.deadline) is not None and deadline != call.noted:
            call.noted = deadline
            heapq.heappush(self._due, (deadline, call_id))

    def _knows(self, call_id: str) -> bool:
        return call_id in self._calls or any(call_id == one.party.call_id for one in self._outside_calls())

    def _outside_calls(self) -> list[Registration | Probe]:
        return [one for one in (self.registration, self.probe) if one is not None]

    def _take_outside_calls(self, message: SipMessage, now: float) -> bool:
        for one in self._outside_calls():
            if message.call_id == one.party.call_id:
                one.receive(message, now)
                self._collect(one)
                return True
        return False

    def _collect(self, one: Registration | Probe) -> None:
        self.packets += one.packets
        one.packets.clear()

    def _answer(self, request: SipMessage, source: Address) -> None:
        if source[0] not in self.hosts:
            self.junk[Junk.STRANGER] += 1
        elif request.method != "ACK":
            outside = _OUTSIDE.get(request.method, _UNKNOWN)
            status, reason = _GONE if request.to_tag or request.method == "CANCEL" else outside
            headers = [ALLOW, ("Accept", SDP[1])] if status in {200, 405} else []
            octets = answer(request, status, reason, source=source, to_tag=self._draw(), headers=headers)
            self.packets.append(Packet(octets, answer_to(request, source)))

"""A way out, as the flows see it: what it carries, when it is asked for, and what it may answer."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from dastak.core.call_rules import ANY_CALLS, CallRules
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.tenant import Mode

# How many messages may be on their way to another node at once.
PASSING_MAX: Final = 1000


class HeldElsewhere(Exception):  # noqa: N818 - a signal: the message goes into another node's hands
    """A route is up, but its binds are another node's."""

    def __init__(self, node: int) -> None:
        super().__init__()
        self.node = node


class Outgoing(msgspec.Struct, frozen=True):
    """What a route carries.

    Attributes:
        sender: The header or number it comes from.
        validity_s: The remaining life of the code; the carrier must not try longer.
        dlt: What India's scrubbers want to know of it: `pe_id`, `template_id`, `chain` and `category`; also
            the template's variables as `var1`, `var2` and so on. Empty elsewhere.
        code: The code alone, for carriers that fill it into a template of theirs, and for calls.
        match_digits: Of a call that speaks no code: how many digits the person is asked to type.
        locale: In which language a call speaks.
        brand: On whose behalf it calls.
        tenant: Whose recordings a call speaks, by its number in the store; 0 has none.
    """

    key: MessageKey
    msisdn: Msisdn
    text: str
    sender: str
    validity_s: int
    dlt: Mapping[str, str] = MappingProxyType({})
    code: str = ""
    locale: str = ""
    brand: str = ""
    match_digits: int = 0
    tenant: int = 0

    def __repr__(self) -> str:
        """Show no text and no number: the one is a code, the other a person."""
        return f"Outgoing({self.key!r}, sender={self.sender!r})"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a way out is wanted for.

    Attributes:
        remaining_s: The remaining life of the code.
        tried: The routes that this code was already handed to; another one is better.
        tenant: Its number in the store.
        calls: The rules of its service's calls.
        anew: The person asked again, so this is no time to try something out.
    """

    mode: Mode
    channel: Channel
    tenant: int
    msisdn: Msisdn
    remaining_s: float
    tried: tuple[str, ...] = ()
    calls: CallRules = ANY_CALLS
    anew: bool = False


class Queue(msgspec.Struct, frozen=True):
    """Who waits for a route.

    Attributes:
        crowds: How many messages of each tenant, by its number in the store.
        per_s: How many leave in a second; None is not known yet.
    """

    crowds: Mapping[int, int]
    per_s: float | None


def joined(queues: Collection[Queue]) -> Queue:
    """Return all who wait in several queues; their pace is known where each one's is."""
    crowds: Counter[int] = Counter()
    for queue in queues:
        crowds.update(queue.crowds)
    paces = [queue.per_s for queue in queues if queue.per_s is not None]
    return Queue(crowds, sum(paces) if len(paces) == len(queues) else None)


class Route(Protocol):
    """One way out."""

    name: str

    @property
    def available(self) -> bool:
        """Whether it can take a message now."""

    @property
    def in_flight_max(self) -> int:
        """How many messages may be on their way to it at once; the others wait in the lane."""

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Hand a message over.

        Raises:
            CarrierRejected: The carrier said no.
            CarrierUnavailable: No answer; with `outcome_unknown` it may have it.
            HeldElsewhere: Another node has to do it.
        """


class Routes(Protocol):
    """All ways out."""

    def carry(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> bool:
        """Say whether there is any way, be it up or down now."""

    def ways(self, mode: Mode, channel: Channel, tenant: int, msisdn: Msisdn) -> Sequence[Route]:
        """Return all ways, be they up or down now."""

    def order(self, wanted: Wanted) -> Sequence[Route]:
        """Return the routes a message may take, best first; none when there is no way."""

    def median_s(self, route: str, msisdn: Msisdn) -> float:
        """Return how long a route needs to a phone, half of the time."""

"""The nodes that share one database: who is up, what each does, and which binds to carriers each holds.

1. A node has a number that nobody had before; one that was taken for dead comes back under a new one.
2. The database's clock decides who is dead; a node's own monotonic clock decides when it lets its binds go.
3. What a node holds (binds, messages in its hands) it holds as long as it lives: one beat renews it all.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import msgspec

from dastak.core.way_out import Queue

# A message that its process took over but did not settle in this time is offered again.
LEASE_S: Final = 30
BEAT_EVERY_S: Final = 1.0
# After so much silence a node is dead to the others.
DEAD_AFTER_S: Final = 4.0
# A node that could not renew for so long lets its binds go, so that they are gone when others may have them.
HOLD_S: Final = 2.5
assert BEAT_EVERY_S < HOLD_S < DEAD_AFTER_S - BEAT_EVERY_S
# A node that was away itself for longer than this takes nobody for dead until the others had time to come
# back: each tries once a second, and asks a server that is gone for two.
AWAY_S: Final = DEAD_AFTER_S / 2
COME_BACK_S: Final = 6.0
assert COME_BACK_S > DEAD_AFTER_S
# How long it is looked for messages in the hands of a dead node.
MOURNED_S: Final = 60.0


class Role(StrEnum):
    """What a node does."""

    API = "api"  # answers callers and people
    WORKER = "worker"  # sends by whatever needs no bind, and sweeps
    CARRIER = "carrier"  # holds binds, and sends by them
    VOICE = "voice"  # makes calls whose sound is ours
    ALL = "all"


class Does(NamedTuple):
    """What the roles of a node come to."""

    answers: bool = True
    sends: bool = True
    binds: bool = True
    speaks: bool = True


def does(roles: Collection[Role]) -> Does:
    """Return what a node of these roles does."""
    if Role.ALL in roles:
        return Does()
    return Does(
        answers=Role.API in roles,
        sends=any(role is not Role.API for role in roles),
        binds=Role.CARRIER in roles,
        speaks=Role.VOICE in roles,
    )


def read_roles(written: str) -> tuple[Role, ...]:
    """Read roles as they are written: `api`, or several with commas. Raises: ValueError."""
    names = [name.strip() for name in written.split(",")]
    wrong = [name for name in names if name not in set(Role)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no role; there are {', '.join(Role)}")
    return tuple(dict.fromkeys(Role(name) for name in names))


class Lease(NamedTuple):
    """Who has a message in hand, and until when; `owner` 0 is nobody."""

    owner: int
    due_at: datetime


def in_hand(now: datetime, owner: int = 0) -> Lease:
    """Return the lease of a message that its own process offers at once."""
    return Lease(owner, now + timedelta(seconds=LEASE_S))


def for_others(now: datetime) -> Lease:
    """Return the lease of a message that a process which sends nothing leaves to whoever does."""
    return Lease(0, now)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that was seen lately.

    Attributes:
        name: For people: where it runs.
        version: Of its program; empty is not told.
        beat_age_s: How long ago it was heard of, by the database's clock.
        ahead_s: How far its clock was ahead of the database's then; None is not told.
        slots: How many binds it holds.
        messages: How many messages are in its hands.
        queues: Who waits there, by route.
    """

    n: int
    name: str
    roles: tuple[Role, ...]
    version: str = ""
    beat_age_s: float = 0.0
    ahead_s: float | None = None
    dead: bool = False
    slots: int = 0
    messages: int = 0
    queues: Mapping[str, Queue] = MappingProxyType({})


class Slot(msgspec.Struct, frozen=True):
    """One bind of a carrier's allowance, counted from 0, the node that holds it, and whether it is up."""

    carrier: str
    slot: int
    node: int
    up: bool = False


class Beat(msgspec.Struct, frozen=True):
    """What a node heard with its beat.

    Attributes:
        nodes: All that live, by number.
        slots: All that are held.
        mourned: Whether a node died lately.
    """

    nodes: tuple[Node, ...] = ()
    slots: tuple[Slot, ...] = ()
    mourned: bool = False


class NodeStore(Protocol):
    """The nodes in the database; it raises `Overloaded` as `Store` does."""

    @property
    def alone(self) -> bool:
        """Whether there can be no other node."""

    @property
    def number(self) -> int:
        """This node's number; 0 before it joined."""

    async def join(self, name: str, roles: Collection[Role]) -> int:
        """Become a node, under a number that nobody had before."""

    async def beat(self, up: Collection[str], queues: Mapping[str, Queue]) -> Beat | None:
        """Say that this node lives, and bury those that were silent for too long.

        Args:
            up: The carriers that it is bound to.
            queues: Who waits here, by route.

        Returns:
            Who lives; None if the others took this node for dead.
        """

    async def leave(self) -> None:
        """Give back all that this node holds, at once."""

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        """Take so many slots of a carrier's that nobody living holds, and return those that were got."""

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        """Give slots back whose binds are closed."""

    async def listed(self) -> Sequence[Node]:
        """Return all nodes that were heard of lately, by number."""

    async def listen(self, bell: Callable[[], None]) -> None:
        """Have a bell rung when there may be work for this node; a ring may be lost."""


class OneNode:
    """The port `NodeStore` where one process has the database to itself."""

    alone = True
    number = 0

    async def join(self, name: str, roles: Collection[Role]) -> int:
        """Be the only node."""
        del name, roles
        return 0

    async def beat(self, up: Collection[str], queues: Mapping[str, Queue]) -> Beat:
        """Hear of nobody."""
        del up, queues
        return Beat()

    async def leave(self) -> None:
        """Give nothing back."""

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        """Take whatever is wanted."""
        del carrier
        return range(min(binds, wanted))

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        """Give nothing back."""

    async def listed(self) -> Sequence[Node]:
        """Return none: nobody is written down."""
        return ()

    async def listen(self, bell: Callable[[], None]) -> None:
        """Ring never: all work is handed over in the process."""
        del bell


def fair_share(carrier: str, binds: int, nodes: Iterable[int], node: int) -> int:
    """Return how many of a carrier's binds a node shall hold.

    The shares of all nodes come to all binds, and differ by one at most; with whom the rest begins differs
    from carrier to carrier, so that carriers of one bind are not all held by one node.

    Args:
        carrier: Its name.
        binds: Its allowance.
        nodes: The numbers of all that bind.
        node: One of them.
    """
    order = sorted(nodes)
    if node not in order:
        return 0
    each, rest = divmod(binds, len(order))
    rank = (order.index(node) + crc32(carrier.encode())) % len(order)
    return each + (rank < rest)

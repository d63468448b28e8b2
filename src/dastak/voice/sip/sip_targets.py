"""Where a trunk may be, without I/O: addresses in the order of their records, and which of them were silent.

Source: RFC 3263, section 4.3; RFC 2782, on the order of SRV records.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from dastak.voice.sip.sip_message import Address

# An address that did not answer is asked last for so long.
SHUNNED_S: Final = 60.0


class SrvRecord(NamedTuple):
    """One server of a service."""

    priority: int
    weight: int
    port: int
    host: str


def in_order(records: Iterable[SrvRecord], chance: Callable[[], float]) -> list[SrvRecord]:
    """Put records in the order in which they are to be tried.

    Args:
        records: In any order.
        chance: Gives a number from 0 up to and without 1 at each call.

    Returns:
        The lowest priority first; within one, each in proportion to its weight, those of weight 0 hardly ever
        before others.
    """
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    ordered: list[SrvRecord] = []
    while left:
        same = [record for record in left if record.priority == left[0].priority]
        drawn = chance() * sum(record.weight for record in same)
        for record in same:
            drawn -= record.weight
            if drawn < 0:
                break
        else:
            record = same[0]
        ordered.append(record)
        left.remove(record)
    return ordered


class Targets:
    """The addresses of one trunk."""

    def __init__(self) -> None:
        self.addresses: tuple[Address, ...] = ()
        self._shunned: dict[Address, float] = {}

    @property
    def hosts(self) -> frozenset[str]:
        """Return the hosts, from which the trunk may ask us something."""
        return frozenset(host for host, _ in self.addresses)

    def replace(self, addresses: Iterable[Address]) -> None:
        """Take other addresses; what is known of those that stay is kept."""
        self.addresses = tuple(dict.fromkeys(addresses))
        self._shunned = {one: at for one, at in self._shunned.items() if one in self.addresses}

    def shun(self, address: Address, now: float) -> None:
        """Ask an address last for a while: it did not answer."""
        if address in self.addresses:
            self._shunned[address] = now

    def trust(self, address: Address) -> None:
        """Forget that an address did not answer: it does."""
        self._shunned.pop(address, None)

    def by_hope(self, now: float, *, but: Collection[Address | None] = ()) -> list[Address]:
        """Return the addresses, those first that are not shunned, then those whose silence is longest ago."""
        silent = {one: at for one, at in self._shunned.items() if now - at < SHUNNED_S}
        wanted = [one for one in self.addresses if one not in but]
        return sorted(wanted, key=lambda one: silent.get(one, -1.0))

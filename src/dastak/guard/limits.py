"""How often somebody may ask for a code: per number, per client address, per key, service and tenant.

1. A text costs its receiver's patience, so a number is limited over all tenants too, not only for each.
2. Test keys have buckets of their own: no test eats the budget of live traffic.
3. Nothing here is the truth. A restart forgets it, and `seed` brings back what the database knows.
"""

from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Final

import msgspec

from dastak.core.errors import InvalidRequest, RateLimited
from dastak.core.msisdn import Msisdn
from dastak.core.ports import PastSend
from dastak.core.tenant import Caller, Mode
from dastak.guard.buckets import KEYS_MAX, Buckets, Met, Rate, forget_oldest, take

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
# How many buckets of each limit one sweep looks at: a few milliseconds' work.
LOOKS_MAX: Final = 5_000
ADDRESSES_KEPT_MAX: Final = 10_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
# Two integers are kept as one, in a third of a pair's memory. E.164 numbers have at most 15 digits.
_NUMBERS: Final = 10**15
_TENANTS: Final = 2**32
_ADDRESSES: Final = 2**65

_SENT: Final = "This number was sent too many codes; wait before the next one."

# The public name of each limit, which an answer gives as its `reason`, and what the caller is told.
LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "number": _SENT,
        "number_daily": _SENT,
        "number_everywhere": _SENT,
        "number_everywhere_daily": _SENT,
        "client_ip": "Too many codes were asked for from this client address; wait before the next one.",
        "key": "This key asks for codes too fast; slow down.",
        "service": "The keys of this service ask for codes too fast together; slow down.",
        "tenant": "The keys of this tenant ask for codes too fast together; slow down.",
    }
)


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rate of each limit.

    A rate refills evenly: after five at once, 5 in ten minutes allow one more every two minutes.

    Attributes:
        number: For each tenant, all channels together; five as Twilio Verify has it.
        number_daily: The same, for the day.
        number_everywhere: Over all tenants, so that many of them together cannot bomb a phone.
        number_everywhere_daily: The same, for the day.
        client_ip: For each tenant that passes its user's address; IPv6 by /64. The figure is our choice.
        key: For each key; the figures of `tenant`, until an operator wants less for one of them.
        service: For each service; likewise.
        tenant: For each tenant.
    """

    number: Rate = Rate(count=5, per_s=600)
    number_daily: Rate = Rate(count=15, per_s=DAY_S)
    number_everywhere: Rate = Rate(count=10, per_s=HOUR_S)
    number_everywhere_daily: Rate = Rate(count=30, per_s=DAY_S)
    client_ip: Rate = Rate(count=10, per_s=600)
    key: Rate = Rate(count=50, per_s=1, burst=100)
    service: Rate = Rate(count=50, per_s=1, burst=100)
    tenant: Rate = Rate(count=50, per_s=1, burst=100)


DEFAULTS: Final = LimitSettings()
assert LimitSettings.__struct_fields__ == tuple(LIMITS)


class SendLimits:
    """The limits on sends, in the memory of one process."""

    def __init__(self, *, live: LimitSettings = DEFAULTS, test: LimitSettings = DEFAULTS) -> None:
        # Team keys reach real phones, so they count with the live ones.
        shared = _Book(live)
        self._books = {Mode.LIVE: shared, Mode.TEAM: shared, Mode.TEST: _Book(test)}

    def take(self, caller: Caller, msisdn: Msisdn, client_ip: str | None, *, now: datetime) -> None:
        """Count one send against every limit, or against none; `client_ip` is that of the tenant's user.

        Raises:
            InvalidRequest: `client_ip` is no IP address.
            RateLimited: The limit with the longest wait; nothing was counted.
        """
        network = None if client_ip is None else _network(client_ip)
        book = self._books[caller.key.mode]
        met = book.take(caller, int(msisdn), network, _us(now))
        if met is not None:
            rate: Rate = getattr(book.settings, met.limit)
            raise RateLimited(
                LIMITS[met.limit],
                limit=met.limit,
                retry_after_s=met.retry_after_s,
                quota=rate.count,
                window_s=rate.per_s,
            )

    def give_back(self, caller: Caller, msisdn: Msisdn, client_ip: str | None) -> None:
        """Uncount one send that `take` has counted and that nobody got."""
        network = None if client_ip is None else _network(client_ip)
        self._books[caller.key.mode].give_back(caller, int(msisdn), network)

    def seed(self, sends: Iterable[PastSend]) -> None:
        """Count the sends of the last day against their numbers, once, before the first `take`."""
        for send in sorted(sends, key=lambda send: send.at):
            self._books[send.mode].count(send.tenant, int(send.msisdn), _us(send.at))

    def sweep(self, now: datetime) -> None:
        """Forget what limits nobody any more; call it every second."""
        for mode in (Mode.LIVE, Mode.TEST):
            self._books[mode].sweep(_us(now))


class _Book:
    """All buckets of live keys, or of test keys.

    Most numbers are sent one code and no second one for hours. So a number's first send is only noted down,
    and unfolds into buckets when the number comes again: a third of the memory, and less work.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._buckets = {name: Buckets(name, getattr(settings, name)) for name in LIMITS}
        self._by_tenant_number = (self._buckets["number"], self._buckets["number_daily"])
        self._by_number = (self._buckets["number_everywhere"], self._buckets["number_everywhere_daily"])
        # By number: the microsecond and the tenant of its only send.
        self._notes: dict[int, int] = {}
        self._note_life_us = max(
            buckets.interval_us for buckets in (*self._by_tenant_number, *self._by_number)
        )

    def take(self, caller: Caller, number: int, network: int | None, now_us: int) -> Met | None:
        """Count one send against every limit, or against none."""
        tenant = caller.tenant.n
        used = self._used(tenant, number)
        met = take(self._of_asker(caller, network) + used, now_us)
        if met is None and not used:
            self._notes[number] = now_us * _TENANTS + tenant
        return met

    def give_back(self, caller: Caller, number: int, network: int | None) -> None:
        """Uncount one send that `take` has counted."""
        found = self._of_asker(caller, network)
        # A note is of the only send there was; of several the buckets tell.
        if self._notes.pop(number, None) is None:
            found += self._of_number(caller.tenant.n, number)
        for buckets, key in found:
            buckets.give_back(key)

    def count(self, tenant: int, number: int, at_us: int) -> None:
        """Count one send against the limits of its number, whether they allow it or not."""
        used = self._used(tenant, number)
        for buckets, key in used:
            buckets.spend(key, at_us)
        if not used:
            self._notes[number] = at_us * _TENANTS + tenant

    def sweep(self, now_us: int) -> None:
        """Forget notes and full buckets."""
        # Notes stand in the order of time, which is their higher part.
        over = (now_us - self._note_life_us + 1) * _TENANTS
        oldest = list(islice(self._notes.items(), LOOKS_MAX))
        for number, _ in takewhile(lambda noted: noted[1] < over, oldest):
            del self._notes[number]
        forget_oldest(self._notes, keep=KEYS_MAX)
        for buckets in self._buckets.values():
            buckets.sweep(now_us, looks_max=LOOKS_MAX)

    def _used(self, tenant: int, number: int) -> list[tuple[Buckets, Hashable]]:
        """Return a number's buckets with their keys, or nothing if all of them are still untouched."""
        note = self._notes.pop(number, None)
        if note is not None:
            noted_at_us, noted_tenant = divmod(note, _TENANTS)
            for buckets, key in self._of_number(noted_tenant, number):
                buckets.spend(key, noted_at_us)
        found = self._of_number(tenant, number)
        return found if any(key in buckets.full_at_us for buckets, key in found) else []

    def _of_asker(self, caller: Caller, network: int | None) -> list[tuple[Buckets, Hashable]]:
        found: list[tuple[Buckets, Hashable]] = [
            (self._buckets["key"], caller.key.id),
            (self._buckets["service"], caller.service.n),
            (self._buckets["tenant"], caller.tenant.n),
        ]
        if network is not None:
            found.append((self._buckets["client_ip"], caller.tenant.n * _ADDRESSES + network))
        return found

    def _of_number(self, tenant: int, number: int) -> list[tuple[Buckets, Hashable]]:
        short, daily = self._by_tenant_number
        everywhere, everywhere_daily = self._by_number
        key = tenant * _NUMBERS + number
        return [(short, key), (daily, key), (everywhere, number), (everywhere_daily, number)]


@lru_cache(maxsize=ADDRESSES_KEPT_MAX)
def _network(client_ip: str) -> int:
    """Return an address as a number; IPv6 only its /64, because one subscriber has all of that.

    Raises:
        InvalidRequest: It is no IP address.
    """
    try:
        address = ip_address(client_ip)
    except ValueError as error:
        raise InvalidRequest("`client_ip` is not an IP address.", field="client_ip") from error
    if not isinstance(address, IPv4Address):
        # An IPv4 address may come in IPv6's clothes; an odd number cannot be an even one.
        if address.ipv4_mapped is None:
            return (int(address) >> 64) * 2 + 1
        address = address.ipv4_mapped
    return int(address) * 2


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // _US

"""How often somebody may ask for a code: per number, per client address, per key, service and tenant.

1. A text costs its receiver's patience, so a number is limited over all tenants too, not only for each.
2. Test keys have buckets of their own: no test eats the budget of live traffic.
3. Nothing here is the truth. A restart forgets it, and `seed` brings back what the database knows. Where
   other nodes send as well, the database judges what a number had, and here is only what it said last: never
   more than there was, so that a refusal from here is right and costs the database nothing.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Final

import msgspec

from dastak.core.errors import InvalidRequest, RateLimited
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge, LookFurther, PastSend
from dastak.core.tenant import Caller, Mode
from dastak.guard.buckets import KEYS_MAX, US_PER_S, Buckets, Met, Rate, forget_oldest, longest_met
from dastak.guard.shared_counts import Asked, SharedCounts, Unshared

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
    """The limits on sends, in the memory of one process.

    Args:
        live: The rates of live and team keys together.
        test: Those of test keys.
        judged: Whether other nodes send as well, so that the database judges what a number had.
        shared: Where all nodes together count those who ask; without it each node counts its own.
        nodes: Returns how many nodes there are: each has its share of the rates while `shared` is lost.
    """

    def __init__(
        self,
        *,
        live: LimitSettings = DEFAULTS,
        test: LimitSettings = DEFAULTS,
        judged: bool = False,
        shared: SharedCounts | None = None,
        nodes: Callable[[], int] = lambda: 1,
    ) -> None:
        # Team keys reach real phones, so they count with the live ones.
        real = _Book(live, judged=judged)
        self._books = {Mode.LIVE: real, Mode.TEAM: real, Mode.TEST: _Book(test, judged=judged)}
        self._judged, self._shared, self._nodes = judged, shared, nodes

    async def take(self, caller: Caller, msisdn: Msisdn, client_ip: str | None, *, now: datetime) -> None:
        """Count one send against every limit, or against none; `client_ip` is that of the tenant's user.

        Raises:
            InvalidRequest: `client_ip` is no IP address.
            RateLimited: The limit with the longest wait; nothing was counted.
        """
        # Its own counts never say more than the shared ones, so that a refusal of theirs is right.
        self.take_here(caller, msisdn, client_ip, now=now)
        if self._shared is None:
            return
        network = None if client_ip is None else _network(client_ip)
        book = self._books[caller.key.mode]
        asked = book.asked(caller, network, test=caller.key.mode is Mode.TEST)
        try:
            answer = await self._shared.take(asked)
        except Unshared:
            self.give_back(caller, msisdn, client_ip)
            self.take_here(caller, msisdn, client_ip, now=now, times=self._nodes())
            return
        if answer is not None:
            self.give_back(caller, msisdn, client_ip)
            raise _limited(book.settings, Met(asked[answer.met].limit, -(-answer.wait_us // US_PER_S)))

    def take_here(
        self, caller: Caller, msisdn: Msisdn, client_ip: str | None, *, now: datetime, times: int = 1
    ) -> None:
        """Do as `take` and ask nobody else; those who ask count so many times."""
        network = None if client_ip is None else _network(client_ip)
        book = self._books[caller.key.mode]
        met = book.take(caller, int(msisdn), network, _us(now), times)
        if met is not None:
            raise _limited(book.settings, met)

    def judge(self, caller: Caller, msisdn: Msisdn, *, now: datetime) -> Judge | None:
        """See `Limits.judge`; what it is shown is what is known here from then on."""
        if not self._judged:
            return None
        book, tenant, number = self._books[caller.key.mode], caller.tenant.n, int(msisdn)

        def rule(past: Sequence[PastSend], whole: bool) -> None:
            sends = [(send.tenant, _us(send.at)) for send in past if self._books[send.mode] is book]
            met = book.learn(tenant, number, sends, _us(now), whole=whole)
            if met is not None:
                raise _limited(book.settings, met)

        return Judge(PastSend(caller.key.mode, tenant, msisdn, now), now - book.memory, rule)

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

    def __init__(self, settings: LimitSettings, *, judged: bool) -> None:
        self.settings, self._judged = settings, judged
        self._buckets = {name: Buckets(name, getattr(settings, name)) for name in LIMITS}
        self._by_tenant_number = (self._buckets["number"], self._buckets["number_daily"])
        self._by_number = (self._buckets["number_everywhere"], self._buckets["number_everywhere_daily"])
        # By number: the microsecond and the tenant of its only send.
        self._notes: dict[int, int] = {}
        of_number = (*self._by_tenant_number, *self._by_number)
        self._note_life_us = max(buckets.interval_us for buckets in of_number)
        # What came before is no count any more, unless what came after was as much as may be.
        self.memory = max(buckets.window_us for buckets in of_number) * _US

    def take(self, caller: Caller, number: int, network: int | None, now_us: int, times: int) -> Met | None:
        """Count one send against every limit, or against none; those of the number are left to a judge."""
        tenant, asker = caller.tenant.n, self._of_asker(caller, network)
        used = self._used(tenant, number)
        met = longest_met(asker + used, now_us)
        if met is not None:
            return met
        for buckets, key in asker:
            buckets.spend(key, now_us, times)
        if self._judged:
            return None
        for buckets, key in used:
            buckets.spend(key, now_us)
        if not used:
            self._notes[number] = now_us * _TENANTS + tenant
        return None

    def asked(self, caller: Caller, network: int | None, *, test: bool) -> list[Asked]:
        """Return what a send counts against of those who ask, as all nodes name it."""
        prefix = "test" if test else "live"
        return [
            Asked(buckets.limit, f"{prefix}/{key}", buckets.interval_us, buckets.slack_us)
            for buckets, key in self._of_asker(caller, network)
        ]

    def learn(
        self, tenant: int, number: int, sends: Sequence[tuple[int, int]], now_us: int, *, whole: bool
    ) -> Met | None:
        """Count a number's sends anew and say which limit one more is over.

        Args:
            tenant: Who sends.
            number: Where to.
            sends: The tenant and the microsecond of each send before, whatever is known here of them.
            now_us: The present microsecond.
            whole: Whether these are all there were, and not only those of `memory`.

        Raises:
            LookFurther: They are not, and a bucket may not have been full before them.
        """
        self._notes.pop(number, None)
        found = self._of_number(tenant, number)
        theirs = sorted(at_us for _, at_us in sends)
        mine = sorted(at_us for by, at_us in sends if by == tenant)
        for (buckets, key), times in zip(found, (mine, mine, theirs, theirs), strict=True):
            if not whole and not buckets.surely_passes(times, now_us):
                raise LookFurther
            buckets.full_at_us.pop(key, None)
            for at_us in times:
                buckets.spend(key, at_us)
        return longest_met(found, now_us)

    def give_back(self, caller: Caller, number: int, network: int | None) -> None:
        """Uncount one send that `take` has counted."""
        found = self._of_asker(caller, network)
        if self._judged:
            for buckets, key in found:
                buckets.give_back(key)
            return
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


def _limited(settings: LimitSettings, met: Met) -> RateLimited:
    rate: Rate = getattr(settings, met.limit)
    return RateLimited(
        LIMITS[met.limit],
        limit=met.limit,
        retry_after_s=met.retry_after_s,
        quota=rate.count,
        window_s=rate.per_s,
    )


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

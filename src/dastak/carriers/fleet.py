"""The living routes: opened, changed and closed as the carriers in the database change, without a restart.

1. A route whose settings did not change is not touched, however its weight or state changes.
2. A route that is replaced ends what is under way, and nobody waits for it but the new one: where a carrier
   counts connections that one connects when the old one is over. So it is for one that comes back soon.
3. One carrier that cannot be opened stops no other one; the reason is kept and shown.
4. A carrier that is off sends nothing, and is heard where it calls us: what it says of earlier texts is true.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from dastak.carriers.carrier_book import CarrierBook
from dastak.carriers.carrier_kinds import KINDS, Follows, LivingRoute
from dastak.core.call_price import CallPrice
from dastak.core.carrier import SPEAKING, Carrier, CarrierState
from dastak.core.carrier_store import CarrierStore
from dastak.core.errors import DastakError
from dastak.core.msisdn import Msisdn
from dastak.delivery.call_ways import price_of

log = logging.getLogger("dastak.carriers")

Open = Callable[[Carrier, Mapping[str, Any]], LivingRoute]
Entries = Sequence[tuple[Carrier, LivingRoute]]


class _Opened(NamedTuple):
    carrier: Carrier
    route: LivingRoute


class _Ending(NamedTuple):
    route: LivingRoute
    ended: asyncio.Task[None]


class Fleet:
    """All routes to carriers, as an async context.

    Args:
        store: Where carriers are written down.
        book: Knows their secrets.
        fixed: The carriers of the settings file with their routes; they stay as they are.
        open_route: Makes the route of a carrier.
        on_change: Told of all entries, whenever one came, went or changed.

    Attributes:
        faults: Why a carrier could not be opened.
    """

    def __init__(
        self,
        store: CarrierStore,
        book: CarrierBook,
        *,
        fixed: Entries,
        open_route: Open,
        on_change: Callable[[Entries], None],
    ) -> None:
        self._store, self.book, self._fixed = store, book, fixed
        self._open_route, self._on_change = open_route, on_change
        self._one_at_a_time = asyncio.Lock()
        self._revision = -1
        self._price_micros = 0
        self._opened: dict[str, _Opened] = {}
        # Made and never entered: they connect to nobody, and can read what comes in.
        self._off: dict[str, _Opened] = {}
        self._closing: set[asyncio.Task[None]] = set()
        # Of each name the last route that is not over yet.
        self._ending: dict[str, _Ending] = {}
        self.faults: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Open all routes; they connect by themselves."""
        for carrier, route in self._fixed:
            await route.__aenter__()
            self._opened[carrier.name] = _Opened(carrier, route)
        await self.refresh()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all routes, at once and together."""
        for name in list(self._opened):
            self._close(name)
        await asyncio.gather(*self._closing, return_exceptions=True)

    @property
    def entries(self) -> Entries:
        """Every open route with its carrier."""
        return tuple(self._opened.values())

    def price_micros(self) -> int:
        """Return what a segment of a text costs at most, whichever carrier takes it."""
        return self._price_micros

    def call_price(self, name: str, msisdn: Msisdn) -> CallPrice | None:
        """Return what a carrier takes for calls to a number; None if it is none of ours, or has no row."""
        opened = self._opened.get(name) or self._off.get(name)
        return None if opened is None else price_of(opened.carrier.lane, msisdn)

    def find(self, name: str) -> tuple[Carrier, LivingRoute] | None:
        """Return an open route with its carrier, if there is one of this name."""
        return self._opened.get(name)

    def hears(self, name: str) -> LivingRoute | None:
        """Return the route that reads the webhooks of a carrier, be it open or off, if there is one."""
        found = self._opened.get(name) or self._off.get(name)
        return None if found is None else found.route

    async def refresh(self) -> bool:
        """Take over what the database has now; False when that is nothing new."""
        async with self._one_at_a_time:
            if await self._store.carrier_revision() == self._revision:
                return False
            await self._take_all_over()
            return True

    async def _take_all_over(self) -> None:
        listed = await self._store.carriers()
        wanted = {
            carrier.name: carrier for carrier in listed.carriers if carrier.state is not CarrierState.OFF
        }
        fixed = {carrier.name for carrier, _ in self._fixed}
        off = {
            carrier.name: heard
            for carrier in listed.carriers
            if carrier.name not in wanted and (heard := self._heard(carrier)) is not None
        }
        # Whoever goes on or off is heard all the while.
        self._off |= off
        for name in [name for name in self._opened if name not in wanted and name not in fixed]:
            self._close(name)
        self.faults.clear()
        for carrier in wanted.values():
            await self._take_over(carrier)
        self._off = off
        self._revision = listed.revision
        self._price_micros = max(
            (carrier.lane.price_micros for carrier, _ in self.entries if carrier.kind not in SPEAKING),
            default=0,
        )
        self._on_change(self.entries)

    async def _take_over(self, carrier: Carrier) -> None:
        known = self._opened.get(carrier.name)
        if known is not None and _same_settings(known.carrier, carrier):
            self._opened[carrier.name] = _Opened(carrier, known.route)
            return
        try:
            fresh = self._open_route(carrier, self.book.revealed(carrier))
        except DastakError as error:
            self.faults[carrier.name] = error.detail
            log.error("carrier %s cannot be opened: %s", carrier.name, error.detail)
            return
        if known is not None:
            self._close(carrier.name)
        before = self._ending.get(carrier.name)
        if before is not None and isinstance(fresh, Follows):
            fresh.follow(before.route, before.ended)
        await fresh.__aenter__()
        self._opened[carrier.name] = _Opened(carrier, fresh)

    def _heard(self, carrier: Carrier) -> _Opened | None:
        """Return a carrier that is off with what reads its webhooks; None where it has none."""
        kind = KINDS.get(carrier.kind)
        if kind is None or not kind.hooked:
            return None
        known = self._off.get(carrier.name)
        if known is not None and _same_settings(known.carrier, carrier):
            return _Opened(carrier, known.route)
        try:
            return _Opened(carrier, self._open_route(carrier, self.book.revealed(carrier)))
        except DastakError as error:
            log.error("carrier %s is off, and its receipts cannot be read: %s", carrier.name, error.detail)
            return None

    def _close(self, name: str) -> None:
        """Let a route end what is under way, behind our back."""
        route = self._opened.pop(name).route
        ending = _Ending(route, asyncio.get_running_loop().create_task(_end(route)))
        self._ending[name] = ending
        self._closing.add(ending.ended)

        def over(task: asyncio.Task[None]) -> None:
            self._closing.discard(task)
            if self._ending.get(name) is ending:
                del self._ending[name]

        ending.ended.add_done_callback(over)


async def _end(route: LivingRoute) -> None:
    await route.__aexit__(None, None, None)


def _same_settings(one: Carrier, other: Carrier) -> bool:
    return (one.n, one.kind, one.settings, one.sealed) == (other.n, other.kind, other.settings, other.sealed)

"""Write down in each carrier's history when its link went down and when it came back.

1. A moment is not told, such as a start; a link that comes and goes is down until it stays up.
2. A line has the instant of the change, not that of its telling.
3. What the database cannot take now is told later.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.carriers.carrier_book import WHY_CHARACTERS_MAX
from dastak.carriers.fleet import Entries
from dastak.core.carrier import CarrierChange
from dastak.core.carrier_store import CarrierStore
from dastak.core.errors import DastakError
from dastak.core.ports import Clock
from dastak.delivery.downtime import DOWN, LINK, UP

DOWN_AFTER: Final = timedelta(seconds=5)
UP_AFTER: Final = timedelta(seconds=30)
# In so many of its newest lines an earlier run's last word on a link is looked for.
LINES_MAX: Final = 100

log = logging.getLogger("dastak.carriers")


class _Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link as it was seen, since when, and what was told of it last."""

    up: bool
    since: datetime
    told_up: bool


class Outages:
    """Looks at the links, whenever it is asked to; once a second is right.

    Args:
        store: Has the histories.
        clock: The time.
        entries: Returns every open route with its carrier.
    """

    def __init__(self, store: CarrierStore, clock: Clock, entries: Callable[[], Entries]) -> None:
        self._store, self._clock, self._entries = store, clock, entries
        self._links: dict[str, _Link] = {}

    def down_s(self, route: str) -> float:
        """Return for how long a route has been down, as far as this was looked at."""
        link = self._links.get(route)
        return 0.0 if link is None or link.up else (self._clock.now() - link.since).total_seconds()

    async def look(self) -> None:
        """Look at every link, and tell what lasts."""
        try:
            await self._look(self._clock.now())
        except DastakError as error:
            log.warning("what links do is not written down: %s", error.detail)

    async def _look(self, now: datetime) -> None:
        open_now = {carrier.name: route for carrier, route in self._entries()}
        for name in self._links.keys() - open_now.keys():
            if not self._links[name].told_up:
                await self._tell(name, UP, now, "it is not used any more")
            del self._links[name]
        for name, route in open_now.items():
            link = self._links.get(name) or _Link(
                up=route.available, since=now, told_up=_told_up(await self._history(name))
            )
            if link.up != route.available:
                link = msgspec.structs.replace(link, up=route.available, since=now)
            if link.up != link.told_up and now - link.since >= (UP_AFTER if link.up else DOWN_AFTER):
                await self._tell(name, UP if link.up else DOWN, link.since, route.reason)
                link = msgspec.structs.replace(link, told_up=link.up)
            self._links[name] = link

    async def _history(self, name: str) -> Sequence[CarrierChange]:
        return await self._store.carrier_history(name, limit=LINES_MAX)

    async def _tell(self, name: str, what: str, at: datetime, why: str) -> None:
        line = CarrierChange(carrier=name, at=at, who=LINK, what=what, why=why[:WHY_CHARACTERS_MAX])
        await self._store.note_change(line)


def _told_up(newest_first: Sequence[CarrierChange]) -> bool:
    """Return what was told last of a link, by an earlier run; up where nothing was."""
    told = (line.what for line in newest_first if line.who == LINK)
    return next(told, UP) == UP

"""Read from the histories of carriers which of them took nothing, and when: link down, or breaker open.

1. What no line tells was up: a history says nothing of moments, nor of a time before its oldest line.
2. An open end lasts until now, but for a breaker that is closed now: a restart closes it without a line.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from dastak.core.carrier import CarrierChange

# Who tells of links, and what; breakers are told of by `carriers/learning.py`.
LINK: Final = "link"
DOWN: Final = "down"
UP: Final = "up"
_BREAKER: Final = "breaker "
_BREAKER_ENDS: Final[Mapping[str, bool]] = {"demoted": True, "recovered": False}


class _Turn(NamedTuple):
    """From when on a route takes nothing, or takes something again, for one of two reasons."""

    at_ms: int
    route: str
    reason: str
    begins: bool


class Downtime:
    """Tells of an instant which routes took nothing.

    Args:
        histories: The lines of each route, in any order.
        broken: The routes whose breaker is open now.
    """

    def __init__(self, histories: Mapping[str, Sequence[CarrierChange]], *, broken: Iterable[str]) -> None:
        closed = histories.keys() - set(broken)
        turns = [turn for route, lines in histories.items() for turn in _turns(route, lines, route in closed)]
        self._instants: list[int] = []
        self._routes: list[frozenset[str]] = []
        down: set[tuple[str, str]] = set()
        for turn in sorted(turns):
            (down.add if turn.begins else down.discard)((turn.route, turn.reason))
            self._instants.append(turn.at_ms)
            self._routes.append(frozenset(route for route, _ in down))

    def at(self, at_ms: int) -> frozenset[str]:
        """Return the routes that took nothing at an instant, in milliseconds since 1970."""
        place = bisect_right(self._instants, at_ms)
        return self._routes[place - 1] if place else frozenset()


def _turns(route: str, lines: Iterable[CarrierChange], breaker_closed: bool) -> Iterator[_Turn]:
    last: _Turn | None = None
    for line in sorted(lines, key=lambda line: line.at):
        if line.who == LINK and line.what in (DOWN, UP):
            yield _Turn(_ms(line.at), route, LINK, line.what == DOWN)
        elif line.why.startswith(_BREAKER) and line.what in _BREAKER_ENDS:
            if last is not None:
                yield last
            last = _Turn(_ms(line.at), route, _BREAKER, _BREAKER_ENDS[line.what])
    if last is not None and not (last.begins and breaker_closed):
        yield last


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)

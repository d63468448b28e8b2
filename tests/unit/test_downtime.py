"""Histories tell which routes took nothing at an instant."""

from datetime import UTC, datetime, timedelta

import pytest

from dastak.core.carrier import CarrierChange
from dastak.delivery.downtime import LINK, Downtime

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)


def line(seconds: int, what: str, *, who: str = LINK, why: str = "cannot connect") -> CarrierChange:
    return CarrierChange(carrier="north", at=AT + timedelta(seconds=seconds), who=who, what=what, why=why)


def breaker(seconds: int, state: str) -> CarrierChange:
    what = "demoted" if state == "open" else "recovered"
    return line(seconds, what, who="health", why=f"breaker {state}: 3 messages in a row were not answered")


def down_at(downtime: Downtime, *seconds: int) -> list[bool]:
    start_ms = int(AT.timestamp() * 1000)
    return ["north" in downtime.at(start_ms + 1000 * second) for second in seconds]


def test_route_is_down_from_its_line_to_the_next_in_whatever_order_they_come() -> None:
    downtime = Downtime({"north": [line(60, "up"), line(10, "down"), line(90, "down")]}, broken=())

    assert down_at(downtime, 0, 9, 10, 59, 60, 89, 90, 9999) == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]


def test_route_is_up_only_when_link_and_breaker_are() -> None:
    lines = [line(10, "down"), breaker(20, "open"), line(30, "up"), breaker(40, "closed")]

    assert down_at(Downtime({"north": lines}, broken=()), 5, 15, 25, 35, 45) == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("broken", "down"), [((), False), (("north",), True)])
def test_open_breaker_without_an_end_counts_only_if_it_is_open_now(
    broken: tuple[str, ...], down: bool
) -> None:
    downtime = Downtime(
        {"north": [breaker(0, "open"), breaker(10, "closed"), breaker(20, "open")]}, broken=broken
    )

    assert down_at(downtime, 5, 15, 25) == [True, False, down]


def test_other_lines_and_other_routes_say_nothing() -> None:
    others = [
        line(10, "demoted", who="health", why="IN: its score fell behind that of the best route"),
        line(10, "down", who="cli", why="down for the night"),
        line(10, "state", who="cli", why="breaker open: so it says"),
    ]

    downtime = Downtime({"north": others, "south": [line(10, "down")]}, broken=())

    assert down_at(downtime, 20) == [False]
    assert downtime.at(int(AT.timestamp() * 1000) + 20_000) == {"south"}

"""How long people wait after a failover is judged, and a wait that nobody saw end is a breach."""

from pathlib import Path

import pytest

from chaos.asked_calls import Call
from chaos.failovers import NORMAL, judge_waits
from chaos.stage import FULL, QUICK, House, Scale, Stage
from chaos.victim import Victim
from chaos.watched_carrier import Phones

FAULT_S, ANSWERED_AGAIN_S, LAST_S = 100.0, 110.0, 160.0


def waited(directory: Path, *, normal_s: float, scale: Scale = FULL) -> House:
    """Return a house whose people waited ten times as long as before until so long after the fault."""
    house = House(Stage(directory, scale=scale, seed=1), Victim(directory), Phones())
    house.fault_began_s, house.recoveries = FAULT_S, [ANSWERED_AGAIN_S - FAULT_S]
    asked_s = FAULT_S - 10
    while asked_s <= LAST_S:
        slow = ANSWERED_AGAIN_S <= asked_s < FAULT_S + normal_s
        if not FAULT_S <= asked_s < ANSWERED_AGAIN_S:
            house.books.note(Call("start", "+919000000001", asked_s, asked_s + (1.0 if slow else 0.1), 201))
        asked_s += 0.1
    return house


def test_p99_that_is_normal_in_time_is_noted_and_no_breach(tmp_path: Path) -> None:
    house = waited(tmp_path, normal_s=20.0)

    judge_waits(house)

    assert house.figures[NORMAL] == pytest.approx(23.0, abs=1.5)
    assert house.broken == {}


def test_p99_that_is_normal_too_late_is_a_breach(tmp_path: Path) -> None:
    house = waited(tmp_path, normal_s=40.0)

    judge_waits(house)

    assert house.figures[NORMAL] == pytest.approx(43.0, abs=1.5)
    assert "30 at most" in house.broken["speed"][0]


def test_p99_that_never_becomes_normal_is_a_breach(tmp_path: Path) -> None:
    house = waited(tmp_path, normal_s=1_000.0)

    judge_waits(house)

    assert NORMAL not in house.figures
    assert "inf, and 30 at most" in house.broken["speed"][0]


def test_no_time_is_judged_in_the_short_form(tmp_path: Path) -> None:
    house = waited(tmp_path, normal_s=1_000.0, scale=QUICK)

    judge_waits(house)

    assert house.broken == {}

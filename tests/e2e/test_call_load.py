"""Hundreds of calls of the whole program to SIPp, as fast as one customer asks for them."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from tests.support.calling_house import CallingHouse, calling_house
from tests.support.patience import until
from tests.support.sipp import Sipp, answer, ask, expect, expect_answer, pause

# The phone hangs up after half a second, so that the trunk never is full.
ANSWERED: Final = (
    expect("INVITE"),
    answer(180),
    answer(200, sdp=True, repeat=True),
    expect("ACK"),
    pause(500),
    ask("BYE", 9),
    expect_answer(200),
)
AT_ONCE: Final = 200
ASKING: Final = 8
END_S_MAX: Final = 120.0


def _call(house: CallingHouse, number: int) -> str:
    return house.call(f"+9198765{number:05d}")


def _ended(house: CallingHouse, of: str) -> str:
    return str(house.told_of(of, type="undelivered")["outcome"])


# The larger form is one of `make test-all`.
@pytest.mark.parametrize("calls", [120, 1_500])
def test_every_call_is_answered_none_is_lost_and_none_stays(tmp_path: Path, calls: int) -> None:
    first = free_port()
    # One customer asks for all of them at once.
    often = {f"DASTAK__LIMITS__LIVE__{limit}__COUNT": "100000" for limit in ("KEY", "SERVICE", "TENANT")}
    with calling_house(tmp_path, **often) as house, ThreadPoolExecutor(ASKING) as asking:
        phones = Sipp(ANSWERED, tmp_path, transport="UDP", contact_port=0, calls=calls)
        try:
            ports = [first, first + 2 * AT_ONCE + 20]
            house.add(phones.port, calls_max=AT_ONCE, rtp_ports=ports, probe_s=0, session_s=0)
            house.until_available()
            begun = list(asking.map(lambda number: _call(house, number), range(calls)))
            outcomes = Counter(asking.map(lambda of: _ended(house, of), begun))
            steps = [house.steps(of) for of in begun]
            asyncio.run(phones.saw_everything(END_S_MAX))
            # The trunk has all its channels back.
            until(lambda: house.carrier()["in_flight"] == 0)
        finally:
            phones.stop()

    assert outcomes == {"hung_up": calls}
    # No phone rang twice, even where a first try did not get out.
    assert Counter(tuple(told[-4:]) for told in steps) == {
        ("dialled", "ringing", "answered", "hung_up"): calls
    }
    assert [told.count("ringing") for told in steps] == [1] * calls

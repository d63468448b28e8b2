"""How often a number is called, at which hours, and for how long: through HTTP, and a trunk that counts."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.test_call_chain import WAITS
from tests.e2e.test_call_dissected import HOLD
from tests.e2e.test_call_rules_live import SERVICE
from tests.e2e.test_voice_process import ANSWERS, IS_HUNG_UP
from tests.support.calling_house import TO, CallingHouse, calling_house
from tests.support.npm_peer import NpmSmsc, npm_smsc
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.sipp import Sipp, answer, ask, expect, expect_answer, sipp
from tests.support.stepped_clock import SteppedClock

IS_BUSY: Final = (expect("INVITE"), answer(180), answer(486), expect("ACK"))
OFTEN: Final = {
    f"DASTAK__LIMITS__LIVE__{limit}__COUNT": "1000" for limit in ("NUMBER", "NUMBER_EVERYWHERE")
} | dict(PLENTY)
CAPS: Final = {"DASTAK__LIMITS__CALLS__HOURLY": "2", "DASTAK__LIMITS__CALLS__DAILY": "3"}


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    folder = tmp_path / "peer"
    folder.mkdir()
    return folder


async def test_number_is_called_so_often_and_no_more_and_who_asks_is_told_which_cap_it_was(
    tmp_path: Path, peer: Path
) -> None:
    clock = SteppedClock(tmp_path / "clock")

    def scene(trunk: Sipp) -> list[object]:
        with calling_house(tmp_path, **OFTEN, **CAPS, **clock.environment) as house:
            house.add(trunk.port, probe_s=0)
            house.until_available()
            told: list[object] = []
            for at_s in (0, 1, 61, 130, 3_700, 3_770):
                clock.step(at_s)
                asked = house.api.start(TO, channel="voice")
                if asked.status == 201:
                    told.append(house.told_of(asked.body["id"], type="undelivered")["outcome"])
                else:
                    assert int(asked.headers["retry-after"]) > 0
                    told.append((asked.status, asked.body["reason"]))
            return told

    # It ends well when it was called three times, and would complain of a fourth.
    async with sipp(*IS_BUSY, directory=peer, calls=3) as trunk:
        told = await asyncio.to_thread(scene, trunk)
        await trunk.saw_everything()

    assert told == [
        "busy",
        (429, "call_apart"),
        "busy",
        (429, "call_hourly"),
        "busy",
        (429, "call_daily"),
    ]


async def test_call_that_nobody_asked_for_keeps_to_the_hours_and_the_caps_and_its_timeline_says_which(
    tmp_path: Path, peer: Path
) -> None:
    loop = asyncio.get_running_loop()

    def scene(carrier: NpmSmsc, trunk: Sipp) -> None:
        with calling_house(tmp_path, **OFTEN) as house:
            house.add_texts(carrier.port)
            house.add(trunk.port, probe_s=0)
            house.until_available()
            allow(house, f"{hour(2)}-{hour(3)} Etc/UTC")
            night = fails(house, carrier)
            asked = house.call(WAITS)
            house.told_of(asked, outcome="busy")
            allow(house, "")
            again = fails(house, carrier)

            assert "no call: it is" in night["why"]
            assert f"calls that nobody asked for are made {hour(2)}" in night["why"]
            assert "no call: call_apart, for" in again["why"]
            assert [night.get("followed_by"), again.get("followed_by")] == [None, None]

    def fails(house: CallingHouse, carrier: NpmSmsc) -> dict[str, Any]:
        of = house.text(WAITS)
        house.told_of(of, type="submitted")
        loop.call_soon_threadsafe(carrier.reports, "UNDELIV", "650")
        return house.told_of(of, type="fallback")

    async with npm_smsc() as carrier, sipp(*IS_BUSY, directory=peer) as trunk:
        await asyncio.to_thread(scene, carrier, trunk)
        await trunk.saw_everything()


def hour(ahead: int) -> str:
    return f"{(datetime.now(UTC).hour + ahead) % 24:02}:00"


def allow(house: CallingHouse, hours: str) -> None:
    changed = house.operator.patch(SERVICE, {"calls": {"hours": hours}})
    assert changed.status == 200, changed


async def test_call_that_would_last_for_ever_is_hung_up_when_its_time_is_over(
    tmp_path: Path, peer: Path
) -> None:
    # Whoever is on hold hears nothing, and nothing of what is to be said goes on.
    holds = (*ANSWERS, HOLD, expect_answer(200), ask("ACK", 6))

    def scene(trunk: Sipp) -> tuple[list[str], dict[str, Any]]:
        with calling_house(tmp_path) as house:
            house.add(trunk.port, probe_s=0, talk_s=10)
            house.until_available()
            of = house.call()
            lost = house.told_of(of, type="undelivered")
            until(lambda: any("BYE sip:" in message for message in trunk.messages()))
            return house.steps(of), lost

    async with sipp(*holds, *IS_HUNG_UP, directory=peer) as trunk:
        steps, lost = await asyncio.to_thread(scene, trunk)
        await trunk.saw_everything()

    assert steps == ["dialled", "ringing", "answered", "hung_up"]
    assert (lost["outcome"], lost["evidence"]) == ("hung_up", "call:our BYE")

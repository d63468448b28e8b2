"""kill -9 of the voice process alone: the main program says its CANCEL or BYE, and the phone is free."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import TO, CallingHouse, calling_house, phone_in
from tests.support.carrier_process import CarrierProcess
from tests.support.child_processes import voice_processes
from tests.support.kamailio import Kamailio
from tests.support.patience import until

ANSWERS: Final = f"""
[[faults]]
number = "{TO}"
call = {{ does = "answer" }}
"""
LOST: Final = "call:the voice process ended"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


def kill_voice(house: CallingHouse) -> None:
    """End the voice process as a defect or a lack of memory would."""
    (voice,) = voice_processes(house.installation.program.pid)
    os.kill(voice, signal.SIGKILL)


@pytest.mark.parametrize(
    ("faults", "step", "outcome", "why"),
    [("", "ringing", "not_answered", "CANCEL"), (ANSWERS, "answered", "hung_up", "BYE")],
    ids=["ringing", "speaking"],
)
def test_phone_of_the_exchange_is_told_when_the_voice_process_is_killed(
    house: CallingHouse, tmp_path: Path, faults: str, step: str, outcome: str, why: str
) -> None:
    carrier = CarrierProcess(tmp_path / "exchange", faults=faults)

    def newest(state: str) -> dict[str, Any] | None:
        calls = [told for told in carrier.texts if told["msisdn"] == TO]
        return calls[-1] if calls and calls[-1]["state"] == state else None

    with carrier:
        house.add(carrier.sip_port)
        house.until_available()
        of = house.call()
        house.told_of(of, step=step)
        kill_voice(house)
        ended = until(lambda: newest("ended"))
        lost = house.told_of(of, type="undelivered")
        house.until_available()

    assert ended["why"] == why
    assert (lost["outcome"], lost["evidence"]) == (outcome, LOST)
    assert "cannot be called off" not in house.installation.program.log()


@contextmanager
def behind_kamailio(
    house: CallingHouse, directory: Path, answers: str
) -> Iterator[tuple[BaresipPhone, Kamailio]]:
    """Add a trunk that wants a password and stays in the way, with a softphone behind it."""
    authority = Authority.make(directory / "authority")
    authority.issue("trunk")
    files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
    with phone_in(directory, answers=answers) as phone:
        trunk = Kamailio(directory / "trunk", phone_port=phone.port, **files)
        try:
            house.add_kamailio(trunk, "udp")
            house.until_available()
            yield phone, trunk
        finally:
            trunk.daemon.stop()


def test_phone_behind_kamailio_stops_ringing_when_the_voice_process_is_killed(
    house: CallingHouse, tmp_path: Path
) -> None:
    with behind_kamailio(house, tmp_path, "manual") as (phone, _):
        house.told_of(house.call(), step="ringing")
        assert not phone.said("session closed")
        kill_voice(house)

        # By itself it would ring for two minutes.
        until(lambda: phone.said("session closed"))


def test_phone_behind_kamailio_is_hung_up_when_the_voice_process_is_killed(
    house: CallingHouse, tmp_path: Path
) -> None:
    with behind_kamailio(house, tmp_path, "auto") as (phone, trunk):
        house.told_of(house.call(), step="answered")
        assert not phone.said("session closed")
        kill_voice(house)
        until(lambda: phone.said("session closed"))
        until(lambda: trunk.said("answered 200 to BYE"))

    assert trunk.said("challenged over udp") == 1
    assert trunk.said("within BYE over udp") == 1

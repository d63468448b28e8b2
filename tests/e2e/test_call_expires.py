"""kill -9 while the phone rings, and nobody is left who could say CANCEL: the invitation itself expires."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.authority import Authority
from tests.support.calling_house import TO, CallingHouse, calling_house, phone_in
from tests.support.carrier_process import CarrierProcess
from tests.support.child_processes import voice_processes
from tests.support.kamailio import TO_THE_PHONE, Kamailio
from tests.support.patience import until

# The least that a trunk can be set to; the exchange and the phone would ring for two minutes and more.
RING_S: Final = 5
# Kamailio looks at no Expires by itself; this is how it is told to.
UNTIL_IT_EXPIRES: Final = TO_THE_PHONE + (
    " $var(expires_ms) = $(hdr(Expires){{s.int}}) * 1000;"
    ' xlog("L_ERR", "expires $hdr(Expires)\\n");'
    ' t_set_fr("$var(expires_ms)");'
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


def kill_both(house: CallingHouse) -> None:
    """End the program and its voice process at once, so that neither can call anything off."""
    program = house.installation.program
    (voice,) = voice_processes(program.pid)
    for pid in (program.pid, voice):
        os.kill(pid, signal.SIGSTOP)
    os.kill(voice, signal.SIGKILL)
    program.kill()


def test_phone_of_the_exchange_stops_ringing_by_itself_when_both_processes_were_killed(
    house: CallingHouse, tmp_path: Path
) -> None:
    carrier = CarrierProcess(tmp_path / "exchange")

    def newest(state: str) -> dict[str, Any] | None:
        calls = [told for told in carrier.texts if told["msisdn"] == TO]
        return calls[-1] if calls and calls[-1]["state"] == state else None

    with carrier:
        house.add(carrier.sip_port, ring_s=RING_S)
        house.until_available()
        house.told_of(house.call(), step="ringing")
        kill_both(house)

        assert newest("ringing")
        assert until(lambda: newest("ended"), within_s=20)["why"] == "expired"


def test_phone_behind_kamailio_stops_ringing_by_itself_when_both_processes_were_killed(
    house: CallingHouse, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
    with phone_in(tmp_path, answers="manual") as phone:
        trunk = Kamailio(tmp_path / "trunk", phone_port=phone.port, leads=UNTIL_IT_EXPIRES, **files)
        try:
            house.add_kamailio(trunk, "udp", ring_s=RING_S)
            house.until_available()
            house.told_of(house.call(), step="ringing")
            kill_both(house)

            assert not phone.said("session closed")
            until(lambda: phone.said("session closed"), within_s=20)
            assert trunk.said(f"expires {RING_S + 2}") == 1
        finally:
            trunk.daemon.stop()

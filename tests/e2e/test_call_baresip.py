"""The call by the library baresip-python instead of our own engine, through the whole program."""

import asyncio
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support.authority import Authority
from tests.support.calling_house import calling_house, code_heard, phone_in, press_gate
from tests.support.kamailio import Kamailio
from tests.support.needed import library
from tests.support.sipp import Sipp, answer, expect
from tests.support.virtual_caller import CODES

BY_BARESIP = {"adapter": "baresip", "probe_s": 0, "session_s": 0}


@pytest.fixture(autouse=True)
def _baresip() -> None:
    library("baresip")


def test_softphone_hears_the_code_by_baresip_after_the_digit(tmp_path: Path) -> None:
    with calling_house(tmp_path) as house, phone_in(tmp_path) as phone:
        house.add(phone.port, **BY_BARESIP)
        house.until_available()
        of = house.call()
        press_gate(phone)
        house.told_of(of, type="delivered")
        code = code_heard(phone)

        assert CODES.fullmatch(code), code
        assert house.api.check(of, code[:6]).body["approved"] is True
        steps = house.steps(of)
        assert steps[:1] + steps[-5:] == ["dialled", "answered", "right_key", "spoken", "spoken", "hung_up"]
        assert code[:6] not in house.installation.program.log()


@pytest.mark.parametrize(
    ("status", "outcome", "detail"),
    [(486, "busy", "486 Busy Here"), (603, "declined", "603 Decline")],
)
def test_refusal_of_the_phone_is_told_by_baresip(
    tmp_path: Path, status: int, outcome: str, detail: str
) -> None:
    with calling_house(tmp_path) as house:
        steps = [expect("INVITE"), answer(180), answer(status), expect("ACK")]
        trunk = Sipp(steps, tmp_path, transport="UDP", contact_port=0)
        try:
            house.add(trunk.port, **BY_BARESIP)
            house.until_available()
            of = house.call()
            lost = house.told_of(of, type="undelivered")
            asyncio.run(trunk.saw_everything())
        finally:
            trunk.stop()

        assert lost["outcome"] == outcome
        assert house.steps(of) == ["dialled", "ringing", "hung_up"]
        assert house.told_of(of, step="hung_up")["detail"] == detail


def test_call_that_is_called_off_while_it_rings_is_cancelled_by_baresip(tmp_path: Path) -> None:
    with calling_house(tmp_path) as house:
        given_up = (expect("CANCEL"), answer(200, tag=""), answer(487, cseq="CSeq: 1 INVITE"), expect("ACK"))
        steps = [expect("INVITE"), answer(180), *given_up]
        trunk = Sipp(steps, tmp_path, transport="UDP", contact_port=0)
        try:
            house.add(trunk.port, ring_s=5, **BY_BARESIP)
            house.until_available()
            lost = house.told_of(house.call(), type="undelivered")
            asyncio.run(trunk.saw_everything())
        finally:
            trunk.stop()

        assert lost["outcome"] == "not_answered"
        assert "Expires: 7\n" in next(one for one in trunk.messages() if "INVITE sip:" in one)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_proves_itself_to_a_trunk_and_follows_its_route(tmp_path: Path, transport: str) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    with calling_house(tmp_path) as house, phone_in(tmp_path) as phone:
        files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
        trunk = Kamailio(tmp_path / "trunk", phone_port=phone.port, ports=None, **files)
        try:
            house.add_kamailio(trunk, transport, **BY_BARESIP)
            house.until_available()
            of = house.call()
            press_gate(phone)
            house.told_of(of, type="delivered")
        finally:
            trunk.daemon.stop()

        assert CODES.fullmatch(code_heard(phone))


def test_setting_that_baresip_cannot_do_is_refused_when_the_trunk_is_added(tmp_path: Path) -> None:
    with calling_house(tmp_path) as house:
        refused = house.offer(free_port(), adapter="baresip", transport="tls")

        assert refused.status == 422
        assert "adapter = baresip cannot do: transport = tls" in refused.body["detail"]


def test_person_who_hangs_up_on_baresip_is_told_so(tmp_path: Path) -> None:
    with calling_house(tmp_path) as house, phone_in(tmp_path) as phone:
        house.add(phone.port, **BY_BARESIP)
        house.until_available()
        of = house.call()
        house.told_of(of, step="answered")
        phone.hang_up()

        assert house.told_of(of, type="undelivered")["outcome"] == "hung_up"


def test_phone_stops_ringing_by_baresip_when_the_program_is_killed(tmp_path: Path) -> None:
    with calling_house(tmp_path) as house:
        given_up = (expect("CANCEL"), answer(200, tag=""), answer(487, cseq="CSeq: 1 INVITE"), expect("ACK"))
        steps = [expect("INVITE"), answer(180), *given_up]
        trunk = Sipp(steps, tmp_path, transport="UDP", contact_port=0)
        try:
            house.add(trunk.port, **BY_BARESIP)
            house.until_available()
            house.told_of(house.call(), step="ringing")
            house.installation.program.kill()
            asyncio.run(trunk.saw_everything())
        finally:
            trunk.stop()

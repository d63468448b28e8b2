"""Two trunks, and the first one dies: known by the probe before a call, noticed in the set-up of one."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, phone_in
from tests.support.dnsmasq import dnsmasq
from tests.support.kamailio import Kamailio
from tests.support.sipp import Sipp, answer, expect, pause

MakeTrunk = Callable[..., Kamailio]
QUICK = {"probe_s": 1, "silence_s": 1}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[BaresipPhone]:
    with phone_in(tmp_path) as answering:
        yield answering


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    return authority


@pytest.fixture
def make_trunk(tmp_path: Path, phone: BaresipPhone, authority: Authority) -> Iterator[MakeTrunk]:
    running: list[Kamailio] = []

    def make(ports: tuple[int, int] | None = None) -> Kamailio:
        folder = tmp_path / f"trunk{len(running)}"
        files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
        running.append(Kamailio(folder, phone_port=phone.port, ports=ports, **files))
        return running[-1]

    yield make
    for one in running:
        one.daemon.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_takes_the_second_trunk_without_waiting_when_the_first_is_known_to_be_dead(
    house: CallingHouse, make_trunk: MakeTrunk, transport: str
) -> None:
    first, second = make_trunk(), make_trunk()
    house.add_kamailio(first, transport, name="first", priority=10, **QUICK)
    house.add_kamailio(second, transport, name="second", priority=20, **QUICK)
    house.until_available("first")
    house.until_available("second")
    first.daemon.stop()
    house.until_available("first", available=False)
    told = house.told_of(of := house.call(), type="submitted")
    reason = house.carrier("first")["link"]
    make_trunk((first.port, first.tls_port))
    house.until_available("first")

    assert told["route"] == "second"
    assert [one for one in house.api.timeline(of) if one["type"] == "refused"] == []
    assert "was not answered" in reason if transport == "udp" else "no connection" in reason


def test_call_in_set_up_goes_on_by_the_second_trunk_when_the_first_says_nothing(
    house: CallingHouse, make_trunk: MakeTrunk
) -> None:
    first, second = make_trunk(), make_trunk()
    house.add_kamailio(first, "udp", name="first", priority=10, probe_s=0, silence_s=1)
    house.add_kamailio(second, "udp", name="second", priority=20)
    house.until_available("second")
    first.daemon.stop()
    of = house.call()
    taken = house.told_of(of, type="submitted")
    refused = house.told_of(of, type="refused")

    assert (refused["route"], refused["outcome"]) == ("first", "network_temporary")
    assert taken["route"] == "second"


def test_call_goes_to_the_second_server_of_a_name_when_the_first_one_is_dead(
    house: CallingHouse, make_trunk: MakeTrunk, tmp_path: Path
) -> None:
    first, second = make_trunk(), make_trunk()
    records = [
        "host-record=sip.trunk.example,127.0.0.1",
        f"srv-host=_sip._udp.trunk.example,sip.trunk.example,{first.port},10",
        f"srv-host=_sip._udp.trunk.example,sip.trunk.example,{second.port},20",
    ]
    with dnsmasq(tmp_path / "dns", *records) as names:
        server = f"127.0.0.1:{names.port}"
        settings = {"host": "trunk.example", "port": None, "name_server": server, "silence_s": 1}
        house.add_kamailio(first, "udp", **settings)
        house.until_available()
        first.daemon.stop()
        of = house.call()
        taken = house.told_of(of, type="submitted")

    assert taken["route"] == "trunk"
    assert [one for one in house.api.timeline(of) if one["type"] == "refused"] == []
    assert (first.said("led on from udp"), second.said("led on from udp")) == (0, 1)


def test_call_goes_on_by_the_second_trunk_when_the_first_searches_for_too_long(
    house: CallingHouse, make_trunk: MakeTrunk, tmp_path: Path
) -> None:
    folder = tmp_path / "searching"
    folder.mkdir()
    given_up = (expect("CANCEL"), answer(200, tag=""), answer(487, cseq="CSeq: 1 INVITE"), expect("ACK"))
    first = Sipp([expect("INVITE"), answer(100, tag=""), *given_up], folder, transport="UDP", contact_port=0)
    try:
        house.add(first.port, name="first", priority=10, probe_s=0, silence_s=1, progress_s=1)
        house.add_kamailio(make_trunk(), "udp", name="second", priority=20)
        house.until_available("second")
        taken = house.told_of(house.call(), type="submitted")
        asyncio.run(first.saw_everything())
    finally:
        first.stop()

    assert taken["route"] == "second"


def test_phone_that_is_searched_for_seven_seconds_rings_all_the_same(
    house: CallingHouse, tmp_path: Path
) -> None:
    steps = [expect("INVITE"), answer(100, tag=""), pause(7_000), answer(180), answer(486), expect("ACK")]
    trunk = Sipp(steps, tmp_path, transport="UDP", contact_port=0)
    try:
        house.add(trunk.port, probe_s=0)
        house.until_available()
        lost = house.told_of(of := house.call(), type="undelivered")
    finally:
        trunk.stop()

    assert lost["outcome"] == "busy"
    assert house.steps(of) == ["dialled", "ringing", "hung_up"]


def test_call_goes_on_by_the_second_trunk_when_the_first_has_no_channel(
    house: CallingHouse, make_trunk: MakeTrunk, tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    first = Sipp([expect("INVITE"), answer(503), expect("ACK")], full, transport="UDP", contact_port=0)
    try:
        house.add(first.port, name="first", priority=10, probe_s=0)
        house.add_kamailio(make_trunk(), "udp", name="second", priority=20)
        house.until_available("second")
        of = house.call()
        taken = house.told_of(of, type="submitted")
        refused = house.told_of(of, type="refused")
    finally:
        first.stop()

    assert (refused["route"], refused["outcome"]) == ("first", "congestion")
    assert taken["route"] == "second"

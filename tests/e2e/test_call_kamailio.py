"""The call over a real trunk: Kamailio asks for a digest, leads to a softphone and stays in the path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, code_heard, phone_in, press_gate
from tests.support.kamailio import Kamailio
from tests.support.patience import until
from tests.support.virtual_caller import CODES

ELSEWHERE = "+917012345678"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[BaresipPhone]:
    with phone_in(tmp_path) as answering:
        yield answering


@pytest.fixture
def algorithm() -> str:
    return "MD5"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    return authority


@pytest.fixture
def trunk(tmp_path: Path, phone: BaresipPhone, authority: Authority, algorithm: str) -> Iterator[Kamailio]:
    running = Kamailio(
        tmp_path / "trunk",
        phone_port=phone.port,
        key=authority.path("trunk.key"),
        certificate=authority.path("trunk.pem"),
        algorithm=algorithm,
        prefix="[+]9198",
    )
    yield running
    running.daemon.stop()


@pytest.mark.parametrize(("transport", "algorithm"), [("udp", "MD5"), ("tls", "SHA-256")])
def test_phone_behind_the_trunk_hears_the_code_bit_for_bit(
    house: CallingHouse,
    trunk: Kamailio,
    phone: BaresipPhone,
    authority: Authority,
    transport: str,
    algorithm: str,
) -> None:
    house.add_kamailio(trunk, transport, ca_file=authority.path("ca.pem"))
    house.until_available()
    of = house.call()
    press_gate(phone)
    house.told_of(of, type="delivered")
    code = code_heard(phone)
    until(lambda: trunk.said("answered 200 to BYE"))

    assert CODES.fullmatch(code), code
    assert house.api.check(of, code[:6]).body["approved"] is True
    # The trunk's workers may bring the 200 before the 180.
    assert [step for step in house.steps(of) if step != "ringing"] == [
        "dialled", "answered", "right_key", "spoken", "spoken", "hung_up",
    ]  # fmt: skip
    for words in ("challenged over", "led on from", "within ACK over", "within BYE over"):
        assert trunk.said(f"{words} {transport}") == 1
    assert [trunk.said(f"proved by {name}") for name in ("MD5", "SHA-256")] == [
        int(algorithm == name) for name in ("MD5", "SHA-256")
    ]
    assert code[:6] not in house.installation.program.log()


def test_person_who_hangs_up_is_heard_along_the_route_back(
    house: CallingHouse, trunk: Kamailio, phone: BaresipPhone, authority: Authority
) -> None:
    house.add_kamailio(trunk, "tls", ca_file=authority.path("ca.pem"))
    house.until_available()
    of = house.call()
    house.told_of(of, step="answered")
    phone.hang_up()

    assert house.told_of(of, type="undelivered")["outcome"] == "hung_up"
    until(lambda: trunk.said("answered 200 to BYE"))
    assert trunk.said("within BYE over udp") == 1


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_wrong_password_is_a_fault_of_our_settings_and_told(
    house: CallingHouse, trunk: Kamailio, authority: Authority, transport: str
) -> None:
    house.add_kamailio(trunk, transport, password="of-another", ca_file=authority.path("ca.pem"))
    house.until_available()
    refused = house.told_of(house.call(), type="refused")

    assert (refused["route"], refused["outcome"]) == ("trunk", "route_config")
    assert "407" in refused["status"]
    assert trunk.said(f"challenged over {transport}") > 1
    assert trunk.said(f"led on from {transport}") == 0
    assert "of-another" not in house.installation.program.log()


def test_prefix_that_the_trunk_does_not_know_is_an_unknown_number(
    house: CallingHouse, trunk: Kamailio
) -> None:
    house.add_kamailio(trunk, "tcp")
    house.until_available()
    refused = house.told_of(house.call(ELSEWHERE), type="refused")

    assert (refused["route"], refused["outcome"]) == ("trunk", "unknown_number")
    assert "404" in refused["status"]


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_trunk_whose_certificate_does_not_verify_is_not_believed_and_told(
    house: CallingHouse, trunk: Kamailio, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    other = Authority.make(tmp_path / "other")
    believed = authority if wrong == "name" else other
    settings = {"ca_file": believed.path("ca.pem")} | ({"host": "localhost"} if wrong == "name" else {})
    house.add_kamailio(trunk, "tls", **settings)
    until(lambda: "certificate verify failed" in house.carrier()["link"])

    assert house.carrier()["available"] is False

"""Trunks that want us in their book, and a proxy before one: the whole program against Kamailio."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, phone_in
from tests.support.kamailio import PROXY, Kamailio
from tests.support.patience import until

MakeKamailio = Callable[..., Kamailio]


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
def make_kamailio(tmp_path: Path, phone: BaresipPhone, authority: Authority) -> Iterator[MakeKamailio]:
    running: list[Kamailio] = []

    def make(**how: str) -> Kamailio:
        folder = tmp_path / f"kamailio{len(running)}"
        files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
        running.append(Kamailio(folder, phone_port=phone.port, **files, **how))
        return running[-1]

    yield make
    for one in running:
        one.daemon.stop()


@pytest.mark.parametrize(("transport", "algorithm"), [("udp", "MD5"), ("tcp", "SHA-256")])
def test_program_is_in_the_book_while_it_runs_and_calls_meanwhile(
    house: CallingHouse, make_kamailio: MakeKamailio, authority: Authority, transport: str, algorithm: str
) -> None:
    trunk = make_kamailio(algorithm=algorithm)
    house.add_kamailio(trunk, transport, register=True, register_s=120, ca_file=authority.path("ca.pem"))
    house.until_available()
    entered = trunk.said("registered sip:shop@trunk.example until 120")
    house.told_of(house.call(), step="answered")
    house.installation.program.stop()
    until(lambda: trunk.said("registered sip:shop@trunk.example until 0"))

    assert entered == 1
    proofs = {name: trunk.said(f"proved by {name}") for name in ("MD5", "SHA-256")}
    # Of the entry, the call, and the way out of the book.
    assert proofs.pop(algorithm) == 3
    assert set(proofs.values()) == {0}


def test_wrong_password_keeps_the_trunk_out_of_use_and_says_why(
    house: CallingHouse, make_kamailio: MakeKamailio
) -> None:
    house.add_kamailio(make_kamailio(), "udp", register=True, password="of-another")
    until(lambda: house.carrier()["link"] == "the trunk refuses our REGISTER: SIP 401")

    assert house.carrier()["available"] is False


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_everything_goes_through_the_outbound_proxy(
    house: CallingHouse, make_kamailio: MakeKamailio, phone: BaresipPhone, transport: str
) -> None:
    trunk, proxy = make_kamailio(), make_kamailio(routes=PROXY)
    over = "" if transport == "udp" else f";transport={transport}"
    house.add_kamailio(
        trunk,
        transport,
        outbound_proxy=f"127.0.0.1:{proxy.port}",
        # Where the proxy leads on to: it knows no name of a test's.
        domain=f"127.0.0.1:{trunk.port}{over}",
        register=True,
    )
    house.until_available()
    of = house.call()
    house.told_of(of, step="answered")
    phone.hang_up()
    lost = house.told_of(of, type="undelivered")
    house.installation.program.stop()
    # Challenged, granted, and taken back with the proof that was kept.
    until(lambda: proxy.said("passed on REGISTER to 127.0.0.1") == 3)

    assert lost["outcome"] == "hung_up"
    # The first was challenged by another header than REGISTER is.
    assert proxy.said("passed on INVITE to 127.0.0.1") == 2
    for method in ("ACK", "BYE", "OPTIONS"):
        assert proxy.said(f"passed on {method} to 127.0.0.1") >= 1
    assert trunk.said(f"led on from {transport}") == 1

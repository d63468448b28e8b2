"""The call over a real trunk: Kamailio asks for a digest, leads to a softphone and stays in the path."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.api_client import ApiClient
from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone, baresip
from tests.support.kamailio import Kamailio
from tests.support.patience import until
from tests.support.serve_installation import Installation, free_port
from tests.support.virtual_caller import CODES, digits_in, gate_in

TO = "+919876543210"
ELSEWHERE = "+917012345678"
CARRIERS = "/v1/admin/carriers"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "dastak") as running:
        yield running


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[BaresipPhone]:
    folder = tmp_path / "phone"
    folder.mkdir()
    with baresip(folder, number=TO) as answering:
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


@pytest.fixture
def operator(installation: Installation) -> ApiClient:
    made = installation.command("keys", "create", "--name", "boss", "--mode", "live", "--scope", "operator")
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


def add_carrier(operator: ApiClient, trunk: Kamailio, transport: str, **settings: Any) -> None:
    first = free_port()
    wanted = {
        "host": "127.0.0.1",
        "port": trunk.tls_port if transport == "tls" else trunk.port,
        "transport": transport,
        "username": "shop",
        "password": "secret",
        "domain": "trunk.example",
        "caller": "+911600123456",
        "calls_max": 4,
        "rtp_ports": [first, first + 20],
        **settings,
    }
    answer = operator.post(CARRIERS, {"name": "trunk", "kind": "sip", "settings": wanted})
    assert answer.status == 201, answer


def until_available(operator: ApiClient) -> None:
    until(lambda: operator.get(f"{CARRIERS}/trunk").body["available"])


def called(installation: Installation, to: str = TO) -> tuple[ApiClient, str]:
    """Ask for a call, and return who asked and the verification."""
    api = installation.live_client()
    until(lambda: api.get("/v1/verifications").status == 200)
    started = api.start(to, channel="voice")
    assert started.status == 201, started
    return api, str(started.body["id"])


def told_of(api: ApiClient, of: str, **wanted: str) -> dict[str, Any]:
    """Wait for an event with these fields."""

    def look() -> dict[str, Any] | None:
        return next((told for told in api.timeline(of) if wanted.items() <= told.items()), None)

    return until(look, within_s=40)


@pytest.mark.parametrize(("transport", "algorithm"), [("udp", "MD5"), ("tcp", "SHA-256"), ("tls", "SHA-256")])
def test_phone_behind_the_trunk_hears_the_code_bit_for_bit(
    installation: Installation,
    operator: ApiClient,
    trunk: Kamailio,
    phone: BaresipPhone,
    authority: Authority,
    transport: str,
) -> None:
    add_carrier(operator, trunk, transport, ca_file=authority.path("ca.pem"))
    until_available(operator)
    api, of = called(installation)
    phone.press(until(lambda: gate_in(pcm_to_ulaw(phone.heard())), within_s=20))
    told_of(api, of, type="delivered")
    code = digits_in(pcm_to_ulaw(phone.heard()))
    until(lambda: trunk.said("answered 200 to BYE"))

    assert CODES.fullmatch(code), code
    assert api.check(of, code[:6]).body["approved"] is True
    steps = [one["step"] for one in api.timeline(of) if one["type"] == "call"]
    # The trunk's workers may bring the 200 before the 180.
    assert [step for step in steps if step != "ringing"] == [
        "dialled", "answered", "right_key", "spoken", "spoken", "hung_up",
    ]  # fmt: skip
    for words in ("challenged over", "led on from", "within ACK over", "within BYE over"):
        assert trunk.said(f"{words} {transport}") == 1
    assert code[:6] not in installation.program.log()


def test_person_who_hangs_up_is_heard_along_the_route_back(
    installation: Installation,
    operator: ApiClient,
    trunk: Kamailio,
    phone: BaresipPhone,
    authority: Authority,
) -> None:
    add_carrier(operator, trunk, "tls", ca_file=authority.path("ca.pem"))
    until_available(operator)
    api, of = called(installation)
    told_of(api, of, step="answered")
    phone.hang_up()

    assert told_of(api, of, type="undelivered")["outcome"] == "hung_up"
    until(lambda: trunk.said("answered 200 to BYE"))
    assert trunk.said("within BYE over udp") == 1


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_wrong_password_is_a_fault_of_our_settings_and_told(
    installation: Installation, operator: ApiClient, trunk: Kamailio, authority: Authority, transport: str
) -> None:
    add_carrier(operator, trunk, transport, password="of-another", ca_file=authority.path("ca.pem"))
    until_available(operator)
    api, of = called(installation)
    refused = told_of(api, of, type="refused")

    assert (refused["route"], refused["outcome"]) == ("trunk", "route_config")
    assert "407" in refused["status"]
    assert trunk.said(f"challenged over {transport}") > 1
    assert trunk.said(f"led on from {transport}") == 0
    assert "of-another" not in installation.program.log()


def test_prefix_that_the_trunk_does_not_know_is_an_unknown_number(
    installation: Installation, operator: ApiClient, trunk: Kamailio
) -> None:
    add_carrier(operator, trunk, "tcp")
    until_available(operator)
    api, of = called(installation, ELSEWHERE)
    refused = told_of(api, of, type="refused")

    assert (refused["route"], refused["outcome"]) == ("trunk", "unknown_number")
    assert "404" in refused["status"]


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_trunk_whose_certificate_does_not_verify_is_not_believed_and_told(
    installation: Installation,
    operator: ApiClient,
    trunk: Kamailio,
    authority: Authority,
    tmp_path: Path,
    wrong: str,
) -> None:
    other = Authority.make(tmp_path / "other")
    believed = authority if wrong == "name" else other
    settings = {"ca_file": believed.path("ca.pem")} | ({"host": "localhost"} if wrong == "name" else {})
    add_carrier(operator, trunk, "tls", **settings)
    until(lambda: "certificate verify failed" in operator.get(f"{CARRIERS}/trunk").body["link"])

    assert operator.get(f"{CARRIERS}/trunk").body["available"] is False

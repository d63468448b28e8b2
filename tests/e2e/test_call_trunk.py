"""The call over a SIP trunk to a softphone that nobody here wrote, which records what it hears."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.api_client import ApiClient
from tests.support.baresip_phone import BaresipPhone, baresip
from tests.support.patience import until
from tests.support.serve_installation import Installation, free_port
from tests.support.virtual_caller import CODES, digits_in, gate_in

TO = "+919876543210"
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
def operator(installation: Installation) -> ApiClient:
    made = installation.command("keys", "create", "--name", "boss", "--mode", "live", "--scope", "operator")
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


def add_trunk(operator: ApiClient, port: int, **settings: Any) -> None:
    """Add a trunk that leads straight to the phone."""
    first = free_port()
    wanted = {
        "host": "127.0.0.1",
        "port": port,
        "domain": f"127.0.0.1:{port}",
        "caller": "+911600123456",
        "calls_max": 4,
        "rtp_ports": [first, first + 20],
        **settings,
    }
    answer = operator.post(CARRIERS, {"name": "trunk", "kind": "sip", "settings": wanted})
    assert answer.status == 201, answer
    until(lambda: operator.get(f"{CARRIERS}/trunk").body["available"])


def event(api: ApiClient, of: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    return until(lambda: next(filter(holds, api.timeline(of)), None), within_s=40)


def called(installation: Installation) -> tuple[ApiClient, str]:
    """Ask for a call, and return who asked and the verification."""
    api = installation.live_client()
    until(lambda: api.get("/v1/verifications").status == 200)
    started = api.start(TO, channel="voice")
    assert started.status == 201, started
    return api, str(started.body["id"])


def test_softphone_hears_the_code_after_the_digit_bit_for_bit(
    installation: Installation, operator: ApiClient, phone: BaresipPhone
) -> None:
    add_trunk(operator, phone.port)
    api, of = called(installation)
    phone.press(until(lambda: gate_in(pcm_to_ulaw(phone.heard())), within_s=20))
    event(api, of, lambda told: told["type"] == "delivered")
    code = digits_in(pcm_to_ulaw(phone.heard()))

    assert CODES.fullmatch(code), code
    assert api.check(of, code[:6]).body["approved"] is True
    told = api.timeline(of)
    steps = [one["step"] for one in told if one["type"] == "call"]
    assert steps[:1] + steps[-5:] == ["dialled", "answered", "right_key", "spoken", "spoken", "hung_up"]
    assert code[:6] not in installation.program.log()


def test_softphone_that_nobody_touches_hears_no_digit_of_the_code(
    installation: Installation, operator: ApiClient, phone: BaresipPhone
) -> None:
    add_trunk(operator, phone.port)
    api, of = called(installation)
    lost = event(api, of, lambda told: told["type"] == "undelivered")

    assert lost["outcome"] == "no_human"
    assert digits_in(pcm_to_ulaw(phone.heard())) == ""


def test_person_who_hangs_up_early_is_told_so(
    installation: Installation, operator: ApiClient, phone: BaresipPhone
) -> None:
    add_trunk(operator, phone.port)
    api, of = called(installation)
    event(api, of, lambda told: told.get("step") == "answered")
    phone.hang_up()

    assert event(api, of, lambda told: told["type"] == "undelivered")["outcome"] == "hung_up"


def test_trunk_that_is_not_there_is_told_and_settings_that_are_wrong_are_refused(
    installation: Installation, operator: ApiClient
) -> None:
    few_ports = {"host": "127.0.0.1", "caller": "+911600123456", "rtp_ports": [20000, 20001]}
    refused = operator.post(CARRIERS, {"name": "trunk", "kind": "sip", "settings": few_ports})
    add_trunk(operator, free_port())
    api, of = called(installation)
    told = event(api, of, lambda told: told["type"] == "refused")

    assert refused.status == 422
    assert "too few ports" in refused.body["detail"]
    assert (told["route"], told["outcome"]) == ("trunk", "network_temporary")

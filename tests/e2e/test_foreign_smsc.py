"""The program on a carrier nobody here wrote (npm smpp), with nothing but settings."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.authority import Authority
from tests.support.npm_peer import NpmSmsc, npm_smsc
from tests.support.patience import until
from tests.support.serve_installation import Installation

PASSWORD = "s3cret-9"
# The peer behaves as the last two digits say.
DELIVERED, SILENT, DROPS_LINK = "+917000000100", "+917000000103", "+917000000104"
THROTTLES, TAKES = {"behaviour": "01"}, {"behaviour": "00"}

Event = dict[str, object]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "dastak")


def add(installation: Installation, name: str, port: int, **settings: str | int | float | bool) -> None:
    wanted = {"host": "127.0.0.1", "port": port, "system_id": "sim_1", "password": PASSWORD}
    installation.add_carrier(name, **(wanted | settings))


def until_bound(installation: Installation, *routes: str) -> None:
    until(lambda: all(f"route {route}, bind 1 is bound" in installation.program.log() for route in routes))


def is_ready(installation: Installation) -> bool:
    return ApiClient(installation.url, None).get("/readyz").status == 200


def told(api: ApiClient, verification: str, last: str) -> list[Event]:
    """Wait until the timeline tells of something, and return all of it."""

    def look() -> list[Event] | None:
        events = api.timeline(verification)
        return events if any(event["type"] == last for event in events) else None

    return until(look)


def facts(events: list[Event], *names: str) -> list[tuple[object, ...]]:
    return [tuple(event.get(name) for name in ("type", *names)) for event in events]


async def submitted(peer: NpmSmsc) -> dict[str, object]:
    """Return the next submit_sm; what else the peer says is about receipts."""
    while True:
        said = await peer.said()
        if said["command"] == "submit_sm":
            return said


async def test_text_arrives_at_a_foreign_carrier_and_its_receipt_is_told(installation: Installation) -> None:
    async with npm_smsc(password=PASSWORD) as peer:
        add(installation, "acme", peer.port)
        api = installation.live_client()
        with installation:
            until_bound(installation, "acme")
            ready = is_ready(installation)
            start = api.start(DELIVERED)
            submit = await submitted(peer)
            timeline = told(api, start.body["id"], "delivered")
            code = submit["short_message"].split()[0]
            check = api.check(start.body["id"], code)

    assert ready
    assert (submit["source_addr"], submit["destination_addr"]) == ("DASTAK", DELIVERED.lstrip("+"))
    assert submit["registered_delivery"] == 1
    assert submit["short_message"].startswith(f"{code} is your Dastak login code.")
    valid_until = datetime.fromisoformat(submit["validity_period"])
    expires_at = datetime.fromisoformat(start.body["expires_at"])
    # SMPP counts in whole seconds, and the carrier counts from when it got it.
    assert timedelta(seconds=-3) < valid_until - expires_at < timedelta(seconds=1)
    assert facts(timeline, "route", "carrier_ref", "evidence")[-2:] == [
        ("submitted", "acme", "id-00", None),
        ("delivered", None, None, "stat:DELIVRD"),
    ]
    assert check.body["approved"] is True


async def test_text_arrives_over_tls_with_a_private_authority(
    installation: Installation, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("smsc")
    tls = {"key": authority.text("smsc.key"), "cert": authority.text("smsc.pem")}
    async with npm_smsc(password=PASSWORD, **tls) as peer:
        add(
            installation,
            "acme",
            peer.port,
            tls__enabled=True,
            tls__ca_file=authority.path("ca.pem"),
            tls__server_name="smsc.test",
        )
        api = installation.live_client()
        with installation:
            until_bound(installation, "acme")
            start = api.start(DELIVERED)
            code = (await submitted(peer))["short_message"].split()[0]

            assert api.check(start.body["id"], code).body["approved"] is True


async def test_refused_password_is_told_while_codes_wait(installation: Installation) -> None:
    async with npm_smsc(password="another1") as peer:
        add(installation, "acme", peer.port)
        api = installation.live_client()
        with installation:
            until(lambda: "route acme, bind 1 is refused: ESME_RINVPASWD" in installation.program.log())
            ready = is_ready(installation)
            start = api.start(DELIVERED)
            timeline = told(api, start.body["id"], "refused")
            shown = api.get(f"/v1/verifications/{start.body['id']}")
            log = installation.program.log()

    assert not ready
    # A start waits for no carrier: it is kept, and goes out should somebody mend the password in time.
    assert (start.status, shown.body["state"]) == (201, "pending")
    assert ("refused", "acme", "carrier_unavailable") in facts(timeline, "route", "status")
    assert PASSWORD not in log


@pytest.mark.parametrize("first", ["throttles", "is down"])
async def test_second_carrier_takes_what_the_first_does_not(installation: Installation, first: str) -> None:
    async with (
        npm_smsc(password=PASSWORD, **THROTTLES) as full,
        npm_smsc(password=PASSWORD, **TAKES) as other,
    ):
        # Port 1 is nobody's.
        add(installation, "full", full.port if first == "throttles" else 1, priority=1)
        add(installation, "other", other.port, priority=2)
        api = installation.live_client()
        with installation:
            until_bound(installation, *(("full", "other") if first == "throttles" else ("other",)))
            ready = is_ready(installation)
            start = api.start(DELIVERED)
            code = (await submitted(other))["short_message"].split()[0]
            timeline = told(api, start.body["id"], "delivered")
            check = api.check(start.body["id"], code)

    expected = [("submitted", "other", None), ("delivered", None, None)]
    if first == "throttles":
        expected.insert(0, ("refused", "full", "ESME_RTHROTTLED"))
    assert ready
    assert facts(timeline, "route", "status")[2:] == expected
    assert check.body["approved"] is True


@pytest.mark.parametrize("number", [SILENT, DROPS_LINK], ids=["no answer", "link dropped"])
async def test_unknown_outcome_is_sent_again_with_the_same_code(
    installation: Installation, number: str
) -> None:
    async with npm_smsc(password=PASSWORD) as peer:
        add(installation, "acme", peer.port, response_timeout_s=0.3)
        api = installation.live_client()
        with installation:
            until_bound(installation, "acme")
            start = api.start(number)
            texts = [(await submitted(peer))["short_message"] for _ in range(2)]
            check = api.check(start.body["id"], texts[0].split()[0])
            timeline = api.timeline(start.body["id"])

    assert texts[0] == texts[1]
    assert check.body["approved"] is True
    assert ("refused", "acme", "outcome_unknown") in facts(timeline, "route", "status")

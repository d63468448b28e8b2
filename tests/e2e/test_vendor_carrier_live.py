"""The program sends by the simulated Twilio and MSG91, and takes their receipts: all over real sockets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.dastak_process import DastakProcess
from tests.support.patience import until
from tests.support.serve_installation import Installation

TO = "+919876543210"
CARRIERS = "/v1/admin/carriers"
FLOW = {"flow_id": "64a1b2c3d4e5f60718293a4b"}
ACCOUNT_SID = "AC" + "1".rjust(32, "0")


@contextmanager
def running(directory: Path, **settings: str) -> Iterator[tuple[Installation, ApiClient]]:
    """Run the program where its own address is the one that carriers are told."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    installation = Installation(directory / "dastak", port=port, DASTAK__SERVER__PUBLIC_URL=url, **settings)
    with installation:
        made = installation.command(
            "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
        )
        operator = ApiClient(url, made["key"])
        until(lambda: operator.get(CARRIERS).status == 200)
        yield installation, operator


def add(operator: ApiClient, name: str, **settings: Any) -> None:
    answer = operator.post(CARRIERS, {"name": name, "kind": "http", "settings": settings})
    assert answer.status == 201, answer


def twilio_of(carrier: CarrierProcess) -> dict[str, str]:
    """Return the settings of its Twilio."""
    return {
        "profile": "twilio",
        "account": ACCOUNT_SID,
        "secret": "sim",
        "sender": "+12025550150",
        "base_url": carrier.http_url,
    }


def start(api: ApiClient) -> str:
    """Start a verification as soon as there is a way."""

    def begin() -> str:
        started = api.start(TO)
        return started.body["id"] if started.status == 201 else ""

    return until(begin)


def told(api: ApiClient, verification: str, kind: str) -> list[tuple[Any, ...]]:
    """Wait until the timeline tells of something, and return what became of its messages in the end."""

    def look() -> list[tuple[Any, ...]]:
        events = api.timeline(verification)
        # Twilio also tells when a text is on its way.
        kinds = [(event["type"], event.get("route")) for event in events if event["type"] != "receipt"]
        return kinds[2:] if any(event["type"] == kind for event in events) else []

    return until(look)


def test_text_by_a_twilio_of_its_own_process_is_delivered(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True)
    with carrier, running(tmp_path) as (installation, operator):
        add(operator, "tw", **twilio_of(carrier))
        api = installation.live_client()
        verification = start(api)
        facts = told(api, verification, "delivered")
        text = until(lambda: carrier.texts[-1] if carrier.texts else None)
        check = api.check(verification, text["text"].split()[0])

    assert facts == [("submitted", "tw"), ("delivered", None)]
    assert (text["msisdn"], text["route"], text["sender"]) == (TO, "twilio_1", "+12025550150")
    assert check.body["approved"] is True


UNKNOWN_NUMBER = """
[[faults]]
account = "twilio_1"
stat = "UNDELIV"
err = "001"
"""


def test_receipt_that_says_undelivered_with_30005_settles_as_unknown_number(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", over_http=True, faults=UNKNOWN_NUMBER)
    with carrier, running(tmp_path) as (installation, operator):
        add(operator, "tw", **twilio_of(carrier))
        api = installation.live_client()
        verification = start(api)
        told(api, verification, "failed")
        events = {event["type"]: event for event in api.timeline(verification)}
        state = api.get(f"/v1/verifications/{verification}").body["state"]

    assert events["submitted"]["route"] == "tw"
    assert (events["undelivered"]["outcome"], events["undelivered"]["evidence"]) == (
        "unknown_number",
        "status:undelivered code:30005",
    )
    # A number that is nobody's is not tried by another way.
    assert (state, events["failed"]["cause"], carrier.texts) == ("failed", "unknown_number", [])


def test_text_by_the_msg91_in_the_box_is_on_a_virtual_phone_and_reported(tmp_path: Path) -> None:
    with running(tmp_path, DASTAK__SIMULATOR__ENABLED="true") as (installation, operator):
        here = ApiClient(installation.url, None)
        access = here.get("/sim/vendors").body
        add(
            operator,
            "msg",
            profile="msg91",
            secret=access["authkey"],
            base_url=access["url"],
            options=FLOW,
        )
        hook = installation.command("carrier", "hook", "msg")["url"]
        assert here.put("/sim/vendors", {"webhook_url": hook}).body["webhook_url"] == hook
        api = installation.live_client()
        verification = start(api)
        text = api.next_text(TO)
        facts = told(api, verification, "delivered")
        check = api.check(verification, text["code"])

    assert facts == [("submitted", "msg"), ("delivered", None)]
    assert (text["route"], text["data_coding"]) == ("msg91_2", None)
    assert check.body["approved"] is True


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"webhook_url": "https://example.com/"}, 422),
        ({"webhook": "x"}, 400),
        (["x"], 400),
    ],
    ids=str,
)
def test_wish_that_cannot_be_met_is_refused_in_words(dastak: DastakProcess, wish: Any, status: int) -> None:
    answer = ApiClient(dastak.url, None).put("/sim/vendors", wish)

    assert answer.status == status
    assert "http://127.0.0.1" in answer.body["detail"]


@pytest.fixture
def faulty(dastak: DastakProcess) -> Iterator[Callable[[Any], ApiClient]]:
    here = ApiClient(dastak.url, None)

    def set_faults(*faults: Any) -> ApiClient:
        assert here.put("/sim/faults", list(faults)).status == 200
        return here

    yield set_faults
    set_faults()


def test_one_script_of_faults_is_for_smpp_and_http(faulty: Callable[[Any], ApiClient]) -> None:
    here = faulty({"account": "msg91_2", "http_status": 503})
    access = here.get("/sim/vendors").body
    client = ApiClient(access["url"], None)
    wanted = {
        "template_id": FLOW["flow_id"],
        "recipients": [{"mobiles": "917040000001", "VAR1": "482913"}],
    }

    assert client.post("/api/v5/flow/", wanted, authkey=access["authkey"]).status == 503
    assert here.put("/sim/faults", []).status == 200
    assert client.post("/api/v5/flow/", wanted, authkey=access["authkey"]).status == 200
    assert here.next_text("+917040000001")["code"] == "482913"

"""The program calls by the simulated Twilio, whose phones act by themselves: all over real sockets."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_vendor_carrier_live import ACCOUNT_SID, CARRIERS, running
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.voice_vendor import WORDS

PERSON, BUSY, DECLINES, VOICEMAIL = (f"+9198765432{xx}" for xx in ("05", "10", "11", "12"))
FAULTS = f"""
[[faults]]
number = "{BUSY}"
call = "busy"
[[faults]]
number = "{DECLINES}"
call = "decline"
[[faults]]
number = "{VOICEMAIL}"
call = "voicemail"
"""


def calling(operator: ApiClient, carrier: CarrierProcess) -> None:
    settings = {
        "profile": "twilio",
        "account": ACCOUNT_SID,
        "secret": "sim",
        "caller": "+911600123456",
        "base_url": carrier.http_url,
    }
    body = {"name": "tw_call", "kind": "http_voice", "settings": settings}
    assert operator.post(CARRIERS, body).status == 201
    until(lambda: operator.get(f"{CARRIERS}/tw_call").body["available"])


def begun(api: ApiClient, to: str, **fields: Any) -> str:
    def begin() -> str:
        started = api.start(to, channel="voice", **fields)
        return started.body["id"] if started.status == 201 else ""

    return until(begin)


def steps_of(api: ApiClient, of: str) -> list[str]:
    return [one["step"] for one in api.timeline(of) if one["type"] == "call"]


def last(api: ApiClient, of: str) -> dict[str, Any]:
    """Wait for what came of a call."""
    ends = {"delivered", "undelivered"}
    return until(lambda: next((one for one in api.timeline(of) if one["type"] in ends), None))


def test_person_of_the_simulated_vendor_hears_the_code_that_approves(tmp_path: Path) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", faults=FAULTS, over_http=True)
    with carrier, running(tmp_path) as (program, operator):
        calling(operator, carrier)
        api = program.live_client()
        of = begun(api, PERSON)
        delivered = last(api, of)
        (text,) = until(lambda: carrier.texts)
        spoken = text["text"].partition("Your code is: ")[2].split(" Once more")[0]
        code = ""
        while spoken:
            word = next(word for word in WORDS if spoken.startswith(word))
            code, spoken = code + str(WORDS.index(word)), spoken.removeprefix(word)
        approved = api.check(of, code).body["approved"]
        steps = until(lambda: "hung_up" in (seen := steps_of(api, of)) and seen)

    assert (delivered["type"], approved) == ("delivered", True)
    assert steps == ["dialled", "ringing", "answered", "right_key", "spoken", "spoken", "hung_up"]
    assert text["text"].startswith("A call said: Dastak. Hello. This is a call with your security code.")
    assert code not in text["text"]


@pytest.mark.parametrize(
    ("to", "outcome"), [(BUSY, "busy"), (DECLINES, "declined"), (VOICEMAIL, "no_human")], ids=str
)
def test_phone_that_hears_no_code_says_why(tmp_path: Path, to: str, outcome: str) -> None:
    carrier = CarrierProcess(tmp_path / "carrier", faults=FAULTS, over_http=True)
    with carrier, running(tmp_path) as (program, operator):
        calling(operator, carrier)
        api = program.live_client()
        lost = last(api, begun(api, to))

    assert lost["outcome"] == outcome


def test_simulated_twilio_refuses_what_twilio_would(tmp_path: Path) -> None:
    good = {"To": PERSON, "From": "+12025550150", "Url": "http://127.0.0.1:9/x"}
    carrier = CarrierProcess(tmp_path / "carrier", faults=FAULTS, over_http=True)
    with carrier:
        url = f"{carrier.http_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Calls"

        def status(path: str, auth: str = "sim", **changes: str) -> tuple[int, int]:
            form = {**good, **changes}
            answer = httpx.post(url + path, data=form, auth=(ACCOUNT_SID, auth), trust_env=False)
            return answer.status_code, answer.json().get("code", 0)

        statuses = [
            status(".json", auth="wrong"),
            status(".json", To="12"),
            status(".json", Url="https://example.com/x"),
            status("/CA01.json", Status="completed"),
            status(".json"),
        ]

    assert statuses == [(401, 20003), (400, 21211), (400, 21205), (404, 20404), (201, 0)]

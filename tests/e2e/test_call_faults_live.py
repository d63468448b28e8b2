"""Each thing that goes wrong in a call, set as a fault of the running program, and what its timeline says."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.patience import until

ANSWERS: Final = {"does": "answer", "after": 0.1}
RANG: Final = ("ringing", "180 Ringing")
# By number: the fault, the steps that must be told, and the outcome.
SCENES: Final[dict[str, tuple[object, list[tuple[str, str]], str]]] = {
    "+919876540001": ("busy", [("hung_up", "486 Busy Here, cause 17")], "busy"),
    "+919876540002": ("busy_everywhere", [("hung_up", "600 Busy Everywhere, cause 17")], "busy"),
    "+919876540003": (
        "decline",
        [("ringing", "180 Ringing"), ("hung_up", "603 Decline, cause 21")],
        "declined",
    ),
    "+919876540004": (
        {"does": "no_answer", "after": 0.5},
        [("ringing", "180 Ringing"), ("hung_up", "480 Temporarily Unavailable, cause 19")],
        "not_answered",
    ),
    "+919876540005": (
        "unreachable",
        [("hung_up", "480 Temporarily Unavailable, cause 20")],
        "absent_subscriber",
    ),
    "+919876540006": ("unknown", [("hung_up", "404 Not Found, cause 1")], "unknown_number"),
    "+919876540007": ("congestion", [("hung_up", "503 Service Unavailable, cause 34")], "congestion"),
    "+919876540008": ("redirect", [("hung_up", "302 Moved Temporarily")], "network_temporary"),
    "+919876540009": (
        {"does": "voicemail", "after": 0.1, "keys": "1234567890"},
        [RANG, ("answered", "200 OK"), ("no_key", ""), ("hung_up", "our BYE")],
        "no_human",
    ),
    "+919876540010": (
        {**ANSWERS, "loss_to_phone": 1.0, "loss_from_phone": 1.0, "keys": "1234567890"},
        [RANG, ("answered", "200 OK"), ("no_key", ""), ("hung_up", "our BYE")],
        "no_human",
    ),
    "+919876540011": (
        {"does": "decline", "early_media": True, "after": 0.5},
        [
            ("ringing", "183 Session Progress"),
            ("ringing", "180 Ringing"),
            ("hung_up", "603 Decline, cause 21"),
        ],
        "declined",
    ),
    "+919876540012": (
        {**ANSWERS, "lost_acks": 2, "hang_up_s": 3.0},
        [RANG, ("answered", "200 OK"), ("hung_up", "BYE")],
        "hung_up",
    ),
    "+919876540013": (
        {**ANSWERS, "forks": 3, "hang_up_s": 2.0},
        [RANG, ("answered", "200 OK"), ("hung_up", "BYE")],
        "hung_up",
    ),
    "+919876540014": (
        {"does": "decline", "slow": 1.2},
        [("ringing", "180 Ringing"), ("hung_up", "603 Decline, cause 21")],
        "declined",
    ),
    "+919876540015": (
        {**ANSWERS, "loss_to_phone": 0.3, "loss_from_phone": 0.3, "hang_up_s": 2.0},
        [RANG, ("answered", "200 OK"), ("hung_up", "BYE")],
        "hung_up",
    ),
}
# What is looked at apart.
CROSSES: Final = "+919876540020"
LOSES_BYE: Final = "+919876540021"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    with DastakProcess(tmp_path_factory.mktemp("faults") / "data") as running:
        client = ApiClient(running.url, running.api_key)
        faults = [{"number": number, "call": call} for number, (call, *_) in SCENES.items()]
        faults += [
            {"number": CROSSES, "call": {"late_answer": True}},
            {"number": LOSES_BYE, "call": {**ANSWERS, "lost_byes": 2}},
        ]
        answer = client.put("/sim/faults", faults)
        assert answer.status == 200, answer
        yield client


@pytest.fixture(scope="module")
def called(api: ApiClient) -> dict[str, str]:
    """Call everybody at once, and return the verifications by number."""
    started = {number: api.start(number, channel="voice") for number in (*SCENES, CROSSES, LOSES_BYE)}
    assert {answer.status for answer in started.values()} == {201}, started
    return {number: str(answer.body["id"]) for number, answer in started.items()}


def told(api: ApiClient, of: str, **holds: str) -> dict[str, Any]:
    """Wait for an event of a timeline."""
    return until(
        lambda: next((one for one in api.timeline(of) if holds.items() <= one.items()), None), within_s=40
    )


def steps(api: ApiClient, of: str) -> list[tuple[str, str]]:
    return [(one["step"], one["detail"]) for one in api.timeline(of) if one["type"] == "call"]


def log_of(api: ApiClient, number: str) -> list[str]:
    """Return what the exchange says of the call to a number."""
    [call] = api.get(f"/sim/phones/{number}/calls").body
    return [line["word"] for line in api.get(f"/sim/calls/{call['id']}").body["log"]]


@pytest.mark.parametrize("number", SCENES)
def test_fault_of_a_call_is_its_outcome_in_the_timeline(
    api: ApiClient, called: dict[str, str], number: str
) -> None:
    _, expected, outcome = SCENES[number]
    told(api, called[number], step="hung_up")
    ended = until(lambda: next((one for one in api.timeline(called[number]) if one.get("outcome")), None))

    assert steps(api, called[number]) == [("dialled", "INVITE"), *expected]
    assert ended["outcome"] == outcome


def test_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(
    api: ApiClient, called: dict[str, str]
) -> None:
    told(api, called[CROSSES], step="ringing")
    api.post(f"/v1/verifications/{called[CROSSES]}/cancel")

    until(lambda: log_of(api, CROSSES)[-4:] == ["CANCEL", "200 OK", "ACK", "BYE"])
    assert "answered" not in dict(steps(api, called[CROSSES]))


def test_bye_that_gets_lost_is_said_again_until_the_phone_has_it(
    api: ApiClient, called: dict[str, str]
) -> None:
    told(api, called[LOSES_BYE], step="answered")
    api.post(f"/v1/verifications/{called[LOSES_BYE]}/cancel")

    until(lambda: log_of(api, LOSES_BYE)[-3:] == ["BYE lost", "BYE lost", "BYE"])

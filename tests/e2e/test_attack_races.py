"""Volleys whose last octets leave together: what is decided once stays decided once."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.plenty import PLENTY

ROUNDS = 5
VOLLEY = 100
_NUMBERS = count(7_060_000_001)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("races") / "data", environment=PLENTY) as process:
        yield process


@pytest.fixture
def api(process: DastakProcess) -> ApiClient:
    return ApiClient(process.url, process.api_key)


class Shot:
    """One POST that is whole but for its last octet."""

    def __init__(self, api: ApiClient, path: str, body: Any, **headers: str) -> None:
        content = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "host: localhost", f"authorization: Bearer {api.key}"]
        lines += [f"content-length: {len(content)}", "content-type: application/json", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.place = urlsplit(api.url).hostname, urlsplit(api.url).port
        self.octets = "\r\n".join((*lines, "", "")).encode() + content


def fire(shots: list[Shot]) -> list[tuple[int, Any]]:
    """Send all but the last octet of each, then the last ones in one loop; return statuses and bodies."""
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(shot.place, 10)) for shot in shots]
        for line, shot in zip(lines, shots, strict=True):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(shot.octets[:-1])
        for line, shot in zip(lines, shots, strict=True):
            line.sendall(shot.octets[-1:])
        return [read(line) for line in lines]


def read(line: socket.socket) -> tuple[int, Any]:
    octets = b""
    while piece := line.recv(65_536):
        octets += piece
    head, _, body = octets.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


def started(api: ApiClient) -> tuple[str, str, str]:
    """Return the id, the number and the code of a new verification."""
    to = f"+91{next(_NUMBERS)}"
    answer = api.start(to)
    assert answer.status == 201, answer
    return answer.body["id"], to, api.next_text(to)["code"]


def wrong_ones(code: str) -> list[str]:
    return [f"{(int(code) + n) % 10**6:06}" for n in range(1, VOLLEY)]


def checks(api: ApiClient, verification: str, codes: list[str], **headers: str) -> list[Shot]:
    path = f"/v1/verifications/{verification}/check"
    return [Shot(api, path, {"code": code}, **headers) for code in codes]


def approvals(answers: list[tuple[int, Any]]) -> int:
    return sum(body.get("approved") is True for _, body in answers)


@pytest.mark.parametrize("n", range(ROUNDS))
def test_right_codes_together_approve_once(api: ApiClient, n: int) -> None:
    verification, _, code = started(api)

    answers = fire(checks(api, verification, [code] * VOLLEY))

    assert approvals(answers) == 1
    assert Counter(status for status, _ in answers) == {200: 1, 409: VOLLEY - 1}


@pytest.mark.parametrize("n", range(ROUNDS))
def test_wrong_codes_together_are_judged_as_often_as_allowed(api: ApiClient, n: int) -> None:
    verification, _, code = started(api)

    answers = fire(checks(api, verification, wrong_ones(code)))
    late = api.check(verification, code)

    assert sum(body.get("reason") == "wrong_code" for _, body in answers) == 5
    assert approvals(answers) == 0
    assert (late.status, late.body["reason"]) == (409, "exhausted")


@pytest.mark.parametrize("place", [0, 3, 50, VOLLEY - 1])
def test_right_code_among_wrong_ones_wins_once_or_never(api: ApiClient, place: int) -> None:
    verification, _, code = started(api)
    codes = wrong_ones(code)
    codes.insert(place, code)

    answers = fire(checks(api, verification, codes))
    state = api.get(f"/v1/verifications/{verification}").body

    kept = [event["type"] for event in api.timeline(verification)]

    judged = sum(body.get("reason") == "wrong_code" for _, body in answers)
    assert state["state"] == ("approved" if approvals(answers) else "exhausted")
    assert approvals(answers) <= 1
    assert judged == kept.count("missed")
    assert judged == 5 or (judged < 5 and approvals(answers) == 1)


def test_one_idempotency_key_for_many_codes_judges_one_of_them(api: ApiClient) -> None:
    verification, _, code = started(api)

    answers = fire(checks(api, verification, wrong_ones(code), idempotency_key="one"))

    assert Counter(body.get("code") for _, body in answers) == {None: 1, "idempotency_mismatch": VOLLEY - 2}
    assert api.get(f"/v1/verifications/{verification}").body["attempts_remaining"] == 4


def test_everything_at_once_leaves_one_end(api: ApiClient) -> None:
    verification, to, code = started(api)
    path = f"/v1/verifications/{verification}"
    others = [Shot(api, f"{path}/resend", {})] * 20 + [Shot(api, "/v1/verifications", {"to": to})] * 3

    answers = fire([*checks(api, verification, [code] * 20), *others])
    events = [event["type"] for event in api.timeline(verification)]

    assert {status for status, _ in answers} <= {200, 201, 409, 429}
    assert approvals(answers) <= 1
    assert sum(event in {"approved", "canceled"} for event in events) == 1


def test_idempotency_key_is_good_for_one_service_only(process: DastakProcess, api: ApiClient) -> None:
    tenant, to = "/v1/admin/tenants/default", f"+91{next(_NUMBERS)}"
    api.post(f"{tenant}/services", {"name": "other", "countries": ["IN"]})
    key = api.post(f"{tenant}/keys", {"name": "other", "service": "other"}).body["key"]
    other = ApiClient(process.url, key)

    answers = [
        client.post("/v1/verifications", {"to": to}, idempotency_key="k") for client in (api, other, other)
    ]

    assert [answer.status for answer in answers] == [201, 201, 201]
    assert [answer.body["service"] for answer in answers] == ["default", "other", "other"]
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, False, True]

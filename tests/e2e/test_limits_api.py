"""Limits as a customer's program meets them: which one, how long to wait, and no way round."""

from collections.abc import Iterator
from itertools import count

import pytest

from bench.processes import free_port
from tests.support.api_client import Answer, ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.plenty import PLENTY

WRONG_PER_HOUR_MAX = 10
_NUMBERS = count(7_040_000_001)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """A program of their own: client addresses are limited too, and it is killed."""
    directory = tmp_path_factory.mktemp("limits") / "data"
    with DastakProcess(directory, environment=PLENTY, port=free_port()) as process:
        yield process


@pytest.fixture
def api(process: DastakProcess) -> ApiClient:
    return ApiClient(process.url, process.api_key)


@pytest.fixture
def to() -> str:
    return some_number()


def some_number() -> str:
    return f"+91{next(_NUMBERS)}"


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def assert_refused(answer: Answer, limit: str, within_s: int) -> None:
    assert (answer.status, answer.body["code"], answer.body["reason"]) == (429, "rate_limited", limit)
    assert answer.headers["retry-after"] == str(answer.body["retry_after_s"])
    assert 0 < answer.body["retry_after_s"] <= within_s
    assert answer.headers["ratelimit"] == f'"{limit}";r=0;t={answer.body["retry_after_s"]}'
    assert answer.headers["ratelimit-policy"].startswith(f'"{limit}";q=')


def lock(api: ApiClient, to: str) -> tuple[str, str]:
    """Type the wrong codes of an hour, over several verifications; return one more with its right code."""
    for _ in range(WRONG_PER_HOUR_MAX // 5):
        verification = api.start(to).body["id"]
        code = api.next_text(to)["code"]
        for _ in range(5):
            assert api.check(verification, wrong(code)).status == 200
    return api.start(to).body["id"], api.next_text(to)["code"]


def test_sixth_start_for_a_number_is_refused_with_the_time_to_wait(api: ApiClient, to: str) -> None:
    answers = [api.start(to) for _ in range(6)]

    assert [answer.status for answer in answers] == [201] * 5 + [429]
    # Five in ten minutes refill evenly.
    assert_refused(answers[5], "number", 120)
    assert api.start(some_number()).status == 201


def test_refused_start_writes_nothing_and_its_pending_code_lives(api: ApiClient, to: str) -> None:
    ids = [api.start(to).body["id"] for _ in range(5)]
    code = [api.next_text(to)["code"] for _ in ids][-1]

    assert api.start(to).status == 429
    assert len(api.get(f"/v1/verifications?to=%2B{to[1:]}").body["verifications"]) == 5
    assert api.check(ids[-1], code).body["approved"] is True


def test_client_address_is_limited_over_all_numbers(api: ApiClient) -> None:
    answers = [api.start(some_number(), client_ip="203.0.113.7") for _ in range(11)]

    assert [answer.status for answer in answers] == [201] * 10 + [429]
    assert_refused(answers[10], "client_ip", 60)
    assert api.start(some_number(), client_ip="::ffff:203.0.113.7").status == 429
    assert api.start(some_number(), client_ip="203.0.113.8").status == 201


def test_repeat_with_an_idempotency_key_costs_no_limit(api: ApiClient, to: str) -> None:
    body = {"to": to}
    repeats = [api.post("/v1/verifications", body, idempotency_key=to) for _ in range(6)]
    others = [api.start(to) for _ in range(5)]

    assert {answer.status for answer in repeats} == {201}
    assert [answer.status for answer in others] == [201] * 4 + [429]


@pytest.mark.parametrize(
    ("spelling", "status"),
    [
        ("{0}", 429),
        # The zero of calls inside the country: read as the same number.
        ("+910{1}{2}", 429),
        ("+91 {1} {2}", 422),
        ("+91-{1}-{2}", 422),
        ("0{1}{2}", 422),
        ("{1}{2}", 422),
        ("0091{1}{2}", 422),
        ("{0} ", 422),
        ("{0};ext=5", 422),
    ],
)
def test_other_spelling_is_refused_or_shares_the_limit(
    api: ApiClient, to: str, spelling: str, status: int
) -> None:
    for _ in range(5):
        api.start(to)

    assert api.start(spelling.format(to, to[3:8], to[8:])).status == status


def test_wrong_codes_lock_the_number_over_its_verifications(api: ApiClient, to: str) -> None:
    verification, code = lock(api, to)
    other = some_number()
    unlocked = api.start(other).body["id"]

    locked = api.check(verification, code)

    assert (locked.status, locked.body["reason"]) == (409, "locked")
    assert 0 < int(locked.headers["retry-after"]) <= 3600
    assert api.check(unlocked, api.next_text(other)["code"]).body["approved"] is True


def test_locks_and_limits_outlive_a_kill(process: DastakProcess, api: ApiClient, to: str) -> None:
    verification, code = lock(api, to)
    limited = some_number()
    for _ in range(5):
        api.start(limited)
    process.kill()
    process.start()

    locked = api.check(verification, code)

    assert (locked.status, locked.body["reason"]) == (409, "locked")
    assert 0 < int(locked.headers["retry-after"]) <= 3600
    assert_refused(api.start(limited), "number", 120)

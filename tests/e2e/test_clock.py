"""The wall clock steps under the running program: no code lives longer for it, and none comes back."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.patience import until
from tests.support.stepped_clock import SteppedClock

HOUR_S = 3600


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    return SteppedClock(tmp_path / "clock")


@pytest.fixture
def process(tmp_path: Path, clock: SteppedClock) -> Iterator[DastakProcess]:
    process = DastakProcess(tmp_path / "data", environment=clock.environment)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def api(process: DastakProcess) -> ApiClient:
    return ApiClient(process.url, process.api_key)


def test_step_of_an_hour_ahead_ends_every_code(api: ApiClient, clock: SteppedClock) -> None:
    verification = api.start("+917090000001").body["id"]
    code = api.next_text("+917090000001")["code"]

    clock.step(HOUR_S)
    check = api.check(verification, code)
    clock.step(0)
    again = api.check(verification, code)

    assert (check.status, check.body["reason"]) == (410, "expired")
    assert (again.status, again.body["reason"]) == (410, "expired")


def test_step_of_two_hours_back_neither_lengthens_nor_ends_a_life(
    api: ApiClient, clock: SteppedClock
) -> None:
    before = api.start("+917090000002").body
    code = api.next_text("+917090000002")["code"]

    clock.step(-2 * HOUR_S)
    after = api.start("+917090000003").body
    ready = api.get("/readyz")
    check = api.check(before["id"], code)

    # Its own time goes on as if nothing had happened, and with it the five minutes of the first code.
    passed = datetime.fromisoformat(after["created_at"]) - datetime.fromisoformat(before["created_at"])
    assert timedelta(0) < passed < timedelta(seconds=30)
    assert (ready.status, ready.body["parts"]["clock"].split(".")[0]) == (503, "7200")
    assert check.body["approved"] is True


def test_restart_two_hours_back_gives_no_code_a_longer_life(
    process: DastakProcess, api: ApiClient, clock: SteppedClock
) -> None:
    before = api.start("+917090000004").body
    process.kill()
    clock.step(-2 * HOUR_S)
    process.start()

    after = ApiClient(process.url, process.api_key).start("+917090000005").body

    passed = datetime.fromisoformat(after["created_at"]) - datetime.fromisoformat(before["created_at"])
    assert timedelta(0) <= passed < timedelta(seconds=30)


def test_message_is_not_sent_after_its_code_expired_while_the_program_was_down(
    process: DastakProcess, api: ApiClient, clock: SteppedClock
) -> None:
    assert api.put("/sim/faults", [{"silent": 1.0}]).status == 200
    started = api.start("+917090000006")
    assert started.status == 201, started.body
    verification = started.body["id"]
    process.kill()
    clock.step(HOUR_S)
    process.start()
    later = ApiClient(process.url, process.api_key)

    def ended() -> set[str]:
        return {"expired", "dropped"} & {event["type"] for event in later.timeline(verification)}

    until(lambda: len(ended()) == 2)
    assert later.get("/sim/phones/917090000006/messages/next?timeout_s=0").status == 204
    assert "submitted" not in {event["type"] for event in later.timeline(verification)}

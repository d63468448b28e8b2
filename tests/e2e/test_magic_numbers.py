"""The numbers +1 202 555 0100 to 0109 have their outcomes by the real way: submit_sm, answer, receipt."""

import pytest

from tests.support.api_client import ApiClient
from tests.support.patience import until

SUBMITTED = ("submitted", "sim_1", None)
DELIVERED = ("delivered", None, None)


def magic(n: int) -> str:
    return f"+120255501{n:02}"


def started(api: ApiClient, number: str) -> str:
    answer = api.start(number)
    assert answer.status == 201, answer
    return answer.body["id"]


def told(api: ApiClient, verification: str, last: str) -> list[tuple[object, ...]]:
    """Wait until the timeline tells of something; return what came after the message was queued."""

    def look() -> list[tuple[object, ...]] | None:
        events = api.timeline(verification)
        facts = [(e["type"], e.get("route"), e.get("outcome")) for e in events]
        return facts[2:] if any(event["type"] == last for event in events) else None

    return until(look)


def settled_by_now(api: ApiClient, n: int) -> None:
    """Bring another text to a phone by the same bind: every receipt sent before is settled when its is."""
    told(api, started(api, f"+9170300000{n:02}"), "delivered")


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        pytest.param(0, [SUBMITTED, DELIVERED], id="delivered"),
        pytest.param(1, [SUBMITTED, ("undelivered", None, "absent_subscriber")], id="absent subscriber"),
        pytest.param(
            3,
            [("refused", "sim_1", "network_temporary"), ("submitted", "sim_2", None), DELIVERED],
            id="first route down",
        ),
        pytest.param(9, [SUBMITTED, DELIVERED], id="receipt before the answer"),
    ],
)
def test_timeline_ends_as_the_number_says(api: ApiClient, n: int, expected: list[tuple[object, ...]]) -> None:
    verification = started(api, magic(n))

    assert told(api, verification, str(expected[-1][0])) == expected
    assert api.get(f"/v1/verifications/{verification}").body["state"] == "pending"


def test_02_unknown_subscriber_fails_the_verification(api: ApiClient) -> None:
    verification = started(api, magic(2))

    events = told(api, verification, "failed")
    check = api.check(verification, "123456")

    assert events == [SUBMITTED, ("undelivered", None, "unknown_number"), ("failed", None, None)]
    assert (check.status, check.body["reason"]) == (409, "failed")


def test_05_rejected_by_dlt_is_followed_by_the_call(api: ApiClient) -> None:
    verification = started(api, magic(5))

    events = told(api, verification, "fallback")

    assert events[:3] == [SUBMITTED, ("undelivered", None, "dlt_template"), ("fallback", None, None)]


def test_04_text_without_receipt_stays_submitted_and_its_code_is_good(api: ApiClient) -> None:
    verification = started(api, magic(4))
    code = api.next_text(magic(4))["code"]
    settled_by_now(api, 4)

    assert told(api, verification, "submitted") == [SUBMITTED]
    assert api.check(verification, code).body["approved"] is True


def test_06_slow_text_is_accepted_and_not_there_yet(api: ApiClient) -> None:
    verification = started(api, magic(6))
    settled_by_now(api, 6)

    assert told(api, verification, "submitted") == [SUBMITTED]
    assert api.get(f"/sim/phones/{magic(6)[1:]}/messages/next?timeout_s=0").status == 204


def test_07_fraud_is_refused_before_anything_is_written(api: ApiClient) -> None:
    answer = api.start(magic(7))

    assert (answer.status, answer.body["reason"]) == (403, "fraud_blocked")
    assert api.get(f"/v1/verifications?to=%2B{magic(7)[1:]}").body["verifications"] == []


def test_08_second_receipt_changes_nothing(api: ApiClient) -> None:
    verification = started(api, magic(8))
    settled_by_now(api, 8)

    assert told(api, verification, "delivered") == [SUBMITTED, DELIVERED]

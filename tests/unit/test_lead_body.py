"""What a webhook is told of a lead, and when it is told again."""

import json
from datetime import timedelta

import pytest

from dastak.core.ids import VerificationId
from dastak.core.landing import Lead, Variant
from dastak.core.lead_hook import (
    BODY_OCTETS_MAX,
    RETRY_AFTER_S_MAX,
    TRIES_MAX,
    WAITS_S,
    HookState,
    body_of,
    judge,
)
from tests.support.samples import MSISDN, NOW


def some_lead(**values: str) -> Lead:
    return Lead(
        page=1,
        version=1,
        variant=Variant.A,
        language="hi",
        msisdn=MSISDN,
        at=NOW,
        gone_at=NOW + timedelta(days=90),
        verification=VerificationId(b"v" * 16),
        values=values,
        consents=(),
    )


def test_body_stays_short_and_says_when_it_was_cut() -> None:
    whole = json.loads(body_of(some_lead(name="Ravi"), "diwali"))
    long = body_of(some_lead(name="Ravi", **{f"f{n}": "र" * 300 for n in range(30)}), "diwali")

    assert (whole["data"]["values"], whole["data"]["cut"]) == ({"name": "Ravi"}, False)
    assert len(long) <= BODY_OCTETS_MAX
    assert json.loads(long)["data"]["cut"] is True
    assert json.loads(long)["data"]["values"]["name"] == "Ravi"


@pytest.mark.parametrize(
    ("status", "state"), [(200, "sent"), (299, "sent"), (301, "waiting"), (199, "waiting")]
)
def test_only_2xx_is_a_success(status: int, state: str) -> None:
    assert judge(status, "", tries=1, now=NOW, chance=0.5).state == state


def test_waits_grow_and_end() -> None:
    tried = [judge(None, "No.", tries=n, now=NOW, chance=0.5) for n in range(1, TRIES_MAX + 1)]

    assert [one.due_at - NOW for one in tried[:-1]] == [timedelta(seconds=wait) for wait in WAITS_S]
    assert list(WAITS_S) == sorted(set(WAITS_S))
    assert [one.state for one in tried] == [HookState.WAITING] * (TRIES_MAX - 1) + [HookState.FAILED]


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("7", 7),
        ("1", 5),
        ("999999999999", RETRY_AFTER_S_MAX),
        ((NOW + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 3600),
        ("soon", 5),
        ("Mon, 01 Jan 2035 00:00:00", 5),
    ],
)
def test_busy_server_is_left_alone_as_long_as_it_asks(said: str, wait_s: int) -> None:
    due_at = judge(503, "", tries=1, now=NOW, chance=0.5, retry_after=said).due_at

    assert abs((due_at - NOW).total_seconds() - wait_s) < 1

"""The native API as its users meet it: the real program in a process of its own, over HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH

# Each test has numbers of its own, because limits are per number.


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


@pytest.fixture
def api(dastak: DastakProcess) -> Iterator[ApiClient]:
    return ApiClient(dastak.url, dastak.api_key)


def started(api: ApiClient, to: str, **fields: object) -> str:
    answer = api.start(to, **fields)
    assert answer.status == 201, answer
    return answer.body["id"]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"


def test_first_minute_start_text_check_and_never_again(api: ApiClient, to: str) -> None:
    start = api.start(to)
    text = api.next_text(to)
    check = api.check(start.body["id"], text["code"])
    again = api.check(start.body["id"], text["code"])

    assert start.status == 201
    assert start.body["state"] == "pending"
    assert start.body["to_masked"] not in (to, "")
    assert (start.body["attempts_remaining"], start.body["segments"], start.body["channel"]) == (5, 1, "sms")
    assert text["text"].startswith(text["code"])
    assert (check.status, check.body["approved"], check.body["state"]) == (200, True, "approved")
    assert (again.status, again.body["reason"]) == (409, "consumed")
    assert "approved" not in json.dumps(again.body)
    assert again.headers["content-type"] == "application/problem+json"


def test_timeline_tells_every_step_and_no_code(api: ApiClient, to: str) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]
    api.check(verification, wrong(code))
    api.check(verification, code)

    timeline = api.get(f"/v1/verifications/{verification}/timeline").body

    told = [event["type"] for event in timeline["events"]]
    assert {"started", "queued", "submitted", "missed", "approved"} <= set(told)
    assert told[0] == "started"
    assert [event["at"] for event in timeline["events"]] == sorted(
        event["at"] for event in timeline["events"]
    )
    assert code not in json.dumps(timeline)
    assert to not in json.dumps(timeline)


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]}", id="spaces"),
        pytest.param("{0[0]}{0[1]}-{0[2]}{0[3]}-{0[4]}{0[5]}", id="hyphens"),
        pytest.param(" {0}\n", id="margins"),
        pytest.param("{devanagari}", id="devanagari digits"),
        pytest.param("{text}", id="the whole text"),
    ],
)
def test_code_is_taken_as_people_type_it(api: ApiClient, to: str, typed: str) -> None:
    verification = started(api, to)
    text = api.next_text(to)
    digits = "".join(chr(0x966 + int(digit)) for digit in text["code"])

    check = api.check(verification, typed.format(text["code"], devanagari=digits, text=text["text"]))

    assert check.body["approved"] is True


def test_wrong_codes_count_down_and_exhaust(api: ApiClient, to: str) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]

    answers = [api.check(verification, wrong(code)) for _ in range(5)]
    right = api.check(verification, code)

    assert [answer.body["attempts_remaining"] for answer in answers] == [4, 3, 2, 1, 0]
    assert {answer.body["reason"] for answer in answers} == {"wrong_code"}
    assert answers[-1].body["state"] == "exhausted"
    assert (right.status, right.body["reason"]) == (409, "exhausted")


def test_a_hundred_right_checks_at_once_approve_once(api: ApiClient, to: str) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: api.check(verification, code), range(100)))

    assert sorted(answer.status for answer in answers) == [200] + [409] * 99
    assert sum("approved" in json.dumps(answer.body) for answer in answers) == 1


def test_same_idempotency_key_starts_and_sends_once(api: ApiClient, to: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: api.post("/v1/verifications", {"to": to}, idempotency_key=f"k{to}"), range(20))
        )
    api.next_text(to)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
    assert api.get(f"/sim/phones/{to.lstrip('+')}/messages/next?timeout_s=0").status != 200


def test_idempotency_key_of_another_request_is_refused(api: ApiClient, to: str) -> None:
    api.post("/v1/verifications", {"to": to}, idempotency_key=f"k{to}")

    other = api.post("/v1/verifications", {"to": to, "locale": "hi"}, idempotency_key=f"k{to}")

    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")


def test_replayed_check_tells_that_it_was_used_and_never_approves_again(api: ApiClient, to: str) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]
    path = f"/v1/verifications/{verification}/check"

    first = api.post(path, {"code": code}, idempotency_key=f"c{to}")
    again = api.post(path, {"code": code}, idempotency_key=f"c{to}")

    assert first.body["approved"] is True
    assert (again.status, again.body["reason"], again.body["replayed"]) == (409, "consumed", True)
    assert "approved" not in json.dumps(again.body)


def test_repeated_cancel_gets_its_first_answer_again(api: ApiClient, to: str) -> None:
    path = f"/v1/verifications/{started(api, to)}/cancel"

    first, again = (api.post(path, idempotency_key=f"x{to}") for _ in range(2))

    assert (first.status, first.body["state"]) == (200, "canceled")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotency-replayed"] == "true"


def test_callers_own_code_is_delivered_and_checked(api: ApiClient, to: str) -> None:
    verification = started(api, to, code="aB3dE9")

    text = api.next_text(to)
    check = api.check(verification, "aB3dE9")

    assert text["text"].startswith("aB3dE9")
    assert check.body["approved"] is True


def test_weak_own_code_is_labelled_and_gets_tighter_limits(api: ApiClient, to: str) -> None:
    start = api.start(to, code="1234")

    assert (start.status, start.body["attempts_remaining"]) == (201, 3)
    assert start.body["warnings"] == ["legacy_short_code", "trivial_code"]


def test_transaction_needs_no_more_than_amount_and_payee(api: ApiClient, to: str) -> None:
    bound = started(api, to, amount="499.00", payee="Meera Stores")
    text = api.next_text(to)

    check = api.check(bound, text["code"], amount="499.00", payee="Meera Stores")

    assert "INR 499.00" in text["text"]
    assert check.body["approved"] is True


def test_naming_a_transaction_for_an_unbound_code_is_refused_and_costs_nothing(
    api: ApiClient, to: str
) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]

    named = api.check(verification, code, amount="1.00", payee="Meera Stores")

    assert (named.status, named.body["field"]) == (422, "amount")
    assert api.check(verification, code).body["approved"] is True


def test_code_is_bound_to_its_transaction(api: ApiClient, to: str) -> None:
    paid = {"amount": "1250.00", "currency": "INR", "payee": "Meera Stores"}
    verification = started(api, to, purpose="payment", **paid)
    text = api.next_text(to)

    unnamed = api.check(verification, text["code"])
    changed = api.check(verification, text["code"], amount="1250.01", payee="Meera Stores")
    dead = api.check(verification, text["code"], amount="1250.00", payee="Meera Stores")

    assert "1250.00" in text["text"].replace(",", "")
    assert "Meera Stores" in text["text"]
    assert unnamed.status == 422
    assert (changed.status, changed.body["approved"]) == (200, False)
    assert (dead.status, dead.body["reason"]) == (409, "canceled")


def test_new_start_replaces_the_pending_one(api: ApiClient, to: str) -> None:
    first = started(api, to)
    code = api.next_text(to)["code"]
    second = started(api, to)

    old, new = api.check(first, code), api.get(f"/v1/verifications/{second}")

    assert (old.status, old.body["reason"]) == (409, "canceled")
    assert new.body["state"] == "pending"


def test_cancel_ends_it(api: ApiClient, to: str) -> None:
    verification = started(api, to)
    code = api.next_text(to)["code"]

    canceled = api.post(f"/v1/verifications/{verification}/cancel")
    again = api.post(f"/v1/verifications/{verification}/cancel")
    check = api.check(verification, code)

    assert (canceled.status, canceled.body["state"]) == (200, "canceled")
    assert again.status == 409
    assert (check.status, check.body["reason"]) == (409, "canceled")


def test_resend_waits(api: ApiClient, to: str) -> None:
    verification = started(api, to)

    refused = api.post(f"/v1/verifications/{verification}/resend", {})

    assert (refused.status, refused.body["reason"]) == (429, "resend_wait")
    assert 0 < int(refused.headers["retry-after"]) <= 31


def test_list_finds_by_number_and_pages(api: ApiClient, to: str) -> None:
    ids = [started(api, to, client_reference=f"r{n}") for n in range(3)]
    where = f"/v1/verifications?to=%2B{to[1:]}&limit=2"

    first = api.get(where).body
    second = api.get(f"{where}&cursor={first['next_cursor']}").body

    assert [shown["id"] for shown in first["verifications"] + second["verifications"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_unknown_and_malformed_ids_look_the_same(api: ApiClient) -> None:
    answers = [api.check(name, "123456") for name in ("ver_" + "0" * 32, "ver_x", "1", "ver_" + "g" * 32)]

    assert {(answer.status, json.dumps(answer.body)) for answer in answers} == {
        (404, json.dumps(answers[0].body))
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'\xef\xbb\xbf{"to":"+919876543210"}', 400),
        (b'{"to":"+919876543210","to":"+919876543211"}', 400),
        (b"[" * 10_000, 422),
        (b'{"to":["+919876543210"]}', 422),
        (b'{"to":919876543210}', 422),
        (b'{"to":"+919876543210","state":"approved"}', 422),
        (b'{"to":"+919876543210,+919876543211"}', 422),
        (b'{"to":"+919876543210\\n"}', 422),
        (b'{"to":"+919876543210","code":"12345\\u0661"}', 422),
        (b'{"to":"+919876543210","purpose":"x\\n@evil.com #999999"}', 422),
        (b'{"to":"+919876543210","policy":{"length":4}}', 422),
        (b'{"to":"+447700900123"}', 422),
        (b'{"to":"+12025550107"}', 403),
    ],
)
def test_bad_start_is_refused_with_a_problem(api: ApiClient, body: bytes, status: int) -> None:
    answer = api.post("/v1/verifications", body)

    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= set(answer.body)


@pytest.mark.parametrize("code", [b"123456", b'["123456"]', b'{"$ne":1}', b"null", b"true", b'""', b"1e6"])
def test_code_must_be_a_string_with_something_in_it(api: ApiClient, code: bytes) -> None:
    answer = api.post(f"/v1/verifications/ver_{'0' * 32}/check", b'{"code":' + code + b"}")

    assert answer.status == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer dk_test_nobody_00000000"}, 401),
        ({"authorization": "Basic eDp5"}, 401),
        ({"content_type": "text/plain"}, 415),
        ({"content_encoding": "gzip"}, 415),
        ({"idempotency_key": "x" * 256}, 400),
    ],
)
def test_bad_headers_are_refused(api: ApiClient, to: str, headers: dict[str, str], status: int) -> None:
    assert api.post("/v1/verifications", {"to": to}, **headers).status == status


def test_key_in_the_address_is_refused_and_unknown_paths_are_problems(api: ApiClient) -> None:
    assert api.get(f"/v1/verifications?api_key={api.key}").status == 400
    assert api.get("/v1/nothing").body["code"] == "no_such_path"
    assert api.get("/v1/verifications/a/check").status == 405
    assert api.get("/v1/verifications?unknown=1").status == 400

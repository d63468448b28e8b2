"""What the gate takes a request for, and which octets it refuses without reading them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.api.exchange import Request, Response
from dastak.api.gate import Gate, kind_of
from dastak.api.unread import authorization_of_start
from dastak.core.errors import Unauthenticated
from dastak.core.tenant import Caller
from dastak.guard.shedding import WINDOW_FIRST, Entered, Kind, Shedding
from tests.support.samples import some_key, some_service, some_tenant

CALLER = Caller(some_key(), some_tenant(), some_service())
BODY = b'{"to":"+919876543210"}'
START = (
    b"POST /v1/verifications HTTP/1.1\r\nHost: otp\r\nAuthorization: Bearer dk_live_1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


def caller_of(authorization: bytes | None) -> Caller:
    if authorization is None:
        raise Unauthenticated("no key")
    return CALLER


def gate_with(crowd: int) -> tuple[Gate, list[str]]:
    """Return a gate with so many starts inside, and who is told of refusals."""
    told: list[str] = []
    shedding = Shedding(0.0)
    for _ in range(crowd):
        shedding.enter(Kind.START, CALLER.tenant.n, 0.0)
    return Gate(shedding, caller_of=caller_of, time_s=lambda: 0.0, on_shed=told.append), told


def request(method: str, path: str, *, key: bool = True) -> Request:
    headers = {b"authorization": b"Bearer dk_live_1"} if key else {}
    return Request(method, path, "", headers, b"", "")


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/verifications", Kind.START),
        ("GET", "/v1/verifications", Kind.LOOK),
        ("GET", "/v1/verifications/x", Kind.LOOK),
        ("POST", "/v1/verifications/x/check", Kind.CHECK),
        ("POST", "/v1/verifications/x/resend", Kind.RESEND),
        ("POST", "/v1/admin/tenants/x/keys/y/revoke", Kind.CHECK),
    ],
)
def test_kind_is_seen_at_method_and_path(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path) is kind


def test_refusal_says_when_to_come_again_and_that_nothing_was_begun() -> None:
    gate, told = gate_with(WINDOW_FIRST)

    refused = gate.enter(request("POST", "/v1/verifications"))

    assert isinstance(refused, Response)
    assert refused.status == 503
    assert (b"retry-after", b"1") in refused.headers
    assert b'"code":"too_busy"' in refused.body
    assert told == [Kind.START]


def test_check_is_let_in_where_a_start_is_not() -> None:
    gate, _ = gate_with(WINDOW_FIRST)

    assert isinstance(gate.enter(request("POST", "/v1/verifications/x/check")), Entered)


def test_who_has_no_key_is_sent_away_first() -> None:
    gate, told = gate_with(WINDOW_FIRST // 2)

    assert isinstance(gate.enter(request("POST", "/v1/verifications", key=False)), Response)
    assert isinstance(gate.enter(request("POST", "/v1/verifications")), Entered)
    assert told == [Kind.LOOK]


def test_place_is_given_back_when_the_request_was_answered() -> None:
    gate, _ = gate_with(WINDOW_FIRST - 1)
    entered = gate.enter(request("POST", "/v1/verifications"))
    assert isinstance(entered, Entered)

    gate.leave(entered, 201)

    assert isinstance(gate.enter(request("POST", "/v1/verifications")), Entered)


def test_start_is_refused_unread_only_when_there_is_no_room() -> None:
    full, told = gate_with(WINDOW_FIRST)
    roomy, _ = gate_with(0)

    refused = full.refuse_unread(START, octets_max=16_384)

    assert isinstance(refused, Response)
    assert refused.status == 503
    assert told == [Kind.START]
    assert roomy.refuse_unread(START, octets_max=16_384) is None


def test_key_of_a_start_is_found_without_reading_it() -> None:
    assert authorization_of_start(START, octets_max=16_384) == b"Bearer dk_live_1"


@pytest.mark.parametrize(
    "octets",
    [
        START[:-1],
        START + b"x",
        START + START,
        START.replace(b"POST", b"PUT"),
        START.replace(b"verifications", b"verifications/x/check"),
        START.replace(b"verifications", b"verifications?dry=1"),
        START.replace(b"HTTP/1.1", b"HTTP/1.0"),
        START.replace(b"Host: otp", b"Transfer-Encoding: chunked"),
        START.replace(b"Host: otp", b"Connection: close"),
        START.replace(b"Host: otp", b"Expect: 100-continue"),
        START.replace(b"Host: otp", b"Content-Length: 5"),
        START.replace(b"Host: otp", b"content-length : 5"),
        START.replace(b"Host: otp", b"Authorization: Bearer dk_live_2"),
        START.replace(b"Host: otp", b"Host: a\r\n folded"),
        START.replace(b"Host: otp", b"Host: a\nb: c"),
        START.replace(b"Content-Length: 22", b"Content-Length: +22"),
        START.replace(b"Content-Length: 22", b"Content-Length: 22 "),
        START.replace(b"Content-Length: 22", b"Content-Length: 22\r\nContent-Length: 22"),
        START.replace(b"Content-Length: 22", b"Content-Length: 22\r\nTE: trailers"),
        START.replace(b"Authorization", b"X-Authorization"),
        b"",
    ],
)
def test_octets_that_are_not_plainly_one_start_are_read_as_usual(octets: bytes) -> None:
    assert octets != START
    assert authorization_of_start(octets, octets_max=16_384) is None


def test_start_that_is_larger_than_allowed_is_read_as_usual() -> None:
    assert authorization_of_start(START, octets_max=len(START) - 1) is None


@given(at=st.integers(0, len(START) - len(BODY)), piece=st.binary(max_size=6))
def test_whatever_stands_in_a_head_its_end_is_where_the_length_says(at: int, piece: bytes) -> None:
    octets = START[:at] + piece + START[at:]

    if authorization_of_start(octets, octets_max=16_384) is not None:
        head, _, body = octets.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head.lower().replace(
            b"content-length:2", b"content-length: 2"
        )

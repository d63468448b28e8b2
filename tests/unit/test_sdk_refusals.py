"""Every problem the service can answer is an error of the client that says what to do."""

import pytest

from dastak import sdk
from dastak.api import problems
from dastak.api.problems import STATUS
from dastak.core import errors
from dastak.sdk.refusals import refusal_of

KINDS = {
    errors.InvalidRequest: sdk.InvalidRequest,
    errors.MalformedRequest: sdk.InvalidRequest,
    errors.Unauthenticated: sdk.Unauthenticated,
    errors.NotFound: sdk.NotFound,
    errors.Conflict: sdk.Conflict,
    errors.Refused: sdk.Refused,
    errors.RateLimited: sdk.RateLimited,
    errors.Overloaded: sdk.Unavailable,
    errors.CarrierError: sdk.Unavailable,
    errors.DastakError: sdk.Unavailable,
}


def test_every_kind_of_refusal_is_one_of_the_clients_kinds() -> None:
    assert {kind: type(refusal_of(status, {})) for kind, status in STATUS.items()} == KINDS


@pytest.mark.parametrize("code", problems.HTTP)
def test_fault_of_http_is_the_requests_or_the_services(code: str) -> None:
    status = problems.HTTP[code][0]

    error = refusal_of(status, {"code": code, "detail": "Why."})

    assert isinstance(error, sdk.DastakError)
    assert isinstance(error, sdk.Unavailable) is (status >= 500)
    assert (error.code, error.status, str(error)) == (code, status, f"{code}: Why.")


def test_wait_is_that_of_the_body_else_of_the_header() -> None:
    assert refusal_of(429, {"retry_after_s": 17}, 18).retry_after_s == 17
    assert refusal_of(429, {}, 18).retry_after_s == 18
    assert refusal_of(429, {"retry_after_s": "soon"}, None).retry_after_s is None

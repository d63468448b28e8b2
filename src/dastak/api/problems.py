"""Turn every refusal into an answer by RFC 9457, with a stable `code` and nothing secret in it."""

from collections.abc import Mapping
from typing import Final

import msgspec

from dastak.api.exchange import PROBLEM, Response
from dastak.core import errors
from dastak.core.verification import Judgement, Reason

TYPE_PREFIX: Final = "urn:dastak:problem:"

# What the caller should do decides the status. A class that is not here has the status of its parent.
STATUS: Final[Mapping[type[errors.DastakError], int]] = {
    errors.DastakError: 500,
    errors.InvalidRequest: 422,
    errors.MalformedRequest: 400,
    errors.Unauthenticated: 401,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Refused: 403,
    errors.RateLimited: 429,
    errors.Overloaded: 503,
    errors.CarrierError: 502,
}

# A check on a verification that is over. None of it says whether a code was ever right.
CLOSED: Final[Mapping[Reason, tuple[int, str, str]]] = {
    Reason.CONSUMED: (409, "The verification was used", "It was used already and cannot be used again."),
    Reason.EXHAUSTED: (409, "No attempts are left", "All attempts were wrong; start a new verification."),
    Reason.LOCKED: (
        409,
        "The number is locked",
        "Too many wrong codes were typed for this number; wait, or offer another factor.",
    ),
    Reason.CANCELED: (409, "The verification was called off", "It was canceled or replaced by a newer one."),
    Reason.FAILED: (409, "The number cannot be reached", "The carrier says there is no such phone."),
    Reason.EXPIRED: (410, "The verification is over", "Its time ran out; start a new verification."),
}

# What HTTP itself can get wrong: status, title, detail.
HTTP: Final[Mapping[str, tuple[int, str, str]]] = {
    "malformed_http": (400, "This is not HTTP", "The octets received are no HTTP/1.1 request."),
    "header_twice": (
        400,
        "A header stands twice",
        "Send the headers host, authorization, content-type, content-encoding and idempotency-key once.",
    ),
    "no_such_path": (404, "Not found", "There is nothing at this path; see the API reference."),
    "method_not_allowed": (405, "Method not allowed", "This path does not answer to that method."),
    "request_timeout": (408, "The request came too slowly", "Send the whole request within four seconds."),
    "body_too_large": (
        413,
        "The body is too large",
        "A body has at most 16 KiB, a form with files 4 MB.",
    ),
    "uri_too_long": (414, "The address is too long", "A request line has at most 4 KiB."),
    "unsupported_media_type": (415, "Unsupported media type", "Send uncompressed application/json."),
    "headers_too_large": (431, "The headers are too large", "All request headers have at most 16 KiB."),
    "internal": (500, "Something went wrong on our side", "It was written to the log; try again."),
    "too_many_connections": (503, "Too many connections", "Close idle connections, then try again."),
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer from 400 upwards.

    Attributes:
        type: `urn:dastak:problem:` and the code.
        code: Stable; the page docs/reference/errors.md explains each.
        field: Which field of the request is meant.
        reason: Which rule or state said no.
        retry_after_s: Whole seconds to wait, as in the header `Retry-After`.
        place: Where a text first differs from its registered template, from 0; its length at the end of it.
        expected: What the template has there, in words.
        found: What the text has there, with stars for digits and for the code; empty at the end of it.
        replayed: The answer to an earlier request with the same Idempotency-Key.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    reason: str | None = None
    retry_after_s: int | None = None
    attempts_remaining: int | None = None
    place: int | None = None
    expected: str | None = None
    found: str | None = None
    replayed: bool = False


def of_error(error: errors.DastakError) -> Response:
    """Answer one of our errors."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return _response(
        Problem(
            type=TYPE_PREFIX + error.code,
            title=error.title,
            status=status,
            detail=error.detail,
            code=error.code,
            field=getattr(error, "field", None),
            reason=getattr(error, "reason", None),
            retry_after_s=getattr(error, "retry_after_s", None),
            place=getattr(error, "place", None),
            expected=getattr(error, "expected", None),
            found=getattr(error, "found", None),
        ),
        *_limit_headers(error),
    )


def of_closed(judgement: Judgement, *, wait_s: int | None, replayed: bool = False) -> Response:
    """Answer a check on a verification that is over or whose number is locked."""
    assert judgement.reason is not None
    status, title, detail = CLOSED[judgement.reason]
    return _response(
        Problem(
            type=TYPE_PREFIX + judgement.reason,
            title=title,
            status=status,
            detail=detail,
            code=judgement.reason,
            reason=judgement.reason,
            retry_after_s=wait_s,
            attempts_remaining=0,
            replayed=replayed,
        )
    )


def of_http(code: str, *headers: tuple[bytes, bytes]) -> Response:
    """Answer a fault of the HTTP request itself."""
    status, title, detail = HTTP[code]
    wait_s = 1 if status == 503 else None
    return _response(
        Problem(
            type=TYPE_PREFIX + code,
            title=title,
            status=status,
            detail=detail,
            code=code,
            retry_after_s=wait_s,
        ),
        *headers,
    )


def _limit_headers(error: errors.DastakError) -> tuple[tuple[bytes, bytes], ...]:
    """Name the limit that was met as programs read it.

    Source: draft-ietf-httpapi-ratelimit-headers-10 (work in progress).
    """
    if not isinstance(error, errors.RateLimited):
        return ()
    policy = f'"{error.limit}";q={error.quota};w={error.window_s}'
    left = f'"{error.limit}";r=0;t={error.retry_after_s}'
    return (b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())


def _response(problem: Problem, *headers: tuple[bytes, bytes]) -> Response:
    if problem.retry_after_s is not None:
        headers = (*headers, (b"retry-after", str(problem.retry_after_s).encode()))
    if problem.status == 401:
        headers = (*headers, (b"www-authenticate", b'Bearer realm="dastak"'))
    return Response(problem.status, msgspec.json.encode(problem), PROBLEM, headers)

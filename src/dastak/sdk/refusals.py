"""What can go wrong with a request, by what the caller should do about it."""

from collections.abc import Mapping
from typing import Any, Final


class DastakError(Exception):
    """A request was not granted.

    Attributes:
        code: The stable name of the problem; the reference of errors has a section for each.
        detail: One sentence that says what to change; it repeats no code and no key.
        status: Of HTTP; 0 when nobody answered.
        field: Which field of the request is meant.
        reason: Which rule said no.
        retry_after_s: Whole seconds to wait before the same request can be granted, if that is known.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "internal",
        status: int = 0,
        field: str | None = None,
        reason: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.detail = detail
        self.code = code
        self.status = status
        self.field = field
        self.reason = reason
        self.retry_after_s = retry_after_s


class InvalidRequest(DastakError):  # noqa: N818 - the service's own words: a refusal is not an "Error"
    """The request itself is wrong and fails again; `field` says where. A number may simply be mistyped."""


class Unauthenticated(DastakError):  # noqa: N818
    """The key does not count: mistyped, expired or revoked."""


class NotFound(DastakError):  # noqa: N818
    """There is no such thing, or it is not yours."""


class Conflict(DastakError):  # noqa: N818
    """The present state forbids it."""


class Refused(DastakError):  # noqa: N818
    """A rule says no; `reason` names it."""


class RateLimited(Refused):
    """Too often; wait `retry_after_s`."""


class Unavailable(DastakError):  # noqa: N818
    """Nobody answered, or the service cannot at this moment: have the person try again."""


# By status first, for a problem that is newer than this client has one, too.
_BY_STATUS: Final[Mapping[int, type[DastakError]]] = {
    401: Unauthenticated,
    403: Refused,
    404: NotFound,
    409: Conflict,
    410: Conflict,
    429: RateLimited,
}


def refusal_of(status: int, problem: Mapping[str, Any], retry_after_s: int | None = None) -> DastakError:
    """Return the error that an answer from 400 upwards means.

    Args:
        status: Of the answer.
        problem: Its body, by RFC 9457; empty when it had none.
        retry_after_s: Its header, in whole seconds.
    """
    kind = Unavailable if status >= 500 else _BY_STATUS.get(status, InvalidRequest)
    wait_s = problem.get("retry_after_s")
    return kind(
        str(problem.get("detail") or f"The server answered {status} and said no more."),
        code=str(problem.get("code") or "internal"),
        status=status,
        field=problem.get("field"),
        reason=problem.get("reason"),
        retry_after_s=wait_s if isinstance(wait_s, int) else retry_after_s,
    )

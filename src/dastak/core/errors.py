"""Every error a caller can meet, sorted by whose fault it is and whether trying again can help.

Each class has a stable public `code` (docs/reference/errors.md has a section for each) and says what to
change without repeating anything secret. An expected answer is a value: a wrong code is no exception.
"""

from typing import ClassVar, Final


class DastakError(Exception):
    """Anything Dastak refuses or fails to do, in words a caller can act on."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Damaged(DastakError):  # noqa: N818 - the field's words: a refusal is not an "Error"
    """What we kept cannot be read any more, however often it is tried."""

    code = "damaged"
    title = "What was kept cannot be read any more"


class InvalidRequest(DastakError):  # noqa: N818
    """The caller's fault; the same request fails again."""

    code = "invalid_request"
    title = "The request is not valid"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field


class MalformedRequest(InvalidRequest):
    """It cannot even be read: not JSON, or a key twice."""

    code = "malformed_request"
    title = "The request cannot be read"


class InvalidMsisdn(InvalidRequest):
    """The number is not one a phone can have."""

    code = "invalid_msisdn"
    title = "The phone number is not valid"

    def __init__(self, detail: str, *, field: str | None = "to") -> None:
        super().__init__(detail, field=field)


class TemplateMismatch(InvalidRequest):
    """A text cannot be made from this template and these values.

    Where one was held against a registered template: the first `place`, from 0, where it differs, what is
    `expected` there, and what was `found`, without a digit and nothing of the code.
    """

    code = "template_mismatch"
    title = "The text does not fit its template"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        place: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        super().__init__(detail, field=field)
        self.place, self.expected, self.found = place, expected, found


class IdempotencyMismatch(InvalidRequest):
    """An Idempotency-Key came again with another request."""

    code = "idempotency_mismatch"
    title = "The Idempotency-Key was used for another request"


class Unauthenticated(DastakError):  # noqa: N818
    """The request brings no key, or one that does not count: unknown, expired and revoked look the same."""

    code = "unauthenticated"
    title = "A valid API key is needed"


class NotFound(DastakError):  # noqa: N818
    """No such thing, or not yours: the two look the same."""

    code = "not_found"
    title = "Not found"


class Conflict(DastakError):  # noqa: N818
    """The present state forbids it."""

    code = "conflict"
    title = "The present state does not allow this"


class NothingToCheck(Conflict):
    """No code is spoken: the person types the number of the page into the phone."""

    code = "nothing_to_check"
    title = "There is no code to check"


class DomainTaken(Conflict):
    """A domain is another tenant's."""

    code = "domain_taken"
    title = "The domain is another tenant's"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.field = "domains"


class Refused(DastakError):  # noqa: N818
    """A rule of ours says no, for a `reason` with a name."""

    code = "refused"
    title = "Refused by a rule"

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Forbidden(Refused):
    """The key is known, but it may not do this."""

    code = "forbidden"
    title = "This key may not do that"


class DomainNotProved(Refused):
    """A tenant named a domain that neither a proof nor an operator gave it."""

    code = "domain_not_proved"
    title = "The domain is not proved"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, reason=self.code)
        self.field = "domains"


class NumberStopped(Refused):
    """The person asked this tenant for no more messages."""

    code = "number_stopped"
    title = "The number asked for no more messages"


class RateLimited(Refused):
    """Too often; the `limit` that was met, the whole seconds to wait, and `quota` times in `window_s`."""

    code = "rate_limited"
    title = "Too many requests"

    def __init__(
        self, detail: str, *, limit: str, retry_after_s: int, quota: int = 1, window_s: int | None = None
    ) -> None:
        super().__init__(detail, reason=limit)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.quota = quota
        self.window_s = retry_after_s if window_s is None else window_s


class Overloaded(DastakError):  # noqa: N818
    """Ours to cure; try again after `retry_after_s` whole seconds.

    Attributes:
        may_be_done: Whether what was asked for may have happened all the same.
    """

    code = "overloaded"
    title = "Not possible at this moment"

    def __init__(self, detail: str, *, retry_after_s: int = 1, may_be_done: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.may_be_done = may_be_done


class TooBusy(Overloaded):
    """More is asked than can be done; it was refused before anything was begun."""

    code = "too_busy"
    title = "More is asked than can be done now"


class TooLate(Overloaded):
    """A text or a call would leave when too little of its code's life is left; it was refused at once."""

    code = "too_late"
    title = "It could not be sent in time"


class CarrierError(DastakError):
    """A carrier did not take a message; another route may."""

    code = "carrier_error"
    title = "The carrier did not take the message"


# Of a message that a carrier may have taken or not, for the link was lost or no answer came.
OUTCOME_UNKNOWN: Final = "outcome_unknown"


class CarrierUnavailable(CarrierError):  # noqa: N818
    """No answer from the carrier. With `outcome_unknown` it may have taken the message all the same."""

    code = "carrier_unavailable"
    title = "The carrier cannot be reached"

    def __init__(self, detail: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(detail)
        self.outcome_unknown = outcome_unknown

    @property
    def status(self) -> str:
        """What the timeline says of it."""
        return OUTCOME_UNKNOWN if self.outcome_unknown else self.code


class CarrierFull(CarrierUnavailable):
    """The carrier takes no more at this moment; nothing was sent."""

    code = "carrier_full"
    title = "The carrier takes no more messages at this moment"


class CarrierRejected(CarrierError):  # noqa: N818
    """The carrier answered no: `status` is its raw code, `outcome` what that means in our words."""

    code = "carrier_rejected"
    title = "The carrier rejected the message"

    def __init__(self, detail: str, *, status: str, outcome: str = "unknown") -> None:
        super().__init__(detail)
        self.status = status
        self.outcome = outcome

"""What became of a call, in our words: from SIP status and Q.850 cause, by tables that a trunk can override.

1. A status that says something definite is believed; one that only says "not now" is refined by the cause.
2. Trunks differ, so every row can be overridden for one trunk, as data: see `read_overrides`.
3. An answered call is no delivery: `COMPLETED` is said by whoever spoke the code, never by this table.

Source: RFC 3261, section 21; RFC 3398, section 7.2.4.1 for causes; ITU-T Q.850.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from dastak.core.outcome import Outcome


class CallOutcome(StrEnum):
    """How a call ended."""

    COMPLETED = "completed"
    NO_HUMAN = "no_human"
    REMOTE_HANGUP = "remote_hangup"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    ABSENT = "absent"
    INVALID_NUMBER = "invalid_number"
    UNREACHABLE = "unreachable"
    TRUNK_DOWN = "trunk_down"
    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    CODEC = "codec"
    CANCELED = "canceled"
    MAX_DURATION = "max_duration"
    FAILED = "failed"


# What may follow each, its words and who acts stand with the outcomes of all messages, in core/outcome.py and
# core/remedies.py. Where two of them mean the same to a person, the trunk's own words tell them apart.
OUTCOME_OF: Final[Mapping[CallOutcome, Outcome]] = {
    CallOutcome.COMPLETED: Outcome.DELIVERED,
    CallOutcome.NO_HUMAN: Outcome.NO_HUMAN,
    CallOutcome.REMOTE_HANGUP: Outcome.HUNG_UP,
    CallOutcome.BUSY: Outcome.BUSY,
    CallOutcome.DECLINED: Outcome.DECLINED,
    CallOutcome.NO_ANSWER: Outcome.NOT_ANSWERED,
    CallOutcome.ABSENT: Outcome.ABSENT_SUBSCRIBER,
    CallOutcome.INVALID_NUMBER: Outcome.UNKNOWN_NUMBER,
    CallOutcome.UNREACHABLE: Outcome.NETWORK_TEMPORARY,
    CallOutcome.TRUNK_DOWN: Outcome.CONGESTION,
    CallOutcome.AUTH_FAILED: Outcome.ROUTE_CONFIG,
    CallOutcome.FORBIDDEN: Outcome.ROUTE_CONFIG,
    CallOutcome.CODEC: Outcome.ROUTE_CONFIG,
    CallOutcome.CANCELED: Outcome.NOT_ANSWERED,
    CallOutcome.MAX_DURATION: Outcome.HUNG_UP,
    CallOutcome.FAILED: Outcome.NETWORK_TEMPORARY,
}

_O: Final = CallOutcome

BY_STATUS: Final[Mapping[int, CallOutcome]] = {
    401: _O.AUTH_FAILED,
    403: _O.FORBIDDEN,
    404: _O.INVALID_NUMBER,
    407: _O.AUTH_FAILED,
    408: _O.UNREACHABLE,
    410: _O.INVALID_NUMBER,
    480: _O.NO_ANSWER,
    484: _O.INVALID_NUMBER,
    486: _O.BUSY,
    487: _O.NO_ANSWER,
    488: _O.CODEC,
    500: _O.TRUNK_DOWN,
    502: _O.TRUNK_DOWN,
    503: _O.TRUNK_DOWN,
    504: _O.TRUNK_DOWN,
    600: _O.BUSY,
    603: _O.DECLINED,
    604: _O.INVALID_NUMBER,
    606: _O.CODEC,
    607: _O.DECLINED,
}

BY_CAUSE: Final[Mapping[int, CallOutcome]] = {
    1: _O.INVALID_NUMBER,  # unallocated number
    17: _O.BUSY,
    18: _O.NO_ANSWER,  # no user responding
    19: _O.NO_ANSWER,  # no answer, user alerted
    20: _O.ABSENT,
    21: _O.DECLINED,
    27: _O.TRUNK_DOWN,  # destination out of order
    28: _O.INVALID_NUMBER,  # address incomplete
    34: _O.TRUNK_DOWN,  # no circuit
    38: _O.TRUNK_DOWN,  # network out of order
    41: _O.TRUNK_DOWN,  # temporary failure
    42: _O.TRUNK_DOWN,  # congestion
}

# The standard's own words, as people look them up.
STATUS_WORDS: Final[Mapping[int, str]] = {
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    480: "Temporarily Unavailable",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
}
assert STATUS_WORDS.keys() >= BY_STATUS.keys()

# What these say of the person is nothing, so that a cause beside them says more.
VAGUE_STATUSES: Final = frozenset({480, 487, 500, 502, 503, 504})

# (status, cause) -> outcome; None stands for any.
Overrides: TypeAlias = Mapping[tuple[int | None, int | None], CallOutcome]
NO_OVERRIDES: Final[Overrides] = {}
OVERRIDES_MAX: Final = 256

_OVERRIDE: Final = re.compile(r"([1-6][0-9]{2}|\*)/([0-9]{1,3}|\*)", re.ASCII)
_CAUSE_MAX: Final = 127


def call_outcome(status: int, cause: int | None, overrides: Overrides = NO_OVERRIDES) -> CallOutcome:
    """Name how a call ended that was not answered.

    Args:
        status: The final SIP status.
        cause: That of Q.850, where the trunk gave one.
        overrides: Those of the trunk; the more particular row wins.
    """
    for row in ((status, cause), (status, None), (None, cause)):
        if row in overrides:
            return overrides[row]
    by_status = BY_STATUS.get(status, CallOutcome.FAILED)
    if cause is not None and (status in VAGUE_STATUSES or by_status is CallOutcome.FAILED):
        return BY_CAUSE.get(cause, by_status)
    return by_status


def status_words(status: int) -> str:
    """Write a status with its words, such as `486 Busy Here`; one that has none as `SIP 499`."""
    return f"{status} {STATUS_WORDS[status]}" if status in STATUS_WORDS else f"SIP {status}"


def read_overrides(settings: Mapping[str, str]) -> Overrides:
    """Read a trunk's own rows, such as `"503/17" = "busy"`, `"480/*" = "absent"` or `"*/31" = "no_answer"`.

    Raises:
        ValueError: A row is no such pair, or its outcome has no such name.
    """
    if len(settings) > OVERRIDES_MAX:
        raise ValueError(f"more than {OVERRIDES_MAX} outcomes of one trunk")
    overrides: dict[tuple[int | None, int | None], CallOutcome] = {}
    for pair, name in settings.items():
        found = _OVERRIDE.fullmatch(pair)
        if found is None or pair == "*/*" or (found[2] != "*" and int(found[2]) > _CAUSE_MAX):
            raise ValueError(
                f"{pair!r} is no pair of SIP status and Q.850 cause such as 503/17, 480/* or */31"
            )
        if name not in set(CallOutcome):
            raise ValueError(f"{name!r} is no outcome of a call; there are {', '.join(CallOutcome)}")
        status, cause = (None if one == "*" else int(one) for one in found.groups())
        overrides[status, cause] = CallOutcome(name)
    return overrides

"""What the words and numbers in delivery receipts mean where a route has no table of its own.

Public tables contradict each other beyond these, and one number means different things to different
operators: these are hints, and a route may override every line.

Source: 3GPP TS 29.002 (MAP user errors); the result list Indian carriers publish for DLT scrubbing.
"""

from collections.abc import Mapping
from typing import Final

from dastak.core.outcome import Outcome
from dastak.sms.smpp_codes import MessageState

# The `stat` of a receipt's text, which is also what message_state says by number.
STATS: Final[Mapping[MessageState, str]] = {
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
}

STAT_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "ENROUTE": Outcome.ENROUTE,
    "DELIVRD": Outcome.DELIVERED,
    "EXPIRED": Outcome.EXPIRED,
    "DELETED": Outcome.OPERATOR_REJECT,
    "UNDELIV": Outcome.NETWORK_TEMPORARY,
    "ACCEPTD": Outcome.ACCEPTED,
    "UNKNOWN": Outcome.UNKNOWN,
    "REJECTD": Outcome.OPERATOR_REJECT,
}
# Only these say too little by themselves, so that `err` is asked for the reason.
STATS_WITH_REASON: Final = frozenset({"UNDELIV", "REJECTD"})

MAP_ERRORS: Final[Mapping[int, Outcome]] = {
    1: Outcome.UNKNOWN_NUMBER,  # unknown subscriber
    5: Outcome.UNKNOWN_NUMBER,  # unidentified subscriber
    6: Outcome.ABSENT_SUBSCRIBER,  # absent subscriber SM
    9: Outcome.BARRED_OR_DND,  # illegal subscriber
    11: Outcome.BARRED_OR_DND,  # teleservice not provisioned
    13: Outcome.BARRED_OR_DND,  # call barred
    21: Outcome.NETWORK_TEMPORARY,  # facility not supported
    27: Outcome.ABSENT_SUBSCRIBER,  # absent subscriber
    31: Outcome.HANDSET_BUSY_OR_MEMORY,  # subscriber busy for MT-SMS
    32: Outcome.HANDSET_BUSY_OR_MEMORY,  # SM delivery failure
    33: Outcome.HANDSET_BUSY_OR_MEMORY,  # message waiting list full
    34: Outcome.NETWORK_TEMPORARY,  # system failure
    35: Outcome.NETWORK_TEMPORARY,  # data missing
    36: Outcome.NETWORK_TEMPORARY,  # unexpected data value
}

DLT_CODES: Final[Mapping[int, Outcome]] = {
    **dict.fromkeys((600, 601, 602, 603, 604, 605), Outcome.DLT_ENTITY),
    **dict.fromkeys((610, 611, 612, 613, 614, 615, 616, 617, 618), Outcome.DLT_CHAIN),
    **dict.fromkeys((620, 621, 622, 623, 624, 625, 634), Outcome.DLT_HEADER),
    **dict.fromkeys((630, 631, 632, 633, 636, 637), Outcome.DLT_TEMPLATE),
    635: Outcome.DLT_VARIABLE,
    **dict.fromkeys((642, 700, 701), Outcome.CTA_NOT_WHITELISTED),
    **dict.fromkeys((650, 660), Outcome.BARRED_OR_DND),
    670: Outcome.NETWORK_TEMPORARY,
    # Of another list; no other family has these numbers.
    **dict.fromkeys((5601, 5602, 5603, 5604, 5605, 5606), Outcome.DLT_CHAIN),
    5901: Outcome.CTA_NOT_WHITELISTED,
}

# Parts of words, in the order they are looked for.
WORDS: Final[tuple[tuple[str, Outcome], ...]] = (
    ("ABSENT", Outcome.ABSENT_SUBSCRIBER),
    ("UNREACH", Outcome.ABSENT_SUBSCRIBER),
    ("INVALID-SUB", Outcome.UNKNOWN_NUMBER),
    ("UNKNOWN_SUBSCRIBER", Outcome.UNKNOWN_NUMBER),
    ("INBOX", Outcome.HANDSET_BUSY_OR_MEMORY),
    ("MEMORY", Outcome.HANDSET_BUSY_OR_MEMORY),
    ("NDNC", Outcome.BARRED_OR_DND),
    ("DND", Outcome.BARRED_OR_DND),
    ("TEMPLATE", Outcome.DLT_TEMPLATE),
    ("TL-NT-MTCHD", Outcome.DLT_TEMPLATE),
    ("HEADER", Outcome.DLT_HEADER),
    ("SNDR", Outcome.DLT_HEADER),
    ("SENDER", Outcome.DLT_HEADER),
    ("HASH", Outcome.DLT_CHAIN),
    ("MULTIPART", Outcome.OPERATOR_REJECT),
    ("CTA", Outcome.CTA_NOT_WHITELISTED),
    ("URL", Outcome.CTA_NOT_WHITELISTED),
    ("SPAM", Outcome.SPAM_OR_CONTENT),
    ("BLOCKED", Outcome.SPAM_OR_CONTENT),
    ("TTL", Outcome.EXPIRED),
    ("EXPIRED", Outcome.EXPIRED),
)


def reason_outcome(err: str) -> Outcome | None:
    """Return what the `err` of a receipt means; None when nothing is known of it."""
    if err.isascii() and err.isdecimal() and len(err) <= 6:
        number = int(err)
        return MAP_ERRORS.get(number) or DLT_CODES.get(number)
    shouted = err.upper()
    return next((outcome for word, outcome in WORDS if word in shouted), None)

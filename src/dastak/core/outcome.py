"""What became of a message, in our words, and what to do about it.

Every carrier's code is mapped to one of these by a table of its route; nobody else judges carrier codes.
A store-and-forward carrier may still bring a message after a terminal outcome: a late delivery is believed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec


class Outcome(StrEnum):
    """What a carrier's answer or receipt means."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"  # a provider or SMSC has it, nothing more
    ENROUTE = "enroute"
    EXPIRED = "expired"
    ABSENT_SUBSCRIBER = "absent_subscriber"
    HANDSET_OFF = "handset_off"
    HANDSET_BUSY_OR_MEMORY = "handset_busy_or_memory"
    UNKNOWN_NUMBER = "unknown_number"
    BARRED_OR_DND = "barred_or_dnd"
    OPERATOR_REJECT = "operator_reject"
    SPAM_OR_CONTENT = "spam_or_content"
    DLT_ENTITY = "dlt_entity"
    DLT_HEADER = "dlt_header"
    DLT_TEMPLATE = "dlt_template"
    DLT_VARIABLE = "dlt_variable"
    DLT_CHAIN = "dlt_chain"
    CTA_NOT_WHITELISTED = "cta_not_whitelisted"
    THROTTLED = "throttled"
    ROUTE_CONFIG = "route_config"  # credentials, sender, TLV, balance
    NETWORK_TEMPORARY = "network_temporary"
    UNKNOWN = "unknown"
    # Of calls. One that was answered and whose code was spoken in full is delivered.
    BUSY = "busy"
    DECLINED = "declined"
    NOT_ANSWERED = "not_answered"
    NO_HUMAN = "no_human"  # nobody pressed a key: voicemail, or nobody listened
    WRONG_KEY = "wrong_key"
    HUNG_UP = "hung_up"  # before the code was spoken in full
    REPORTED = "reported"  # the person says that they did not ask for it
    CONGESTION = "congestion"


# Of a call that nobody answered; it costs nothing.
UNANSWERED: Final = frozenset(
    {
        Outcome.BUSY,
        Outcome.DECLINED,
        Outcome.NOT_ANSWERED,
        Outcome.CONGESTION,
        Outcome.ABSENT_SUBSCRIBER,
        Outcome.UNKNOWN_NUMBER,
    }
)


class When(StrEnum):
    """When a step may follow, provided that the code lives long enough. `NEVER` is the only false one."""

    NEVER = ""
    NOW = "now"
    ONCE = "once"
    BY_CLOCK = "by_clock"  # when the failover clock of the route runs out
    AFTER_BACK_OFF = "after_back_off"
    IF_ASKED = "if_asked"  # by the person
    UNTIL_TAKEN = "until_taken"  # again and again after a while: nobody has it
    IF_NO_ROUTE = "if_no_route"
    WITH_ANOTHER_ENTITY = "with_another_entity"


class Advice(msgspec.Struct, frozen=True):
    """What to do after an outcome.

    Attributes:
        terminal: The carrier will do nothing more.
        same_route: When the same text may be offered there again.
        other_route: When it may be offered to another one.
        voice: When the call may start.
    """

    terminal: bool
    same_route: When
    other_route: When
    voice: When


OUTCOMES: Final[Mapping[Outcome, Advice]] = {
    Outcome.DELIVERED: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.ACCEPTED: Advice(False, When.NEVER, When.BY_CLOCK, When.BY_CLOCK),
    Outcome.ENROUTE: Advice(False, When.NEVER, When.BY_CLOCK, When.BY_CLOCK),
    Outcome.EXPIRED: Advice(True, When.NEVER, When.ONCE, When.ONCE),
    # A phone that is away cannot be rung either.
    Outcome.ABSENT_SUBSCRIBER: Advice(True, When.NEVER, When.NEVER, When.NEVER),
    Outcome.HANDSET_OFF: Advice(True, When.NEVER, When.NEVER, When.NEVER),
    # This phone is on.
    Outcome.HANDSET_BUSY_OR_MEMORY: Advice(False, When.AFTER_BACK_OFF, When.NEVER, When.NOW),
    Outcome.UNKNOWN_NUMBER: Advice(True, When.NEVER, When.NEVER, When.NEVER),
    # An OTP is exempt from DND: the route or the category is wrong.
    Outcome.BARRED_OR_DND: Advice(True, When.NEVER, When.NOW, When.NOW),
    Outcome.OPERATOR_REJECT: Advice(True, When.NEVER, When.NOW, When.IF_NO_ROUTE),
    Outcome.SPAM_OR_CONTENT: Advice(True, When.NEVER, When.ONCE, When.NOW),
    Outcome.DLT_ENTITY: Advice(True, When.NEVER, When.WITH_ANOTHER_ENTITY, When.NOW),
    Outcome.DLT_HEADER: Advice(True, When.NEVER, When.NEVER, When.NOW),
    Outcome.DLT_TEMPLATE: Advice(True, When.NEVER, When.NEVER, When.NOW),
    Outcome.DLT_VARIABLE: Advice(True, When.NEVER, When.NEVER, When.NOW),
    # The chain of telemarketers is declared for each upstream, so another one may be right.
    Outcome.DLT_CHAIN: Advice(True, When.NEVER, When.NOW, When.IF_NO_ROUTE),
    Outcome.CTA_NOT_WHITELISTED: Advice(True, When.NEVER, When.NEVER, When.NOW),
    # Nobody has it, so that another route costs no second text, and waiting costs nothing but time.
    Outcome.THROTTLED: Advice(False, When.UNTIL_TAKEN, When.NOW, When.NEVER),
    Outcome.ROUTE_CONFIG: Advice(True, When.NEVER, When.NOW, When.IF_NO_ROUTE),
    Outcome.NETWORK_TEMPORARY: Advice(True, When.ONCE, When.NOW, When.IF_NO_ROUTE),
    Outcome.UNKNOWN: Advice(False, When.NEVER, When.BY_CLOCK, When.BY_CLOCK),
    # After a call nothing follows by itself: it rang, and that is as loud as we get.
    Outcome.BUSY: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.DECLINED: Advice(True, When.NEVER, When.NEVER, When.NEVER),
    Outcome.NOT_ANSWERED: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.NO_HUMAN: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.WRONG_KEY: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.HUNG_UP: Advice(True, When.NEVER, When.NEVER, When.IF_ASKED),
    Outcome.REPORTED: Advice(True, When.NEVER, When.NEVER, When.NEVER),
    # It never rang, so that another trunk may still ring it once.
    Outcome.CONGESTION: Advice(True, When.NEVER, When.NOW, When.IF_ASKED),
}

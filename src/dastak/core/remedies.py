"""What each delivery outcome means for the person at the phone, who acts on it, and what they do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.outcome import Outcome


class Who(StrEnum):
    """Who must act."""

    NOBODY = "nobody"
    PERSON = "the person"
    SENDER = "the sender (PE)"
    OPERATOR = "the operator of Dastak"
    CHAIN = "the operator of Dastak, with the telemarketers"


class Remedy(msgspec.Struct, frozen=True):
    """Words for people who look into a delivery.

    Attributes:
        means: What happened, as the end of a sentence that begins with the carrier.
        action: What to do next, as a command; empty where there is nothing to do.
        who: Who does it.
    """

    means: str
    action: str
    who: Who


REMEDIES: Final[Mapping[Outcome, Remedy]] = {
    Outcome.DELIVERED: Remedy("reports the text on the phone", "", Who.NOBODY),
    Outcome.ACCEPTED: Remedy(
        "has the text and tells nothing more yet", "wait for its final receipt", Who.NOBODY
    ),
    Outcome.ENROUTE: Remedy("is still trying", "wait for its final receipt", Who.NOBODY),
    Outcome.EXPIRED: Remedy(
        "tried until the text was too old",
        "look whether the phone was off or abroad; if many expire, compare this carrier with another one",
        Who.OPERATOR,
    ),
    Outcome.ABSENT_SUBSCRIBER: Remedy(
        "cannot find the phone on any network",
        "ask the person to turn the phone on or find reception",
        Who.PERSON,
    ),
    Outcome.HANDSET_OFF: Remedy("finds the phone turned off", "ask the person to turn it on", Who.PERSON),
    Outcome.HANDSET_BUSY_OR_MEMORY: Remedy(
        "reaches the phone, which takes no text now",
        "ask the person to end a call or delete old texts, then resend",
        Who.PERSON,
    ),
    Outcome.UNKNOWN_NUMBER: Remedy(
        "knows nobody with this number",
        "check the digits with the person; if the number is right, ask the carrier whether it was ported",
        Who.PERSON,
    ),
    Outcome.BARRED_OR_DND: Remedy(
        "may not bring texts of this kind to this number",
        "have the carrier use its OTP (service implicit) route: codes are exempt from do-not-disturb",
        Who.OPERATOR,
    ),
    Outcome.OPERATOR_REJECT: Remedy(
        "or the operator behind it refuses without a better reason",
        "give the raw code and carrier_ref to the carrier's support; another route may deliver",
        Who.OPERATOR,
    ),
    Outcome.SPAM_OR_CONTENT: Remedy(
        "takes the text for spam",
        "send the registered wording, without links, or ask for it to be allowed",
        Who.SENDER,
    ),
    Outcome.DLT_ENTITY: Remedy(
        "does not accept the principal entity (PE-ID)",
        "compare the PE-ID sent with the one on your DLT portal, and have it active there",
        Who.SENDER,
    ),
    Outcome.DLT_HEADER: Remedy(
        "does not accept the sender header",
        "use a header that is registered, active and linked to the template; letters in its exact case",
        Who.SENDER,
    ),
    Outcome.DLT_TEMPLATE: Remedy(
        "finds no registered template that the text matches",
        "send the registered wording exactly, with its template id, or register this text",
        Who.SENDER,
    ),
    Outcome.DLT_VARIABLE: Remedy(
        "finds a variable of the template that is too long or of the wrong kind",
        "shorten the value, or compare each with its tag in the template: dastak dlt lint",
        Who.SENDER,
    ),
    Outcome.DLT_CHAIN: Remedy(
        "does not accept the chain of telemarketers",
        "have every party accept it on the DLT portal, then set the same ids in its order: dastak dlt chain",
        Who.CHAIN,
    ),
    Outcome.CTA_NOT_WHITELISTED: Remedy(
        "refuses a link or number in the text that is not whitelisted",
        "have it whitelisted on the DLT portal, or take it out of the text",
        Who.SENDER,
    ),
    Outcome.THROTTLED: Remedy(
        "says that texts come too fast",
        "lower rate_per_s to what the contract allows, or buy more; the text itself is fine",
        Who.OPERATOR,
    ),
    Outcome.ROUTE_CONFIG: Remedy(
        "refuses how the text is addressed or written",
        "compare sender, TON, NPI, data_coding, TLVs and balance with what the carrier told you",
        Who.OPERATOR,
    ),
    Outcome.NETWORK_TEMPORARY: Remedy(
        "has a fault of its own",
        "try again in a minute; if it stays, drain it and give it the raw code",
        Who.OPERATOR,
    ),
    Outcome.UNKNOWN: Remedy(
        "says something that its table does not know",
        "ask the carrier what its code means, and add it to status_outcomes or receipt_outcomes",
        Who.OPERATOR,
    ),
    Outcome.BUSY: Remedy(
        "finds the line busy", "ask the person to end the other call, then call again", Who.PERSON
    ),
    Outcome.DECLINED: Remedy(
        "tells that the call was declined", "do not call again unless the person asks", Who.PERSON
    ),
    Outcome.NOT_ANSWERED: Remedy(
        "rang, and nobody answered", "call again when the person asks; a text needs no answer", Who.PERSON
    ),
    Outcome.NO_HUMAN: Remedy(
        "was answered, and nobody pressed the digit that was asked for: a voicemail, or nobody listened",
        "nothing secret was said; call again when the person is at the phone",
        Who.PERSON,
    ),
    Outcome.WRONG_KEY: Remedy(
        "was answered, and another digit was pressed than the one asked for",
        "nothing secret was said; call again when the person asks",
        Who.PERSON,
    ),
    Outcome.HUNG_UP: Remedy(
        "was answered, and the person hung up before the code was spoken in full",
        "call again when the person asks",
        Who.PERSON,
    ),
    Outcome.REPORTED: Remedy(
        "was answered, and the person says that they did not ask for a code",
        "the verification was called off; look who started it, somebody may have the password",
        Who.OPERATOR,
    ),
    Outcome.CONGESTION: Remedy(
        "has no line free to this number",
        "another trunk is tried at once; if it stays, buy more channels or lower the rate of calls",
        Who.OPERATOR,
    ),
}

# What other words tell of a call, for those above are of a text.
CALL_REMEDIES: Final[Mapping[Outcome, Remedy]] = {
    Outcome.DELIVERED: Remedy(
        "spoke the whole code to somebody who pressed the digit that was asked for", "", Who.NOBODY
    ),
    Outcome.ACCEPTED: Remedy("has the call and tells nothing more yet", "wait for its end", Who.NOBODY),
    Outcome.ENROUTE: Remedy("is still calling", "wait for its end", Who.NOBODY),
    Outcome.EXPIRED: Remedy(
        "called until the code was too old",
        "if many expire, compare trunks",
        Who.OPERATOR,
    ),
    Outcome.ABSENT_SUBSCRIBER: Remedy(
        "says that the phone is off or out of reach",
        "ask the person to turn the phone on or find reception; it is not called again by itself",
        Who.PERSON,
    ),
    Outcome.HANDSET_OFF: Remedy(
        "finds the phone turned off", "ask the person to turn it on; no call follows by itself", Who.PERSON
    ),
    Outcome.UNKNOWN_NUMBER: Remedy(
        "says that nobody has this number",
        "check the digits with the person; the verification failed, as no way leads there",
        Who.PERSON,
    ),
    Outcome.BARRED_OR_DND: Remedy(
        "may not call this number",
        "ask the trunk which calls it bars: one that a person asked for is no advertisement",
        Who.OPERATOR,
    ),
    Outcome.OPERATOR_REJECT: Remedy(
        "or the network behind it refuses without a better reason",
        "give the SIP status and the Q.850 cause to the trunk's support; another trunk may ring",
        Who.OPERATOR,
    ),
    Outcome.THROTTLED: Remedy(
        "says that calls come too fast",
        "lower calls_max to what the contract allows, or buy more channels",
        Who.OPERATOR,
    ),
    Outcome.ROUTE_CONFIG: Remedy(
        "does not take our calls: credentials, caller, credit, range or codec",
        "compare username, caller and balance with what it told you, then: dastak carrier test NAME",
        Who.OPERATOR,
    ),
    Outcome.NETWORK_TEMPORARY: Remedy(
        "does not answer, or has a fault of its own",
        "another trunk is tried at once; if it stays, look at its link: dastak carrier list",
        Who.OPERATOR,
    ),
    Outcome.UNKNOWN: Remedy(
        "says something that its table does not know",
        "ask it what that means, and add it to `outcomes` of the carrier",
        Who.OPERATOR,
    ),
}


def remedy_of(outcome: Outcome, *, call: bool) -> Remedy:
    """Return the words for what became of a text, or of a call."""
    return CALL_REMEDIES.get(outcome, REMEDIES[outcome]) if call else REMEDIES[outcome]

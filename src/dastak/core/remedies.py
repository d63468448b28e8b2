"""What each delivery outcome means for the person at the phone, and what an operator does about it."""

from collections.abc import Mapping
from typing import Final

import msgspec

from dastak.core.outcome import Outcome


class Remedy(msgspec.Struct, frozen=True):
    """Words for people who look into a delivery.

    Attributes:
        means: What happened, as the end of a sentence that begins with the carrier.
        action: What to do next, as a command; empty where there is nothing to do.
    """

    means: str
    action: str


REMEDIES: Final[Mapping[Outcome, Remedy]] = {
    Outcome.DELIVERED: Remedy("reports the text on the phone", ""),
    Outcome.ACCEPTED: Remedy("has the text and tells nothing more yet", "wait for its final receipt"),
    Outcome.ENROUTE: Remedy("is still trying", "wait for its final receipt"),
    Outcome.EXPIRED: Remedy(
        "tried until the text was too old",
        "look whether the phone was off or abroad; if many expire, compare this carrier with another one",
    ),
    Outcome.ABSENT_SUBSCRIBER: Remedy(
        "cannot find the phone on any network", "ask the person to turn the phone on or find reception"
    ),
    Outcome.HANDSET_OFF: Remedy("finds the phone turned off", "ask the person to turn it on"),
    Outcome.HANDSET_BUSY_OR_MEMORY: Remedy(
        "reaches the phone, which takes no text now",
        "ask the person to end a call or delete old texts, then resend",
    ),
    Outcome.UNKNOWN_NUMBER: Remedy(
        "knows nobody with this number",
        "check the digits with the person; if the number is right, ask the carrier whether it was ported",
    ),
    Outcome.BARRED_OR_DND: Remedy(
        "may not bring texts of this kind to this number",
        "have the carrier use its OTP (service implicit) route: codes are exempt from do-not-disturb",
    ),
    Outcome.OPERATOR_REJECT: Remedy(
        "or the operator behind it refuses without a better reason",
        "give the raw code and carrier_ref to the carrier's support; another route may deliver",
    ),
    Outcome.SPAM_OR_CONTENT: Remedy(
        "takes the text for spam", "send the registered wording, without links, or ask for it to be allowed"
    ),
    Outcome.DLT_ENTITY: Remedy(
        "does not accept the principal entity (PE-ID)",
        "compare the PE-ID sent with the one on your DLT portal, and have it active there",
    ),
    Outcome.DLT_HEADER: Remedy(
        "does not accept the sender header",
        "use a header that is registered and active for this entity; letters in its exact case",
    ),
    Outcome.DLT_TEMPLATE: Remedy(
        "finds no registered template that the text matches",
        "send the registered wording exactly, with its template id, or register this text",
    ),
    Outcome.DLT_VARIABLE: Remedy(
        "finds a variable of the template that is too long or of the wrong kind",
        "compare each filled value with its tag in the registered template",
    ),
    Outcome.DLT_CHAIN: Remedy(
        "does not accept the chain of telemarketers",
        "declare the chain for this carrier on the DLT portal, and send it as the carrier wants it",
    ),
    Outcome.CTA_NOT_WHITELISTED: Remedy(
        "refuses a link or number in the text that is not whitelisted",
        "whitelist it on the DLT portal, or take it out of the text",
    ),
    Outcome.THROTTLED: Remedy(
        "says that texts come too fast",
        "lower rate_per_s to what the contract allows, or buy more; the text itself is fine",
    ),
    Outcome.ROUTE_CONFIG: Remedy(
        "refuses how the text is addressed or written",
        "compare sender, TON, NPI, data_coding, TLVs and balance with what the carrier told you",
    ),
    Outcome.NETWORK_TEMPORARY: Remedy(
        "has a fault of its own", "try again in a minute; if it stays, drain it and give it the raw code"
    ),
    Outcome.UNKNOWN: Remedy(
        "says something that its table does not know",
        "ask the carrier what the code means, and add it to status_outcomes or receipt_outcomes",
    ),
}

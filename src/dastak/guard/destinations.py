"""Say whether a code may go to a number at all, before anything is counted, written or paid.

1. A country is closed until somebody opens it for the service: fraud earns most where nobody looks.
2. Only lines that belong to one person and take texts are reached.
3. Test keys get the answers live keys would get, but for fictional numbers, which only they may use.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dastak.core.errors import Refused
from dastak.core.msisdn import LineType, Msisdn, Number
from dastak.core.tenant import Mode, Service

REACHABLE_LINES: Final = frozenset({LineType.MOBILE, LineType.FIXED_LINE_OR_MOBILE})

# VoIP proves nothing about a phone (NIST SP 800-63B-4, 3.1.3). The others cost much, or take no texts.
REFUSED_LINES: Final[Mapping[LineType, str]] = MappingProxyType(
    {
        LineType.FIXED_LINE: "a fixed line",
        LineType.TOLL_FREE: "a toll-free number",
        LineType.PREMIUM: "a premium-rate number",
        LineType.SHARED_COST: "a shared-cost number",
        LineType.VOIP: "an internet telephone number",
        LineType.PERSONAL: "a personal number that is forwarded elsewhere",
        LineType.PAGER: "a pager",
        LineType.UAN: "a company's access number",
        LineType.VOICEMAIL: "a voicemail box",
        LineType.SATELLITE: "a satellite or international network number",
        LineType.UNKNOWN: "of no known kind",
    }
)
assert REACHABLE_LINES | REFUSED_LINES.keys() == frozenset(LineType)
assert not REACHABLE_LINES & REFUSED_LINES.keys()

# What the fraud guard would say of this one, without any fraud.
MAGIC_FRAUD: Final = Msisdn("+12025550107")


def check_destination(number: Number, *, service: Service, mode: Mode) -> None:
    """Let a number pass that a key of this mode may reach through this service.

    Raises:
        Refused: With the reason `fictional_number`, `fraud_blocked`, `line_refused`, `country_closed` or
            `team_number_not_listed`.
    """
    if is_fictional(number):
        _check_fictional(number, mode)
        return
    if number.line not in REACHABLE_LINES:
        raise Refused(
            f"The number is {REFUSED_LINES[number.line]}; use a mobile number.", reason="line_refused"
        )
    if number.country not in service.countries:
        raise Refused(
            f"The country {number.country} is closed for the service `{service.name}`; open it first.",
            reason="country_closed",
        )
    if mode is Mode.TEAM and number.msisdn not in service.team_numbers:
        raise Refused(
            "A team key reaches only the numbers its service lists; add this one, or use a live key.",
            reason="team_number_not_listed",
        )


def is_fictional(number: Number) -> bool:
    """Say whether a number is one that no phone has, so that tests may do with it what they like.

    Source: NANPA keeps the lines 555-0100 to 555-0199 of every area code of +1 for fiction.
    """
    return number.calling_code == 1 and number.msisdn[5:10] == "55501"


def _check_fictional(number: Number, mode: Mode) -> None:
    if mode is not Mode.TEST:
        raise Refused(
            "The number is reserved for fiction and no phone has it; only a test key may use it.",
            reason="fictional_number",
        )
    if number.msisdn == MAGIC_FRAUD:
        raise Refused("The fraud guard stops messages to this magic number.", reason="fraud_blocked")

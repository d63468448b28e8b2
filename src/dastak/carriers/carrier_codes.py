"""Read a code as one carrier's own tables read it, the same that judge its answers and receipts."""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from dastak.core.carrier import SPEAKING, CarrierKind
from dastak.core.outcome import Outcome
from dastak.http_carriers.code_tables import outcome_of
from dastak.http_carriers.http_answer import STATUS_OUTCOMES as HTTP_STATUSES
from dastak.http_carriers.http_settings import HttpCarrier
from dastak.http_voice.call_settings import CallCarrier
from dastak.sms.dlr import outcome_in
from dastak.sms.receipt_codes import STAT_OUTCOMES, STATS, reason_outcome
from dastak.sms.smpp_codes import STATUS_OUTCOMES as SMPP_STATUSES
from dastak.sms.smpp_codes import MessageState, Status, read_status
from dastak.sms.smpp_settings import SmppSettings
from dastak.voice.sip.call_outcomes import OUTCOME_OF, call_outcome, read_overrides
from dastak.voice.sip_settings import SipSettings

# What the timeline writes where a carrier gave nothing but an HTTP status.
_SIP: Final = re.compile(r"(?:call:)?(?:SIP )?([3-6][0-9]{2})(?:(?:/|, cause )([0-9]{1,3}))?", re.ASCII)
HTTP_PREFIX: Final = "http_"


class Where(StrEnum):
    """What a code stands in."""

    ANSWER = "answer"
    RECEIPT = "receipt"


class CodeReading(msgspec.Struct, frozen=True):
    """What a code comes to.

    Attributes:
        table: Which of the carrier's tables says so, or that it is the default.
        call: Whether it is said of a call.
    """

    where: Where
    table: str
    outcome: Outcome
    call: bool = False


def read_code(kind: CarrierKind, settings: Any, code: str) -> tuple[CodeReading, ...]:
    """Return what a code means to a carrier; nothing where none of its tables has it.

    Args:
        kind: How the carrier is spoken to.
        settings: As its kind has read them.
        code: A number, a word, or `stat:err`, as a timeline shows it.
    """
    call = kind in SPEAKING
    return tuple(msgspec.structs.replace(one, call=call) for one in _READERS[kind](settings, code.strip()))


def _by_smpp(settings: SmppSettings, code: str) -> Iterator[CodeReading]:
    status, own = read_status(code), settings.statuses
    if status is not None and status in own:
        yield CodeReading(Where.ANSWER, "status_outcomes", own[status])
    elif status is not None and status in SMPP_STATUSES:
        yield CodeReading(Where.ANSWER, "the standard", SMPP_STATUSES[status])
    if code in Status.__members__:
        return
    stat, colon, err = code.partition(":")
    if not colon:
        # Alone, a reason is read as it stands in the receipt of a text that did not arrive.
        is_stat = code.upper() in STAT_OUTCOMES
        stat, err = (code, "") if is_stat else (STATS[MessageState.UNDELIVERABLE], code)
    stat, table = stat.upper(), settings.receipt_outcomes
    outcome = outcome_in(table, stat, (err, err))
    if outcome is not outcome_in({}, stat, (err, err)) or not {f"{stat}:{err}", err or stat}.isdisjoint(
        table
    ):
        yield CodeReading(Where.RECEIPT, "receipt_outcomes", outcome)
    elif reason_outcome(err) if err else stat in STAT_OUTCOMES:
        yield CodeReading(Where.RECEIPT, "the default", outcome)


def _by_http(carrier: HttpCarrier, code: str) -> Iterator[CodeReading]:
    own, profile = {"outcomes": carrier.settings.outcomes}, carrier.profile
    status = code.removeprefix(HTTP_PREFIX)
    if status != code:
        tables = {"the profile's statuses": profile.answer.statuses, "the default": HTTP_STATUSES}
        yield from _first(Where.ANSWER, status, tables)
        return
    yield from _first(Where.ANSWER, code, own | {"the profile": profile.answer.outcomes})
    if profile.receipt is not None:
        shared = {f"the list {profile.receipt.codes_of}": carrier.shared_codes}
        yield from _first(Where.RECEIPT, code, own | {"the profile": profile.receipt.outcomes} | shared)


def _by_sip(settings: SipSettings, code: str) -> Iterator[CodeReading]:
    """Read `486`, `503/17`, or both as a timeline has them: `SIP 503, cause 17`."""
    read = _SIP.fullmatch(code)
    if read is None:
        return
    status, cause = int(read[1]), None if read[2] is None else int(read[2])
    own = call_outcome(status, cause, read_overrides(settings.outcomes))
    default = call_outcome(status, cause)
    yield CodeReading(Where.ANSWER, "outcomes" if own is not default else "the default", OUTCOME_OF[own])


def _by_http_voice(carrier: CallCarrier, code: str) -> Iterator[CodeReading]:
    own, profile = {"outcomes": carrier.settings.outcomes}, carrier.profile
    yield from _first(Where.ANSWER, code, own | {"the profile": profile.answer.outcomes})
    yield from _first(Where.RECEIPT, code, own | {"the profile": profile.status.outcomes})


def _first(where: Where, code: str, tables: Mapping[str, Mapping[str, Outcome]]) -> Iterator[CodeReading]:
    """Give the reading of the first table that has a code."""
    for name, table in tables.items():
        outcome = outcome_of(code, table)
        if outcome is not None:
            yield CodeReading(where, name, outcome)
            return


_READERS: Final[Mapping[CarrierKind, Callable[[Any, str], Iterator[CodeReading]]]] = {
    CarrierKind.SMPP: _by_smpp,
    CarrierKind.HTTP: _by_http,
    CarrierKind.SIP: _by_sip,
    CarrierKind.HTTP_VOICE: _by_http_voice,
}

"""Turn records into rows and back: numbers for words, milliseconds for instants, JSON lines for events."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from dastak.core.call_report import CallReport
from dastak.core.events import (
    CallNoted,
    Event,
    MessageDropped,
    MessageRefused,
    MessageSubmitted,
    from_lines,
    to_lines,
)
from dastak.core.ids import VerificationId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.message import CarrierRef, DeadLetter, Message, MessageKey, MessageState, RecordedText
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import PastCall, PastSend
from dastak.core.policy import TTL_S_MAX, Channel, Policy
from dastak.core.ports import Held
from dastak.core.spend import Reserve
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State, Verification

Row = Sequence[Any]

log = logging.getLogger("dastak.store")

# These numbers are in databases: never change one, only add.
STATES: Final[Mapping[State, int]] = {
    State.PENDING: 0,
    State.APPROVED: 1,
    State.EXHAUSTED: 2,
    State.EXPIRED: 3,
    State.CANCELED: 4,
    State.FAILED: 5,
}
MESSAGE_STATES: Final[Mapping[MessageState, int]] = {
    MessageState.QUEUED: 0,
    MessageState.SUBMITTED: 1,
    MessageState.DELIVERED: 2,
    MessageState.UNDELIVERED: 3,
    MessageState.EXPIRED: 4,
}
MODES: Final[Mapping[Mode, int]] = {Mode.TEST: 0, Mode.TEAM: 1, Mode.LIVE: 2}
CHANNELS: Final[Mapping[Channel, int]] = {
    Channel.SMS: 0,
    Channel.VOICE: 1,
    Channel.TOTP: 2,
    Channel.HOTP: 3,
    Channel.HASH_CHAIN: 4,
}
for _numbers, _words in ((STATES, State), (MESSAGE_STATES, MessageState), (MODES, Mode), (CHANNELS, Channel)):
    assert list(_numbers) == list(_words)
    assert list(_numbers.values()) == list(range(len(_words)))

_STATE_OF: Final = tuple(STATES)
_MESSAGE_STATE_OF: Final = tuple(MESSAGE_STATES)
_MODE_OF: Final = tuple(MODES)
_CHANNEL_OF: Final = tuple(CHANNELS)

# The columns of the view `held`; a message's follow them where one was asked for.
HELD_COLUMNS: Final = 20
TENANT_COLUMN: Final = 2

# A number under attack or a chattering carrier must not grow a row without end; its end is always written.
TIMELINE_OCTETS_MAX: Final = 8192
# No code lives longer.
LIFE_MS_MAX: Final = TTL_S_MAX * 1000

# What a submit and a receipt add to a message. With the room there from the start its page need not be split
# for them: 165 octets of file a message and not 174. Blanks at the end of a trace mean nothing.
_ROOM: Final = " " * 79

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PLAIN: Final = Particulars()
_ENCODER: Final = msgspec.json.Encoder()
_PARTICULARS: Final = msgspec.json.Decoder(Particulars)
_TALLY: Final = msgspec.json.Decoder(Tally)
_RESERVE: Final = msgspec.json.Decoder(Reserve)
_POLICY: Final = msgspec.json.Decoder(Policy)


def mode_of(number: int) -> Mode:
    """Return the mode that a number in the database stands for."""
    return _MODE_OF[number]


def to_ms(instant: datetime) -> int:
    """Return whole milliseconds since 1970 UTC, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the aware instant of so many milliseconds since 1970 UTC."""
    return _EPOCH + ms * _MILLISECOND


def text(record: object) -> str:
    """Return a record as JSON text."""
    return _ENCODER.encode(record).decode()


def lines(events: tuple[Event, ...]) -> str:
    """Return events as they are appended to a timeline."""
    return to_lines(events).decode()


def verification_row(verification: Verification, policy: int, events: tuple[Event, ...]) -> Row:
    """Return what `insert_verification` takes."""
    created_at, last_sent_at = verification.created_at, verification.last_sent_at
    return (
        verification.id,
        verification.tenant,
        verification.service,
        MODES[verification.mode],
        int(verification.msisdn),
        STATES[verification.state],
        policy,
        verification.key_id,
        to_ms(created_at),
        to_ms(verification.expires_at),
        None if last_sent_at == created_at else to_ms(last_sent_at),
        verification.attempts,
        verification.generation,
        verification.sends,
        verification.own_code_digest,
        verification.own_code_sealed,
        _particulars_text(verification.particulars),
        lines(events),
    )


def kept_row(verification: Verification, events: tuple[Event, ...], *, octets_max: int, n: int) -> Row:
    """Return what `keep_verification` takes."""
    return (
        to_ms(verification.last_sent_at),
        verification.attempts,
        verification.generation,
        verification.sends,
        verification.fallbacks,
        verification.own_code_digest,
        verification.own_code_sealed,
        _particulars_text(verification.particulars),
        octets_max,
        lines(events),
        n,
    )


def ended_row(verification: Verification, events: tuple[Event, ...], *, n: int) -> Row:
    """Return what `end_verification` takes."""
    return (
        STATES[verification.state],
        verification.attempts,
        verification.own_code_digest,
        verification.own_code_sealed,
        lines(events),
        n,
    )


def message_row(message: Message, trace: tuple[Event, ...], *, n: int) -> Row:
    """Return what `insert_message` takes."""
    carrier = message.carrier
    return (
        n,
        message.key.ordinal,
        CHANNELS[message.channel],
        message.generation,
        message.segments,
        MESSAGE_STATES[message.state],
        message.tries,
        None if message.due_at is None else to_ms(message.due_at),
        None if carrier is None else carrier.route,
        None if carrier is None else carrier.ref,
        " ".join(message.tried) or None,
        None if message.reserve is None else text(message.reserve),
        lines(trace) + _ROOM,
    )


def moved_row(message: Message, trace: tuple[Event, ...], *, octets_max: int, n: int) -> Row:
    """Return what `update_message` takes.

    Nothing moves a delivered message any more, so nobody looks for it: its carrier is only in its trace.
    """
    carrier = None if message.state is MessageState.DELIVERED else message.carrier
    return (
        MESSAGE_STATES[message.state],
        message.tries,
        None if message.due_at is None else to_ms(message.due_at),
        None if carrier is None else carrier.route,
        None if carrier is None else carrier.ref,
        " ".join(message.tried) or None,
        octets_max,
        lines(trace),
        None if message.reserve is None else text(message.reserve),
        n,
        message.key.ordinal,
    )


def held_of(row: Row) -> Held:
    """Read a row of the view `held`, with its message where the row has one."""
    (
        _,
        verification_id,
        tenant,
        service,
        mode,
        msisdn,
        state,
        policy,
        key_id,
        created_at,
        expires_at,
        last_sent_at,
        attempts,
        generation,
        sends,
        fallbacks,
        own_code_digest,
        own_code_sealed,
        particulars,
        wrong,
    ) = row[:HELD_COLUMNS]
    created = from_ms(created_at)
    verification = Verification(
        id=verification_id,
        tenant=tenant,
        service=service,
        mode=_MODE_OF[mode],
        msisdn=Msisdn(f"+{msisdn}"),
        policy=_policy_of(policy),
        particulars=_PLAIN if particulars is None else _PARTICULARS.decode(particulars),
        key_id=key_id,
        created_at=created,
        expires_at=from_ms(expires_at),
        last_sent_at=created if last_sent_at is None else from_ms(last_sent_at),
        state=_STATE_OF[state],
        attempts=attempts,
        generation=generation,
        sends=sends,
        fallbacks=fallbacks,
        own_code_digest=own_code_digest,
        own_code_sealed=own_code_sealed,
    )
    tally = CLEAN if wrong is None else tally_of(wrong)
    if len(row) == HELD_COLUMNS:
        return Held(verification, tally)
    return Held(verification, tally, _message_of(verification_id, row[HELD_COLUMNS:]))


def readable(row: Row) -> Held | None:
    """Return what a row of `held` says; None, with a line in the log, where that is a newer program's."""
    try:
        return held_of(row)
    except Exception:
        log.exception("verification %s cannot be read, and is left out", row[0])
        return None


def all_held(found: Iterable[Row]) -> list[Held]:
    """Read rows of `held`; one that cannot be read holds no other up."""
    return [held for row in found if (held := readable(row)) is not None]


def counted(tenant: int, mode: Mode, msisdn: Msisdn) -> tuple[int, int]:
    """Return under which tenant and number a number's wrong attempts are kept; see 0022_tallies_by_mode.sql.

    Codes of test keys go to virtual phones, so whoever mistypes them locks the number of no real one.
    """
    return tenant, -int(msisdn) if mode is Mode.TEST else int(msisdn)


def tallies_of(tenant: int, msisdn: Msisdn) -> Sequence[tuple[int, int]]:
    """Return under which tenant and numbers the wrong attempts of a number are kept, of whatever mode."""
    return sorted({counted(tenant, mode, msisdn) for mode in Mode})


def tally_of(wrong: str) -> Tally:
    """Read the wrong attempts of a number."""
    return _TALLY.decode(wrong)


def _message_of(verification_id: VerificationId, row: Row) -> Message:
    (
        ordinal,
        channel,
        generation,
        segments,
        state,
        tries,
        due_at,
        route,
        carrier_ref,
        tried,
        reserve,
        *hands,
    ) = row
    owner, fence = hands or (None, 0)
    return Message(
        key=MessageKey(verification_id, ordinal),
        channel=_CHANNEL_OF[channel],
        generation=generation,
        segments=segments,
        state=_MESSAGE_STATE_OF[state],
        tries=tries,
        due_at=None if due_at is None else from_ms(due_at),
        carrier=None if route is None else CarrierRef(route, carrier_ref),
        tried=() if tried is None else tuple(tried.split()),
        reserve=None if reserve is None else _RESERVE.decode(reserve),
        owner=owner or 0,
        fence=fence,
    )


def _particulars_text(particulars: Particulars) -> str | None:
    return None if particulars == _PLAIN else text(particulars)


# A service has one policy, a narrowed one now and then.
@lru_cache(maxsize=1024)
def _policy_of(body: str) -> Policy:
    return _POLICY.decode(body)


def sends_of(row: Sequence[Any]) -> tuple[PastSend, ...]:
    """Read the sends of one verification; of several resends the last stands for all."""
    mode, tenant, msisdn, sends, created_at, last_sent_at, particulars = row
    first = PastSend(_MODE_OF[mode], tenant, Msisdn(f"+{msisdn}"), from_ms(created_at))
    again = (first._replace(at=from_ms(last_sent_at or created_at)) for _ in range(sends - 1))
    if particulars is not None and _PARTICULARS.decode(particulars).factor is not None:
        return tuple(again)  # it began by asking for a code of the person's own, and sent nothing
    return (first, *again)


def call_of(row: Sequence[Any]) -> PastCall | None:
    """Read a call; None if no trunk was ever asked for it."""
    _, mode, msisdn, trace, *key = row
    offered = (
        e.at_ms for e in from_lines(trace) if isinstance(e, CallNoted | MessageSubmitted | MessageRefused)
    )
    at_ms = next(offered, None)
    if at_ms is None:
        return None
    message = MessageKey(VerificationId(key[0]), key[1]) if key else None
    return PastCall(_MODE_OF[mode], Msisdn(f"+{msisdn}"), from_ms(at_ms), message)


def report_of(row: Row) -> CallReport:
    """Read a report of a call."""
    n, tenant, verification, mode, msisdn, at = row
    return CallReport(n, tenant, verification, _MODE_OF[mode], Msisdn(f"+{msisdn}"), from_ms(at))


def dead_letter_of(row: Row) -> DeadLetter:
    """Return what a row of `dead_letters` says."""
    tenant, id_, ordinal, trace = row
    dropped = next(event for event in from_lines(trace) if isinstance(event, MessageDropped))
    return DeadLetter(tenant, MessageKey(VerificationId(id_), ordinal), dropped.at_ms, dropped.why)


def recorded_text_of(row: Sequence[Any]) -> RecordedText:
    """Read a text without its message: of a delivered one only the trace knows who took it."""
    at_ms, tenant, msisdn, segments, trace = row
    took = (event.route for event in from_lines(trace) if isinstance(event, MessageSubmitted))
    return RecordedText(tenant, Msisdn(f"+{msisdn}"), segments, next(took, ""), at_ms)

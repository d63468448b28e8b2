"""Rows say exactly what the records said."""

import gc
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dastak.core.events import MessageQueued
from dastak.core.lockout import CLEAN, Tally
from dastak.core.message import CarrierRef, MessageState
from dastak.core.policy import Channel, Policy
from dastak.core.ports import Held
from dastak.core.spend import Reserve
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State
from dastak.store import rows
from tests.support.samples import NOW, some_message, some_msisdn, some_verification

MILLISECONDS = st.integers(0, rows.to_ms(datetime(2200, 1, 1, tzinfo=UTC)))
INSTANTS = MILLISECONDS.map(rows.from_ms)


@given(MILLISECONDS)
def test_milliseconds_survive_the_way_there_and_back(ms: int) -> None:
    assert rows.to_ms(rows.from_ms(ms)) == ms


def test_instant_is_cut_to_its_millisecond_never_rounded_up() -> None:
    late = NOW + timedelta(microseconds=999)

    assert rows.from_ms(rows.to_ms(late)) == NOW


def test_written_events_leave_nothing_in_memory() -> None:
    events = (MessageQueued(1, 0, Channel.SMS, 1),)
    gc.collect()
    before = len(gc.get_objects())

    for _ in range(1_000):
        rows.lines(events)

    assert len(gc.get_objects()) - before < 100


def _as_held(verification: rows.Row, policy: Policy, wrong: str | None, message: rows.Row = ()) -> rows.Row:
    """Make of inserted columns what the view gives back."""
    columns = (1, *verification[:14], 0, *verification[14:-1], wrong)
    return (*columns[:7], rows.text(policy), *columns[8:], *message)


@given(
    st.builds(
        some_verification,
        mode=st.sampled_from(Mode),
        state=st.sampled_from(State),
        msisdn=st.integers(0, 99_999_999).map(some_msisdn),
        created_at=INSTANTS,
        expires_at=INSTANTS,
        last_sent_at=INSTANTS,
        attempts=st.integers(0, 5),
        generation=st.integers(0, 9),
        sends=st.integers(1, 11),
        policy=st.builds(Policy, length=st.integers(4, 10), ttl_s=st.integers(60, 3600)),
        particulars=st.builds(Particulars, channel=st.sampled_from(Channel), payee=st.none() | st.text()),
        own_code_digest=st.none() | st.binary(),
        own_code_sealed=st.none() | st.binary(),
    ),
    st.builds(Tally, st.integers(0, 100), st.lists(st.integers(0, 2**40)).map(tuple)),
)
def test_verification_survives_the_way_there_and_back(verification, tally) -> None:
    row = rows.verification_row(verification, 7, ())

    held = rows.held_of(_as_held(row, verification.policy, None if tally == CLEAN else rows.text(tally)))

    assert held == Held(verification, tally)


@given(
    st.sampled_from(sorted(set(MessageState) - {MessageState.DELIVERED})),
    st.sampled_from(Channel),
    st.none() | INSTANTS,
    st.none() | st.builds(CarrierRef, st.text(), st.text()),
    st.none() | st.builds(Reserve, st.integers(0, 2**50), st.integers(0), st.lists(st.text()).map(tuple)),
)
def test_message_survives_the_way_there_and_back(state, channel, due_at, carrier, reserve) -> None:
    verification = some_verification()
    message = some_message(
        verification, 3, state=state, channel=channel, due_at=due_at, carrier=carrier, reserve=reserve
    )
    inserted = rows.message_row(message, (MessageQueued(1, 3, channel, 1),), n=1)

    row = rows.verification_row(verification, 7, ())
    held = rows.held_of(_as_held(row, verification.policy, None, inserted[1:-1]))

    assert held == Held(verification, CLEAN, message)


def test_defaults_take_no_room() -> None:
    row = rows.verification_row(some_verification(), 7, ())

    last_sent_at, particulars = row[10], row[16]
    assert (last_sent_at, particulars) == (None, None)

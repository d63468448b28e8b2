"""What follows an outcome or a silence, for every one of them and in any situation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.policy import Channel
from dastak.delivery.failover import (
    CALL_S,
    SILENCES,
    USEFUL_LIFE_S,
    Action,
    Cause,
    Next,
    Silence,
    Situation,
    next_step,
)

CAUSES: list[Cause] = [*Outcome, *Silence]
READY = Situation(remaining_s=280.0, other_routes=1, call_ready=True, call_in_s=15.0, receipt_in_s=8.0)
ALONE = Situation(remaining_s=280.0, other_routes=0, call_ready=False)
# With a route and a call, with a call only, with a route only, with nothing; seconds until it happens.
TABLE = {
    Outcome.DELIVERED: ("stop", "stop", "stop", "stop"),
    Outcome.ACCEPTED: ("other_route 8", "voice 15", "other_route 8", "stop"),
    Outcome.ENROUTE: ("other_route 8", "voice 15", "other_route 8", "stop"),
    Outcome.EXPIRED: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Outcome.ABSENT_SUBSCRIBER: ("stop", "stop", "stop", "stop"),
    Outcome.HANDSET_OFF: ("stop", "stop", "stop", "stop"),
    Outcome.HANDSET_BUSY_OR_MEMORY: ("voice 0", "voice 0", "same_route 2", "same_route 2"),
    Outcome.UNKNOWN_NUMBER: ("stop", "stop", "stop", "stop"),
    Outcome.BARRED_OR_DND: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Outcome.OPERATOR_REJECT: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Outcome.SPAM_OR_CONTENT: ("voice 0", "voice 0", "other_route 0", "stop"),
    Outcome.DLT_ENTITY: ("voice 0", "voice 0", "stop", "stop"),
    Outcome.DLT_HEADER: ("voice 0", "voice 0", "stop", "stop"),
    Outcome.DLT_TEMPLATE: ("voice 0", "voice 0", "stop", "stop"),
    Outcome.DLT_VARIABLE: ("voice 0", "voice 0", "stop", "stop"),
    Outcome.DLT_CHAIN: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Outcome.CTA_NOT_WHITELISTED: ("voice 0", "voice 0", "stop", "stop"),
    Outcome.THROTTLED: ("other_route 0", "same_route 1", "other_route 0", "same_route 1"),
    Outcome.ROUTE_CONFIG: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Outcome.NETWORK_TEMPORARY: ("other_route 0", "voice 0", "other_route 0", "same_route 0"),
    Outcome.UNKNOWN: ("other_route 8", "voice 15", "other_route 8", "stop"),
    # Of calls, after which nobody asked again.
    **dict.fromkeys(
        (
            Outcome.BUSY,
            Outcome.DECLINED,
            Outcome.NOT_ANSWERED,
            Outcome.NO_HUMAN,
            Outcome.WRONG_KEY,
            Outcome.HUNG_UP,
            Outcome.REPORTED,
        ),
        ("stop", "stop", "stop", "stop"),
    ),
    Outcome.CONGESTION: ("other_route 0", "stop", "other_route 0", "stop"),
    Silence.NOT_TAKEN: ("other_route 0", "voice 0", "other_route 0", "same_route 1"),
    Silence.NO_ANSWER: ("other_route 0", "voice 0", "other_route 0", "stop"),
    Silence.NO_RECEIPT: ("other_route 0", "voice 15", "other_route 0", "stop"),
    Silence.ASKED_AGAIN: ("other_route 0", "same_route 0", "other_route 0", "same_route 0"),
}


def short(step: Next) -> str:
    return step.action if step.action is Action.STOP else f"{step.action} {step.at_s:.0f}"


def changed(situation: Situation, **changes: object) -> Situation:
    return Situation(**{field: getattr(situation, field) for field in Situation.__struct_fields__} | changes)


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_is_followed_by_what_the_table_says(cause: Cause) -> None:
    overdue = changed(READY, receipt_in_s=-1.0) if cause is Silence.NO_RECEIPT else READY
    situations = (
        overdue,
        changed(overdue, other_routes=0),
        changed(overdue, call_ready=False),
        changed(overdue, other_routes=0, call_ready=False),
    )

    assert tuple(short(next_step(cause, situation)) for situation in situations) == TABLE[cause]


def test_every_silence_and_every_outcome_has_advice() -> None:
    assert set(SILENCES) | set(OUTCOMES) == set(CAUSES) == set(TABLE)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"attempts": 6}, "stop"),
        ({"affordable": False}, "stop"),
        ({"remaining_s": 4.0}, "stop"),
        ({"remaining_s": CALL_S - 0.1, "other_routes": 0}, "stop"),
        ({"remaining_s": CALL_S, "other_routes": 0}, "voice 0"),
        ({"remaining_s": USEFUL_LIFE_S - 0.1, "median_s": 1.0}, "stop"),
        ({"channels": (Channel.SMS,), "other_routes": 0}, "stop"),
        ({"channels": (Channel.VOICE,)}, "voice 0"),
    ],
)
def test_nothing_follows_that_is_not_allowed_or_would_come_too_late(
    changes: dict[str, object], step: str
) -> None:
    situation = changed(READY, call_in_s=0.0, receipt_in_s=0.0, **changes)

    assert short(next_step(Silence.NO_RECEIPT, situation)) == step


def test_third_time_somebody_asks_the_call_comes_first() -> None:
    steps = [short(next_step(Silence.ASKED_AGAIN, changed(READY, asked=n))) for n in (2, 3)]

    assert steps == ["other_route 0", "voice 0"]


def test_what_may_follow_once_follows_once() -> None:
    steps = [
        short(next_step(Outcome.EXPIRED, changed(READY, followed=followed, calls=calls)))
        for followed, calls in ((0, 0), (1, 0), (1, 1))
    ]

    assert steps == ["other_route 0", "voice 0", "stop"]


def test_same_route_is_tried_three_times_with_longer_waits() -> None:
    busy = Outcome.HANDSET_BUSY_OR_MEMORY
    tries = [short(next_step(busy, changed(ALONE, same_route_tries=n))) for n in range(4)]

    assert tries == ["same_route 2", "same_route 4", "same_route 8", "stop"]


@pytest.mark.parametrize("cause", [Outcome.THROTTLED, Silence.NOT_TAKEN])
def test_what_nobody_has_is_offered_again_as_long_as_it_lives(cause: Cause) -> None:
    tries = [short(next_step(cause, changed(ALONE, same_route_tries=n))) for n in (0, 1, 2, 3, 30)]
    late = short(next_step(cause, changed(ALONE, same_route_tries=30, remaining_s=14.9)))

    assert [*tries, late] == [
        *("same_route 1", "same_route 2", "same_route 5", "same_route 10", "same_route 10"),
        "stop",
    ]


SITUATIONS = st.builds(
    Situation,
    remaining_s=st.floats(-10, 600),
    channels=st.sampled_from([(Channel.SMS,), (Channel.VOICE,), (Channel.SMS, Channel.VOICE), ()]),
    attempts=st.integers(0, 8),
    other_routes=st.integers(0, 3),
    median_s=st.floats(0.1, 30),
    same_route_tries=st.integers(0, 5),
    followed=st.integers(0, 3),
    calls=st.integers(0, 2),
    call_ready=st.booleans(),
    call_in_s=st.floats(-60, 60),
    receipt_in_s=st.floats(-10, 30),
    asked=st.integers(1, 5),
    affordable=st.booleans(),
)


@given(st.sampled_from(CAUSES), SITUATIONS)
def test_decision_is_always_possible_in_time_and_says_why(cause: Cause, situation: Situation) -> None:
    step = next_step(cause, situation)

    assert step.why.startswith(f"{cause}: ")
    assert step.at_s >= 0.0
    if step.action is Action.STOP:
        return
    assert situation.affordable
    assert situation.attempts < situation.attempts_max
    if step.action is Action.VOICE:
        assert situation.call_ready
        assert situation.remaining_s - step.at_s >= CALL_S
        assert Channel.VOICE in situation.channels
    else:
        assert situation.remaining_s - step.at_s >= max(situation.median_s, USEFUL_LIFE_S)
        assert Channel.SMS in situation.channels
        assert step.action is Action.SAME_ROUTE or situation.other_routes


@given(st.sampled_from(CAUSES), SITUATIONS)
def test_chain_of_decisions_ends(cause: Cause, situation: Situation) -> None:
    taken = 0
    while next_step(cause, changed(situation, attempts=situation.attempts + taken)).action is not Action.STOP:
        taken += 1

    assert taken <= situation.attempts_max

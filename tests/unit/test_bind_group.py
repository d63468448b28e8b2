"""Which bind of a group takes a message, and where it goes when that one fails."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.sms.bind_group import COPIES_MAX, MOVES_MAX, BindGroup, Count
from dastak.sms.esme import BindState
from dastak.sms.smpp_settings import BindKind, SmppSettings
from dastak.sms.submission import Accepted, Done, Submission, SubmitResult
from tests.support.smpp_pair import submission

THROTTLED = CarrierRejected("too fast", status="ESME_RTHROTTLED", outcome=Outcome.THROTTLED)
INVALID = CarrierRejected("no", status="ESME_RINVDSTADR", outcome=Outcome.UNKNOWN_NUMBER)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now


class Bind:
    """A bind in the hands of a test; `under_way` are the messages it was given and has not told of."""

    def __init__(self, *, sending: bool = True, full: bool = False) -> None:
        self.sending = sending
        self.full = full
        self.waits = False
        self.state, self.reason = BindState.BOUND, "bound"
        self.under_way: list[tuple[Submission, Done]] = []
        self.seen: list[Submission] = []

    def load(self, now: float) -> float:
        return self.waits + len(self.under_way) / 10

    def submit_nowait(self, message: Submission, done: Done) -> None:
        if self.full or not self.sending:
            raise CarrierUnavailable("full")
        self.under_way.append((message, done))
        self.seen.append(message)

    def tell(self, result: SubmitResult) -> None:
        self.under_way.pop(0)[1](result)

    def lose(self, sent: int) -> None:
        """Lose the link when so many of the messages under way were sent."""
        self.sending = False
        lost, self.under_way = self.under_way, []
        for number, (_, done) in enumerate(lost):
            done(CarrierUnavailable("link lost", outcome_unknown=number < sent))


def settings(**changes: Any) -> SmppSettings:
    return SmppSettings(**({"host": "127.0.0.1", "port": 1, "system_id": "x", "password": "x"} | changes))


def group_of(*binds: Bind) -> BindGroup:
    group = BindGroup(settings(), on_deliver=lambda delivery: None)
    group._senders = list(binds)
    group._loop = Clock()
    return group


def submit(group: BindGroup, n: int = 0) -> list[SubmitResult]:
    """Submit; the list holds what was told."""
    told: list[SubmitResult] = []
    group.submit_nowait(submission(n), told.append)
    return told


def test_messages_are_spread_over_equal_binds() -> None:
    binds = Bind(), Bind(), Bind()
    group = group_of(*binds)

    for n in range(9):
        submit(group, n)

    assert [len(bind.seen) for bind in binds] == [3, 3, 3]


def test_least_loaded_bind_takes_the_message_and_one_that_waits_is_last() -> None:
    throttled, busy, down = Bind(), Bind(), Bind(sending=False)
    throttled.waits = True
    group = group_of(throttled, busy, down)

    for n in range(5):
        submit(group, n)

    assert [len(bind.seen) for bind in (throttled, busy, down)] == [0, 5, 0]


def test_throttled_message_goes_at_once_to_another_bind() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = submit(group)

    first.tell(THROTTLED)

    assert told == []
    second.tell(Accepted("7"))
    assert told == [Accepted("7")]
    assert group.counts == {Count.SUBMITTED: 1, Count.THROTTLED: 1, Count.MOVED: 1, Count.ACCEPTED: 1}


def test_message_that_every_bind_throttles_is_refused_after_the_last() -> None:
    binds = Bind(), Bind(), Bind()
    group = group_of(*binds)
    told = submit(group)

    for _ in binds:
        next(bind for bind in binds if bind.under_way).tell(THROTTLED)

    assert told == [THROTTLED]
    assert [len(bind.seen) for bind in binds] == [1, 1, 1]
    assert group.counts[Count.THROTTLED] == 3


def test_other_refusals_are_final_on_the_first_bind() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = submit(group)

    first.tell(INVALID)

    assert told == [INVALID]
    assert second.seen == []


def test_lost_bind_moves_what_waits_and_resubmits_what_is_in_doubt() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = [submit(group, n) for n in range(5)]
    second.waits = False

    first.lose(sent=3)
    while second.under_way:
        second.tell(Accepted("id"))

    assert told == [[Accepted("id")]] * 5
    assert sorted(message.user_message_reference for message in second.seen) == [0, 1, 2, 3, 4]
    assert group.counts == {
        Count.SUBMITTED: 5,
        Count.RESUBMITTED: 3,
        Count.MOVED: 2,
        Count.ACCEPTED: 5,
    }


def test_resubmitted_message_takes_the_time_that_went_by_from_its_life() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    submit(group)
    group._loop.now = 2.5

    first.lose(sent=1)

    assert [first.seen[0].validity_s, second.seen[0].validity_s] == [300, 298]


def test_message_is_not_handed_on_after_its_life() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = submit(group)
    group._loop.now = 300.0

    first.lose(sent=1)

    assert len(told) == 1
    assert second.seen == []


@pytest.mark.parametrize("later", [THROTTLED, CarrierUnavailable("no room in time")])
def test_doubt_stays_when_the_second_bind_cannot_take_the_copy(later: CarrierRejected) -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = submit(group)

    first.lose(sent=1)
    second.tell(later)

    (result,) = told
    assert isinstance(result, CarrierUnavailable)
    assert result.outcome_unknown


def test_judgement_of_the_number_ends_the_doubt() -> None:
    first, second = Bind(), Bind()
    second.waits = True
    group = group_of(first, second)
    told = submit(group)

    first.lose(sent=1)
    second.tell(INVALID)

    assert told == [INVALID]


def test_only_bind_that_is_lost_leaves_its_messages_in_doubt() -> None:
    only = Bind()
    group = group_of(only)
    told = submit(group)

    only.lose(sent=1)

    (result,) = told
    assert isinstance(result, CarrierUnavailable)
    assert result.outcome_unknown
    assert group.counts[Count.RESUBMITTED] == 0


def test_copies_in_doubt_are_few() -> None:
    binds = Bind(), Bind()
    group = group_of(*binds)
    told = submit(group)

    for _ in range(COPIES_MAX + 2):
        holder = next((bind for bind in binds if bind.under_way), None)
        if holder is not None:
            holder.lose(sent=1)
            holder.sending = True  # it comes back

    (result,) = told
    assert isinstance(result, CarrierUnavailable)
    assert result.outcome_unknown
    assert sum(len(bind.seen) for bind in binds) == COPIES_MAX


def test_message_that_is_never_sent_moves_on_as_often_as_binds_die() -> None:
    binds = Bind(), Bind()
    group = group_of(*binds)
    told = submit(group)

    for _ in range(MOVES_MAX):
        holder = next(bind for bind in binds if bind.under_way)
        holder.lose(sent=0)
        holder.sending = True

    assert told == []
    next(bind for bind in binds if bind.under_way).tell(Accepted("1"))
    assert told == [Accepted("1")]
    assert group.counts[Count.MOVED] == MOVES_MAX


def test_full_bind_is_passed_over_and_none_left_is_unavailable() -> None:
    full, free = Bind(full=True), Bind()
    free.waits = True
    group = group_of(full, free)

    submit(group)
    assert len(free.seen) == 1
    free.full = True
    with pytest.raises(CarrierUnavailable):
        submit(group)


def test_pairs_are_as_many_receivers_and_transmitters() -> None:
    group = BindGroup(settings(binds=2, bind_kind=BindKind.PAIR), on_deliver=lambda delivery: None)

    assert [(bind.name, bind.kind) for bind in group.binds()] == [
        ("1-receiver", BindKind.RECEIVER),
        ("2-receiver", BindKind.RECEIVER),
        ("1-transmitter", BindKind.TRANSMITTER),
        ("2-transmitter", BindKind.TRANSMITTER),
    ]
    assert [bind.settings.bind_kind for bind in group._senders] == [BindKind.TRANSMITTER] * 2


def test_binds_take_turns_among_the_carriers_addresses() -> None:
    wanted = settings(binds=3, bind_kind=BindKind.PAIR, also_at=("b:2",))
    group = BindGroup(wanted, on_deliver=lambda delivery: None)

    found = {name: (bind.settings.host, bind.settings.port) for name, bind in group._binds.items()}

    assert found == {
        f"{number}-{kind}": ("127.0.0.1", 1) if number != 2 else ("b", 2)
        for number in (1, 2, 3)
        for kind in ("receiver", "transmitter")
    }


def test_binds_start_one_after_the_other() -> None:
    group = BindGroup(settings(binds=4), on_deliver=lambda delivery: None, chance=Random(1))

    starts = [bind._start_after_s for bind in group._senders]

    assert starts[0] == 0.0
    assert all(0.1 * n <= start <= 0.2 * n for n, start in enumerate(starts))
    assert len(set(starts)) == 4


class EveryMessageIsToldOnce(RuleBasedStateMachine):
    """Whatever binds do, each message ends once, after a bounded number of moves and copies."""

    messages = Bundle("messages")

    @initialize(count=st.integers(1, 4))
    def begin(self, count: int) -> None:
        self.binds = [Bind() for _ in range(count)]
        self.group = group_of(*self.binds)
        self.told: dict[int, list[SubmitResult]] = {}
        self.count = 0

    @rule(target=messages)
    def submit(self) -> int:
        self.count += 1
        told = self.told[self.count] = []
        try:
            self.group.submit_nowait(submission(self.count % 100_000), told.append)
        except CarrierUnavailable as refused:
            told.append(refused)
        return self.count

    @rule(place=st.integers(0, 3), result=st.sampled_from([Accepted("1"), THROTTLED, INVALID]))
    def answer(self, place: int, result: SubmitResult) -> None:
        bind = self.binds[place % len(self.binds)]
        if bind.under_way:
            bind.tell(result)

    @rule(place=st.integers(0, 3), sent=st.integers(0, 5))
    def lose(self, place: int, sent: int) -> None:
        self.binds[place % len(self.binds)].lose(sent)

    @rule(place=st.integers(0, 3))
    def come_back(self, place: int) -> None:
        self.binds[place % len(self.binds)].sending = True

    @rule(message=consumes(messages))
    def forget(self, message: int) -> None:
        assert len(self.told[message]) <= 1

    @invariant()
    def each_is_under_way_or_told_once(self) -> None:
        under_way = sum(len(bind.under_way) for bind in self.binds)
        ended = [told for told in self.told.values() if told]
        assert all(len(told) == 1 for told in ended)
        assert under_way + len(ended) == self.count
        offered = Counter(message.user_message_reference for bind in self.binds for message in bind.seen)
        assert all(count <= 1 + MOVES_MAX for count in offered.values())


EveryMessageIsToldOnce.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30)
TestEveryMessageIsToldOnce = EveryMessageIsToldOnce.TestCase

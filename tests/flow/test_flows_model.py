"""Whatever people, carriers, crashes and the clock do, in any order, the laws of the house hold.

The model is a dictionary that says what must come of each request; the laws are those of
docs/explanation/invariants.md.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from dastak.core import codes
from dastak.core.codes import MATCH_DIGITS
from dastak.core.errors import CarrierUnavailable, DastakError
from dastak.core.events import Event, MessageResumed, VerificationApproved
from dastak.core.ids import VerificationId
from dastak.core.lockout import DAY, HOUR, LEGACY_WRONG_PER_DAY_MAX, WRONG_PER_DAY_MAX, WRONG_PER_HOUR_MAX
from dastak.core.message import Message, MessageKey, MessageState
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel, Policy, ResendCode
from dastak.core.verification import Judgement, Particulars, Reason, State, Verification
from dastak.flows.match import match
from dastak.guard.buckets import Rate
from dastak.guard.call_limits import CallSettings
from tests.flow.test_fall_back import with_calls
from tests.support.house import MEMORY, FakeClock, House, ScriptedRoute, open_house
from tests.support.samples import NOW, RING, some_msisdn

T = TypeVar("T")

TTL_S, ATTEMPTS, RESENDS, WAITS_S = 120, 3, 2, (10, 30)
OWN_CODE = "hunter2024"
# Of the limits on calls one is modelled, which is met within a minute; of texts none is.
APART = timedelta(seconds=30)
ANY = Rate(count=100_000, per_s=1)
CALLS_APART = CallSettings(apart=Rate(count=1, per_s=int(APART.total_seconds())), hourly=ANY, daily=ANY)
# What may become of a message, in any number of steps.
AFTER = {
    MessageState.QUEUED: set(MessageState),
    MessageState.SUBMITTED: {MessageState.SUBMITTED, MessageState.UNDELIVERED, MessageState.DELIVERED},
    MessageState.UNDELIVERED: {MessageState.UNDELIVERED, MessageState.DELIVERED},
    MessageState.DELIVERED: {MessageState.DELIVERED},
    MessageState.EXPIRED: {MessageState.EXPIRED},
}
CLOSED = {
    State.APPROVED: Reason.CONSUMED,
    State.EXHAUSTED: Reason.EXHAUSTED,
    State.EXPIRED: Reason.EXPIRED,
    State.CANCELED: Reason.CANCELED,
    State.FAILED: Reason.FAILED,
}


@dataclass
class Known:
    """What the model knows of one verification."""

    started: Verification
    own: bool
    match: bool = False
    state: State = State.PENDING
    attempts: int = 0
    generation: int = 0
    sent_at: list[datetime] = field(default_factory=list)
    approvals: int = 0

    def over(self, now: datetime) -> bool:
        return now >= self.started.created_at + timedelta(seconds=TTL_S)


class HouseAgainstDictionary(RuleBasedStateMachine):
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.runner, self.folder, self.clock = asyncio.Runner(), TemporaryDirectory(dir=MEMORY), FakeClock()
        self.known: dict[VerificationId, Known] = {}
        self.wrong_at_s: defaultdict[str, list[int]] = defaultdict(list)
        self.called_at: dict[str, datetime] = {}
        self.messages: dict[MessageKey, MessageState] = {}
        self.carried: dict[str, MessageKey] = {}
        self.told: defaultdict[VerificationId, list[Event]] = defaultdict(list)
        self.processes = 0

    @initialize(resend_code=st.sampled_from(ResendCode), guessed_at=st.booleans())
    def the_service_has_a_policy_and_perhaps_a_past(self, resend_code: ResendCode, guessed_at: bool) -> None:
        self.policy = Policy(
            ttl_s=TTL_S,
            attempts_max=ATTEMPTS,
            resends_max=RESENDS,
            resend_waits_s=WAITS_S,
            resend_code=resend_code,
        )
        self.run(self.open())
        if guessed_at:
            for _ in range(WRONG_PER_HOUR_MAX // ATTEMPTS):
                started = self.somebody_starts(some_msisdn(1), "generic", own=False, sent=True)
                self.somebody_types_a_wrong_code(started, ATTEMPTS)

    async def open(self) -> None:
        self.processes += 1
        self.stack = AsyncExitStack()
        self.seen = self.heard = 0
        # Each process draws other random octets, and no carrier gives an id twice.
        route = ScriptedRoute(f"north{self.processes}")
        self.calls = ScriptedRoute(f"trunk{self.processes}")
        opened = open_house(
            Path(self.folder.name),
            route,
            clock=self.clock,
            policy=self.policy,
            seed=self.processes,
            call_limits=CALLS_APART,
        )
        self.house: House = await self.stack.enter_async_context(opened)
        self.house.told_of_each = self.told
        with_calls(self.house, self.calls)
        self.house.ports.calls.seed(await self.house.store.calls_since(NOW))
        await self.house.store.recover(self.clock.now())

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(doing)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(
        target=ids,
        number=st.integers(1, 2).map(some_msisdn),
        purpose=st.sampled_from(["login", "signup", "reset"]),
        own=st.booleans(),
        sent=st.booleans(),
    )
    def somebody_starts(self, number: str, purpose: str, own: bool, sent: bool) -> VerificationId:
        for known in self.known.values():
            same = (known.started.msisdn, known.started.particulars.purpose) == (number, purpose)
            if same and known.state is State.PENDING:
                known.state = State.CANCELED

        started = self.run(
            self.house.start(number, code=OWN_CODE if own else None, particulars=Particulars(purpose=purpose))
        )

        self.known[started.id] = Known(started, own, sent_at=[self.clock.now()])
        if sent:
            self.what_is_queued_is_delivered()
        return started.id

    @rule(target=ids, number=st.integers(1, 2).map(some_msisdn), called=st.booleans())
    def somebody_starts_and_is_to_type_a_number(
        self, number: str, called: bool
    ) -> VerificationId | MultipleResults[VerificationId]:
        generic = Particulars(purpose="generic")
        if self.was_just_called(number):
            asked = self.house.ask(number, match=True, particulars=generic)
            assert self.came_of(asked) == "rate_limited"
            return multiple()
        for known in self.known.values():
            same = (known.started.msisdn, known.started.particulars.purpose) == (number, "generic")
            if same and known.state is State.PENDING:
                known.state = State.CANCELED

        started = self.run(self.house.start(number, match=True, particulars=generic))

        self.known[started.id] = Known(started, False, match=True, sent_at=[self.clock.now()])
        if called:
            self.what_is_queued_is_delivered()
        return started.id

    @rule(of=ids, right=st.booleans(), times=st.integers(1, ATTEMPTS + 1))
    def somebody_types_a_number_into_the_phone(self, of: VerificationId, right: bool, times: int) -> None:
        known = self.known[of]
        number = codes.match_number(
            RING.keys[known.started.key_id], verification_id=of, generation=known.generation
        )
        for _ in range(times):
            if not known.match:
                assert self.run(match(self.house.ports, of, number)) is None
                continue
            judged = self.judged(of, None if right else Reason.WRONG_NUMBER)
            typed = number if right else str(int(number) + 1)
            self.came_to(of, judged, self.run(match(self.house.ports, of, typed)))

    @rule(of=ids, times=st.integers(1, ATTEMPTS + 1))
    def somebody_types_a_wrong_code(self, of: VerificationId, times: int) -> None:
        for _ in range(times):
            self.check(of, "000000000", Reason.WRONG_CODE)

    @rule(of=ids)
    def somebody_types_the_newest_code(self, of: VerificationId) -> None:
        self.check(of, self.code(of, self.known[of].generation), None)

    @rule(of=ids)
    def somebody_types_the_first_code(self, of: VerificationId) -> None:
        newest = self.known[of].generation == 0
        self.check(of, self.code(of, 0), None if newest else Reason.OLDER_CODE)

    @rule(of=ids, patient=st.booleans(), by=st.sampled_from([None, Channel.SMS]))
    def somebody_asks_again(self, of: VerificationId, patient: bool, by: Channel | None) -> None:
        known = self.known[of]
        now = self.clock.advance(max(WAITS_S) if patient else 0)
        expected = "done"
        if known.match and by is None and self.was_just_called(known.started.msisdn):
            expected = "rate_limited"
        elif known.state is not State.PENDING or known.over(now) or len(known.sent_at) > RESENDS:
            expected = "conflict"
        elif now < known.sent_at[-1] + timedelta(seconds=WAITS_S[len(known.sent_at) - 1]):
            expected = "rate_limited"

        assert self.came_of(self.house.resend(known.started, by)) == expected

        if expected != "done":
            return
        known.sent_at.append(now)
        known.match = known.match and by is None
        if self.policy.resend_code is ResendCode.NEW and not known.own:
            known.generation += 1

    @rule(of=ids)
    def somebody_cancels(self, of: VerificationId) -> None:
        known = self.known[of]
        open_yet = known.state is State.PENDING and not known.over(self.clock.now())

        assert self.came_of(self.house.cancel(known.started)) == ("done" if open_yet else "conflict")

        if open_yet:
            known.state = State.CANCELED

    @rule(seconds=st.sampled_from([1, 5, 10, 60, TTL_S - 0.001, TTL_S, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def what_is_queued_is_delivered(self) -> None:
        self.run(self.house.deliver())
        self.run(self.house.deliver_due())
        self.see_offers()

    @rule(offers=st.integers(1, 3))
    def the_carrier_is_away_for_a_while(self, offers: int) -> None:
        self.house.routes[0].script += [CarrierUnavailable("Away.", outcome_unknown=True)] * offers

    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def a_receipt_comes(self, data: st.DataObject, outcome: Outcome) -> None:
        if not self.carried:
            return
        ref = data.draw(st.sampled_from(sorted(self.carried)))
        key = self.carried[ref]
        known = self.known[key.verification]
        fails = outcome is Outcome.UNKNOWN_NUMBER and known.state is State.PENDING
        reported = outcome is Outcome.REPORTED and known.state is State.PENDING
        delivered = self.messages[key] is MessageState.DELIVERED
        on_its_way = self.messages[key] is MessageState.SUBMITTED

        assert self.came_of(self.house.receive(ref, outcome)) == ("not_found" if delivered else "done")

        if fails and not delivered:
            known.state = State.FAILED
        if reported and on_its_way:
            known.state = State.CANCELED

    @rule()
    def the_sweeper_comes(self) -> None:
        now = self.clock.now()
        for known in self.known.values():
            if known.state is State.PENDING and known.over(now):
                known.state = State.EXPIRED

        swept = self.run(self.house.store.sweep(now, keep_after=NOW, limit=1000))
        for verification, events in swept.expired:
            self.house.ports.publish(verification, events)

    @rule()
    def the_process_dies_and_another_begins(self) -> None:
        self.run(self.stack.aclose())
        self.run(self.open())

    def was_just_called(self, number: str) -> bool:
        """Say whether a number may not be called yet."""
        return number in self.called_at and self.clock.now() < self.called_at[number] + APART

    def came_of(self, asked: Coroutine[Any, Any, object]) -> str:
        """Return `done`, or the public code of the refusal."""
        try:
            self.run(asked)
        except DastakError as refusal:
            return refusal.code
        return "done"

    def code(self, of: VerificationId, generation: int) -> str:
        known = self.known[of]
        return OWN_CODE if known.own else self.house.code(known.started, generation)

    def check(self, of: VerificationId, typed: str, if_open: Reason | None) -> None:
        """Check a code that an open verification answers with `if_open`; None approves."""
        if self.known[of].match:
            assert self.came_of(self.house.check(self.known[of].started, typed)) == "nothing_to_check"
            return
        expected = self.judged(of, if_open)
        self.came_to(of, expected, self.run(self.house.check(self.known[of].started, typed)))

    def judged(self, of: VerificationId, if_open: Reason | None) -> Reason | None:
        """Judge an attempt as the model does, which an open verification answers with `if_open`."""
        known, now = self.known[of], self.clock.now()
        if known.state is State.PENDING and known.over(now):
            known.state = State.EXPIRED
        wrong_at_s = self.wrong_at_s[known.started.msisdn]
        per_day = LEGACY_WRONG_PER_DAY_MAX if known.started.policy.legacy else WRONG_PER_DAY_MAX
        is_locked = locked(wrong_at_s, now, per_day)
        expected = CLOSED.get(known.state) or (Reason.LOCKED if is_locked else if_open)
        if expected is None:
            known.state = State.APPROVED
        elif expected is if_open:
            wrong_at_s.append(int(now.timestamp()))
            known.attempts += 1
            known.state = State.EXHAUSTED if known.attempts == ATTEMPTS else known.state

        return expected

    def came_to(self, of: VerificationId, expected: Reason | None, judged: Judgement | None) -> None:
        """Hold what an attempt came to to what the model expects."""
        assert judged is not None
        self.known[of].approvals += judged.approved
        assert (judged.approved, judged.reason) == (expected is None, expected)

    def see_offers(self) -> None:
        """Hold what a route was offered just now to the law that nothing is sent after the end."""
        offered = self.house.routes[0].offered
        new, self.seen = offered[self.seen :], len(offered)
        for outgoing in new:
            known = self.known[outgoing.key.verification]
            assert known.state is State.PENDING
            assert self.clock.now() + timedelta(seconds=outgoing.validity_s) <= known.started.expires_at
            sent = [self.code(outgoing.key.verification, n) for n in range(known.generation + 1)]
            assert outgoing.text.startswith(tuple(sent))
        called = self.calls.offered
        new, self.heard = called[self.heard :], len(called)
        for outgoing in new:
            known = self.known[outgoing.key.verification]
            assert known.state is State.PENDING
            assert not self.was_just_called(known.started.msisdn)
            self.called_at[known.started.msisdn] = self.clock.now()
            assert bool(outgoing.match_digits) != bool(outgoing.code)
            sent = [self.code(outgoing.key.verification, n) for n in range(known.generation + 1)]
            assert outgoing.match_digits == MATCH_DIGITS if known.match else outgoing.code in sent

    @invariant()
    def single_use(self) -> None:
        for of, known in self.known.items():
            told = sum(isinstance(event, VerificationApproved) for event in self.told[of])
            assert known.approvals == told == (known.state is State.APPROVED)

    @invariant()
    def the_database_is_the_truth(self) -> None:
        for known in self.known.values():
            kept = self.run(self.house.found(known.started))
            assert (kept.state, kept.attempts, kept.generation, kept.sends) == (
                known.state,
                known.attempts,
                known.generation,
                len(known.sent_at),
            )
            assert kept.expires_at == known.started.expires_at

    @invariant()
    def every_fact_told_is_on_the_timeline(self) -> None:
        for of, known in self.known.items():
            timeline = self.run(self.house.timeline(known.started))
            # What a restart found is written down before anybody listens.
            kept = [event for event in timeline if not isinstance(event, MessageResumed)]
            assert Counter(kept) == Counter(self.told[of])

    @invariant()
    def no_own_code_is_kept_when_it_is_over(self) -> None:
        for known in self.known.values():
            if known.state is not State.PENDING:
                kept = self.run(self.house.found(known.started))
                assert (kept.own_code_digest, kept.own_code_sealed) == (None, None)

    @invariant()
    def no_message_goes_back(self) -> None:
        for message in self.run(self.all_messages()):
            before = self.messages.get(message.key, MessageState.QUEUED)
            assert message.state in AFTER[before]
            if message.state is not MessageState.SUBMITTED:
                assert (message.due_at is None) == (message.state is not MessageState.QUEUED)
            self.messages[message.key] = message.state
            if message.carrier is not None:
                self.carried[message.carrier.ref] = message.key

    async def all_messages(self) -> list[Message]:
        kept = [await self.house.found(known.started) for known in self.known.values()]
        return await asyncio.gather(
            *(
                self.house.message(verification, ordinal)
                for verification in kept
                for ordinal in range(verification.sends + verification.fallbacks)
            )
        )


def locked(wrong_at_s: list[int], now: datetime, per_day: int) -> bool:
    """Say whether a number had too many wrong attempts in the last hour or day."""
    return any(
        len(wrong_at_s) >= most and now < datetime.fromtimestamp(wrong_at_s[-most], UTC) + window
        for most, window in ((WRONG_PER_HOUR_MAX, HOUR), (per_day, DAY))
    )


TestHouseAgainstDictionary = HouseAgainstDictionary.TestCase
TestHouseAgainstDictionary.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

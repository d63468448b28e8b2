"""Any sequence of operations leaves a store as it leaves a dictionary that follows the same rules."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from dastak.core import verification as rules
from dastak.core.events import VerificationApproved
from dastak.core.ids import VerificationId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.ports import Change, Filter, Held
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State, Typed, Verification
from tests.support.samples import (
    NOW,
    checking,
    settling,
    some_msisdn,
    some_opening,
    some_verification,
    submitting,
)
from tests.support.stores import STORES, Open

TENANTS = st.integers(1, 2)
NUMBERS = st.integers(1, 2).map(some_msisdn)


class StoreAgainstDictionary(RuleBasedStateMachine):
    open_store: Open

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.verifications: dict[VerificationId, Verification] = {}
        self.tallies: dict[tuple[int, bool, Msisdn], Tally] = {}
        self.messages: dict[VerificationId, Message] = {}
        self.now: datetime = NOW
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self._open()

    def _open(self) -> None:
        self.store = self.runner.run(self._entered())

    async def _entered(self) -> Any:
        store = type(self).open_store(Path(self.folder.name))
        return await store.__aenter__()

    def _run(self, operation: Awaitable[Any]) -> Any:
        async def operated() -> Any:
            return await operation

        return self.runner.run(operated())

    def teardown(self) -> None:
        self._run(self.store.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()

    def _held(self, verification_id: VerificationId) -> Held:
        verification = self.verifications[verification_id]
        return Held(verification, self.tallies.get(_counted(verification), CLEAN))

    def _model(self, held: Held, change: Change[Any]) -> Any:
        """Apply a change to the dictionaries."""
        verification = held.verification
        self.verifications[verification.id] = change.verification or verification
        if change.tally is not None:
            self.tallies[_counted(verification)] = change.tally
        if change.message is not None:
            self.messages[verification.id] = change.message
        return change.answer

    @rule(
        target=ids,
        tenant=TENANTS,
        service=st.integers(1, 2),
        msisdn=NUMBERS,
        mode=st.sampled_from([Mode.LIVE, Mode.TEST]),
        purpose=st.sampled_from(["login", "pay"]),
    )
    def open(self, tenant: int, service: int, msisdn: Msisdn, mode: Mode, purpose: str) -> VerificationId:
        new = some_verification(
            tenant=tenant,
            service=service,
            mode=mode,
            msisdn=msisdn,
            particulars=Particulars(purpose=purpose),
            created_at=self.now,
        )
        opening = some_opening(new)
        for old in list(self.verifications.values()):
            same = (old.tenant, old.service, old.msisdn, old.mode, old.particulars.purpose)
            if same == (tenant, service, msisdn, mode, purpose) and old.state is State.PENDING:
                self._model(self._held(old.id), opening.supersede(old))
        self.verifications[new.id], self.messages[new.id] = new, opening.message

        self._run(self.store.open(opening))
        return new.id

    @rule(verification_id=ids, typed=st.lists(st.sampled_from(Typed), min_size=1, max_size=6))
    def check(self, verification_id: VerificationId, typed: list[Typed]) -> None:
        if verification_id not in self.verifications:
            return
        expected = [
            self._model(self._held(verification_id), checking(t, self.now)(self._held(verification_id)))
            for t in typed
        ]

        async def at_once() -> list[Any]:
            return await asyncio.gather(
                *(self.store.decide(verification_id, checking(t, self.now)) for t in typed)
            )

        assert self._run(at_once()) == expected

    @rule(verification_id=ids)
    def submit(self, verification_id: VerificationId) -> None:
        self._move(verification_id, submitting(CarrierRef("north", verification_id.hex()), self.now))

    @rule(
        verification_id=ids,
        outcome=st.sampled_from([Outcome.DELIVERED, Outcome.UNKNOWN_NUMBER, Outcome.UNKNOWN]),
    )
    def settle(self, verification_id: VerificationId, outcome: Outcome) -> None:
        carrier = CarrierRef("north", verification_id.hex())
        self._move(verification_id, settling(carrier, outcome, self.now))

    def _move(self, verification_id: VerificationId, change: Any) -> None:
        if verification_id not in self.verifications:
            return
        held = replace(self._held(verification_id), message=self.messages[verification_id])
        expected = self._model(held, change(held))

        assert self._run(self.store.decide(MessageKey(verification_id, 0), change)) == expected

    @rule(tenant=TENANTS, msisdn=NUMBERS)
    def unlock(self, tenant: int, msisdn: Msisdn) -> None:
        had = [self.tallies.pop((tenant, test, msisdn), CLEAN) for test in (False, True)]

        assert self._run(self.store.unlock(tenant, msisdn)) is (had != [CLEAN, CLEAN])

    @rule(seconds=st.integers(1, 200))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(kept_s=st.integers(300, 1200))
    def sweep(self, kept_s: int) -> None:
        expired = set()
        for verification in list(self.verifications.values()):
            step = rules.expire(verification, now=self.now)
            if step.events:
                expired.add((step.verification.id, step.events))
            self.verifications[verification.id] = step.verification
        keep_after = self.now - timedelta(seconds=kept_s)
        for verification in list(self.verifications.values()):
            if verification.created_at < keep_after and verification.state is not State.PENDING:
                del self.verifications[verification.id], self.messages[verification.id]
        self.tallies = {
            number: tally
            for number, tally in self.tallies.items()
            if tally.wrong_at_s and tally.wrong_at_s[-1] >= int(keep_after.timestamp())
        }

        swept = self._run(self.store.sweep(self.now, keep_after=keep_after, limit=1000))

        assert {(verification.id, events) for verification, events in swept.expired} == expired

    @rule()
    def take_due(self) -> None:
        until = self.now + timedelta(seconds=30)
        expected = set()
        for verification_id, message in self.messages.items():
            if message.state is MessageState.QUEUED and message.due_at <= self.now:
                self.messages[verification_id] = replace(message, due_at=until)
                expected.add(verification_id)

        due = self._run(self.store.due(self.now, lease_until=until, limit=1000))

        assert {held.verification.id for held in due} == expected
        assert all(held.message == self.messages[held.verification.id] for held in due)

    @rule()
    def reopen(self) -> None:
        self._run(self.store.__aexit__(None, None, None))
        self._open()

    @invariant()
    def everything_is_as_the_dictionary_has_it(self) -> None:
        for verification_id in self.verifications:
            held = self._held(verification_id)
            assert self._run(self.store.find(held.verification.tenant, verification_id)) == held
        for tenant in (1, 2):
            listed = self._run(self.store.list(Filter(tenant=tenant, limit=200))).verifications
            assert listed == tuple(v for v in reversed(self.verifications.values()) if v.tenant == tenant)

    @invariant()
    def nothing_is_approved_twice(self) -> None:
        for verification in self.verifications.values():
            told = self._run(self.store.timeline(verification.tenant, verification.id))
            approvals = sum(isinstance(event, VerificationApproved) for event in told)
            assert approvals == (verification.state is State.APPROVED)


def _counted(verification: Verification) -> tuple[int, bool, Msisdn]:
    """Return where wrong attempts count: those with test keys apart."""
    return verification.tenant, verification.mode is Mode.TEST, verification.msisdn


# Over two nodes what comes at once has no order that the dictionary could know.
@pytest.mark.parametrize("name", [name for name in STORES if name != "two nodes"])
def test_store_is_as_a_dictionary_that_follows_the_same_rules(name: str) -> None:
    machine = type("Machine", (StoreAgainstDictionary,), {"open_store": staticmethod(STORES[name])})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

"""Everything that changes the SQLite database, as it runs inside one transaction of the group commit.

1. An operation may refuse before its first write and never after it, so that refusing costs nothing.
2. Everything is serial: what a rule was shown is still so when its change is written.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from dastak.core import verification as rules
from dastak.core.call_terms import barred
from dastak.core.errors import Conflict, IdempotencyMismatch, NotFound, Refused
from dastak.core.events import CallReported, Event, MessageResumed
from dastak.core.ids import VerificationId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.message import CarrierRef, Message, MessageKey
from dastak.core.past_use import Judge, LookFurther, PastCall, PastSend
from dastak.core.policy import TTL_S_MAX, Policy
from dastak.core.ports import Change, Held, Once, Opening, Replayed, Swept
from dastak.core.spend import TENANT_CAP, Correction, Spend
from dastak.core.verification import Verification
from dastak.store import rows
from dastak.store.desk import Execute
from dastak.store.factor_tables import factor_of, kept_row
from dastak.store.old_rows import sweep_rest
from dastak.store.recent import Known, Recent

T = TypeVar("T")

POLICIES_MAX: Final = 1024


class Writes:
    """The operations of one connection; each runs between BEGIN and COMMIT.

    Args:
        connection: Writes.
        statements: By name.
        named: Runs them by name, for what is not hot.
    """

    def __init__(self, connection: sqlite3.Connection, statements: Mapping[str, str], named: Execute) -> None:
        self._execute = connection.cursor().execute
        self._named = named
        self._sql = statements
        self._policies: dict[Policy, int] = {}
        self._recent = Recent()

    def forget(self) -> None:
        """Drop what was remembered, for the database may have something else."""
        self._policies.clear()
        self._recent.clear()

    def open(self, opening: Opening[T], once: Once | None) -> T | Replayed:
        """See `Store.open`."""
        if once is not None and (kept := self.kept(once)) is not None:
            return kept
        verification = opening.verification
        replaced = self._replaced(verification)
        if opening.judge is not None:
            self._ask(opening.judge)
        if opening.spend is not None:
            self._charge(verification.tenant, opening.spend)
        for old_n, held in replaced:
            self._apply(old_n, held, opening.supersede(held.verification))
        row = rows.verification_row(verification, self._policy(verification.policy), opening.events)
        n = self._execute(self._sql["insert_verification"], row).lastrowid
        assert n is not None
        if opening.message is not None:
            self._execute(self._sql["insert_message"], rows.message_row(opening.message, opening.trace, n=n))
            self._recent.keep(Known(n, verification, opening.message))
        if once is not None:
            self._keep(once, opening.answer)
        return opening.answer

    def decide(
        self,
        key: VerificationId | MessageKey | CarrierRef,
        rule: Callable[[Held], Change[T]],
        tenant: int | None,
        once: Once | None,
        judge: Judge | None,
    ) -> T | Replayed:
        """See `Store.decide`."""
        if once is not None and (kept := self.kept(once)) is not None:
            return kept
        n, held = self._held(key, tenant)
        change = rule(held)
        if judge is not None:
            self._ask(judge)
        if change.spend is not None:
            self._charge(held.verification.tenant, change.spend)
        if change.correction is not None:
            self._correct(held.verification.tenant, change.correction)
        self._apply(n, held, change)
        if once is not None:
            self._keep(once, change.answer)
        return change.answer

    def once(self, once: Once, write: Callable[[], T]) -> T:
        """Write something that is no verification, and keep the answer with it."""
        if self.kept(once) is not None:
            raise Conflict("The same request was answered a moment ago; send it again for that answer.")
        result = write()
        self._keep(once, result)
        return result

    def due(self, now: datetime, lease_until: datetime, limit: int) -> list[Held]:
        """See `Store.due`."""
        found = self._execute(self._sql["held_due"], (rows.to_ms(now), limit)).fetchall()
        leased = rows.to_ms(lease_until)
        for row in found:
            self._execute(self._sql["lease_message"], (leased, row[0], row[rows.HELD_COLUMNS]))
        if found:
            self._recent.clear()
        held = rows.all_held(found)
        return [Held(h.verification, h.tally, _leased(h.message, lease_until)) for h in held]

    def recover(self, now: datetime) -> int:
        """See `Store.recover`."""
        self._recent.clear()
        now_ms = rows.to_ms(now)
        # What was not due yet when the process ended was in its hands, however long ago that was.
        (ended_ms,) = self._execute(self._sql["newest_instant"]).fetchone()
        found = self._execute(self._sql["queued_messages"]).fetchall()
        for n, ordinal, due_at_ms in found:
            in_hands = due_at_ms > min(now_ms, ended_ms)
            trace = rows.lines((MessageResumed(now_ms, ordinal),)) if in_hands else ""
            asked = (now_ms, rows.LIFE_MS_MAX, rows.TIMELINE_OCTETS_MAX, trace, n, ordinal)
            self._execute(self._sql["resume_message"], asked)
        return len(found)

    def sweep(self, now: datetime, keep_after: datetime, limit: int) -> Swept:
        """See `Store.sweep`."""
        expired = self._expire(now, limit)
        old = self._execute(self._sql["old_verifications"], (rows.to_ms(keep_after), limit)).fetchall()
        for n in old:
            self._execute(self._sql["delete_messages"], n)
            self._execute(self._sql["delete_verification"], n)
        sweep_rest(self._named, now, keep_after, limit)
        self._shrink(limit)
        if expired or old:
            self._recent.clear()
        return Swept(expired, len(old))

    def _held(self, key: VerificationId | MessageKey | CarrierRef, tenant: int | None) -> tuple[int, Held]:
        """Return the row number of what a key stands for, and what its rule shall see."""
        known = None if isinstance(key, bytes) else self._recent.find(key)
        if known is not None:
            return known.n, Held(known.verification, CLEAN, known.message)
        row = self._row(key)
        # As in `SqliteStore.find`, a foreign row is read no further.
        if row is None or (tenant is not None and row[rows.TENANT_COLUMN] != tenant):
            raise NotFound("There is no such verification.")
        held = rows.held_of(row)
        asked = held.verification.particulars.factor
        if asked is not None:
            found = self._execute(self._sql["factor_by_id"], (bytes.fromhex(asked),)).fetchone()
            held = msgspec.structs.replace(held, factor=factor_of(found))
        return row[0], held

    def _row(self, key: VerificationId | MessageKey | CarrierRef) -> Any:
        if isinstance(key, bytes):
            return self._execute(self._sql["held_by_id"], (key,)).fetchone()
        if isinstance(key, CarrierRef):
            return self._execute(self._sql["held_by_carrier"], (key.route, key.ref)).fetchone()
        return self._execute(self._sql["held_by_message"], (key.verification, key.ordinal)).fetchone()

    def _replaced(self, verification: Verification) -> list[tuple[int, Held]]:
        """Return what a new one replaces."""
        found = self._execute(
            self._sql["pending_of_number"],
            (verification.tenant, int(verification.msisdn), verification.service),
        ).fetchall()
        held = [(row[0], rows.readable(row)) for row in found]
        return [(n, old) for n, old in held if old and rules.replaces(verification, old.verification)]

    def _apply(self, n: int, held: Held, change: Change[Any]) -> None:
        before, after = held.verification, change.verification or held.verification
        if after.state is not before.state:
            self._execute(self._sql["end_verification"], rows.ended_row(after, change.events, n=n))
        elif after is not before or change.events:
            self._execute(
                self._sql["keep_verification"],
                rows.kept_row(after, change.events, octets_max=rows.TIMELINE_OCTETS_MAX, n=n),
            )
        for event in change.events:
            if type(event) is CallReported:
                mode, number = rows.MODES[after.mode], int(after.msisdn)
                self._execute(self._sql["insert_report"], (after.tenant, after.id, mode, number, event.at_ms))
        if change.tally is not None and change.tally != held.tally:
            self._put_tally(before, change.tally)
        if change.factor is not None:
            self._execute(self._sql["keep_factor"], kept_row(change.factor))
        message = change.message or held.message
        if message is not None and (message is not held.message or change.trace):
            self._put_message(n, held, message, change.trace)
        if change.follow_up is not None:
            row = rows.message_row(change.follow_up, change.follow_up_trace, n=n)
            self._execute(self._sql["insert_message"], row)
            message = change.follow_up
        if message is None:
            self._recent.drop(after.id)
        else:
            self._recent.keep(Known(n, after, message))

    def _put_message(self, n: int, held: Held, message: Message, trace: tuple[Event, ...]) -> None:
        if held.message is None or held.message.key != message.key:
            self._execute(self._sql["insert_message"], rows.message_row(message, trace, n=n))
            return
        self._execute(
            self._sql["update_message"],
            rows.moved_row(message, trace, octets_max=rows.TIMELINE_OCTETS_MAX, n=n),
        )

    def _put_tally(self, of: Verification, tally: Tally) -> None:
        number = rows.counted(of.tenant, of.mode, of.msisdn)
        if tally == CLEAN:
            self._execute(self._sql["delete_tally"], number)
            return
        last_at_s = tally.wrong_at_s[-1] if tally.wrong_at_s else 0
        self._execute(self._sql["put_tally"], (*number, rows.text(tally), last_at_s))

    def _expire(self, now: datetime, limit: int) -> tuple[tuple[Verification, tuple[Event, ...]], ...]:
        found = self._execute(self._sql["expiring"], (rows.to_ms(now), limit)).fetchall()
        expired = []
        for row in found:
            if (held := rows.readable(row)) is None:
                continue
            step = rules.expire(held.verification, now=now)
            self._execute(
                self._sql["end_verification"], rows.ended_row(step.verification, step.events, n=row[0])
            )
            expired.append((step.verification, step.events))
        return tuple(expired)

    def _shrink(self, pages: int) -> None:
        """Give free pages back to the file system, so many at most."""
        (free,) = self._execute("PRAGMA freelist_count").fetchone()
        for _ in range(min(free, pages)):
            # It has no columns, so the sqlite3 module runs it for one page only; fetching resets it.
            self._execute("PRAGMA incremental_vacuum(1)").fetchall()

    def _ask(self, judge: Judge) -> None:
        """Show a judge what a number had. Raises: DastakError (the judge refuses)."""
        since = judge.since
        if since is not None and isinstance(judge.use, PastCall):
            since -= timedelta(seconds=TTL_S_MAX)  # a call is younger than its verification by so much
        try:
            judge.rule(self._past(judge.use, 0 if since is None else rows.to_ms(since)), since is None)
        except LookFurther:
            judge.rule(self._past(judge.use, 0), True)

    def _past(self, use: PastSend | PastCall, since_ms: int) -> Sequence[PastSend | PastCall]:
        asked = (int(use.msisdn), since_ms)
        if isinstance(use, PastCall):
            found = self._execute(self._sql["calls_to"], asked).fetchall()
            return [call for row in found if (call := rows.call_of(row)) is not None]
        return [send for row in self._execute(self._sql["sends_to"], asked) for send in rows.sends_of(row)]

    def _charge(self, tenant: int, spend: Spend) -> None:
        for account in spend.accounts:
            row = self._execute(self._sql["account"], (account.name, spend.day)).fetchone()
            if (0 if row is None else row[0]) + spend.micros > account.cap_micros:
                raise barred(account.bar)
        charged = self._execute(self._sql["spend"], (tenant, spend.day, spend.micros, spend.cap_micros))
        if charged.rowcount == 0:
            raise Refused(
                "Today's spend cap is reached; raise it, or wait for the next UTC day.", reason=TENANT_CAP
            )
        for account in spend.accounts:
            self._execute(self._sql["charge_account"], (account.name, spend.day, spend.micros))

    def _correct(self, tenant: int, correction: Correction) -> None:
        micros, reserve = correction.micros, correction.reserve
        self._execute(self._sql["correct_spend"], (tenant, reserve.day, micros))
        for name in reserve.accounts:
            self._execute(self._sql["charge_account"], (name, reserve.day, micros))

    def _policy(self, policy: Policy) -> int:
        """Return a policy's number; each is written once."""
        n = self._policies.get(policy)
        if n is None:
            body = (rows.text(policy),)
            self._execute(self._sql["insert_policy"], body)
            n = int(self._execute(self._sql["policy_number"], body).fetchone()[0])
            if len(self._policies) >= POLICIES_MAX:
                self._policies.clear()
            self._policies[policy] = n
        return n

    def kept(self, once: Once) -> Replayed | None:
        """See `Store.kept`."""
        found = self._execute(self._sql["kept_answer"], (once.key,)).fetchone()
        if found is None:
            return None
        if found[0] != once.fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key came before with another request; use a new key.")
        return Replayed(found[1])

    def _keep(self, once: Once, result: object) -> None:
        since = rows.to_ms(once.asked_at)
        self._execute(self._sql["keep_answer"], (once.key, once.fingerprint, once.render(result), since))


def _leased(message: Message | None, lease_until: datetime) -> Message:
    assert message is not None
    return msgspec.structs.replace(message, due_at=lease_until)

"""What a batch knows and what it changes: read in sets, decided in memory, written in sets.

1. Operations run one after the other on it, so each sees what those before it decided, as if they had been
   committed one by one.
2. An operation refuses before its first change here and never after it.
3. Nothing on it was written yet; it is thrown away when the commit fails.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from dastak.core.call_terms import barred
from dastak.core.errors import Refused
from dastak.core.events import CallReported, Event
from dastak.core.factor import Factor
from dastak.core.ids import VerificationId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.message import CarrierRef, Message, MessageKey, MessageState
from dastak.core.past_use import Judge, PastCall, PastSend
from dastak.core.policy import Policy
from dastak.core.ports import Change, Held, Once
from dastak.core.spend import TENANT_CAP, Correction, Spend
from dastak.core.verification import Verification, replaces
from dastak.store import rows
from dastak.store.factor_tables import kept_row
from dastak.store.postgres.wanted import Account, Number, accounts_of, in_order

NO_CAP: Final = 2**62
# What is due so soon is due at once: by so much a node's clock may be ahead. A bell too many costs a look.
AT_ONCE_S: Final = 2.0

_AWAITED: Final = {MessageState.SUBMITTED, MessageState.UNDELIVERED}


class Entry:
    """A verification as the batch has it so far."""

    def __init__(self, n: int, verification: Verification) -> None:
        self.n, self.verification = n, verification
        self.told = self.ended = ""
        self.changed = False


class Letter:
    """A message as the batch has it so far."""

    def __init__(self, n: int, message: Message) -> None:
        self.n, self.message = n, message
        self.trace = ""
        self.changed = False


class NotRead(Exception):  # noqa: N818 - a signal: the operation comes again, with this read
    """An operation of a careful batch charges accounts that the batch has not read."""

    def __init__(self, tenant: int, spend: Spend) -> None:
        super().__init__()
        self.tenant, self.spend = tenant, spend


class Sheet:
    """The state of one batch.

    Args:
        policy_of: Returns the number of a policy in the database.
        careful: Whether each charge is held against its caps here, with the accounts locked and read. Else
            the caps are looked at when the sum of all charges is written: far from a cap nobody waits.
        node: Whose batch it is.
        now_s: The time, in seconds since 1970.

    Attributes:
        rings: Whether a message is due now that this node has not in hand.
    """

    def __init__(
        self, policy_of: Mapping[Policy, int], *, careful: bool = False, node: int = 0, now_s: float = 0.0
    ) -> None:
        self._policy_of, self._careful, self._node, self._now_s = policy_of, careful, node, now_s
        self.entries: dict[VerificationId, Entry] = {}
        self._of_number: dict[Number, list[Entry]] = {}
        self.letters: dict[MessageKey, Letter] = {}
        self.by_carrier: dict[CarrierRef, MessageKey] = {}
        self.tallies: dict[Number, Tally] = {}
        self.factors: dict[str, Factor] = {}
        self.answers: dict[bytes, tuple[bytes, bytes]] = {}
        self.balances: dict[Account, int] = {}
        self.sends: defaultdict[int, list[PastSend]] = defaultdict(list)
        self.calls: defaultdict[int, list[PastCall]] = defaultdict(list)
        self.new_entries: list[dict[str, Any]] = []
        self.new_letters: list[dict[str, Any]] = []
        self.new_reports: list[dict[str, Any]] = []
        self.new_answers: list[dict[str, Any]] = []
        self.charges: dict[Account, int] = {}
        self.caps: dict[Account, int] = {}
        self.changed_tallies: set[Number] = set()
        self.changed_factors: dict[str, Factor] = {}
        self.rings = False

    def read(self, held: Held, n: int) -> None:
        """Take what a row says, unless the batch has it already."""
        verification = held.verification
        if verification.id not in self.entries:
            self._enter(Entry(n, verification))
        if held.tally is not CLEAN:
            self.tallies.setdefault(_counted(verification), held.tally)
        if held.message is not None and held.message.key not in self.letters:
            self._know(Letter(n, held.message))

    def held(self, key: VerificationId | MessageKey | CarrierRef) -> tuple[Entry, Held] | None:
        """Return what a rule shall see; None if there is no such thing."""
        message = None
        if not isinstance(key, bytes):
            at = self.by_carrier.get(key) if isinstance(key, CarrierRef) else key
            if at is None or at not in self.letters:
                return None
            message = self.letters[at].message
            key = at.verification
        entry = self.entries.get(key)
        if entry is None:
            return None
        one = entry.verification
        tally = self.tallies.get(_counted(one), CLEAN)
        asked = one.particulars.factor
        factor = None if asked is None else self.factors[asked]
        return entry, Held(one, tally, message, factor)

    def replaced(self, new: Verification) -> list[Entry]:
        """Return what a new one replaces."""
        known = self._of_number.get((new.tenant, int(new.msisdn)), ())
        return [entry for entry in known if replaces(new, entry.verification)]

    def insert(self, n: int, verification: Verification, events: tuple[Event, ...]) -> None:
        """Write a new verification."""
        row = rows.verification_row(verification, self._policy_of[verification.policy], events)
        self.new_entries.append({"n": n, **dict(zip(_VERIFICATION, row, strict=True))})
        self._enter(Entry(n, verification))

    def insert_message(self, n: int, message: Message, trace: tuple[Event, ...]) -> None:
        """Write a new message."""
        row = dict(zip(_MESSAGE, rows.message_row(message, trace, n=n), strict=True))
        # The room for more that SQLite's pages want is not wanted here.
        self.new_letters.append(row | {"trace": rows.lines(trace), "owner": message.owner})
        self._know(Letter(n, message))
        self._ring_for(message)

    def judge(self, judge: Judge, *, whole: bool) -> None:
        """Show a judge what a number had.

        Raises:
            DastakError: The judge refuses; nothing was changed.
            LookFurther: It wants the whole, and did not have it.
        """
        past = self.calls if isinstance(judge.use, PastCall) else self.sends
        judge.rule(past[int(judge.use.msisdn)], whole or judge.since is None)

    def count(self, judge: Judge) -> None:
        """Let the judges of this batch that come later see what was allowed."""
        if isinstance(judge.use, PastCall):
            self.calls[int(judge.use.msisdn)].append(judge.use)
        else:
            self.sends[int(judge.use.msisdn)].append(judge.use)

    def charge(self, tenant: int, spend: Spend) -> None:
        """Charge a spend. Raises: NotRead, Refused (a cap; nothing was charged)."""
        own, *others = accounts_of(tenant, spend)
        if not self._careful:
            caps = (spend.cap_micros, *(account.cap_micros for account in spend.accounts))
            for account, cap_micros in zip((own, *others), caps, strict=True):
                self.caps[account] = min(cap_micros, self.caps.get(account, NO_CAP))
            self._add((own, *others), spend.micros)
            return
        if any(account not in self.balances for account in (own, *others)):
            raise NotRead(tenant, spend)
        for account, cap in zip(others, spend.accounts, strict=True):
            if self.balances[account] + spend.micros > cap.cap_micros:
                raise barred(cap.bar)
        if self.balances[own] + spend.micros > spend.cap_micros:
            raise Refused(
                "Today's spend cap is reached; raise it, or wait for the next UTC day.", reason=TENANT_CAP
            )
        self._add((own, *others), spend.micros)

    def apply(self, entry: Entry, held: Held, change: Change[Any]) -> None:
        """Note what a rule decided about a verification, its message, its number and its factor."""
        self._apply_verification(entry, change)
        one = entry.verification
        for event in change.events:
            if type(event) is CallReported:
                self.new_reports.append(
                    {
                        "tenant": one.tenant,
                        "verification": one.id,
                        "mode": rows.MODES[one.mode],
                        "msisdn": int(one.msisdn),
                        "at": event.at_ms,
                    }
                )
        if change.tally is not None and change.tally != held.tally:
            number = _counted(one)
            self.tallies[number] = change.tally
            self.changed_tallies.add(number)
        if change.factor is not None and one.particulars.factor is not None:
            self.factors[one.particulars.factor] = self.changed_factors[one.particulars.factor] = (
                change.factor
            )
        if change.correction is not None:
            self._correct(one.tenant, change.correction)
        message = change.message or held.message
        if message is not None and (message is not held.message or change.trace):
            self._put_message(entry.n, held, message, change.trace)
        if change.follow_up is not None:
            self.insert_message(entry.n, change.follow_up, change.follow_up_trace)

    def keep(self, once: Once, result: object) -> None:
        """Keep the answer of an Idempotency-Key."""
        answer = once.render(result)
        self.answers[once.key] = once.fingerprint, answer
        self.new_answers.append(
            {
                "key": once.key,
                "fingerprint": once.fingerprint,
                "answer": answer,
                "since": rows.to_ms(once.asked_at),
            }
        )

    def _enter(self, entry: Entry) -> None:
        one = entry.verification
        self.entries[one.id] = entry
        self._of_number.setdefault((one.tenant, int(one.msisdn)), []).append(entry)

    def _apply_verification(self, entry: Entry, change: Change[Any]) -> None:
        before, after = entry.verification, change.verification or entry.verification
        if after.state is not before.state:
            entry.ended += rows.lines(change.events)
        elif after is not before or change.events:
            entry.told += rows.lines(change.events)
        else:
            return
        entry.verification, entry.changed = after, True

    def _put_message(self, n: int, held: Held, message: Message, trace: tuple[Event, ...]) -> None:
        if held.message is None or held.message.key != message.key:
            self.insert_message(n, message, trace)
            return
        letter = self.letters[message.key]
        letter.message, letter.changed = message, True
        letter.trace += rows.lines(trace)
        self._know(letter)
        self._ring_for(message)

    def _ring_for(self, message: Message) -> None:
        """Have a bell rung for a message that is due at once, and for another node."""
        if message.owner == self._node or message.state is not MessageState.QUEUED or message.due_at is None:
            return
        self.rings = self.rings or message.due_at.timestamp() <= self._now_s + AT_ONCE_S

    def _know(self, letter: Letter) -> None:
        message = letter.message
        self.letters[message.key] = letter
        if message.carrier is not None and message.state in _AWAITED:
            self.by_carrier[message.carrier] = message.key
        elif message.carrier is not None and self.by_carrier.get(message.carrier) == message.key:
            del self.by_carrier[message.carrier]

    def _correct(self, tenant: int, correction: Correction) -> None:
        day = correction.reserve.day
        names = ((name, day) for name in correction.reserve.accounts)
        self._add(((tenant, day), *names), correction.micros)

    def _add(self, accounts: Iterable[Account], micros: int) -> None:
        for account in accounts:
            self.charges[account] = self.charges.get(account, 0) + micros
            if account in self.balances:
                self.balances[account] += micros


_VERIFICATION: Final = (
    "id", "tenant", "service", "mode", "msisdn", "state", "policy", "key_id", "created_at", "expires_at",
    "last_sent_at", "attempts", "generation", "sends", "own_code_digest", "own_code_sealed", "particulars",
    "timeline",
)  # fmt: skip
_MESSAGE: Final = (
    "verification", "ordinal", "channel", "generation", "segments", "state", "tries", "due_at", "route",
    "carrier_ref", "tried", "reserve", "trace",
)  # fmt: skip
_KEPT: Final = (
    "last_sent_at", "attempts", "generation", "sends", "fallbacks", "own_code_digest", "own_code_sealed",
    "particulars",
)  # fmt: skip
_MOVED: Final = ("state", "tries", "due_at", "route", "carrier_ref", "tried")


def entry_row(entry: Entry) -> dict[str, Any]:
    """Return what `update_verifications` takes."""
    kept = rows.kept_row(entry.verification, (), octets_max=0, n=entry.n)
    return {
        "n": entry.n,
        "state": rows.STATES[entry.verification.state],
        **dict(zip(_KEPT, kept, strict=False)),
        "told": entry.told,
        "ended": entry.ended,
    }


def letter_row(letter: Letter) -> dict[str, Any]:
    """Return what `update_messages` takes."""
    message = letter.message
    moved = rows.moved_row(message, (), octets_max=0, n=letter.n)
    return {
        "verification": letter.n,
        "ordinal": message.key.ordinal,
        **dict(zip(_MOVED, moved, strict=False)),
        "reserve": None if message.reserve is None else rows.text(message.reserve),
        "trace": letter.trace,
        "owner": message.owner,
        "fence": message.fence,
    }


def encoded(records: Iterable[Any]) -> str:
    """Return the records of a set as the JSON that postgres.sql reads; octets in base64."""
    return msgspec.json.encode(list(records)).decode()


def changes(sheet: Sheet) -> list[tuple[str, list[Any]]]:
    """Return what must be written, in order: what is new first, and what many batches charge last."""
    tallies = sorted(sheet.changed_tallies)
    charges = [(account, sheet.charges[account]) for account in in_order(sheet.charges)]
    return [
        ("insert_verifications", sheet.new_entries),
        ("insert_messages", sheet.new_letters),
        ("update_verifications", [entry_row(e) for e in sheet.entries.values() if e.changed]),
        ("update_messages", [letter_row(m) for m in sheet.letters.values() if m.changed]),
        ("put_tallies", [_tally_row(sheet, n) for n in tallies if sheet.tallies[n] != CLEAN]),
        ("remove_tallies", [_number_row(n) for n in tallies if sheet.tallies[n] == CLEAN]),
        ("keep_factors", [_factor_row(factor) for factor in sheet.changed_factors.values()]),
        ("insert_reports", sheet.new_reports),
        ("keep_answers", sheet.new_answers),
        ("put_accounts", [_charge_row(sheet, "name", a, m) for a, m in charges if isinstance(a[0], str)]),
        ("put_spends", [_charge_row(sheet, "tenant", a, m) for a, m in charges if isinstance(a[0], int)]),
    ]


def _charge_row(sheet: Sheet, of: str, account: Account, micros: int) -> dict[str, Any]:
    return {of: account[0], "day": account[1], "micros": micros, "cap": sheet.caps.get(account, NO_CAP)}


def _counted(one: Verification) -> Number:
    return rows.counted(one.tenant, one.mode, one.msisdn)


def _number_row(number: tuple[int, int]) -> dict[str, Any]:
    return {"tenant": number[0], "msisdn": number[1]}


def _tally_row(sheet: Sheet, number: tuple[int, int]) -> dict[str, Any]:
    tally = sheet.tallies[number]
    last_at_s = tally.wrong_at_s[-1] if tally.wrong_at_s else 0
    return _number_row(number) | {"wrong": rows.text(tally), "last_at_s": last_at_s}


def _factor_row(factor: Any) -> dict[str, Any]:
    return dict(zip(("id", "state", "sealed", "record"), kept_row(factor), strict=True))

"""What one batch has to read and to lock before its operations can be decided."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge, PastCall
from dastak.core.policy import TTL_S_MAX
from dastak.core.spend import Spend
from dastak.core.tenant import Mode
from dastak.core.verification import State
from dastak.store import rows

Key = VerificationId | MessageKey | CarrierRef
# A tenant's number; of its wrong attempts as `rows.counted` says it.
Number = tuple[int, int]
# A tenant, or the name of another cap; and the day.
Account = tuple[int | str, int]

# A call is younger than its verification by so much at most.
_CALL_LATER_MAX: Final = timedelta(seconds=TTL_S_MAX)


class Wanted:
    """Collects what the operations of a batch ask for; each thing once, in order.

    Attributes:
        again: Whether the batch is part of one that failed; it has waited for its numbers already.
        careful: Whether accounts are locked and read; see `Sheet`.
        accounts: What is charged.
        sends: Numbers whose sends are judged, with the millisecond since when.
        calls: The same for calls, with the millisecond since when their verifications were made.
    """

    def __init__(self, *, again: bool = False, charged: Collection[Account] | None = None) -> None:
        """Begin; `charged` is what a batch charged before it came again, to be careful."""
        self.again, self.careful = again, charged is not None
        self.locks: set[int] = set()
        self.keys: dict[Key, None] = {}
        self.pending: dict[tuple[int, int, int], None] = {}
        self.numbers: dict[Number, None] = {}
        self.answers: dict[bytes, None] = {}
        self.accounts: dict[Account, None] = dict.fromkeys(charged or ())
        self.sends: dict[int, int] = {}
        self.calls: dict[int, int] = {}

    def number(self, tenant: int, msisdn: Msisdn, *modes: Mode) -> None:
        """Nobody else decides about this number meanwhile, of whatever tenant; its tallies are read."""
        self.numbers.update(dict.fromkeys(rows.counted(tenant, mode, msisdn) for mode in modes))
        self.locks.add(int(msisdn))

    def judge(self, judge: Judge, *, whole: bool) -> None:
        """Nobody else sends to this number, or calls it, meanwhile."""
        of_calls, number = isinstance(judge.use, PastCall), int(judge.use.msisdn)
        past = self.calls if of_calls else self.sends
        since_ms = 0
        if judge.since is not None and not whole:
            since_ms = rows.to_ms(judge.since - _CALL_LATER_MAX if of_calls else judge.since)
        past[number] = min(since_ms, past.get(number, since_ms))
        self.locks.add(number)

    def answer(self, key: bytes) -> None:
        """Nobody else keeps an answer of this Idempotency-Key meanwhile."""
        self.answers[key] = None
        self.locks.add(int.from_bytes(blake2b(key, digest_size=8).digest(), "big", signed=True))

    def spend(self, tenant: int, spend: Spend) -> None:
        """Nobody else charges these accounts meanwhile."""
        for account in accounts_of(tenant, spend):
            self.accounts[account] = None

    def questions(self) -> tuple[list[dict[str, Any]], list[tuple[str, list[dict[str, Any]]]]]:
        """Return whose numbers are to be locked, and what is read then: a statement, and what it takes."""
        keys = list(enumerate(self.keys))
        ids = [{"i": i, "id": key} for i, key in keys if isinstance(key, bytes)]
        letters = [
            {"i": i, "id": key.verification, "ordinal": key.ordinal}
            for i, key in keys
            if isinstance(key, MessageKey)
        ]
        refs = [
            {"i": i, "route": key.route, "ref": key.ref} for i, key in keys if isinstance(key, CarrierRef)
        ]
        about = [{"id": one["id"]} for one in (*ids, *letters)]
        about += [{"route": one["route"], "ref": one["ref"]} for one in refs]
        pending = [
            {"tenant": t, "msisdn": m, "service": s, "state": rows.STATES[State.PENDING]}
            for t, m, s in self.pending
        ]
        accounts = in_order(self.accounts)
        return about, [
            ("held_by_ids", ids),
            ("held_by_messages", letters),
            ("held_by_carriers", refs),
            ("pending_of_numbers", pending),
            ("kept_answers", [{"key": key} for key in self.answers]),
            ("sends_to_numbers", [{"msisdn": m, "since": s} for m, s in self.sends.items()]),
            ("calls_to_numbers", [{"msisdn": m, "since": s} for m, s in self.calls.items()]),
            ("tallies", [{"tenant": t, "msisdn": m} for t, m in self.numbers]),
            ("lock_accounts", [{"name": n, "day": d} for n, d in accounts if isinstance(n, str)]),
            ("lock_spends", [{"tenant": t, "day": d} for t, d in accounts if isinstance(t, int)]),
        ]


def in_order(accounts: Iterable[Account]) -> list[Account]:
    """Return accounts in the order in which every batch locks them, so that no two wait for each other."""
    return sorted(accounts, key=str)


def accounts_of(tenant: int, spend: Spend) -> list[Account]:
    """Return the accounts that a spend is charged to, the tenant's own first."""
    return [(tenant, spend.day), *((account.name, spend.day) for account in spend.accounts)]

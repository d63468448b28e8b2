"""What one batch has to read and to lock before its operations can be decided."""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import blake2b
from typing import Final

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import Judge, PastCall
from dastak.core.policy import TTL_S_MAX
from dastak.core.spend import Spend
from dastak.store import rows

Key = VerificationId | MessageKey | CarrierRef
# A tenant's number, of which the batch keeps the wrong attempts.
Number = tuple[int, int]
# A tenant, or the name of another cap; and the day.
Account = tuple[int | str, int]

# A call is younger than its verification by so much at most.
_CALL_LATER_MAX: Final = timedelta(seconds=TTL_S_MAX)


class Wanted:
    """Collects what the operations of a batch ask for; each thing once, in order.

    Attributes:
        careful: Whether accounts are locked and read; see `Sheet`.
        alone: Whether it is one operation of a batch that failed.
        accounts: What is charged.
        sends: Numbers whose sends are judged, with the millisecond since when.
        calls: The same for calls, with the millisecond since when their verifications were made.
    """

    def __init__(self, *, careful: bool = False, alone: bool = False) -> None:
        self.careful, self.alone = careful, alone
        self.locks: set[int] = set()
        self.keys: dict[Key, None] = {}
        self.pending: dict[tuple[int, int, int], None] = {}
        self.numbers: dict[Number, None] = {}
        self.answers: dict[bytes, None] = {}
        self.accounts: dict[Account, None] = {}
        self.sends: dict[int, int] = {}
        self.calls: dict[int, int] = {}

    def number(self, tenant: int, msisdn: Msisdn) -> None:
        """Nobody else decides about this number meanwhile, of whatever tenant."""
        self.numbers[tenant, int(msisdn)] = None
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


def in_order(accounts: Iterable[Account]) -> list[Account]:
    """Return accounts in the order in which every batch locks them, so that no two wait for each other."""
    return sorted(accounts, key=str)


def accounts_of(tenant: int, spend: Spend) -> list[Account]:
    """Return the accounts that a spend is charged to, the tenant's own first."""
    return [(tenant, spend.day), *((account.name, spend.day) for account in spend.accounts)]

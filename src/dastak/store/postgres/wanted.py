"""What one batch has to read and to lock before its operations can be decided."""

from hashlib import blake2b
from typing import Final

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.spend import Spend

Key = VerificationId | MessageKey | CarrierRef
# A tenant's number: what two operations that must not run at once have in common.
Number = tuple[int, int]

_TENANT_BITS: Final = 8191
_NUMBER_BITS: Final = 50


class Wanted:
    """Collects what the operations of a batch ask for; each thing once, in order.

    Attributes:
        careful: Whether accounts are locked and read; see `Sheet`.
        accounts: What is charged: a tenant's day, or the name and day of another cap.
    """

    def __init__(self, *, careful: bool = False) -> None:
        self.careful = careful
        self.locks: set[int] = set()
        self.keys: dict[Key, None] = {}
        self.pending: dict[tuple[int, int, int], None] = {}
        self.numbers: dict[Number, None] = {}
        self.answers: dict[bytes, None] = {}
        self.accounts: dict[tuple[int | str, int], None] = {}

    def number(self, tenant: int, msisdn: Msisdn) -> None:
        """Nobody else decides about this number meanwhile."""
        self.numbers[tenant, int(msisdn)] = None
        self.locks.add(place_of(tenant, int(msisdn)))

    def answer(self, key: bytes) -> None:
        """Nobody else keeps an answer of this Idempotency-Key meanwhile."""
        self.answers[key] = None
        self.locks.add(_place(key))

    def spend(self, tenant: int, spend: Spend) -> None:
        """Nobody else charges these accounts meanwhile."""
        for account in accounts_of(tenant, spend):
            self.accounts[account] = None
            self.locks.add(_place(repr(account).encode()))


def accounts_of(tenant: int, spend: Spend) -> list[tuple[int | str, int]]:
    """Return the accounts that a spend is charged to, the tenant's own first."""
    return [(tenant, spend.day), *((account.name, spend.day) for account in spend.accounts)]


def place_of(tenant: int, number: int) -> int:
    """Return where a number is locked, as postgres.sql does; two numbers may share a place."""
    return (tenant & _TENANT_BITS) << _NUMBER_BITS ^ number


def _place(octets: bytes) -> int:
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big", signed=True)

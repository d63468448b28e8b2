"""What a message costs a tenant, against which caps, and what is set aside for a call until it is over.

1. A text is charged before it leaves: its price is known. A call is charged at its worst, and corrected by
   its real length when it ended. One whose end nobody told stays charged at its worst.
2. Caps bind what is set aside, never a correction: what a carrier bills is owed, cap or not.
"""

from typing import Final, NamedTuple

import msgspec

from dastak.core.call_terms import CallBar

# The reason of a refusal by a tenant's own cap; those of its accounts are the bars of calls.
TENANT_CAP: Final = "spend_cap"


class Account(NamedTuple):
    """What else a call counts against on its day; `bar` names the cap in a refusal."""

    name: str
    cap_micros: int
    bar: CallBar


class Spend(msgspec.Struct, frozen=True):
    """What a change costs a tenant, and what it may spend in one UTC day, in millionths of the currency."""

    micros: int
    cap_micros: int
    day: int
    accounts: tuple[Account, ...] = ()


class Reserve(msgspec.Struct, frozen=True):
    """What is set aside for a call that is not over: how much, on which day, and in which accounts."""

    micros: int
    day: int
    accounts: tuple[str, ...] = ()


class Correction(msgspec.Struct, frozen=True):
    """What a call cost more (or less, below 0) than was set aside for it."""

    micros: int
    reserve: Reserve


def reserve_of(spend: Spend | None) -> Reserve | None:
    """Return what is set aside when a call's worst is charged."""
    if spend is None or not spend.micros:
        return None
    return Reserve(spend.micros, spend.day, tuple(account.name for account in spend.accounts))

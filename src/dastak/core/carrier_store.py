"""Where carriers are written down, as those see it who add them, open them and learn of them."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from dastak.core.carrier import Carrier, CarrierChange
from dastak.core.events import AnyEvent
from dastak.core.ids import VerificationId
from dastak.core.ports import Once


class CarrierList(msgspec.Struct, frozen=True):
    """All carriers that were added to the database, as of one revision."""

    revision: int
    carriers: tuple[Carrier, ...]


class CarrierStore(Protocol):
    """The carriers in the database, and what was learned of them; it raises `Overloaded` as `Store` does."""

    async def carriers(self) -> CarrierList:
        """Return all carriers."""

    async def carrier_revision(self) -> int:
        """Return a number that rises with every change of a carrier, by any process."""

    async def put_carrier(
        self, carrier: Carrier, change: CarrierChange, *, once: Once | None = None
    ) -> Carrier:
        """Insert (n=0) or replace a carrier, and append to its history.

        Raises:
            Conflict: The name is taken, or it was changed since it was read.
        """

    async def remove_carrier(self, change: CarrierChange, *, once: Once | None = None) -> None:
        """Delete a carrier; its history stays. Raises: NotFound."""

    async def note_change(
        self, change: CarrierChange, *, answer: Any = None, once: Once | None = None
    ) -> Any:
        """Append to a carrier's history what changed nothing of it as it is written down.

        Returns:
            The answer, or the one that was kept.
        """

    async def carrier_history(self, carrier: str, *, limit: int) -> tuple[CarrierChange, ...]:
        """Return the newest lines of a carrier's history, newest first."""

    async def learned(self, name: str) -> bytes | None:
        """Return what was kept under a name."""

    async def learn(self, name: str, body: bytes) -> None:
        """Keep something that may be lost, such as scores."""

    async def timelines(self, wanted: Sequence[tuple[int, VerificationId]]) -> Sequence[Sequence[AnyEvent]]:
        """Return what happened to verifications of tenants, as `Store.timeline`; nothing of one unknown."""

"""Where replies and the wishes in them are written down, as those see it who hear, list and lift them."""

from collections.abc import Collection
from typing import Protocol

import msgspec

from dastak.core.events import Event
from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.ports import Once
from dastak.core.reply import HeardReply, Stop
from dastak.core.tenant import Mode
from dastak.core.verification import Verification


class ReplyPage(msgspec.Struct, frozen=True):
    """One page of replies, newest first; `cursor` asks for the next one and is None at the end."""

    replies: tuple[HeardReply, ...]
    cursor: int | None


class StopPage(msgspec.Struct, frozen=True):
    """One page of stops, newest first; `cursor` asks for the next one and is None at the end."""

    stops: tuple[Stop, ...]
    cursor: int | None


class ReplyStore(Protocol):
    """The replies in the database; it raises `Overloaded` as `Store` does."""

    async def answered_by(self, msisdn: Msisdn, *, route: str) -> tuple[Verification, ...]:
        """Return the latest verifications of a number that a reply by this route may answer, likeliest first.

        First those whose text went by this route, newest text first; then those whose text is on its way.
        """

    async def pending_of(self, msisdn: Msisdn) -> tuple[Verification, ...]:
        """Return the latest verifications of a number that are pending, of all tenants, newest first."""

    async def keep_reply(
        self,
        heard: HeardReply,
        *,
        answers: VerificationId | None = None,
        events: tuple[Event, ...] = (),
        lifts: Collection[int] = (),
    ) -> bool:
        """Write a reply down and do what it asks for, in one commit.

        The same words again within minutes, with no other wish in between, are a carrier's repetition: what
        they ask for is done again, which changes nothing, and no second line is written.

        Args:
            heard: With the tenant, if one is known; only then STOP counts.
            answers: The verification whose timeline is told.
            events: What it is told.
            lifts: The tenants beside that one whose stops a START takes back.

        Returns:
            Whether it is new.
        """

    async def is_stopped(self, tenant: int, mode: Mode, msisdn: Msisdn) -> bool:
        """Say whether a number wants nothing of a tenant. What this process acknowledged is seen at once."""

    async def lift_stop(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """Let a tenant write to a number again; False when nothing was in the way.

        Raises:
            Conflict: `once` was answered since it was last looked for.
        """

    async def replies(self, tenant: int | None, *, before: int | None = None, limit: int = 50) -> ReplyPage:
        """List the replies to a tenant; with None those of no known tenant."""

    async def stops(self, tenant: int, *, before: int | None = None, limit: int = 50) -> StopPage:
        """List the numbers that want nothing of a tenant."""

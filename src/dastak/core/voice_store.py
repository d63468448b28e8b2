"""Where it is written down what tenants recorded for their calls, a pack for each of their languages."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec


class PackKey(NamedTuple):
    """Whose pack it is: a tenant's, for a language or for the names of its brands."""

    tenant: int
    language: str


class OwnPack(msgspec.Struct, frozen=True):
    """The recordings of one language, packed by `voice/prompts.py`; each change raises the revision."""

    body: bytes
    revision: int


class VoiceStore(Protocol):
    """The packs in the database; it raises `Overloaded` as `Store` does."""

    async def voice_revision(self) -> int:
        """Return a number that rises with every change of a pack, by any process."""

    async def own_packs(self, tenant: int | None = None) -> Mapping[PackKey, OwnPack]:
        """Return the packs of a tenant, or of all."""

    async def put_own_pack(self, key: PackKey, pack: OwnPack) -> OwnPack:
        """Insert (revision 0) or replace a pack; the answer has the new revision.

        Raises:
            Conflict: It was changed since it was read.
        """

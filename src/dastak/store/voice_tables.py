"""The recordings of tenants in the database: one pack a tenant and language, read and written whole."""

from collections.abc import Mapping

from dastak.core.errors import Conflict
from dastak.core.voice_store import OwnPack, PackKey
from dastak.store.desk import Desk, Execute


class VoiceTables:
    """The port `VoiceStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def voice_revision(self) -> int:
        """See `VoiceStore.voice_revision`."""
        (revision,) = await self._desk.read(lambda execute: execute("voice_revision").fetchone())
        return int(revision)

    async def own_packs(self, tenant: int | None = None) -> Mapping[PackKey, OwnPack]:
        """See `VoiceStore.own_packs`."""
        asked = ("own_packs", ()) if tenant is None else ("own_packs_of", (tenant,))
        found = await self._desk.list(lambda execute: execute(*asked).fetchall())
        return {PackKey(of, language): OwnPack(pack, revision) for of, language, pack, revision in found}

    async def put_own_pack(self, key: PackKey, pack: OwnPack) -> OwnPack:
        """See `VoiceStore.put_own_pack`."""
        statement = "insert_own_pack" if pack.revision == 0 else "update_own_pack"

        def put(execute: Execute) -> OwnPack:
            if execute(statement, (*key, pack.body, pack.revision)).rowcount == 0:
                raise Conflict("Somebody else changed these recordings meanwhile; try again.")
            execute("raise_voice_revision")
            return OwnPack(pack.body, pack.revision + 1)

        return await self._desk.write(put)

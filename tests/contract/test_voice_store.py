"""What every store keeps of tenants' recordings: the newest pack of each, and no overtaking change."""

import pytest

from dastak.core.errors import Conflict
from dastak.core.voice_store import OwnPack, PackKey, VoiceStore
from dastak.store.subjects import Subjects

TAMIL, HINDI, OTHERS = PackKey(1, "ta"), PackKey(1, "hi"), PackKey(2, "ta")


@pytest.fixture
def voices(store: Subjects) -> VoiceStore:
    return store.voices


async def test_pack_is_found_as_it_was_written(voices: VoiceStore) -> None:
    written = await voices.put_own_pack(TAMIL, OwnPack(b"\x00pack\xff", 0))

    assert written == OwnPack(b"\x00pack\xff", 1)
    assert await voices.own_packs() == {TAMIL: written}


async def test_tenant_has_its_own_packs_alone(voices: VoiceStore) -> None:
    for key in (TAMIL, HINDI, OTHERS):
        await voices.put_own_pack(key, OwnPack(repr(key).encode(), 0))

    assert set(await voices.own_packs()) == {TAMIL, HINDI, OTHERS}
    assert {key: pack.body for key, pack in (await voices.own_packs(2)).items()} == {
        OTHERS: repr(OTHERS).encode()
    }


async def test_every_change_raises_the_revision(voices: VoiceStore) -> None:
    revisions = [await voices.voice_revision()]
    for key, known in ((TAMIL, 0), (HINDI, 0), (TAMIL, 1)):
        await voices.put_own_pack(key, OwnPack(b"pack", known))
        revisions.append(await voices.voice_revision())

    assert revisions == sorted(set(revisions))


@pytest.mark.parametrize("known", [0, 2])
async def test_change_of_what_somebody_else_changed_is_refused(voices: VoiceStore, known: int) -> None:
    await voices.put_own_pack(TAMIL, OwnPack(b"first", 0))
    before = await voices.voice_revision()

    with pytest.raises(Conflict):
        await voices.put_own_pack(TAMIL, OwnPack(b"late", known))

    assert (await voices.own_packs())[TAMIL].body == b"first"
    assert await voices.voice_revision() == before

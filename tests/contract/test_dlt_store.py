"""What every store keeps of DLT registers: the newest one of each tenant, and no overtaking change."""

import pytest

from dastak.core.dlt_store import DltRecord, DltStore
from dastak.core.errors import Conflict


async def test_register_is_found_as_it_was_written(store: DltStore) -> None:
    written = await store.put_dlt_record(1, DltRecord(b'{"spaced":true}', 0))

    assert written == DltRecord(b'{"spaced":true}', 1)
    assert await store.dlt_records() == {1: written}


async def test_every_change_raises_the_revision(store: DltStore) -> None:
    revisions = [await store.dlt_revision()]
    for tenant, known in ((1, 0), (2, 0), (1, 1)):
        await store.put_dlt_record(tenant, DltRecord(b"{}", known))
        revisions.append(await store.dlt_revision())

    assert revisions == sorted(set(revisions))


@pytest.mark.parametrize("known", [0, 2])
async def test_change_of_what_somebody_else_changed_is_refused(store: DltStore, known: int) -> None:
    await store.put_dlt_record(1, DltRecord(b"{}", 0))

    with pytest.raises(Conflict):
        await store.put_dlt_record(1, DltRecord(b'{"spaced":true}', known))

    assert (await store.dlt_records())[1].body == b"{}"

"""How large the database is: for so many pending verifications, and after they were swept."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from dastak.store.sqlite import SqliteStore

SWEEP_MAX = 2_000


class Footprint(msgspec.Struct, kw_only=True):
    """Sizes of the checkpointed file, in MiB.

    Attributes:
        pending: How many verifications there were, each with a delivered message.
        empty_mib: Before the first one.
        full_mib: With all of them.
        swept_mib: After their time was over and the sweep had deleted them.
        per_100k_mib: What 100,000 of them take.
    """

    pending: int
    empty_mib: float
    full_mib: float
    swept_mib: float
    per_100k_mib: float


def size_mib(database: Path) -> float:
    """Move the log into the file and return its size; nobody may use it now."""
    connection = sqlite3.connect(database)
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()
    assert not busy, "somebody still reads the database"
    return database.stat().st_size / 2**20


async def sweep_all(database: Path) -> int:
    """Sweep as the worker would in a year: everything has expired and is past its retention."""
    later = datetime.now(UTC) + timedelta(days=366)
    deleted = 0
    async with SqliteStore(database) as store:
        while True:
            swept = await store.sweep(later, keep_after=later - timedelta(days=1), limit=SWEEP_MAX)
            deleted += swept.deleted
            if not swept.expired and not swept.deleted:
                return deleted


async def measure_footprint(database: Path, *, empty_mib: float, pending: int) -> Footprint:
    """Measure, sweep and measure again."""
    full_mib = size_mib(database)
    deleted = await sweep_all(database)
    assert deleted >= pending, (deleted, pending)
    return Footprint(
        pending=pending,
        empty_mib=empty_mib,
        full_mib=full_mib,
        swept_mib=size_mib(database),
        per_100k_mib=(full_mib - empty_mib) / pending * 100_000,
    )

"""A full disk: everything is refused, nothing is acknowledged that is not kept, and space cures it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dastak.core.errors import Overloaded
from dastak.core.verification import State, Typed, Verification
from dastak.store.sqlite import SqliteStore
from tests.support.samples import checking, some_msisdn, some_opening, some_verification
from tests.support.stores import open_sqlite

DISK_MIB = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of a few megabytes; only root may."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "dastak-test", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        reason = f"a small disk cannot be mounted here ({mount.stderr.strip()}), so a full one is not tested"
        (pytest.fail if os.environ.get("DASTAK_CI") == "1" else pytest.skip)(reason)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path) as opened:
        yield opened


async def fill(store: SqliteStore, full: Callable[[], Any]) -> tuple[list[Verification], list[Verification]]:
    """Start verifications before and after `full`; return those acknowledged and those refused."""
    kept, refused = [], []
    for n in range(60):
        if n == 10:
            full()
        batch = [some_verification(msisdn=some_msisdn(n * 50 + m)) for m in range(50)]
        answers = await asyncio.gather(*(store.open(some_opening(v)) for v in batch), return_exceptions=True)
        for verification, answer in zip(batch, answers, strict=True):
            assert answer == verification or isinstance(answer, Overloaded), answer
            (refused if isinstance(answer, Overloaded) else kept).append(verification)
    return kept, refused


async def test_nothing_is_acknowledged_on_a_full_disk_and_space_cures_it(disk: Path) -> None:
    filler = disk / "filler"

    def full() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    async with open_sqlite(disk) as store:
        kept, refused = await fill(store, full)
        checks = [store.decide(v.id, checking(Typed.RIGHT)) for v in kept[:20]]
        judged = await asyncio.gather(*checks, return_exceptions=True)
        healthy_when_full = store.healthy
        filler.unlink()
        after = [await store.open(some_opening(some_verification(msisdn=some_msisdn(90_000))))]
        approved = await store.decide(kept[0].id, checking(Typed.RIGHT))

    assert len(refused) > 100
    assert {type(judgement) for judgement in judged} == {Overloaded}
    assert not healthy_when_full
    assert approved.approved
    async with open_sqlite(disk) as store:
        for verification in kept[1:] + after:
            assert (await store.find(1, verification.id)).verification == verification


async def test_statement_that_finds_no_room_fails_its_batch_and_the_next_one_recovers(
    store: SqliteStore,
) -> None:
    database = store._sqlite._writer

    def full() -> None:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    kept, refused = await fill(store, full)
    database.execute("PRAGMA max_page_count = 1000000").fetchall()
    again = await store.open(some_opening(refused[0]))

    assert len(refused) > 100
    assert again == refused[0]
    for verification in (*kept, again):
        assert (await store.find(1, verification.id)).verification.state is State.PENDING
    listed = database.execute("SELECT count(*) FROM verification").fetchone()
    assert listed == (len(kept) + 1,)

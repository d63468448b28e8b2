"""What a store's desk does with work: all of it or nothing, seen at once, and told what is taken."""

import pytest

from dastak.core.errors import Conflict
from dastak.core.ports import Once
from dastak.store.desk import Desk, Execute, Taken, newest
from dastak.store.subjects import Subjects
from tests.support.samples import some_once


@pytest.fixture
def desk(store: Subjects) -> Desk:
    return store._desk


def learned(name: str, execute: Execute) -> bytes | None:
    row = execute("learned", (name,)).fetchone()
    return None if row is None else bytes(row[0])


async def learn(desk: Desk, name: str, body: bytes, once: Once | None = None) -> bytes:
    def work(execute: Execute) -> bytes:
        execute("learn", (name, body))
        return body

    return await desk.write(work, once=once)


async def test_desk_shows_reads_and_lists_what_was_acknowledged(desk: Desk) -> None:
    answer = await learn(desk, "scores", b"1")

    assert answer == b"1"
    assert await desk.read(lambda execute: learned("scores", execute)) == b"1"
    assert await desk.list(lambda execute: learned("scores", execute)) == b"1"


async def test_desk_keeps_nothing_of_work_that_raises(desk: Desk) -> None:
    def work(execute: Execute) -> None:
        execute("learn", ("scores", b"2"))
        raise Conflict("Somebody else did.")

    await learn(desk, "scores", b"1")
    with pytest.raises(Conflict, match="Somebody else did"):
        await desk.write(work)

    assert await desk.read(lambda execute: learned("scores", execute)) == b"1"


async def test_desk_says_what_is_taken_and_keeps_nothing_of_that_work(desk: Desk) -> None:
    def work(execute: Execute) -> int:
        execute("learn", ("scores", b"2"))
        return execute("insert_tenant", ("acme", "{}")).rowcount

    await learn(desk, "scores", b"1")
    await desk.write(lambda execute: execute("insert_tenant", ("acme", "{}")).fetchone())
    with pytest.raises(Taken):
        await desk.write(work)

    assert await desk.read(lambda execute: learned("scores", execute)) == b"1"


async def test_desk_says_taken_of_a_primary_key_too(desk: Desk) -> None:
    row = (b"key", b"fingerprint", b"answer", 0)

    await desk.write(lambda execute: execute("keep_answer", row).rowcount)

    with pytest.raises(Taken):
        await desk.write(lambda execute: execute("keep_answer", row).rowcount)


async def test_desk_writes_once_where_it_shall(desk: Desk) -> None:
    await learn(desk, "scores", b"1", some_once())
    with pytest.raises(Conflict, match="answered a moment ago"):
        await learn(desk, "scores", b"2", some_once())
    await learn(desk, "others", b"3", some_once("another key"))

    assert await desk.read(lambda execute: learned("scores", execute)) == b"1"
    assert await desk.read(lambda execute: learned("others", execute)) == b"3"


async def test_desk_counts_the_rows_that_a_statement_changed(desk: Desk) -> None:
    await learn(desk, "scores", b"1")

    carrier = await desk.write(lambda execute: execute("delete_carrier", ("nobody",)).rowcount)
    revision = await desk.write(lambda execute: execute("raise_tenancy_revision").rowcount)

    assert (carrier, revision) == (0, 1)


async def test_newest_rows_come_in_pages(desk: Desk) -> None:
    def fill(execute: Execute) -> None:
        for at in range(5):
            execute("insert_report", (1, bytes(16), 2, 919876543210, at))
        execute("insert_report", (2, bytes(16), 2, 919876543210, 9))

    await desk.write(fill)
    pages, before = [], None
    for _ in range(3):
        found, before = await desk.list(newest("reports_of", 1, before, 2))
        pages.append([row[-1] for row in found])

    assert pages == [[4, 3], [2, 1], [0]]
    assert before is None

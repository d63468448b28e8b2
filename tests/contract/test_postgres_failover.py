"""What the store on PostgreSQL does while the server that writes is none, another, or not confirmed."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import psycopg
import pytest

from dastak import app_store
from dastak.app_store import clock_of, watch_store
from dastak.core.errors import Overloaded
from dastak.core.ports import Filter
from dastak.store.postgres import postgres_lane
from dastak.store.postgres.batches import LANES, Batches
from dastak.store.postgres.operations import Look
from dastak.store.postgres.postgres_desk import ServerTime
from dastak.store.postgres.postgres_lane import FREE_SHARE, Connection, Lane, Lanes, connect
from dastak.store.postgres.postgres_store import PostgresStore
from dastak.telemetry.metrics import Metrics
from tests.support.patience import let_in, until
from tests.support.postgres_server import PostgresServer, shared_server
from tests.support.samples import NOW, some_id, some_msisdn, some_opening, some_verification

# A backend that has committed on its own disk and waits for the standby to have it as well.
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def opened(store: PostgresStore, number: int) -> None:
    await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(number))))


async def until_refused(act: Callable[[], Awaitable[Any]]) -> None:
    """Do something again: a server takes a moment to read its settings anew."""
    while True:
        await act()


async def test_commit_that_no_standby_confirmed_is_told_as_in_doubt(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 20.0)
    async with PostgresStore(server.new_database()) as store:
        await opened(store, 1)
        server.set("synchronous_standby_names", "nobody")
        opening = asyncio.create_task(until_refused(lambda: opened(store, 2)))
        with psycopg.connect(server.url, autocommit=True) as admin:
            async with asyncio.timeout(20):
                while (waiting := admin.execute(WAITING).fetchone()) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            admin.execute("SELECT pg_cancel_backend(%s)", waiting)

        with pytest.raises(Overloaded) as told:
            await opening

        server.set("synchronous_standby_names", "")
        await let_in(lambda: opened(store, 3), in_doubt=True)

    assert told.value.may_be_done
    assert isinstance(told.value.__cause__, psycopg.OperationalError)
    assert "standby" in str(told.value.__cause__)


async def test_connection_to_a_server_that_can_only_be_read_is_opened_again(server: PostgresServer) -> None:
    lane = Lane(partial(connect, server.new_database()))

    def write(connection: Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS written ()")

    await lane.run(write)
    server.set("default_transaction_read_only", "on")
    with pytest.raises(Overloaded) as told:
        await until_refused(lambda: lane.run(write))
    healthy = lane.healthy
    server.set("default_transaction_read_only", "off")
    await let_in(lambda: lane.run(write), in_doubt=True)
    await lane.close()

    assert isinstance(told.value.__cause__, psycopg.errors.ReadOnlySqlTransaction)
    assert (healthy, lane.healthy, lane.connects) == (False, True, 2)


async def test_connection_whose_prepared_statements_a_newer_program_has_changed_is_opened_again() -> None:
    url = shared_server().new_database()
    lane = Lane(partial(connect, url))
    await lane.run(lambda connection: connection.execute("CREATE VIEW seen AS SELECT 1 AS one"))

    def look(connection: Connection) -> tuple[int, ...] | None:
        return connection.execute("SELECT * FROM seen").fetchone()

    before = {await lane.run(look) for _ in range(postgres_lane.PREPARED_AFTER + 1)}
    with connect(url) as newer:
        newer.execute("CREATE OR REPLACE VIEW seen AS SELECT 1 AS one, 2 AS two")
    with pytest.raises(Overloaded) as told:
        await lane.run(look)
    after = await lane.run(look)
    await lane.close()

    assert (before, after, lane.connects) == ({(1,)}, (1, 2), 2)
    assert isinstance(told.value.__cause__, psycopg.errors.FeatureNotSupported)


async def test_store_finds_out_by_itself_that_it_is_well_again(server: PostgresServer) -> None:
    async with PostgresStore(server.new_database()) as store:
        server.stop()
        with pytest.raises(Overloaded) as told:
            await opened(store, 1)
        healthy = store.healthy
        server.start()

        # Nobody starts or checks anything: the sweep of each second is all there is.
        await let_in(lambda: store.sweep(NOW, keep_after=NOW, limit=10), in_doubt=True)

        assert (healthy, store.healthy, told.value.retry_after_s) == (False, True, 5)


async def test_work_that_nobody_could_begin_is_told_as_undone(server: PostgresServer) -> None:
    async with PostgresStore(server.new_database()) as store:
        server.stop()
        with pytest.raises(Overloaded) as told:
            await opened(store, 1)
        doubts = store.doubts

    assert (told.value.may_be_done, doubts) == (False, 0)


async def test_work_whose_caller_was_sent_away_is_not_done_when_a_server_answers_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 0.2)
    url, answers, done = shared_server().new_database(), Event(), []

    def opens() -> Connection:
        answers.wait()
        return connect(url)

    def work(number: int) -> Callable[[Connection], None]:
        return lambda _connection: done.append(number)

    lane = Lane(opens)
    for number in (1, 2):
        with pytest.raises(Overloaded):
            await lane.run(work(number))
    answers.set()
    monkeypatch.undo()
    await lane.run(work(3))
    await lane.close()

    assert done == [3]


async def test_work_that_commits_nothing_is_told_as_undone_whatever_breaks() -> None:
    url = shared_server().new_database()
    lane = Lane(lambda: connect(url))

    def reads(connection: Connection) -> None:
        connection.execute("BEGIN")
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    told = []
    for ends in (False, True):
        with pytest.raises(Overloaded) as error:
            await lane.run(reads, ends=ends)
        told.append((error.value.may_be_done, lane.doubts))
    await lane.close()

    assert told == [(False, 0), (True, 1)]


async def test_work_that_waited_for_a_connection_in_vain_is_told_as_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 0.2)
    answers = Event()

    def opens() -> Connection:
        answers.wait()
        raise psycopg.OperationalError("nobody is there")

    lane = Lane(opens)
    with pytest.raises(Overloaded) as told:
        await lane.run(lambda connection: connection.execute("COMMIT"))
    answers.set()
    await lane.close()

    assert (told.value.may_be_done, lane.doubts) == (False, 0)


async def test_work_that_comes_after_its_time_lets_go_of_what_the_work_before_it_has_locked() -> None:
    url = shared_server().new_database()
    lane = Lane(lambda: connect(url))
    await lane.run(lambda connection: connection.execute("CREATE TABLE kept (n int)"))

    def begins(connection: Connection) -> None:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE kept")

    await lane.run(begins, ends=False)
    over_s = asyncio.get_running_loop().time()
    with pytest.raises(Overloaded, match="does not answer"):
        await lane.run(lambda connection: connection.execute("COMMIT"), by_s=over_s)

    with connect(url) as other, other.transaction():
        other.execute("LOCK TABLE kept")
    await lane.close()


async def test_steps_of_a_batch_have_one_time_together(monkeypatch: pytest.MonkeyPatch) -> None:
    run, times = Lane.run, []

    async def noted(lane: Lane, work: Any, *, ends: bool = True, by_s: float | None = None) -> Any:
        times.append(by_s)
        return await run(lane, work, ends=ends, by_s=by_s)

    async with PostgresStore(shared_server().new_database()) as store:
        monkeypatch.setattr(Lane, "run", noted)
        await opened(store, 1)
        monkeypatch.undo()

    # The policy, what is read and what is written.
    assert len(times) == 3
    assert len(set(times) - {None}) == 1


async def test_nobody_waits_twice_for_a_server_that_does_not_answer(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresStore(server.new_database()) as store:
        await opened(store, 0)
        monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 0.5)
        os.kill(server.pid, signal.SIGSTOP)
        # Each lane gets one, and one is left over.
        for lane in store._batches._lanes:
            lane._close()
        asked = []
        for number in range(1, LANES + 2):
            asked.append(asyncio.create_task(opened(store, number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        told = await asyncio.gather(*asked, return_exceptions=True)
        os.kill(server.pid, signal.SIGCONT)

    assert [type(one) for one in told] == [Overloaded] * (LANES + 1)
    # Its lane never heard of it.
    assert told[-1].__cause__ is None


async def test_batch_goes_on_while_another_one_forgets_what_it_knew_of_policies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Batches._read

    def forgetting(batches: Batches, *what: Any) -> None:
        # As a batch of the other lane does that fails meanwhile.
        batches._policies.clear()
        read(batches, *what)

    monkeypatch.setattr(Batches, "_read", forgetting)
    async with PostgresStore(shared_server().new_database()) as store:
        await opened(store, 1)
        await opened(store, 2)
        found = await store.list(Filter(tenant=1))

    assert len(found.verifications) == 2


async def test_nobody_waits_for_a_second_try_to_connect() -> None:
    tries, over = [], Event()

    def opens() -> Connection:
        tries.append(None)
        over.wait()
        raise psycopg.OperationalError("timeout expired")

    batches = Batches(opens, octets_max=1_000)
    # Each lane gets one, and one is left over.
    asked = []
    for _ in range(LANES + 1):
        asked.append(batches.run(Look()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    over.set()
    told = await asyncio.gather(*asked, return_exceptions=True)
    await batches.close()

    assert [type(one) for one in told] == [Overloaded] * (LANES + 1)
    assert len(tries) == LANES


async def test_wait_for_a_free_connection_is_of_the_time_for_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, begun, busy, times = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event(), []
    real, ahead_s = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + ahead_s[0])

    async def noted(_lane: Lane, _work: Any, *, by_s: float | None = None) -> None:
        times.append(by_s)
        begun.set()
        await busy.wait()

    monkeypatch.setattr(Lane, "run", noted)
    lanes = Lanes(lambda: connect(""), 1)
    asked = [asyncio.create_task(lanes.run(lambda connection: connection.closed)) for _ in range(2)]
    await begun.wait()
    ahead_s[0] = FREE_SHARE * postgres_lane.ANSWER_S_MAX / 2
    busy.set()
    await asyncio.gather(*asked)
    await lanes.close()

    first_s, second_s = times
    assert first_s is not None
    assert second_s is not None
    assert second_s - first_s < ahead_s[0]


async def test_figures_tell_how_a_node_stands_with_its_database(server: PostgresServer) -> None:
    metrics = Metrics()
    async with PostgresStore(server.new_database()) as store:
        watch_store(metrics, store)
        await store.sweep(NOW, keep_after=NOW, limit=10)
        well = figures(metrics)
        server.stop()
        with pytest.raises(Overloaded):
            await opened(store, 1)
        away = figures(metrics)

    assert (well["dastak_store_writes"], away["dastak_store_writes"]) == (1.0, 0.0)
    assert well["dastak_database_connects_total"] == store.connects > 0
    assert well["dastak_database_doubts_total"] == 0.0
    assert well["dastak_database_clock_offset_seconds"] == store.clock_ahead_s


def figures(metrics: Metrics) -> dict[str, float]:
    lines = (line.split() for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    return {words[0]: float(words[1]) for words in lines}


async def test_clock_of_the_server_is_compared_with_ours() -> None:
    async with PostgresStore(shared_server().new_database()) as store:
        at_start = store.clock_ahead_s
        await store.read_clock()
        later = store.clock_ahead_s

    # One machine, one clock: what remains is how long asking takes.
    assert 0.0 < abs(at_start) < 1.0
    assert 0.0 < abs(later) < 1.0
    assert at_start != later


@pytest.mark.parametrize("ahead_s", [3_600, -3_600])
async def test_node_goes_by_the_clock_of_the_server_though_its_machine_is_wrong_and_set_right(
    monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    wall, wall_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: wall() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + ahead_s * 1_000_000_000)
    async with PostgresStore(shared_server().new_database()) as store, clock_of(store) as clock:
        wrong = (clock.now().timestamp() - wall(), store.clock_ahead_s + ahead_s)
        monkeypatch.undo()
        await store.read_clock()
        set_right = (clock.now().timestamp() - wall(), store.clock_ahead_s, clock.offset_s())

    for off_s in (*wrong, *set_right):
        assert abs(off_s) < 1.0


async def test_clock_of_a_server_that_was_set_is_followed_once_it_is_known_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every node reads it again, whatever its roles; who asked for long is believed only in the beginning."""
    monkeypatch.setattr(app_store, "CLOCK_EVERY_S", 0.01)
    async with PostgresStore(shared_server().new_database()) as store:
        right = await store._seldom.server_time()
        told = [right._replace(server_s=right.server_s + 3_600, took_s=2.0)]

        async def server_time() -> ServerTime:
            return told[-1]

        monkeypatch.setattr(store._seldom, "server_time", server_time)
        async with clock_of(store) as clock:
            await asyncio.to_thread(until, lambda: store.clock_ahead_s > 3_000)
            slowly = clock.now().timestamp() - time.time()
            told.append(right._replace(server_s=right.server_s + 3_600))
            await asyncio.to_thread(until, lambda: clock.now().timestamp() - time.time() > 3_000)
            told.append(right)
            await asyncio.to_thread(until, lambda: clock.offset_s() > 3_000)

    assert abs(slowly) < 1.0


async def test_node_begins_no_earlier_than_the_others_have_come(server: PostgresServer) -> None:
    """The database may have moved to a server whose clock is behind."""
    async with PostgresStore(server.new_database()) as store:
        newest = datetime.now(UTC) + timedelta(hours=1)
        await store.open(some_opening(some_verification(created_at=newest)))
        async with clock_of(store) as clock:
            begun = clock.now()

    assert begun >= newest - timedelta(milliseconds=1)

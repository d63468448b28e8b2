"""What only the store on PostgreSQL must keep true: it waits for nobody for ever and reads no whole table."""

import asyncio
import re
from concurrent.futures import Future
from contextlib import closing
from threading import Event
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from dastak.core.call_terms import CallBar
from dastak.core.errors import InvalidRequest, NotFound, Overloaded, Refused
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.past_use import LookFurther
from dastak.core.ports import Change, Replayed
from dastak.core.spend import Account, Spend
from dastak.core.verification import Judgement, Typed
from dastak.store.desk import Execute
from dastak.store.postgres import postgres_desk, postgres_lane, postgres_migrate, postgres_store
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.operations import Look
from dastak.store.postgres.postgres_desk import READERS
from dastak.store.postgres.postgres_lane import NotSent, connect
from dastak.store.postgres.postgres_store import NODES_MAX, PostgresStore, RowNumbers
from dastak.store.postgres.sheet import Sheet
from tests.support.patience import let_in, until
from tests.support.postgres_server import PostgresServer, frozen, shared_server
from tests.support.samples import (
    NOW,
    checking,
    settling,
    some_id,
    some_message,
    some_msisdn,
    some_once,
    some_opening,
    some_verification,
    submitting,
)

SOME_ROWS = """
    INSERT INTO policy (body) VALUES ('{}');
    INSERT INTO verification (
        n, id, tenant, service, mode, msisdn, state, policy, key_id, created_at, expires_at, attempts,
        generation, sends, timeline
    ) SELECT i, decode(md5(i::text), 'hex'), 1, 1, 1, i, i % 4, 1, 1, i, i, 0, 1, 1, ''
    FROM generate_series(1, 60) AS i;
    INSERT INTO message (
        verification, ordinal, channel, generation, segments, state, tries, due_at, route, carrier_ref, trace
    ) SELECT i, 0, 0, 1, 1, i % 4, 1, i, 'north', i::text, '' FROM generate_series(1, 60) AS i
"""
IN_SETS = (
    "lock_numbers", "held_by_ids", "held_by_messages", "held_by_carriers", "pending_of_numbers",
    "sends_to_numbers", "calls_to_numbers",
    "update_verifications", "update_messages", "take_due", "expiring",
)  # fmt: skip


async def test_database_that_stops_answering_is_told_and_is_used_again(server: PostgresServer) -> None:
    async with PostgresStore(server.new_database()) as store:
        await store.open(some_opening())
        with frozen(server):
            with pytest.raises(Overloaded) as told:
                await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(1))))
            healthy = store.healthy

        await let_in(lambda: store.open(some_opening(some_verification(id=some_id()))), in_doubt=True)
        assert (told.value.retry_after_s, healthy, store.healthy) == (5, False, True)


async def test_restart_of_the_database_loses_nothing(server: PostgresServer) -> None:
    async with PostgresStore(server.new_database()) as store:
        first = some_verification()
        await store.open(some_opening(first))
        server.stop()
        with pytest.raises(Overloaded):
            await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(1))))
        server.start()

        judged = await let_in(lambda: store.decide(first.id, checking(Typed.RIGHT)), in_doubt=True)

        assert judged.approved


async def test_text_that_cannot_be_kept_fails_alone() -> None:
    async with PostgresStore(shared_server().new_database()) as store:
        bad = some_verification(id=some_id(), msisdn=some_msisdn(1))
        poisoned = some_message(bad, carrier=CarrierRef("north", "a\x00b"))
        good = [some_verification(id=some_id(), msisdn=some_msisdn(n)) for n in range(2, 12)]

        answers = await asyncio.gather(
            store.open(some_opening(bad, message=poisoned)),
            *(store.open(some_opening(one)) for one in good),
            return_exceptions=True,
        )

    assert isinstance(answers[0], InvalidRequest)
    assert answers[1:] == good


async def test_lost_answer_to_a_commit_is_told_as_perhaps_kept_and_its_key_says_which() -> None:
    async with PostgresStore(shared_server().new_database()) as store:
        first = some_verification()
        ended = asyncio.get_running_loop().create_future()

        def ending(connection: Any) -> None:
            connection.execute("COMMIT")
            ended.set_result(None)
            raise psycopg.OperationalError("the connection was lost")

        await store.open(some_opening(first), once=some_once())
        lane = store._batches._lanes[0]
        with pytest.raises(Overloaded):
            await lane.run(ending)

        assert await store.open(some_opening(), once=some_once()) == Replayed(b"201 {}")


@pytest.mark.parametrize(("before", "micros"), [((), 600), ((300, 400), 300)], ids=["new day", "known day"])
async def test_cap_is_exact_where_one_batch_is_careful_and_another_is_not(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, ...], micros: int
) -> None:
    """A careful batch has read the accounts and not written yet; meanwhile one charges that still fits."""
    url = shared_server().new_database()
    async with PostgresStore(url) as careful, PostgresStore(url) as other:
        numbers = iter(range(100))

        async def charging(store: PostgresStore, micros: int = micros) -> Any:
            one = some_verification(id=some_id(), msisdn=some_msisdn(next(numbers)))
            account = Account("service:1", 1_000, CallBar.SERVICE_CAP)
            return await store.open(some_opening(one, spend=Spend(micros, 1_000, 7, (account,))))

        beside: list[Future[Any]] = []
        keep, loop = careful._batches._keep, asyncio.get_running_loop()

        def keep_later(connection: Any, sheet: Sheet) -> None:
            if sheet.balances:
                beside.append(asked := asyncio.run_coroutine_threadsafe(charging(other), loop))
                until(lambda: asked.done() or someone_waits(url))
            keep(connection, sheet)

        for charged in before:
            await charging(careful, charged)
        monkeypatch.setattr(careful._batches, "_keep", keep_later)
        answers = await asyncio.gather(*(charging(careful) for _ in range(2)), return_exceptions=True)
        answers += await asyncio.gather(*map(asyncio.wrap_future, beside), return_exceptions=True)
        with closing(connect(url)) as connection:
            both = "SELECT micros FROM spend UNION ALL SELECT micros FROM spend_account"
            sums = connection.execute(both).fetchall()

    kept = [answer for answer in answers if not isinstance(answer, Refused)]
    assert len(beside) == 1
    assert len(kept) == 1
    assert sums == [(sum(before) + micros,)] * 2


async def test_statements_that_were_not_reached_for_a_failure_are_known_the_next_time() -> None:
    async with PostgresStore(shared_server().new_database()) as store:
        victim = some_verification(id=some_id())
        await store.open(some_opening(victim))
        taken = some_message(victim)

        def writing(ordinal: int) -> Any:
            message = replace(taken, key=MessageKey(victim.id, ordinal))
            spent = replace(victim, attempts=ordinal)
            return lambda _held: Change(answer=ordinal, verification=spent, message=message)

        # Message 0 exists, so that the statements after it are not reached.
        answers = [
            await asyncio.gather(
                store.decide(victim.id, writing(ordinal)),
                store.decide(victim.id, writing(0)),
                return_exceptions=True,
            )
            for ordinal in range(1, 6)
        ]

    assert [answer for answer, _ in answers] == [1, 2, 3, 4, 5]
    assert {type(error) for _, error in answers} == {psycopg.errors.UniqueViolation}


async def test_operation_that_comes_again_is_not_done_by_another_batch_while_its_own_may_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acts: list[str] = []

    class Further(Look):
        """Wants more, once."""

        def act(self, sheet: Sheet) -> None:
            acts.append("done" if acts else "asked for more")
            if len(acts) == 1:
                raise LookFurther

    async with PostgresStore(shared_server().new_database()) as store:
        batches = store._batches
        keep = batches._keep

        def lost(_connection: Any, _sheet: Sheet) -> None:
            raise NotSent

        monkeypatch.setattr(batches, "_keep", lost)
        with pytest.raises(Overloaded) as told:
            await batches.run(Further())
        monkeypatch.setattr(batches, "_keep", keep)
        await batches.run(Look())
        failed = list(acts)
        acts.clear()
        await batches.run(Further())

    assert (failed, told.value.may_be_done) == (["asked for more"], False)
    assert acts == ["asked for more", "done"]


async def test_number_that_another_node_holds_fails_alone_and_its_node_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 20.0)
    monkeypatch.setattr(postgres_lane, "_SETTINGS", postgres_lane._SETTINGS | {"lock_timeout": 200})
    url = shared_server().new_database()
    held, *others = [some_verification(id=some_id(), msisdn=some_msisdn(n)) for n in range(9)]
    async with PostgresStore(url) as store:
        with closing(connect(url)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock($1)", (int(held.msisdn),))
            answers = await asyncio.gather(
                *(store.open(some_opening(one)) for one in (held, *others)), return_exceptions=True
            )
            connection.execute("ROLLBACK")
        after = (store.healthy, store.doubts)
        again = await store.open(some_opening(held))

    assert isinstance(answers[0], Overloaded)
    assert not answers[0].may_be_done
    assert answers[1:] == others
    assert after == (True, 0)
    assert again == held


async def test_receipt_of_a_text_that_was_submitted_while_locks_were_waited_for_finds_nothing_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its number is not locked: what was decided about it now could undo what another batch decides."""
    patience = {"lock_timeout": 20_000, "statement_timeout": 20_000}
    monkeypatch.setattr(postgres_lane, "_SETTINGS", postgres_lane._SETTINGS | patience)
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 20.0)
    url = shared_server().new_database()
    ref = CarrierRef("north", "ref-1")
    async with PostgresStore(url) as receipts, PostgresStore(url) as submits:
        waited_for = some_verification(id=some_id(), msisdn=some_msisdn(1))
        one = some_verification()
        message = some_message(one)
        await submits.open(some_opening(one, message=message))
        await submits.open(some_opening(waited_for))
        with closing(connect(url)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock($1)", (int(waited_for.msisdn),))
            both = asyncio.gather(
                receipts.decide(waited_for.id, checking(Typed.WRONG)),
                receipts.decide(ref, settling(ref, Outcome.DELIVERED)),
                return_exceptions=True,
            )
            await asyncio.to_thread(until, lambda: someone_waits(url))
            await submits.decide(message.key, submitting(ref))
            connection.execute("COMMIT")
        answers = await both
        changed = await receipts.decide(ref, settling(ref, Outcome.DELIVERED))

    assert [type(answer) for answer in answers] == [Judgement, NotFound]
    assert changed is True


def someone_waits(url: str) -> bool:
    """Say whether anybody waits for a lock in this database."""
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with closing(connect(url)) as connection:
        return connection.execute(waits).fetchone() is not None


async def test_node_that_comes_leaves_what_another_one_has_in_its_hands() -> None:
    url = shared_server().new_database()
    async with PostgresStore(url) as first, PostgresStore(url) as second:
        await first.open(some_opening())
        beside = await second.recover(NOW)
    async with PostgresStore(url) as alone:
        after = await alone.recover(NOW)

    assert (beside, after) == (0, 1)


async def test_lists_hold_no_connection_that_short_reads_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_lane, "ANSWER_S_MAX", 20.0)
    begun, over = Event(), Event()

    def look_long(_execute: Execute) -> None:
        begun.set()
        over.wait()

    async with PostgresStore(shared_server().new_database()) as store:
        listed = [asyncio.create_task(store._seldom.list(look_long)) for _ in range(READERS)]
        await asyncio.to_thread(begun.wait)
        try:
            read = await store.latest_at()
            nodes = await store.nodes_up()
        finally:
            over.set()
            await asyncio.gather(*listed)

    assert (read, nodes) == (None, 1)


@pytest.mark.parametrize(("waited_s", "left"), [(0.0, "2s"), (0.75, "1250ms")])
async def test_list_that_waited_for_another_is_stopped_by_the_server_sooner(
    monkeypatch: pytest.MonkeyPatch, waited_s: float, left: str
) -> None:
    async with PostgresStore(shared_server().new_database()) as store:
        desk, looks = store._seldom, iter((5.0, 5.0 + waited_s))
        desk._sql = {**desk._sql, "left": "SHOW statement_timeout"}
        monkeypatch.setattr(postgres_desk, "steady_s", lambda: next(looks))

        shown = await desk.list(lambda execute: execute("left").fetchone())
        afterwards = await desk._listers.run(
            lambda connection: connection.execute("SHOW statement_timeout").fetchone()
        )

    assert (shown, afterwards) == ((left,), ("2s",))


def test_no_two_nodes_that_are_up_give_rows_the_same_number() -> None:
    url = shared_server().new_database()
    first, second, third = (RowNumbers(NODES_MAX - 1) for _ in range(3))
    with closing(connect(url)) as one, closing(connect(url)) as other:
        first.claim(one)
        second.claim(other)
        beside = {number() for number in (first, second) for _ in range(10_000)}
        one.execute("SELECT pg_advisory_unlock_all()")
        third.claim(one)

    assert (first.node, second.node, third.node) == (NODES_MAX - 1, 0, NODES_MAX - 1)
    assert len(beside) == 20_000


def test_rows_of_a_node_are_numbered_upwards_however_many_come_at_once() -> None:
    number = RowNumbers(7)

    given = [number() for _ in range(50_000)]

    assert given == sorted(set(given))
    assert {n >> 12 & (NODES_MAX - 1) for n in given} == {7}


async def test_nodes_of_one_database_have_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    url = shared_server().new_database()
    monkeypatch.setattr(postgres_store, "urandom", bytes)
    async with PostgresStore(url) as first, PostgresStore(url) as second:
        opened = [
            await store.open(some_opening(some_verification(id=some_id(), msisdn=some_msisdn(n))))
            for n, store in enumerate((first, second))
        ]
        nodes = (first._number.node, second._number.node)

    assert (len(opened), nodes) == (2, (0, 1))


@pytest.mark.parametrize("name", [*IN_SETS, "newest_of_number"])
def test_statement_reads_no_whole_table_even_when_planned_for_a_small_one(name: str) -> None:
    url = shared_server().new_database()
    postgres_migrate.upgrade(connect(url))
    with connect(url, in_sets=True) as connection:
        connection.execute(SOME_ROWS)
        connection.execute("ANALYZE")
        sql = statements()[name]
        numbers = max(map(int, re.findall(r"\$(\d)", sql)))
        sets = name not in ("take_due", "expiring", "newest_of_number")
        types = ["jsonb" if sets and n < 1 + (name == "lock_numbers") else "bigint" for n in range(numbers)]
        connection.execute(f"PREPARE asked ({', '.join(types)}) AS {sql}".encode())
        values = ", ".join("'[]'" if kind == "jsonb" else "1" for kind in types)
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN EXECUTE asked ({values})".encode()))

    # Nodes are a handful, and have no index.
    assert "Seq Scan" not in plan.replace("Seq Scan on node ", "")
    # An index of the large tables is never walked through from end to end.
    walked = re.findall(
        r"Index Scan (?:Backward )?using (\w+) on (?:verification|message)\b.*\n(?! +Index Cond)", plan
    )
    assert [index for index in walked if index != "verification_expiring"] == []

"""What time partitions cost the hot path, and what they save when old rows go: `python -m bench.partitions`.

The same rows, once in one table and once in a table with a partition for each day; on a server of its own.
"""

import argparse
import time
from base64 import b64encode
from hashlib import md5
from random import Random

import psycopg

from bench.postgres_cases import server_s
from bench.postgres_cluster import DURABLE, PostgresServer
from bench.report import tabulated
from dastak.store.postgres import postgres_migrate
from dastak.store.postgres.postgres_lane import connect

# One: no partitions.
DAYS = (1, 7, 30, 90)
# What one batch of the program asks for, and what one sweep deletes.
BATCH = 64
SLICE = 250
BATCHES = 300
WARM = 20

_ROWS = """
    INSERT INTO {table} (
        n, id, tenant, service, mode, msisdn, state, policy, key_id, created_at, expires_at, attempts,
        generation, sends, timeline
    ) SELECT i, decode(md5(i::text), 'hex'), 1, 1, 2, 910000000000 + i, 1, 1, 1, i, i, 1, 1, 1,
        repeat('t', 180)
    FROM generate_series(1, {rows}) AS i
"""
_FOUND = """
    SELECT k.i, v.n FROM jsonb_to_recordset($1) AS k(i int, id text)
    JOIN {table} AS v
        ON substr(v.id, 1, 8) = substr(decode(k.id, 'base64'), 1, 8) AND v.id = decode(k.id, 'base64')
"""
_DELETED = "DELETE FROM {table} WHERE n IN (SELECT n FROM {table} ORDER BY n LIMIT {slice})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.partitions", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    asked = parser.parse_args()
    server = PostgresServer(DURABLE)
    try:
        print(tabulated(_HEAD, [_measured(server, days, asked.rows) for days in DAYS]))
    finally:
        server.remove()


_HEAD = ("days", "64 ids, ms", "server us an id", "delete, us a row", "log a row", "drop of a day, ms")


def _measured(server: PostgresServer, days: int, rows: int) -> tuple[str, ...]:
    url = server.new_database()
    postgres_migrate.upgrade(connect(url))
    with connect(url, in_sets=True) as connection:
        connection.execute("SET statement_timeout = 0")
        table = "verification" if days == 1 else _parted(connection, days, rows)
        connection.execute(_ROWS.format(table=table, rows=rows))
        connection.execute(f"ANALYZE {table}")
        connection.execute("CHECKPOINT")
        took_ms, server_us = _looked_up(connection, server, table, rows)
        day = rows // days
        delete_us, log = _deleted(connection, table, min(day, 40 * SLICE))
        drop_ms = float("nan")
        if days > 1:
            began_s = time.perf_counter()
            connection.execute(f"DROP TABLE {table}_1")
            drop_ms = (time.perf_counter() - began_s) * 1e3
    return (
        str(days),
        f"{took_ms:.2f}",
        f"{server_us:.0f}",
        f"{delete_us:.1f}",
        f"{log:.0f}",
        "" if days == 1 else f"{drop_ms:.1f}",
    )


def _parted(connection: psycopg.Connection, days: int, rows: int) -> str:
    """Make a table like that of the verifications, with a partition for each day."""
    connection.execute("CREATE TABLE parted (LIKE verification INCLUDING DEFAULTS) PARTITION BY RANGE (n)")
    step = rows // days + 1
    for day in range(days):
        connection.execute(
            f"CREATE TABLE parted_{day} PARTITION OF parted"
            f" FOR VALUES FROM ({day * step}) TO ({(day + 1) * step})"
        )
    connection.execute("ALTER TABLE parted ADD PRIMARY KEY (n)")
    for index in (
        "parted_id ON parted (substr(id, 1, 8))",
        "parted_number ON parted (tenant, msisdn, state)",
        "parted_expiring ON parted (expires_at) WHERE state = 0",
    ):
        connection.execute(f"CREATE INDEX {index}")
    return "parted"


def _looked_up(
    connection: psycopg.Connection, server: PostgresServer, table: str, rows: int
) -> tuple[float, float]:
    """Find batches of ids as checks do."""
    chance = Random(1)
    sql = _FOUND.format(table=table)
    batches = [
        "[" + ",".join(f'{{"i":{i},"id":"{_id(chance.randint(1, rows))}"}}' for i in range(BATCH)) + "]"
        for _ in range(BATCHES + WARM)
    ]
    for batch in batches[:WARM]:
        connection.execute(sql, (batch,)).fetchall()
    used_s, began_s = server_s(server), time.perf_counter()
    for batch in batches[WARM:]:
        assert len(connection.execute(sql, (batch,)).fetchall()) == BATCH
    took_s = time.perf_counter() - began_s
    return took_s / BATCHES * 1e3, (server_s(server) - used_s) / BATCHES / BATCH * 1e6


def _id(n: int) -> str:
    return b64encode(md5(str(n).encode(), usedforsecurity=False).digest()).decode()


def _deleted(connection: psycopg.Connection, table: str, rows: int) -> tuple[float, float]:
    """Delete the oldest in slices, and return what a row takes: microseconds, and octets of log."""
    before = _log(connection)
    began_s, deleted = time.perf_counter(), 0
    while deleted < rows:
        deleted += connection.execute(_DELETED.format(table=table, slice=SLICE)).rowcount
    took_s = time.perf_counter() - began_s
    return took_s / deleted * 1e6, (_log(connection) - before) / deleted


def _log(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    main()

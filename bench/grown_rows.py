"""Give a database a long past: copies of what it has, each with an id, a number and a moment of its own."""

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg

# From a day ago on back, a millisecond each, so that no limit and no sweep still looks at them.
_DAY_MS = 86_400_000
_PAST_MAX = 20_000_000
# Another range than that of the numbers that are measured, and in no order.
_FIRST_MSISDN = 916_000_000_000
_STRIDE = 618_033_989
_RANGE = 1_000_000_000
# Of row numbers in PostgreSQL: milliseconds since 2024 above 22 bits.
_SINCE_MS = 1_704_067_200_000
_LATER_BITS = 22
# Rows in one transaction.
_CHUNK = 500_000
# What a copy has of its own; all other columns are the seed's.
_OWN = ("n", "id", "msisdn", "created_at", "expires_at", "last_sent_at")


class Place(NamedTuple):
    """SQL for where copies go: a series of rows, their numbers and ids, and when the first began."""

    series: str
    n: str
    row_id: str
    began_ms: int


def grow_sqlite(file: Path, *, to: int, seeds: int) -> None:
    """Add rows until there are so many, and check that there are.

    Indexes grow with the rows: built afterwards, their pages would be full, and each new row would split one.

    Args:
        file: Of a program that does not run now.
        to: How many verifications there shall be, each with its messages.
        seeds: How many of its newest are copied in turn.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("synchronous = OFF", "cache_size = -2000000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        columns = _columns(row[1] for row in connection.execute("PRAGMA table_info(verification)"))
        letters = _letters(row[1] for row in connection.execute("PRAGMA table_info(message)"))
        connection.execute(f"CREATE TEMP TABLE seed AS {_SEEDS.format(seeds=seeds)}")
        connection.execute("CREATE UNIQUE INDEX temp.seed_s ON seed (s)")
        (first,) = connection.execute("SELECT count(*) FROM verification").fetchone()
        (base,) = connection.execute("SELECT max(n) FROM verification").fetchone()
        began_ms = _began_ms()
        for begin in range(first, to, _CHUNK):
            at = Place(
                series=(
                    f"(WITH RECURSIVE c(i) AS (SELECT {begin} UNION ALL SELECT i + 1 FROM c "
                    f"WHERE i + 1 < {min(to, begin + _CHUNK)}) SELECT i FROM c) AS g"
                ),
                n=f"{base - first + 1} + g.i",
                row_id="randomblob(16)",
                began_ms=began_ms,
            )
            connection.execute("BEGIN")
            connection.execute(_copy(columns, seeds, at))
            connection.execute(_copy_letters(letters, seeds, at))
            connection.execute("COMMIT")
        assert connection.execute("SELECT count(*) FROM verification").fetchone() == (max(first, to),)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # Gigabytes that the kernel still has to write would be waited for by the first fsync that is measured.
    with file.open("rb") as written:
        os.fsync(written.fileno())


def grow_postgres(url: str, *, to: int, seeds: int) -> None:
    """Do the same in a database of a PostgreSQL server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET synchronous_commit = off")
        names = "SELECT column_name FROM information_schema.columns WHERE table_name = '{}'"
        columns = _columns(row[0] for row in connection.execute(names.format("verification")))
        letters = _letters(row[0] for row in connection.execute(names.format("message")))
        dropped = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('verification', 'message')"
            " AND indexname NOT LIKE '%_pkey'"
        ).fetchall()
        connection.execute(f"CREATE TEMP TABLE seed AS {_SEEDS.format(seeds=seeds)}")
        connection.execute("CREATE UNIQUE INDEX seed_s ON seed (s)")
        connection.execute("ANALYZE seed")
        for name, _ in dropped:
            connection.execute(f"DROP INDEX {name}")
        (first,) = connection.execute("SELECT count(*) FROM verification").fetchone() or (0,)
        began_ms = _began_ms()
        for begin in range(first, to, _CHUNK):
            at = Place(
                series=f"generate_series({begin}::bigint, {min(to, begin + _CHUNK) - 1}) AS g(i)",
                n=f"((({began_ms} - {_SINCE_MS} + g.i)::bigint) << {_LATER_BITS})",
                row_id="decode(md5(g.i::text || 'grown'), 'hex')",
                began_ms=began_ms,
            )
            connection.execute(_copy(columns, seeds, at))
            connection.execute(_copy_letters(letters, seeds, at))
        for _, sql in dropped:
            connection.execute(sql)
        assert connection.execute("SELECT count(*) FROM verification").fetchone() == (max(first, to),)
        connection.execute("VACUUM (ANALYZE) verification")
        connection.execute("VACUUM (ANALYZE) message")
        connection.execute("CHECKPOINT")


_SEEDS = (
    "SELECT row_number() OVER (ORDER BY n) - 1 AS s, * FROM"
    " (SELECT * FROM verification ORDER BY n DESC LIMIT {seeds}) AS newest"
)


def _began_ms() -> int:
    return int(time.time() * 1000) - _DAY_MS - _PAST_MAX


def _columns(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in _OWN]


def _letters(names: Iterable[str]) -> list[str]:
    return [name for name in names if name != "verification"]


def _copy(columns: list[str], seeds: int, at: Place) -> str:
    kept = ", ".join(columns)
    return (
        f"INSERT INTO verification (n, id, msisdn, created_at, expires_at, {kept})"
        f" SELECT {at.n}, {at.row_id}, {_FIRST_MSISDN} + (g.i * {_STRIDE}) % {_RANGE}, {at.began_ms} + g.i,"
        f" {at.began_ms} + g.i + 300000, {kept}"
        f" FROM {at.series} JOIN seed ON seed.s = g.i % {seeds}"
    )


def _copy_letters(letters: list[str], seeds: int, at: Place) -> str:
    kept = ", ".join(letters)
    of = ", ".join(f"m.{name}" for name in letters)
    return (
        f"INSERT INTO message (verification, {kept}) SELECT {at.n}, {of}"
        f" FROM {at.series} JOIN seed ON seed.s = g.i % {seeds} JOIN message AS m ON m.verification = seed.n"
    )

"""Play the short form of a fault test: too few requests to count, and every promise asserted all the same."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.postgres_cluster import PostgresServer
from chaos.catalogue import SCENES
from chaos.outcome_table import Outcome
from chaos.patroni_cluster import PatroniCluster
from chaos.stage import QUICK, CannotPlay, Scale, Stage


@contextmanager
def told_if_not_here() -> Iterator[None]:
    """Skip a test where this machine lacks what it needs; in CI that is a failure."""
    try:
        yield
    except CannotPlay as reason:
        (pytest.fail if os.environ.get("DASTAK_CI") == "1" else pytest.skip)(str(reason))


async def play_short(
    fault: str,
    directory: Path,
    *,
    database_url: str | None = None,
    server: PostgresServer | None = None,
    cluster: PatroniCluster | None = None,
    scale: Scale = QUICK,
) -> Outcome:
    """Play it, and assert what no fault may break; without a cluster one is made where it is wanted.

    Rows are kept in a file, unless `database_url` names a server, or `server` is one that may be killed.
    """
    stage = Stage(directory, scale=scale, seed=1, database_url=database_url, server=server, cluster=cluster)
    with told_if_not_here():
        outcome = await SCENES[fault](stage)

    assert outcome.broken == {}, outcome.broken
    assert (outcome.lost, outcome.approved_twice) == (0, 0)
    assert outcome.accepted > 0
    assert outcome.in_fault > 0
    return outcome

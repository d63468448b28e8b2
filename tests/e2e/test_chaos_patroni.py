"""The files of deploy/patroni as shipped, on three machines in a box that die, are cut off and come back."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chaos.failovers import new_cluster
from chaos.patroni_cluster import PatroniCluster
from chaos.stage import QUICK
from tests.support.short_scene import play_short, told_if_not_here

pytestmark = pytest.mark.asyncio(loop_scope="module")

# They come for as long as leases last, which is not short.
FEWER = msgspec.structs.replace(QUICK, per_s=10.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[PatroniCluster]:
    """Three machines that each scene leaves whole."""
    with told_if_not_here():
        cluster = await new_cluster()
    async with cluster:
        yield cluster


@pytest.mark.parametrize("fault", ["F29", "F30", "F31", "F32", "F33", "F34"])
async def test_promises_hold_when_the_database_cluster_fails(
    fault: str, cluster: PatroniCluster, tmp_path: Path
) -> None:
    outcome = await play_short(fault, tmp_path, cluster=cluster, scale=FEWER)

    assert outcome.recovery_s is not None

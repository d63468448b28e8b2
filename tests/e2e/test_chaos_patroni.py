"""The files of deploy/patroni as shipped, on three machines in a box that die, are cut off and come back."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import pytest
import pytest_asyncio
import yaml

from chaos.failovers import new_cluster
from chaos.patroni_cluster import NODES, WHOLE_S_MAX, PatroniCluster
from chaos.stage import QUICK
from tests.support.deployed import ROOT, run
from tests.support.patience import until
from tests.support.short_scene import play_short, told_if_not_here

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: Final = ROOT / "docs" / "how-to" / "run-the-database-so-that-it-survives.md"
BLOCK: Final = re.compile(
    r"```bash shown: needs three machines; tests/e2e/test_chaos_patroni\.py runs it\n(.*?)```", re.DOTALL
)
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


async def test_copy_is_made_and_put_back_as_the_page_says(cluster: PatroniCluster) -> None:
    copied, stopped, put_back = BLOCK.findall(PAGE.read_text())
    url = psycopg.conninfo.make_conninfo(await cluster.new_database(), passfile=str(cluster.passfile))
    standby = await cluster.named("replica")
    others = [name for name in NODES if name != standby]
    tell(url, "CREATE TABLE told AS SELECT 'before' AS word")
    await cluster.control("edit-config", "--force", "--pg", "deadlock_timeout=2s")
    known = cluster.home / standby / "data" / "patroni.dynamic.json"
    await asyncio.to_thread(until, lambda: "deadlock_timeout" in known.read_text(), within_s=30)

    await asyncio.to_thread(machine_does, cluster, standby, copied)
    tell(url, "INSERT INTO told VALUES ('after')")
    for name in (*others, standby):
        await asyncio.to_thread(machine_does, cluster, name, stopped)
    told = await asyncio.to_thread(machine_does, cluster, standby, put_back)
    async with asyncio.timeout(WHOLE_S_MAX):
        while (await cluster.members()).get(standby, {}).get("role") != "leader":  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    for name in others:
        cluster.start(name, "patroni")
    await cluster.until_whole()

    assert tell(url, "SELECT word FROM told") == [("before",)], told
    kept = yaml.safe_load(await cluster.control("show-config"))
    assert (kept["synchronous_mode"], kept["synchronous_mode_strict"]) == (True, True)
    assert kept["postgresql"]["parameters"]["deadlock_timeout"] == "2s"
    assert {name for name in NODES if (cluster.home / name / "data.before").is_dir()} == set(NODES)


def tell(url: str, sql: str) -> list[tuple[object, ...]]:
    """Ask by way of HAProxy, as Dastak does; it leads anywhere until it has asked each machine once."""

    def connected() -> "psycopg.Connection[Any] | None":
        with suppress(psycopg.OperationalError):
            return psycopg.connect(url, autocommit=True, connect_timeout=5, target_session_attrs="read-write")
        return None

    connection = until(connected, within_s=60)
    assert connection
    with connection:
        answer = connection.execute(sql)
        return answer.fetchall() if answer.description else []


def machine_does(cluster: PatroniCluster, name: str, block: str) -> str:
    """Give a block of the page to the shell of a machine, which has its files elsewhere and no systemd."""
    etc = cluster.home / f"{name}.etc"
    etc.mkdir(exist_ok=True)
    (etc / "node.env").write_text("".join(f"{k}={v}\n" for k, v in cluster.environment(name).items()))
    for empty in ("etcd.env", "secrets.env"):
        (etc / empty).touch()
    (etc / "patroni.yml").write_text((cluster.home / "patroni.yml").read_text())
    for written, here in (
        ("/etc/dastak-database", etc),
        ("/var/lib/postgresql/15/dastak", cluster.home / name / "data"),
        ("/var/backups/dastak-database", cluster.home / "backups"),
        ("/2026-12-01", f"/{datetime.now(UTC).date()}"),
    ):
        block = block.replace(written, str(here))
    said, environment = "", "".join(re.findall(r"^set -a;.*\n", block, re.MULTILINE))
    for part in re.split(r"^(systemctl \w+ patroni)\n", block, flags=re.MULTILINE):
        match part.split():
            case ["systemctl", "stop", "patroni"]:
                cluster.stop(name, "patroni")
            case ["systemctl", "start", "patroni"]:
                cluster.start(name, "patroni")
            case _:
                command = cluster.network.on(name, "bash", "-euo", "pipefail", "-c", environment + part)
                done = run(*command, cwd="/")
                said += done.stdout + done.stderr
                assert done.returncode == 0, said
    return said

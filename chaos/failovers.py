"""The database loses its primary, its standby or its cables, and nodes go on: F5 and F29 to F34."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from bench.postgres_cluster import DURABLE, FOLLOWER, PostgresServer, programs
from chaos.asked_calls import NO_ANSWER, Call
from chaos.capacity import usual_load
from chaos.outcome_table import Outcome
from chaos.patroni_cluster import NODES, PatroniCluster, why_not
from chaos.people import Habits
from chaos.server_database import new_database
from chaos.stage import CannotPlay, House, Stage
from chaos.watched_carrier import until

# People whose codes are not used yet when the primary goes, and who try for longer than a failover may take.
SLOW: Final = Habits(types_after_s=4.0, patience_s=120.0)
RECOVERS_S_MAX: Final = 120.0
ALONE_S_MAX: Final = 60.0
# Who lives so many leases without etcd lives without it.
LEASES: Final = 2
# Patroni says this of a machine that is silent for two seconds, as a busy one may be: it goes for gone then.
NO_ANSWER_IN_TIME: Final = "Request failed to"
# So long a stretch of time has a p99, and so much longer than before the fault it may be to be normal again.
STRETCH_S: Final = 3.0
NORMAL_TIMES: Final = 2.0
NORMAL_S_MIN: Final = 0.05
# By when that must be, counted from the fault, and for how long starts and checks may be refused (F5).
NORMAL_WITHIN_S: Final = 30.0
REFUSED_S_MAX: Final = 15.0
# The name of the figure in kept runs.
NORMAL: Final = "p99 normal after s"
REFUSED: Final = "refused for s"
# What nobody may confirm.
TABLE: Final = "written_alone"
# What a server says when what it has committed is on its own disk alone.
UNCONFIRMED: Final = "might not have been replicated"


async def primary_killed(stage: Stage) -> Outcome:
    """F5: kill -9 of the primary; its synchronous standby is promoted by hand. No Patroni, no HAProxy."""
    if programs() is None:
        raise CannotPlay("it needs PostgreSQL")
    async with _followed() as (primary, standby):

        async def new_url() -> str:
            database = urlsplit(await new_database(primary.url)).path
            hosts = ",".join(f"127.0.0.1:{server.port}" for server in (primary, standby))
            return f"postgresql://postgres@{hosts}{database}"

        per_s = await usual_load(stage, "f5-most", new_url=new_url)
        async with stage.house("f5", habits=SLOW, database_url=await new_url()) as house:
            house.per_s = per_s
            async with house.load():
                await house.until_accepted(20)
                house.fault_begins()
                killed_s = time.monotonic()
                os.kill(primary.pid, signal.SIGKILL)
                await until(lambda: bool(_refused(house)), within_s=60, what="somebody is refused")
                await asyncio.to_thread(standby.promote)
                house.figures["promoted after s"] = time.monotonic() - killed_s
                await house.recovered(killed_s, within_s=RECOVERS_S_MAX)
                await _go_on(house)
            return await _close(house, "F5", "primary killed, standby promoted")


async def machine_lost(stage: Stage) -> Outcome:
    """F29: everything on the primary's machine is killed at once; it is switched on again later."""
    async with _service(stage, "f29") as (cluster, house):
        async with house.load():
            await house.until_accepted(20)
            old = await cluster.named("leader")
            house.fault_begins()
            lost_s = time.monotonic()
            await cluster.network.switch_off(old)
            await house.recovered(lost_s, within_s=RECOVERS_S_MAX)
            await _go_on(house)
            cluster.switch_on(old)
            await _until_back(house, cluster, old)
        return await _close(house, "F29", "machine of the primary lost, then back")


async def primary_cut_off(stage: Stage) -> Outcome:
    """F30: the primary runs on and is cut off, with a client of its own on its side."""
    return await _cut_off(stage, "F30", "primary cut off, then back")


async def primary_cut_off_without_a_proxy(stage: Stage) -> Outcome:
    """F33: the same, and nodes look for the primary by themselves among all hosts of their URL."""
    return await _cut_off(stage, "F33", "primary cut off, nodes without HAProxy", by_hosts=True)


async def _cut_off(stage: Stage, fault: str, title: str, *, by_hosts: bool = False) -> Outcome:
    async with _service(stage, fault.lower(), by_hosts=by_hosts) as (cluster, house):
        async with house.load():
            await house.until_accepted(20)
            old = await cluster.named("leader")
            house.fault_begins()
            cut_s = time.monotonic()
            cluster.network.cut(old)
            alone = _write_alone(cluster, old)
            await house.recovered(cut_s, within_s=RECOVERS_S_MAX)
            _, said = await asyncio.to_thread(alone.communicate, None, ALONE_S_MAX)
            house.expect(fault, alone.returncode != 0, "a primary that was cut off confirmed what it wrote")
            house.expect(fault, UNCONFIRMED in said, f"it did not wait for a standby: {said.strip()}")
            await _go_on(house)
            cluster.network.mend(old)
            await _until_back(house, cluster, old)
        for name in (old, await cluster.named("leader")):
            found = await asyncio.to_thread(_find, cluster, name)
            house.expect(fault, found == "", f"{name} still has what nobody confirmed: {found}")
        return await _close(house, fault, title)


async def standby_cut_off(stage: Stage) -> Outcome:
    """F31: the standby that confirms is cut off; the other one takes its place."""
    async with _service(stage, "f31") as (cluster, house):
        async with house.load():
            await house.until_accepted(20)
            old = await cluster.named("sync_standby")
            house.fault_begins()
            cut_s = time.monotonic()
            cluster.network.cut(old)
            await house.recovered(cut_s, within_s=RECOVERS_S_MAX)
            await _go_on(house)
            cluster.network.mend(old)
            await _until_back(house, cluster, old)
        return await _close(house, "F31", "synchronous standby cut off, then back")


async def switchover(stage: Stage) -> Outcome:
    """F32: an operator changes the primary, by the command of the how-to."""
    async with _service(stage, "f32") as (cluster, house):
        async with house.load():
            await house.until_accepted(20)
            old, new = await cluster.named("leader"), await cluster.named("sync_standby")
            house.fault_begins()
            asked_s = time.monotonic()
            await cluster.control("switchover", "--candidate", new, "--force")
            await house.recovered(time.monotonic(), within_s=RECOVERS_S_MAX)
            house.figures["switched after s"] = house.fault_ended_s - asked_s
            await _go_on(house)
            await _until_back(house, cluster, old)
        house.expect("F32", await cluster.named("leader") == new, "another machine is the primary")
        return await _close(house, "F32", "switchover")


async def etcd_lost(stage: Stage) -> Outcome:
    """F34: all of etcd is killed, for longer than a lease lasts, and started again."""
    async with _service(stage, "f34") as (cluster, house):
        async with house.load():
            await house.until_accepted(20)
            old = await cluster.named("leader")
            said = {name: len(cluster.log(name)) for name in NODES}
            house.fault_begins()
            for name in NODES:
                cluster.kill(name, "etcd")
            await asyncio.sleep(LEASES * cluster.lease_s)
            await house.recovered(time.monotonic(), within_s=RECOVERS_S_MAX)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
            stays = await asyncio.to_thread(_is_primary, cluster, old)
            silent = any(NO_ANSWER_IN_TIME in cluster.log(name)[said[name] :] for name in NODES)
            for name in NODES:
                cluster.start(name, "etcd")
            await cluster.until_whole()
        house.expect("F34", stays or silent, "the primary gave up, though all answered each other")
        # Whoever asks etcd first when it is back may become it.
        house.figures["the same primary"] = float(await cluster.named("leader") == old)
        return await _close(house, "F34", "all of etcd lost, then back", refuses=False)


def _is_primary(cluster: PatroniCluster, name: str) -> bool:
    """Ask a machine's own server whether it writes."""
    return _answer(cluster, name, "SELECT pg_is_in_recovery()") == "f"


@asynccontextmanager
async def _service(
    stage: Stage, name: str, *, by_hosts: bool = False
) -> AsyncIterator[tuple[PatroniCluster, House]]:
    """Open a house on a cluster. Raises: CannotPlay."""
    async with AsyncExitStack() as stack:
        cluster = stage.cluster
        if cluster is None:
            cluster = await stack.enter_async_context(await new_cluster())
        environment = {"PGPASSFILE": str(cluster.passfile)}
        new_url = partial(cluster.new_database, by_hosts=by_hosts)
        per_s = await usual_load(stage, f"{name}-most", environment=environment, new_url=new_url)
        opening = stage.house(name, habits=SLOW, environment=environment, database_url=await new_url())
        house = await stack.enter_async_context(opening)
        house.per_s = per_s
        yield cluster, house


async def new_cluster() -> PatroniCluster:
    """Return one that is not started. Raises: CannotPlay."""
    if reason := await asyncio.to_thread(why_not):
        raise CannotPlay(reason)
    return PatroniCluster()


@asynccontextmanager
async def _followed() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """Start a primary and a standby that confirms all it commits."""
    async with AsyncExitStack() as stack:
        primary = await asyncio.to_thread(PostgresServer, DURABLE)
        stack.callback(primary.remove)
        standby = await asyncio.to_thread(partial(PostgresServer, DURABLE, following=primary))
        stack.callback(standby.remove)
        primary.set("synchronous_standby_names", FOLLOWER)
        yield primary, standby


async def _go_on(house: House) -> None:
    """Let people come until there is something to compare with; what is broken is mended only then."""
    scale = house.stage.scale
    await asyncio.sleep(scale.settle_s)
    await house.until_asked(scale.requests_min)
    if scale.judges_speed:
        # Who is not seen to be well by then was not well, and not only looked at for too short a time.
        looked_at_s = house.fault_began_s + NORMAL_WITHIN_S + STRETCH_S
        await asyncio.sleep(max(0.0, looked_at_s - time.monotonic()))
    house.fault_ended_s = time.monotonic()


async def _until_back(house: House, cluster: PatroniCluster, name: str) -> None:
    """Wait until a machine is a standby again."""
    since_s = time.monotonic()
    await cluster.until_whole()
    house.figures["whole again after s"] = time.monotonic() - since_s
    house.expect("return", (await cluster.members())[name]["role"] != "leader", f"{name} is the primary")


def _write_alone(cluster: PatroniCluster, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        cluster.asking(name, f"CREATE TABLE {TABLE} ()"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _find(cluster: PatroniCluster, name: str) -> str:
    return _answer(cluster, name, f"SELECT to_regclass('{TABLE}')")


def _answer(cluster: PatroniCluster, name: str, sql: str) -> str:
    asked = cluster.asking(name, sql)
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


async def _close(house: House, fault: str, title: str, *, refuses: bool = True) -> Outcome:
    findings = await house.close()
    refused = _refused(house)
    house.expect(fault, bool(refused) or not refuses, "nobody was refused, so nothing was tried")
    house.expect(fault, not house.crowd.without_retry_after, "refusals without Retry-After")
    told = [call.answered_s for call in refused]
    house.figures |= {
        "refused": len(refused),
        REFUSED: max(told, default=0.0) - min(told, default=0.0),
        "longest refusal s": max((call.answered_s - call.asked_s for call in refused), default=0.0),
    }
    judge_waits(house)
    if fault == "F5":
        house.expect_within("seconds of refusals", house.figures[REFUSED], REFUSED_S_MAX)
    return house.stage.outcome(fault, title, house, findings)


def judge_waits(house: House) -> None:
    """Compare how long people waited for good answers before the fault and after it, and judge that.

    The figure is left out where people waited longer as long as they came; that is a breach as well.
    """
    _measure_waits(house)
    normal_s = house.figures.get(NORMAL, float("inf"))
    house.expect_within("seconds until p99 is normal", normal_s, NORMAL_WITHIN_S)


def _measure_waits(house: House) -> None:
    before = p99([call for call in house.books.calls if call.answered_s < house.fault_began_s])
    last = max(call.asked_s for call in house.books.calls)
    begin = house.fault_began_s + max(house.recoveries, default=0.0)
    normal = max(NORMAL_TIMES * before, NORMAL_S_MIN)
    house.figures["p99 before s"] = before
    while begin + STRETCH_S <= last:
        calls = [call for call in house.books.calls if begin <= call.asked_s < begin + STRETCH_S]
        if p99(calls) <= normal and all(call.status != 503 for call in calls):
            house.figures[NORMAL] = begin + STRETCH_S - house.fault_began_s
            house.figures["p99 then s"] = p99(calls)
            return
        begin += STRETCH_S / 3


def _refused(house: House) -> list[Call]:
    inside = (call for call in house.books.calls if call.answered_s >= house.fault_began_s)
    return [call for call in inside if call.status in (503, NO_ANSWER)]


def p99(calls: list[Call]) -> float:
    """Return how long all but one in a hundred waited for a good answer; endless when nobody got one."""
    waits = sorted(call.answered_s - call.asked_s for call in calls if call.status // 100 == 2)
    return waits[int(0.99 * (len(waits) - 1))] if waits else float("inf")

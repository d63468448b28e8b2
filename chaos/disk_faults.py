"""The database stalls, fills up, fails, forgets, or holds what cannot be read: F6, F7, F10, F11, F24, F28."""

import asyncio
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from chaos.api_lines import ANSWER_S_MAX
from chaos.asked_calls import Call
from chaos.fault_proxy import FaultProxy, Mode, Weather
from chaos.outcome_table import Outcome
from chaos.people import PATH, Habits
from chaos.stage import CannotPlay, House, Stage
from chaos.watched_carrier import until

DISK_MIB = 64
COMMAND_S_MAX = 20
TTL_S = 60
# It begins as what was sealed under the first key does.
NEVER_SEALED = b"\0\0\0\1never sealed by anybody"
FSYNC_FAILED = "SQLITE_IOERR_FSYNC"
STRACE = ("strace", "-f", "-qq", "-o", "/dev/null")
# Once, and never again: who goes on after it would look well.
FAILS_ONCE = ("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=3")
# People who still look at the text when the copy is made.
SLOW = Habits(types_after_s=2.0)
# What a customer's program sends to change something.
WRITES = frozenset({"start", "wrong", "check"})


async def stall(stage: Stage) -> Outcome:
    """F6: somebody else holds the lock of the file, or the line to the server swallows everything."""
    async with stage.house("f6", habits=Habits(waits_as_told=False)) as house:
        async with house.load():
            await house.until_accepted(10)
            with _stalled(house):
                house.fault_begins()
                await asyncio.sleep(stage.scale.settle_s)
                await house.until_asked(stage.scale.requests_min)
            await house.recovered(time.monotonic())
        findings = await house.close()
        refused = _refusals(house)
        house.expect("F6", bool(refused), "nobody was refused, so nothing was tried")
        house.expect("F6", not house.crowd.without_retry_after, "refusals without Retry-After")
        longest = max((call.answered_s - call.asked_s for call in refused), default=0.0)
        house.expect_within("seconds until a refusal", longest, 3.5)
        return stage.outcome("F6", "database stalls", house, findings, **{"longest refusal s": longest})


async def lost_answers(stage: Stage) -> Outcome:
    """F7: what was asked is done, and its answer never comes; nor does that of a server's COMMIT."""
    async with stage.house("f7") as house, FaultProxy(house.victim.port) as proxy:
        house.lines.port = proxy.port
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            proxy.turn(Weather(mode=Mode.HALF))
            # Shorter than people wait, so that it is the line that gives up.
            await asyncio.sleep(min(stage.scale.settle_s, ANSWER_S_MAX / 2))
            proxy.turn(Weather())
            await house.recovered(time.monotonic())
            if house.database_line is not None:
                house.database_line.turn(Weather(mode=Mode.HALF))
                await asyncio.sleep(stage.scale.settle_s)
                house.database_line.turn(Weather())
                await house.recovered(time.monotonic())
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        replayed = sum(call.replayed for call in house.books.calls if call.kind == "start")
        house.expect("F7", proxy.swallowed > 0, "no answer was lost, so nothing was tried")
        house.expect("F7", replayed > 0, "no answer was given a second time")
        return stage.outcome("F7", "answers are lost", house, findings, **{"answered again": replayed})


async def full_disk(stage: Stage) -> Outcome:
    """F10: no room for the database, nor for the log."""
    _needs_a_file(stage)
    place = stage.directory / "f10"
    place.mkdir()
    with _small_disk(place):
        async with stage.house("f10", directory=place / "dastak") as house:
            async with house.load():
                await house.until_accepted(10)
                filler = place / "filler"
                house.fault_begins()
                await asyncio.to_thread(_fill, filler)
                await house.until_asked(stage.scale.requests_min)
                await until(lambda: bool(_refusals(house)), within_s=60, what="somebody is refused")
                filler.unlink()
                await house.recovered(time.monotonic())
                await house.until_accepted(10)
            await _prove_durable(house)
            findings = await house.close()
            house.expect("F10", not house.crowd.without_retry_after, "refusals without Retry-After")
            return stage.outcome("F10", "disk full", house, findings, **{"refused": len(_refusals(house))})


async def failing_fsync(stage: Stage) -> Outcome:
    """F11: one fsync fails, and nobody can say what is on the disk."""
    _needs_a_file(stage)
    async with stage.house("f11") as house:
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            with _fsync_that_fails(house.victim.pid):
                await until(
                    lambda: FSYNC_FAILED in house.victim.log.read_text(), within_s=60, what="an fsync fails"
                )
            failed_s = time.monotonic()
            await house.until_asked(stage.scale.requests_min)
            killed_s = time.monotonic()
            acknowledged = [
                call
                for call in house.books.calls
                if call.kind in WRITES and call.asked_s > failed_s and call.status // 100 == 2
            ]
            fresh = [call for call in acknowledged if not call.replayed]
            house.expect("F11", not fresh, f"{len(fresh)} writes were acknowledged after the fsync failed")
            house.victim.kill()
            await house.victim.start()
            await house.recovered(killed_s)
        findings = await house.close()
        return stage.outcome("F11", "one fsync fails with EIO", house, findings)


async def older_copy(stage: Stage) -> Outcome:
    """F24: the database is put back to a copy; a code that was used since must not be good again."""
    _needs_a_file(stage)
    copy = stage.directory / "f24-copy.db"
    async with stage.house("f24", habits=SLOW) as house:
        async with house.load():
            await house.until_accepted(20)
            house.fault_begins()
            await house.victim.command("backup", str(copy))
            copied_s = time.monotonic()
            await house.until_asked(stage.scale.requests_min)
        told = await house.told()
        await house.victim.stop()
        stopped_s = time.monotonic()
        voided = (await house.victim.command("restore", str(copy), "--replace"))["voided"]
        await house.victim.start()
        forgotten = await _type_all_again(house)
        house.fault_ended_s = time.monotonic()
        house.recoveries.append(house.fault_ended_s - stopped_s)
        findings = await house.join(told)
        used_since = sum(call.approved and call.asked_s > copied_s for call in house.books.calls)
        house.expect("F24", voided > 0, "nothing was pending in the copy, so nothing was tried")
        house.expect("F24", used_since > 0, "no code was used after the copy, so nothing was tried")
        figures = {"void in the copy": voided, "younger than the copy": forgotten}
        return stage.outcome("F24", "older copy put back", house, findings, **figures)


async def poison(stage: Stage) -> Outcome:
    """F28: a queued message that cannot be written, because the sealed code of its row was never sealed."""
    _needs_a_file(stage)
    async with stage.house("f28", habits=Habits(ttl_s=TTL_S)) as house:
        for carrier in (house.north, house.south):
            carrier.proxy.turn(Weather(mode=Mode.DOWN))
        await house.crowd.only_start()
        [(poisoned, verification)] = house.books.accepted.items()
        house.victim.kill()
        with closing(sqlite3.connect(house.victim.database, isolation_level=None)) as database:
            database.execute("UPDATE verification SET own_code_sealed = ?", (NEVER_SEALED,))
        for carrier in (house.north, house.south):
            carrier.proxy.turn(Weather())
        await house.victim.start()
        house.fault_begins()
        async with house.load():
            await house.until_accepted(20)
            await house.until_asked(stage.scale.requests_min)
            await until(
                lambda: "a dead letter" in _log(house), within_s=2 * TTL_S, what="it is a dead letter"
            )
            house.fault_ended_s = time.monotonic()
        events = (await house.lines.ask("GET", f"{PATH}/{verification}/timeline")).body["events"]
        dead = [event for event in events if event["type"] == "dropped" and event["cause"] == "broken"]
        house.expect("F28", len(dead) == 1, "what cannot be written is no dead letter")
        if not stage.scale.waits_for_expiry:
            await house.lines.ask("POST", f"{PATH}/{verification}/cancel")
        told = await house.told(settle_s=2 * TTL_S)
        findings = await house.join(told, ttl_s=TTL_S)
        house.expect("F28", told[poisoned].state != "pending", "what cannot be written never ends")
        others = {number for number in told if number != poisoned and told[number].state != "approved"}
        house.expect("F28", not others, f"{len(others)} others were not approved")
        return stage.outcome(
            "F28", "a code that cannot be unsealed", house, findings, **{"times tried": _failures(house)}
        )


def _failures(house: House) -> int:
    return _log(house).count("could not be delivered")


def _log(house: House) -> str:
    return house.victim.log.read_text()


async def _type_all_again(house: House) -> int:
    """Type every code once more, and return how many verifications nobody knows any more."""
    unknown = 0
    for number, verification in house.books.accepted.items():
        body = {"code": house.phones.codes[number]}
        answer = await house.lines.ask("POST", f"{PATH}/{verification}/check", body)
        approved = answer.body.get("approved") is True
        house.books.note(
            Call("again", number, answer.asked_s, answer.answered_s, answer.status, approved=approved)
        )
        unknown += answer.status == 404
    return unknown


@contextmanager
def _stalled(house: House) -> Iterator[None]:
    """Let the database answer nobody."""
    if house.database_line is not None:
        house.database_line.turn(Weather(mode=Mode.BLACKHOLE))
        yield
        house.database_line.turn(Weather())
        return
    with closing(sqlite3.connect(house.victim.database, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def _prove_durable(house: House) -> None:
    """Kill it, so that only what is on the disk is told afterwards."""
    house.victim.kill()
    await house.victim.start()


def _refusals(house: House) -> list[Call]:
    return [
        call
        for call in house.books.calls
        if call.status == 503 and call.kind in WRITES and call.asked_s >= house.fault_began_s
    ]


def _needs_a_file(stage: Stage) -> None:
    if stage.database_url is not None:
        raise CannotPlay("this scene breaks the file of a SQLite database")


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    """Mount a disk of a few megabytes; only root may."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "dastak-chaos", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise CannotPlay(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


@contextmanager
def _fsync_that_fails(pid: int) -> Iterator[None]:
    """Have the third fsync of a running process fail, and no other."""
    if shutil.which("strace") is None or subprocess.run([*STRACE, "true"], check=False).returncode:
        raise CannotPlay("no strace here, or it may not trace")
    tracer = subprocess.Popen(
        [*STRACE, *FAILS_ONCE, "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(COMMAND_S_MAX)

"""The program is killed, frozen or stopped under load: F1, F2, F3, F4 and F23."""

import asyncio
import signal
import time

from chaos.asked_calls import NO_ANSWER
from chaos.outcome_table import Outcome
from chaos.people import Habits
from chaos.stage import House, Stage
from chaos.watched_carrier import until
from dastak.simulator.faults import Fault

# So long a carrier thinks, that there is always something under way when the kill comes.
ANSWER_S = 0.3
# So long it runs at most between two kills. Who came while it was down must be served in that time, or the
# crowd grows with each kill, until what is measured is how long the load takes to ask.
UP_S_MAX = 2.0
STARTERS = 64
# People whose codes are not used yet when the program is back.
SLOW = Habits(types_after_s=6.0)
# To serve who came while the program was stopped for half a minute takes longer than that, beside others.
PATIENT = Habits(patience_s=120.0)
# As long as a queue may take to leave, during which starts are refused that could only wait behind it.
QUEUE_S_MAX = 240.0


async def kills(stage: Stage) -> Outcome:
    """F1: kill -9 at random times, with a restart at once."""
    return await _kills(stage, "F1", "kill -9 of the program")


async def kills_with_submits_under_way(stage: Stage) -> Outcome:
    """F2: the same, with carriers that think, so that a kill finds submits without an answer."""
    thinking = (Fault(response=ANSWER_S),)
    return await _kills(stage, "F2", "kill -9 with submit_sm under way", *thinking, habits=SLOW)


async def _kills(
    stage: Stage, fault: str, title: str, *faults: Fault, habits: Habits | None = None
) -> Outcome:
    chance = stage.chance(f"{fault}-kills")
    async with stage.house(fault.lower(), north=faults, south=faults, habits=habits) as house:
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            for _ in range(stage.scale.kills):
                await house.until_accepted(10)
                await asyncio.sleep(chance.uniform(0, UP_S_MAX))
                await _kill_and_start(house)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        return stage.outcome(fault, title, house, findings, kills=stage.scale.kills)


async def _kill_and_start(house: House) -> None:
    killed_s = time.monotonic()
    house.victim.kill()
    await house.victim.start()
    await house.recovered(killed_s)


async def kill_of_a_full_house(stage: Stage) -> Outcome:
    """F3: kill -9 of API, worker and database, with many texts in the queue.

    On SQLite they are one process. A server of PostgreSQL is killed where it is this run's own.
    """
    silent = (Fault(silent=1.0),)
    habits = Habits(patience_s=QUEUE_S_MAX)
    async with stage.house("f3", north=silent, south=silent, habits=habits) as house:
        house.fault_begins()
        await _start_many(house, stage.scale.pending)
        house.victim.kill()
        killed_s = time.monotonic()
        if stage.server is not None:
            await asyncio.to_thread(stage.server.kill)
        for carrier in (house.north, house.south):
            carrier.smsc.faults.faults = ()
        if stage.server is not None:
            await asyncio.to_thread(stage.server.start)
        await house.victim.start()
        house.figures["pending"] = len(house.books.accepted)
        async with house.load():
            await house.recovered(killed_s)
            await house.until_asked(stage.scale.requests_min)
            drained = await _until_all_have_a_text(house)
        house.figures["queue drained after s"] = drained - killed_s
        findings = await house.close(settle_s=0)
        return stage.outcome("F3", _title(stage), house, findings)


def _title(stage: Stage) -> str:
    """Say what was killed."""
    if stage.server is not None:
        return "kill -9 of program and PostgreSQL with a full queue"
    if stage.database_url is not None:
        return "kill -9 with a full queue; the server of the database lives"
    return "kill -9 with a full queue"


async def _start_many(house: House, count: int) -> None:
    """Start so many verifications, and do nothing else."""
    numbers = iter(range(count))

    async def some() -> None:
        for _ in numbers:
            await house.crowd.only_start()

    await asyncio.gather(*(some() for _ in range(STARTERS)))


async def _until_all_have_a_text(house: House) -> float:
    await until(
        lambda: all(house.books.arrivals.get(number) for number in tuple(house.books.accepted)),
        within_s=QUEUE_S_MAX,
        what="every phone has its text",
    )
    return time.monotonic()


async def freeze(stage: Stage) -> Outcome:
    """F4: SIGSTOP for longer than a lease, then SIGCONT: what wakes up must not write over what moved on."""
    async with stage.house("f4", north=(Fault(response=ANSWER_S),), habits=PATIENT) as house:
        async with house.load():
            await house.until_accepted(20)
            house.fault_begins()
            house.victim.signal(signal.SIGSTOP)
            await asyncio.sleep(stage.scale.freeze_s)
            house.victim.signal(signal.SIGCONT)
            await house.recovered(time.monotonic())
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        return stage.outcome("F4", f"SIGSTOP for {stage.scale.freeze_s:g} s", house, findings)


async def restarts(stage: Stage) -> Outcome:
    """F23: SIGTERM and a new start, again and again."""
    async with stage.house("f23") as house:
        stops: list[tuple[float, float]] = []
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            for _ in range(max(1, stage.scale.kills // 2)):
                await house.until_accepted(20)
                asked_s = time.monotonic()
                status = await house.victim.stop()
                stops.append((asked_s, time.monotonic()))
                house.expect("F23", status == 0, f"it ended with {status} after SIGTERM")
                await house.victim.start()
                await house.recovered(stops[-1][1])
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        cut = [call.sent_s for call in house.books.calls if call.status == NO_ANSWER]
        early = [at_s for at_s in cut if not any(begin <= at_s <= end for begin, end in stops)]
        house.expect("F23", not early, f"{len(early)} requests were sent before SIGTERM and not answered")
        figures = {"stops": len(stops), "longest stop s": max(end - begin for begin, end in stops)}
        figures["sent while it stopped, not answered"] = len(cut)
        return stage.outcome("F23", "SIGTERM and start", house, findings, **figures)

"""The server of the shared counts dies, forgets and hangs: F8."""

import asyncio
import time

from chaos.counting_server import CountingServer, counting_program
from chaos.outcome_table import Outcome
from chaos.people import Habits
from chaos.stage import CannotPlay, House, Stage

# As one that is swapped out or loses its network, and longer than any answer is waited for.
STALL_S = 5.0
# Guessers: as many wrong codes as a verification judges, and one more.
GUESSING = Habits(wrong_max=4)


async def lost_counts(stage: Stage) -> Outcome:
    """F8: it is killed and comes back empty, is emptied, and hangs for five seconds."""
    if counting_program() is None:
        raise CannotPlay("there is no valkey-server and no redis-server")
    with CountingServer(stage.directory / "f8-counts") as server:
        environment = {"DASTAK__LIMITS__VALKEY_URL": server.url}
        async with stage.house("f8", environment=environment, habits=GUESSING) as house:
            async with house.load():
                await house.until_accepted(10)
                before = await house.victim.figure("dastak_limits_unshared_total")
                house.fault_begins()
                await _break(stage, house, server)
                await house.until_asked(stage.scale.requests_min)
                house.fault_ended_s = time.monotonic()
            unshared = await house.victim.figure("dastak_limits_unshared_total") - before
            findings = await house.close()
            statuses = {call.status for call in house.books.calls if call.kind in ("wrong", "check")}
            house.expect("F8", unshared > 0, "every answer came, so nothing was tried")
            house.expect("F8", not statuses & {429, 503}, "a check was refused for want of counts")
            return stage.outcome("F8", "shared counts lost", house, findings, unshared=unshared)


async def _break(stage: Stage, house: House, server: CountingServer) -> None:
    """Do all three to it, with people coming before, between and after."""
    await asyncio.to_thread(server.kill)
    await house.recovered(time.monotonic())
    await asyncio.sleep(stage.scale.settle_s)
    await asyncio.to_thread(server.start)
    await house.until_accepted(5)
    await asyncio.to_thread(server.empty)
    await house.until_accepted(5)
    server.freeze()
    await house.recovered(time.monotonic())
    await asyncio.sleep(STALL_S)
    server.thaw()
    await house.recovered(time.monotonic())

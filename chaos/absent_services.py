"""What Dastak asks of others is gone, and it goes on with what it knows: F22."""

import asyncio
import time

from chaos.carrier_faults import bound_again
from chaos.name_server import NAME, NameServer, can_be_made
from chaos.outcome_table import Outcome
from chaos.stage import CannotPlay, House, Stage


async def absent_services(stage: Stage) -> Outcome:
    """F22: no name server, then one that hangs; and the file of keys is gone from the disk."""
    if not await asyncio.to_thread(can_be_made):
        raise CannotPlay(
            "it needs dnsmasq, and another resolver file for one program, which root alone may give"
        )
    async with (
        NameServer(stage.directory / "f22-names") as names,
        stage.house("f22", started_by=names.asker, host=NAME) as house,
    ):
        keys, away = house.victim.keys, house.victim.keys.with_suffix(".away")
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            await asyncio.to_thread(keys.rename, away)
            names.kill()
            await house.until_accepted(10)
            await _links_come_back(house, "without a name server")
            await names.start()
            names.hang()
            await _links_come_back(house, "while it hangs")
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
            await asyncio.to_thread(away.rename, keys)
        findings = await house.close()
        return stage.outcome("F22", "no DNS, no key file", house, findings)


async def _links_come_back(house: House, when: str) -> None:
    """Cut the links of both carriers, and wait until they are bound again and bring texts."""
    carriers = (house.north, house.south)
    took = await asyncio.gather(*(bound_again(one, one.proxy.reset) for one in carriers))
    house.figures[f"bound again {when}, s"] = max(took)
    await house.until_accepted(10)

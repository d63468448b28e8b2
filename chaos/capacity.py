"""How many people a second this machine serves when each next one comes as soon as another has gone."""

import asyncio
import time

from chaos.stage import House, Stage

TOGETHER = 64
WARM_S = 1.0
MEASURE_S = 5.0


async def capacity(stage: Stage) -> float:
    """Measure it with two sound carriers."""
    async with stage.house("capacity") as house:
        return await most(house, MEASURE_S)


async def most(house: House, seconds: float) -> float:
    """Measure it in a house where nobody is."""
    over = asyncio.Event()
    served: list[float] = []

    async def next_ones() -> None:
        while not over.is_set():
            await house.crowd.one()
            served.append(time.monotonic())

    crowd = [asyncio.create_task(next_ones()) for _ in range(TOGETHER)]
    await asyncio.sleep(WARM_S + seconds)
    over.set()
    ended_s = time.monotonic()
    await asyncio.gather(*crowd)
    return sum(ended_s - seconds <= at_s <= ended_s for at_s in served) / seconds

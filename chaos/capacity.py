"""How many people a second this machine serves when each next one comes as soon as another has gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chaos.stage import House, Stage

TOGETHER: Final = 64
WARM_S: Final = 1.0
MEASURE_S: Final = 5.0
# So much of it people ask for while something breaks.
SHARE: Final = 0.6


async def usual_load(
    stage: Stage,
    name: str = "capacity",
    *,
    environment: Mapping[str, str] | None = None,
    new_url: Callable[[], Awaitable[str]] | None = None,
) -> float:
    """Return how many people a second come to a scene: as was asked for, or six tenths of the most.

    Args:
        stage: Where it is measured, with two sound carriers.
        name: Of the house for that.
        environment: For the program.
        new_url: Makes an empty database, instead of one where this run keeps its rows.
    """
    if stage.scale.per_s is not None:
        return stage.scale.per_s
    url = None if new_url is None else await new_url()
    async with stage.house(name, environment=environment, database_url=url) as house:
        return SHARE * await most(house, MEASURE_S)


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

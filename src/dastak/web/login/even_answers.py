"""Give an answer at an even time, so that how long it took tells nothing of what was found."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response

from dastak.core.ports import Clock

# Longer than all that is done for an account that there is: then all answers come after one step.
STEP_S: Final = 0.25


async def evenly(clock: Clock, answer: Callable[[], Awaitable[Response]]) -> Response:
    """Answer when a whole number of steps is over, counted from when it was asked; errors as well."""
    began_at = clock.now()
    try:
        return await answer()
    finally:
        took_s = (clock.now() - began_at).total_seconds()
        rung = asyncio.Event()
        hush = clock.ring(STEP_S - took_s % STEP_S, rung.set)
        try:
            await rung.wait()
        finally:
            hush()

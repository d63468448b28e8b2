"""Wait for what another process will do, without guessing how long it takes."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from dastak.core.errors import Overloaded

T = TypeVar("T")

LOOK_EVERY_S: Final = 0.02
LET_IN_S_MAX: Final = 60


def until(look: Callable[[], T], *, within_s: float = 10.0) -> T:
    """Look again and again until there is something to see, and return it; fail when the time is over."""
    end = time.monotonic() + within_s
    pause = threading.Event()
    while not (seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {within_s} s"
        pause.wait(LOOK_EVERY_S)
    return seen


async def let_in(act: Callable[[], Awaitable[T]], *, in_doubt: bool = False) -> T:
    """Do something as soon as the database is not behind: a disk that others use stops now and then.

    Args:
        act: What to do.
        in_doubt: Do it again also where it may have been done.
    """
    async with asyncio.timeout(LET_IN_S_MAX):
        while True:
            try:
                return await act()
            except Overloaded as behind:
                if behind.may_be_done and not in_doubt:
                    raise
            await asyncio.sleep(LOOK_EVERY_S)

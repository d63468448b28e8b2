"""Stop part by part, each by a time of its own, so that a stop ends whatever a part waits for.

1. What is entered last is closed first, and by an earlier time: no part can take the time of a later one.
2. What has not ended by its time is left, with a line in the log; the end of the process ends it too.
3. A message that was left is in the database, and one whose bind was left is in doubt, as after a crash.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any, Final, TypeVar

from dastak.http_server import ANSWERS_S, LAST_WORD_S
from dastak.sms.esme import UNBIND_S

T = TypeVar("T")

# Seconds since the wish to stop. A service manager, and whoever upgrades node by node, gets five in all.
STOP_S_MAX: Final = 5.0
REQUESTS_BY_S: Final = LAST_WORD_S + ANSWERS_S + 0.2
MESSAGES_BY_S: Final = 3.0
BINDS_BY_S: Final = 3.8
LEFT_BY_S: Final = 4.1
ALL_BY_S: Final = 4.5
assert REQUESTS_BY_S < MESSAGES_BY_S < BINDS_BY_S - UNBIND_S < BINDS_BY_S < LEFT_BY_S < ALL_BY_S < STOP_S_MAX
# A part that takes longer is told of, though it ended.
LONG_S: Final = 1.0

log = logging.getLogger("dastak.stop")


class StopStack(AsyncExitStack):
    """The parts of a program, which end by their times; a stack like others in all else.

    Attributes:
        by_s: The time of the parts that are entered from now on; it only sinks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_s = ALL_BY_S
        self._began_at: float | None = None

    def begin(self, first: Callable[[], object] | None = None) -> None:
        """Count from now on: somebody wants it to stop. What is to be done first is done."""
        if self._began_at is None:
            self._began_at = asyncio.get_running_loop().time()
        if first is not None:
            first()

    async def enter_async_context(self, cm: AbstractAsyncContextManager[T]) -> T:
        """Enter a part that is to end by `by_s`."""
        # What is made of a generator is named as that is.
        name = getattr(getattr(cm, "func", type(cm)), "__qualname__", "a part")
        entered = await cm.__aenter__()
        self.push_async_exit(partial(self._end, cm, name, self.by_s))
        return entered

    async def _end(
        self, part: AbstractAsyncContextManager[Any], name: str, by_s: float, *why: Any
    ) -> bool | None:
        self.begin()
        assert self._began_at is not None
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._began_at + by_s):
                handled = await part.__aexit__(*why)
        except TimeoutError:
            log.warning("%s did not end within %.1f s of the stop, and is left", name, by_s)
            return None
        if (took_s := asyncio.get_running_loop().time() - now) > LONG_S:
            log.info("%s took %.1f s to end", name, took_s)
        return handled

"""A simulated SMPP carrier behind a fault proxy, which writes down every text that reaches a phone."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from chaos.books import Books
from chaos.fault_proxy import FaultProxy
from dastak.simulator.faults import Fate, Fault, FaultScript
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import SimMessage

SYSTEM_ID: Final = "chaos"
LOOK_EVERY_S: Final = 0.02


class _Counting(FaultScript):
    """Faults that count who asked."""

    def __init__(self, chance: Random, faults: Sequence[Fault]) -> None:
        super().__init__(chance, faults=tuple(faults))
        self.asked = 0
        self.numbers: set[str] = set()

    def fate_of(self, msisdn: str, account: str) -> Fate:
        self.asked += 1
        self.numbers.add(msisdn)
        return super().fate_of(msisdn, account)


class Phones:
    """The newest code on each phone, and whoever waits for one."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self._waiting: dict[str, asyncio.Event] = {}

    def take(self, carrier: "WatchedCarrier", message: SimMessage) -> None:
        """Let a carrier bring a text."""
        del carrier
        self.show(message.msisdn, code_in(message))

    def show(self, number: str, code: str) -> None:
        """Let a code be known to who has the phone."""
        self.codes[number] = code
        if (event := self._waiting.pop(number, None)) is not None:
            event.set()

    async def code(self, number: str, *, within_s: float) -> str | None:
        """Wait for a code; None when none came in time."""
        if number not in self.codes:
            event = self._waiting.setdefault(number, asyncio.Event())
            try:
                async with asyncio.timeout(within_s):
                    await event.wait()
            except TimeoutError:
                return None
        return self.codes[number]


class WatchedCarrier:
    """One carrier; Dastak binds to `host` and `port`, and what is between is `proxy`.

    Args:
        door: Where Dastak finds it, instead of a port of this machine.

    Attributes:
        asked: How many submit_sm came.
        numbers: For whom.
    """

    def __init__(
        self,
        name: str,
        books: Books,
        phones: Phones,
        *,
        password: str,
        chance: Random,
        faults: Sequence[Fault],
        door: socket.socket | None = None,
    ) -> None:
        self.name = name
        self._door = door
        self._books, self._phones = books, phones
        self.script = _Counting(chance, faults)
        account = Account(system_id=SYSTEM_ID, password=password)
        self.smsc = Smsc([account], on_message=self._take, faults=self.script)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.smsc)
        self.proxy = await self._stack.enter_async_context(FaultProxy(self.smsc.port, door=self._door))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def host(self) -> str:
        """Where Dastak binds."""
        return self.proxy.host

    @property
    def port(self) -> int:
        """Where Dastak binds there."""
        return self.proxy.port

    @property
    def asked(self) -> int:
        """How many submit_sm came."""
        return self.script.asked

    @property
    def numbers(self) -> set[str]:
        """For which numbers they were."""
        return self.script.numbers

    @property
    def bound(self) -> bool:
        """Whether Dastak is bound."""
        return self.smsc.binds(SYSTEM_ID) > 0

    def _take(self, message: SimMessage) -> None:
        text = message.sm.short_message
        self._books.arrive(self.name, message.msisdn, message.message_id, text, time.monotonic())
        self._phones.take(self, message)


def code_in(message: SimMessage) -> str:
    """Return the code of a text."""
    return message.sm.short_message.split()[0].decode("ascii")


async def until(condition: Callable[[], Any], *, within_s: float, what: str) -> None:
    """Look again and again until something is so. Raises: TimeoutError, which says what was not."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - it is in another process, which tells nobody
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise TimeoutError(f"not within {within_s} s: {what}") from None

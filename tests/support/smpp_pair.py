"""An ESME and a simulated SMSC over real TCP, with what happens at either end in reach of a test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any, TypeVar

from dastak.simulator.faults import Fault, FaultScript
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import SimMessage
from dastak.sms.dlr import Dlr, parse_dlr
from dastak.sms.esme import BindState, Delivery, Esme, Submission
from dastak.sms.pdu_bodies import AlertNotification
from dastak.sms.smpp_settings import SmppSettings

WAIT_S = 10.0
T = TypeVar("T")


class Ends:
    """What came out at both ends."""

    def __init__(self) -> None:
        self.shown: list[SimMessage] = []
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self.alerts: asyncio.Queue[AlertNotification] = asyncio.Queue()
        self.states: list[tuple[BindState, str]] = []
        self._moved = asyncio.Event()

    def on_state(self, state: BindState, reason: str) -> None:
        self.states.append((state, reason))
        self._moved.set()

    async def until_state(self, wanted: BindState) -> str:
        """Wait for the bind to reach a state it has not been in since the last call; return the reason."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for n, (state, reason) in enumerate(self.states):
                    if state is wanted:
                        del self.states[: n + 1]
                        return reason
                self._moved.clear()
                await self._moved.wait()

    async def delivery(self) -> Delivery:
        return await soon(self.deliveries.get())

    async def receipt(self) -> Dlr:
        """Wait for a receipt, and acknowledge it."""
        delivery = await self.delivery()
        delivery.acknowledge(0)
        return parse_dlr(delivery.sm)


async def soon(waited_for: Any) -> Any:
    async with asyncio.timeout(WAIT_S):
        return await waited_for


def submission(n: int = 0, **changes: Any) -> Submission:
    wanted = {
        "octets": b"Your code is 424242",
        "destination": f"+9198765{n:05d}",
        "validity_s": 300,
        "user_message_reference": n,
    }
    return Submission(**(wanted | changes))


def smsc(ends: Ends, *faults: Fault, seed: int = 1, **changes: Any) -> Smsc:
    wanted: dict[str, Any] = {
        "accounts": [Account(system_id="sim_1", password="secret")],
        "on_message": ends.shown.append,
        "faults": FaultScript(Random(seed), faults=faults),
    }
    return Smsc(**(wanted | changes))


def esme(ends: Ends, port: int, **changes: Any) -> Esme:
    wanted = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "sim_1",
        "password": "secret",
        "source_addr": "DASTAK",
    }
    return Esme(
        SmppSettings(**(wanted | changes)),
        on_deliver=ends.deliveries.put_nowait,
        on_alert=ends.alerts.put_nowait,
        on_state=ends.on_state,
    )


Pair = tuple[Esme, Smsc, Ends]


@asynccontextmanager
async def pair(*faults: Fault, **settings: Any) -> AsyncIterator[Pair]:
    """Run an SMSC with these faults and an ESME with these settings, bound to it."""
    ends = Ends()
    async with smsc(ends, *faults) as carrier, esme(ends, carrier.port, **settings) as client:
        await soon(client.wait_bound())
        ends.states.clear()
        yield client, carrier, ends


PairMaker = Callable[..., AbstractAsyncContextManager[Pair]]

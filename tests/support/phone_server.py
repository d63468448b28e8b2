"""The virtual phones alone behind a real HTTP server, and texts to put on them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from dastak.core.msisdn import Msisdn
from dastak.simulator.call_pages import call_routes, news_of
from dastak.simulator.exchange.telephone_exchange import Exchange
from dastak.simulator.faults import FaultScript
from dastak.simulator.phone import Phones, Text
from dastak.simulator.phone_pages import phone_routes

ANITA: Final = Msisdn("+919876543210")
RAVI: Final = Msisdn("+12025550100")
ENGLISH: Final = "482913 is your Acme login code. Valid for 5 min.\n@login.acme.in #482913"
HINDI: Final = "730264 आपका Acme लॉगिन कोड है। 5 मिनट मान्य।"
URDU: Final = "915508 آپ کا Acme لاگ اِن کوڈ ہے۔ 5 منٹ کے لیے درست۔"


def arriving(said: str = ENGLISH, msisdn: Msisdn = ANITA, **fields: Any) -> Text:
    """Make a text that took a carrier 138 ms."""
    now = datetime.now(UTC)
    made = {"sender": "VM-ACMEOT", "route": "carrier in a box", "data_coding": 8, **fields}
    return Text(
        msisdn=msisdn, text=said, submitted_at=now - timedelta(milliseconds=138), received_at=now, **made
    )


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to the test runner."""


@asynccontextmanager
async def served(phones: Phones, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Serve phones on this machine.

    Args:
        phones: Closed at the end.
        port: 0 takes a free one.
        options: As `phone_routes` takes them.

    Yields:
        The URL, without a slash at its end.
    """
    options.setdefault("send", lambda *_, **__: None)
    listener = socket.create_server(("127.0.0.1", port))
    exchange = Exchange(FaultScript(Random(1)), lambda call: phones.tell(news_of(call)))
    routes = [*phone_routes(phones, **options), *call_routes(exchange)]
    server = _Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None, ws="none"))
    task = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        phones.close()
        server.should_exit = True
        await task


async def until(holds: Callable[[], bool]) -> None:
    """Let others run until something holds that nothing announces."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what others do has no event to wait for
            await asyncio.sleep(0)

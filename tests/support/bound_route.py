"""A route that is bound to some carrier, with everything that comes back over it in reach of a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.sms.inbound import Acknowledge
from dastak.sms.replies import Reply
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from tests.support.smpp_pair import soon


class BoundRoute:
    """What came back. All of it is acknowledged at once."""

    def __init__(self) -> None:
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self.replies: asyncio.Queue[Reply] = asyncio.Queue()
        self.alerts: asyncio.Queue[str] = asyncio.Queue()
        self.route: SmppRoute

    def take_receipt(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        self.receipts.put_nowait(receipt)
        acknowledge(True)

    def take_reply(self, reply: Reply, acknowledge: Acknowledge) -> None:
        self.replies.put_nowait(reply)
        acknowledge(True)

    async def receipt(self) -> Receipt:
        """Wait for a receipt."""
        receipt: Receipt = await soon(self.receipts.get())
        return receipt

    async def submit(self, digits: str, text: str = "123456", *, n: int = 1) -> CarrierRef:
        """Send a text; `n` tells the messages to one phone apart."""
        key = MessageKey(VerificationId(bytes((0x12, n)) + bytes(14)), 0)
        ref: CarrierRef = await soon(
            self.route.submit(Outgoing(key, Msisdn("+" + digits), text, "DASTAK", 299))
        )
        return ref


@asynccontextmanager
async def bound_route(**settings: Any) -> AsyncIterator[BoundRoute]:
    """Bind a route with these settings."""
    wanted = {"host": "127.0.0.1", "system_id": "sim_1", "password": "secret"}
    ends = BoundRoute()
    ends.route = SmppRoute(
        "r",
        msgspec.convert(wanted | settings, SmppSettings),
        ends.take_receipt,
        take_reply=ends.take_reply,
        on_alert=ends.alerts.put_nowait,
    )
    async with ends.route:
        await soon(ends.route.wait_bound())
        yield ends

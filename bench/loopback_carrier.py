"""A carrier of zero delay inside the bench: it takes every text, notes when, and sends the receipt at once.

It runs on the load's core and clock, so that the way from an answer to its submit_sm can be timed.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from dastak.sms.pdu import Framer, decode_sm, encode_body, encode_sm, frame
from dastak.sms.pdu_bodies import BindResp, MessageIdResp, Sm
from dastak.sms.smpp_codes import ESM_RECEIPT, RESPONSE_BIT, Command

CODE = re.compile(rb"\d{6}")


class Text(NamedTuple):
    """A text as it arrived."""

    at_s: float
    code: str


class Carrier:
    """What all binds share.

    Attributes:
        texts: The newest text of each number.
        submitted: How many submit_sm came.
        delivered: How many receipts were acknowledged, which Dastak does when they are durable.
        on_text: Told the number of every text.
    """

    def __init__(self) -> None:
        self.texts: dict[str, Text] = {}
        self.submitted = 0
        self.delivered = 0
        self.on_text: Callable[[str], None] | None = None

    async def listen(self) -> int:
        """Begin on a free port and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Bind(self), "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def take(self, sm: Sm) -> str:
        """Note a text and return its id."""
        found = CODE.search(sm.short_message)
        text = Text(time.perf_counter(), found[0].decode() if found else "")
        self.texts[sm.destination_addr] = text
        self.submitted += 1
        if self.on_text is not None:
            self.on_text(sm.destination_addr)
        return f"b{self.submitted:08d}"

    async def until_delivered(self, count: int, *, timeout_s: float = 60) -> None:
        """Wait until so many receipts are acknowledged."""
        async with asyncio.timeout(timeout_s):
            while self.delivered < count:  # noqa: ASYNC110 - an event would cost the hot path
                await asyncio.sleep(0.002)


class _Bind(asyncio.Protocol):
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._framer = Framer()
        self._receipts = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        output: list[bytes] = []
        receipts: list[bytes] = []
        for command_id, _, sequence_number, body in self._framer.feed(data):
            if command_id == Command.SUBMIT_SM:
                sm = decode_sm(body)
                message_id = self._carrier.take(sm)
                answer = encode_body(MessageIdResp(message_id=message_id))
                output.append(frame(command_id | RESPONSE_BIT, 0, sequence_number, answer))
                receipts.append(self._receipt(sm, message_id))
            elif command_id == Command.DELIVER_SM | RESPONSE_BIT:
                self._carrier.delivered += 1
            elif not command_id & RESPONSE_BIT:
                answer = encode_body(BindResp(system_id="bench")) if command_id in _BINDS else b""
                output.append(frame(command_id | RESPONSE_BIT, 0, sequence_number, answer))
        if output or receipts:
            self._transport.write(b"".join(output + receipts))

    def _receipt(self, sm: Sm, message_id: str) -> bytes:
        self._receipts += 1
        text = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 "
            "stat:DELIVRD err:000 text:"
        )
        receipt = Sm(
            source_addr=sm.destination_addr,
            destination_addr=sm.source_addr,
            esm_class=ESM_RECEIPT,
            short_message=text.encode(),
        )
        return frame(Command.DELIVER_SM, 0, self._receipts, encode_sm(receipt))


_BINDS = (Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER)

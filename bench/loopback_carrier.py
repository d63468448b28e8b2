"""A carrier inside the bench: it takes every text, notes when, and sends the receipt with its answer.

It runs on the load's core and clock, so that the way from an answer to its submit_sm can be timed. It answers
at once unless it is told to think about it, and a link of its can be cut.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple, cast

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

    Args:
        answer_after_s: How long it thinks about each text.
        stat: What its receipts say.
        err: And why.

    Attributes:
        texts: The newest text of each number.
        submitted: How many submit_sm came.
        in_doubt: How many of them had no answer when their link was cut.
        delivered: How many receipts were acknowledged, which Dastak does when they are durable.
        on_text: Told the number of every text.
        message_id: Returns the id of the n-th text.
        reports: Returns the id and the state that the receipt of a text tells.
        crosswise: Bring receipts over another bind than their texts came by.
    """

    def __init__(self, *, answer_after_s: float = 0.0, stat: str = "DELIVRD", err: str = "000") -> None:
        self.answer_after_s, self.says = answer_after_s, f"stat:{stat} err:{err}"
        self.reports: Callable[[Sm, str], tuple[str, str]] = lambda _sm, message_id: (message_id, self.says)
        self.message_id: Callable[[int], str] = "b{:08d}".format
        self.crosswise = False
        self.texts: dict[str, Text] = {}
        self.links: list[_Bind] = []
        # What no bind is left for, until the next one comes.
        self.kept_receipts: list[bytes] = []
        self.submitted = 0
        self.in_doubt = 0
        self.delivered = 0
        self.on_text: Callable[[str], None] | None = None

    async def listen(self) -> int:
        """Begin on a free port and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Bind(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def take(self, sm: Sm) -> str:
        """Note a text and return its id."""
        found = CODE.search(sm.short_message)
        text = Text(time.perf_counter(), found[0].decode() if found else "")
        self.texts[sm.destination_addr] = text
        self.submitted += 1
        if self.on_text is not None:
            self.on_text(sm.destination_addr)
        return self.message_id(self.submitted)

    def cut_a_link(self) -> None:
        """Hang up on one bind; its unconfirmed receipts go out over another."""
        self.links[0].cut()

    async def until_links(self, count: int, *, timeout_s: float = 10) -> None:
        """Wait until so many binds are up."""
        async with asyncio.timeout(timeout_s):
            while len(self.links) < count:  # noqa: ASYNC110 - waited for once
                await asyncio.sleep(0.02)

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
        self._unanswered = 0
        self._unconfirmed: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._carrier.links.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Pass on the receipts that nobody has confirmed."""
        self._carrier.links.remove(self)
        self._carrier.kept_receipts += self._unconfirmed.values()
        if self._carrier.links:
            self._carrier.links[0].bring_kept()

    def cut(self) -> None:
        """Hang up now; what was not answered stays in doubt."""
        self._carrier.in_doubt += self._unanswered
        self._transport.abort()

    def bring_kept(self) -> None:
        """Bring the receipts that another bind has left behind."""
        kept, self._carrier.kept_receipts = self._carrier.kept_receipts, []
        self.say(b"".join(map(self.receipt, kept)))

    def say(self, octets: bytes) -> None:
        self._transport.write(octets)

    def data_received(self, data: bytes) -> None:
        output: list[bytes] = []
        answers: list[tuple[bytes, bytes]] = []
        for command_id, _, sequence_number, body in self._framer.feed(data):
            if command_id == Command.SUBMIT_SM:
                sm = decode_sm(body)
                message_id = self._carrier.take(sm)
                answer = encode_body(MessageIdResp(message_id=message_id))
                octets = frame(command_id | RESPONSE_BIT, 0, sequence_number, answer)
                answers.append((octets, _receipt(sm, *self._carrier.reports(sm, message_id))))
            elif command_id == Command.DELIVER_SM | RESPONSE_BIT:
                self._carrier.delivered += 1
                self._unconfirmed.pop(sequence_number, None)
            elif not command_id & RESPONSE_BIT:
                answer = encode_body(BindResp(system_id="bench")) if command_id in _BINDS else b""
                output.append(frame(command_id | RESPONSE_BIT, 0, sequence_number, answer))
        if output:
            self.say(b"".join(output))
            if self._carrier.kept_receipts:
                self.bring_kept()
        if answers and self._carrier.answer_after_s:
            self._unanswered += len(answers)
            asyncio.get_running_loop().call_later(self._carrier.answer_after_s, self._answer_late, answers)
        elif answers:
            self._answer(answers)

    def _answer_late(self, answers: list[tuple[bytes, bytes]]) -> None:
        if not self._transport.is_closing():
            self._unanswered -= len(answers)
            self._answer(answers)

    def _answer(self, answers: list[tuple[bytes, bytes]]) -> None:
        """Answer, and bring the receipts in the same write."""
        others = [link for link in self._carrier.links if link is not self] if self._carrier.crosswise else []
        brings = others[0] if others else self
        receipts = [brings.receipt(body) for _, body in answers]
        if brings is not self:
            brings.say(b"".join(receipts))
            receipts = []
        self.say(b"".join([octets for octets, _ in answers] + receipts))

    def receipt(self, body: bytes) -> bytes:
        """Return a deliver_sm, and remember it until it is confirmed."""
        self._receipts += 1
        self._unconfirmed[self._receipts] = body
        return frame(Command.DELIVER_SM, 0, self._receipts, body)


def _receipt(sm: Sm, message_id: str, says: str) -> bytes:
    """Return the body of the deliver_sm that says what became of a text."""
    text = f"id:{message_id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 {says} text:"
    return encode_sm(
        Sm(
            source_addr=sm.destination_addr,
            destination_addr=sm.source_addr,
            esm_class=ESM_RECEIPT,
            short_message=text.encode(),
        )
    )


_BINDS = (Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER)

"""Customers' servers that take leads, and the proof that each got its own, signed, and no other one.

A lead is told alone, in one message: no order is promised between leads, and none is asked for here.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from standardwebhooks import Webhook, WebhookVerificationError

BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TAKEN: Final = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class LeadTold(NamedTuple):
    """One request that a sink took. `sink` is whose it is, `page` of whom it tells."""

    sink: str
    page: str
    message_id: str
    number: str
    is_signed: bool


class LeadBooks:
    """What visitors left on which page, and what its owner was told.

    Attributes:
        left: Numbers that were proved, by page.
        told: What was taken, by whatever sink.
    """

    def __init__(self) -> None:
        self.left: defaultdict[str, set[str]] = defaultdict(set)
        self.told: list[LeadTold] = []

    def untold(self) -> set[str]:
        """Return whose leads were told to nobody."""
        return set().union(*self.left.values()) - {one.number for one in self.told if one.is_signed}

    def breaches(self) -> Iterable[tuple[str, str]]:
        """Return each promise that did not hold, and a sentence on how."""
        if untold := self.untold():
            yield "I8", f"{len(untold)} leads were told to nobody"
        if unsigned := sum(not one.is_signed for one in self.told):
            yield "I8", f"{unsigned} webhooks have no signature that holds"
        if self._ambiguous([(one.message_id, one.number) for one in self.told]):
            yield "I8", "one id stands for two leads"
        if self._ambiguous([(one.number, one.message_id) for one in self.told]):
            yield "I8", "one lead has two ids"
        if strange := [one for one in self.told if one.sink != one.page]:
            yield "I13", f"{len(strange)} leads of {strange[0].page} were told to {strange[0].sink}"
        if strange := [one for one in self.told if one.number not in self.left[one.sink]]:
            yield "I13", f"{len(strange)} numbers that nobody left on {strange[0].sink} were told to it"

    @staticmethod
    def _ambiguous(pairs: Sequence[tuple[str, str]]) -> bool:
        return len(set(pairs)) > len({name for name, _ in pairs})


class LeadSink:
    """The server of one page's owner.

    Attributes:
        url: Where it takes leads.
        secret: What they are signed with, as it was shown.
        is_up: Whether it takes any.
        refused: How many came while it did not.
    """

    def __init__(self, page: str, books: LeadBooks) -> None:
        self.page, self._books = page, books
        self.url = self.secret = ""
        self.is_up = True
        self.refused = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, or refuse it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        if self.is_up:
            said = json.loads(body)["data"]
            signed = self._is_signed(body, headers)
            told = LeadTold(self.page, said["page"], headers["webhook-id"], said["msisdn"], signed)
            self._books.told.append(told)
        else:
            self.refused += 1
        writer.write(TAKEN if self.is_up else BUSY)
        writer.close()

    def _is_signed(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


@asynccontextmanager
async def sink_of(page: str, books: LeadBooks) -> AsyncIterator[LeadSink]:
    """Run the server of a page's owner."""
    sink = LeadSink(page, books)
    server = await asyncio.start_server(sink.take, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/leads"
    async with server:
        yield sink

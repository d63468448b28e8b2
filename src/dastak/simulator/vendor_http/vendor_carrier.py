"""The simulated carrier over HTTP: takes texts in the shapes of vendors, and tells what became of them.

1. It shares no code with our own side of these requests: each is a test of the other.
2. What goes wrong is decided by `faults`, never here.
3. It calls nobody but this machine.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.simulator.faults import Answer, Fate, FaultScript
from dastak.simulator.phone import Text
from dastak.simulator.vendor_http.http_listener import Asked, HttpListener, Hush, Said
from dastak.simulator.vendor_http.msg91_shape import Msg91Shape
from dastak.simulator.vendor_http.order import Shape, Wanted
from dastak.simulator.vendor_http.twilio_calls import TwilioCalls
from dastak.simulator.vendor_http.twilio_shape import TwilioShape
from dastak.simulator.vendor_http.webhooks_out import WebhooksOut, local_address

# The one whose name ends in 1 is the first way out, which some magic numbers find broken.
TWILIO: Final = "twilio_1"
MSG91: Final = "msg91_2"
ACCOUNT_SID: Final = "AC" + "1".rjust(32, "0")
# Texts that were taken and are not at their phone; past that they are lost, as in any network.
UNDERWAY_MAX: Final = 10_000
# How long an answer waits for a receipt that is to be there before it.
RECEIPT_FIRST_S_MAX: Final = 1.0

_GARBAGE: Final = b"<html><head><title>200 OK</title></head><body>\xff\xfe upstream: {"
_HUSHED: Final = {
    Answer.SILENCE: Hush.SILENT,
    Answer.BLACKHOLE: Hush.SILENT,
    Answer.DROPPED_LINK: Hush.CUT,
}


class VendorAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where the carrier speaks, and what it wants to be told.

    Attributes:
        url: Scheme, host and port.
        webhook_url: Where MSG91's receipts go, which no request says.
        webhooks: How many were `sent`, `refused` by the other end, and `given_up`.
    """

    url: str
    account_sid: str
    auth_token: str
    authkey: str
    webhook_url: str
    webhooks: Mapping[str, int]

    def __repr__(self) -> str:
        """Show no secret."""
        return f"VendorAccess({self.url!r})"


class VendorCarrier:
    """A carrier that listens while the context lasts.

    Args:
        secret: Twilio's auth token and MSG91's authkey at once.
        on_text: Given each text when it reaches its phone.
        faults: Decides what happens to each message.
        host: The address to listen on.
        port: Zero takes a free one.
    """

    def __init__(
        self,
        *,
        secret: str,
        on_text: Callable[[Text], None],
        faults: FaultScript,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._secret = secret
        self._on_text = on_text
        self._faults = faults
        self._host = host
        twilio = TwilioShape(account=TWILIO, account_sid=ACCOUNT_SID, auth_token=secret)
        self._calls = TwilioCalls(
            twilio, does=lambda msisdn: faults.call_to(msisdn).fault.does, on_text=on_text
        )
        self._shapes: tuple[Shape, ...] = (
            twilio,
            Msg91Shape(account=MSG91, authkey=secret),
        )
        self._webhook_url = ""
        self._underway: set[asyncio.TimerHandle] = set()
        # No two runs use an id twice, so that an old receipt never meets a new message.
        self._message_number = int(datetime.now(UTC).timestamp() * 1000)
        self._out = WebhooksOut()
        self._listener = HttpListener(self._respond, host=host, port=port)

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self._out.__aenter__()
        await self._calls.__aenter__()
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; twice is fine."""
        await self._listener.__aexit__(kind, error, trace)
        for timer in self._underway:
            timer.cancel()
        self._underway.clear()
        await self._calls.__aexit__(kind, error, trace)
        await self._out.__aexit__(kind, error, trace)

    @property
    def access(self) -> VendorAccess:
        """Where it speaks, once it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return VendorAccess(
            url=f"http://{host}:{self._listener.port}",
            account_sid=ACCOUNT_SID,
            auth_token=self._secret,
            authkey=self._secret,
            webhook_url=self._webhook_url,
            webhooks=dict(self._out.counts),
        )

    def drop_links(self) -> None:
        """Cut every connection, as a broken cable would."""
        self._listener.drop_links()

    def set_webhook(self, url: str) -> None:
        """Say where MSG91's receipts go from now on; empty for nowhere.

        Raises:
            InvalidRequest: That is not on this machine.
        """
        if url and local_address(url) is None:
            raise InvalidRequest(
                "The simulated carrier calls this machine only; write http://127.0.0.1:PORT/PATH.",
                field="webhook_url",
            )
        self._webhook_url = url

    async def _respond(self, asked: Asked) -> Said | Hush:
        if self._calls.takes(asked.path):
            return self._calls.respond(asked)
        return await self._respond_to_texts(asked)

    async def _respond_to_texts(self, asked: Asked) -> Said | Hush:
        shape = next((shape for shape in self._shapes if shape.takes(asked.path)), None)
        if shape is None:
            return Said(404, b'{"message":"Not Found"}')
        read = shape.read(asked)
        if isinstance(read, Said):
            return read
        taken = [(wanted, self._faults.fate_of(wanted.msisdn, shape.account)) for wanted in read]
        # One request has one answer: what happens to its first text decides of it.
        first = taken[0][1]
        submitted_at = datetime.now(UTC)
        if first.response_s > 0:
            await asyncio.sleep(first.response_s)
        if first.answer in _HUSHED:
            return _HUSHED[first.answer]
        if first.command_status:
            return shape.refused(first)
        self._message_number += 1
        message_id = shape.message_id(self._message_number)
        for wanted, fate in taken:
            if not fate.command_status:
                await self._take(shape, wanted, fate, message_id, submitted_at)
        if first.answer is Answer.UNANSWERED:
            return Hush.SILENT
        said = shape.accepted(read[0], message_id, submitted_at)
        return Said(said.status, _GARBAGE, "text/html") if first.answer is Answer.GARBAGE else said

    async def _take(
        self, shape: Shape, wanted: Wanted, fate: Fate, message_id: str, submitted_at: datetime
    ) -> None:
        """Bring a text to its phone, and tell of it as its fate says."""
        wanted = msgspec.structs.replace(wanted, callback_url=wanted.callback_url or self._webhook_url)
        if fate.arrival_s is not None:
            self._bring(shape.account, wanted, submitted_at, fate.arrival_s)
        if not wanted.callback_url or not fate.receipts_s:
            return
        receipt = shape.receipt(wanted, message_id, fate, datetime.now(UTC))
        if fate.receipt_first:
            early = [self._out.add(receipt, 0.0) for _ in fate.receipts_s]
            sending = [task for task in early if task is not None]
            if sending:
                await asyncio.wait(sending, timeout=RECEIPT_FIRST_S_MAX)
            return
        on_its_way = shape.sent(wanted, message_id)
        if on_its_way is not None:
            self._out.add(on_its_way, 0.0)
        for receipt_s in fate.receipts_s:
            self._out.add(receipt, receipt_s)

    def _bring(self, account: str, wanted: Wanted, submitted_at: datetime, arrival_s: float) -> None:
        if len(self._underway) >= UNDERWAY_MAX:
            return

        def arrive() -> None:
            self._underway.discard(timer)
            self._on_text(
                Text(
                    msisdn=wanted.msisdn,
                    sender=wanted.sender,
                    text=wanted.text,
                    route=account,
                    segments=wanted.segments,
                    submitted_at=submitted_at,
                    received_at=datetime.now(UTC),
                )
            )

        timer = asyncio.get_running_loop().call_later(arrival_s, arrive)
        self._underway.add(timer)

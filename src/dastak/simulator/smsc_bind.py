"""One connection to the simulated carrier: who is on it, and what becomes of each request."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from dastak.core.pace import Pace
from dastak.simulator.faults import Answer, Fate
from dastak.simulator.receipt_text import id_text, receipt_body
from dastak.simulator.receipts_out import ReceiptsOut
from dastak.sms.pdu_bodies import Bind, BindResp, DataSm, MessageIdResp, Sm, as_sm
from dastak.sms.smpp_codes import INTERFACE_VERSION, Status, Tag
from dastak.sms.smpp_link import SmppLink
from dastak.sms.smpp_session import Answered, Closed, Event, Requested, SmppSession, TimedOut
from dastak.sms.tlv import encode_tlvs

SYSTEM_ID = "dastak-sim"
_BIND_RESP = BindResp(
    system_id=SYSTEM_ID, tlv_octets=encode_tlvs([(Tag.SC_INTERFACE_VERSION, bytes([INTERFACE_VERSION]))])
)


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has while the carrier runs."""

    system_id: str
    out: ReceiptsOut
    pace: Pace | None


class SimMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A text that reaches its phone.

    Attributes:
        sm: The submit_sm as it came.
        msisdn: Its destination, with plus.
        account: The system_id it came from.
        submitted_at: When the carrier got it.
    """

    sm: Sm
    msisdn: str
    account: str
    message_id: str
    submitted_at: datetime


class SmscBind:
    """One connection.

    Args:
        session: Its state.
        admit: Judges a bind: whose it is, or why not.
        fate_of: Decides what happens to a message.
        next_message_number: Numbers the messages of the whole carrier.
        on_message: Given each text when it reaches its phone.
        on_closed: Told when the connection is gone.
        now: The time, aware UTC.
    """

    def __init__(
        self,
        session: SmppSession,
        *,
        admit: Callable[[Bind], Served | Status],
        fate_of: Callable[[str, str], Fate],
        next_message_number: Callable[[], int],
        on_message: Callable[[SimMessage], None],
        on_closed: Callable[[SmppLink], None],
        now: Callable[[], datetime],
    ) -> None:
        self.link = SmppLink(session, on_event=self._on_event)
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._admit = admit
        self._fate_of = fate_of
        self._next_message_number = next_message_number
        self._on_message = on_message
        self._on_closed = on_closed
        self._now = now
        self._served: Served | None = None

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Requested):
            self._on_request(event)
        elif isinstance(event, Closed):
            self._on_closed(self.link)
            self._leave(event.pending)
        elif self._served is not None and isinstance(event, Answered):
            self._served.out.settle(event.context, event.command_status)
        elif self._served is not None and isinstance(event, TimedOut):
            self._served.out.give_back((event.context,))

    def _on_request(self, request: Requested) -> None:
        body = request.body
        if isinstance(body, Bind):
            self._bind(request.sequence_number, body)
        elif isinstance(body, Sm | DataSm):
            sm = as_sm(body) if isinstance(body, DataSm) else body
            self._submit(request.sequence_number, sm)
        else:  # query_sm, cancel_sm, replace_sm: this carrier has no such service
            self._session.respond(request.sequence_number, Status.ESME_RINVCMDID)

    def _bind(self, sequence_number: int, bind: Bind) -> None:
        admitted = self._admit(bind)
        if isinstance(admitted, Served):
            self._served = admitted
            self._session.respond(sequence_number, body=_BIND_RESP)
            admitted.out.links.append(self.link)
            admitted.out.send()
        else:
            self._session.respond(sequence_number, admitted)
            self.link.close(f"bind refused: {admitted.name}")

    def _leave(self, unconfirmed: tuple[bytes, ...]) -> None:
        if self._served is not None and self.link in self._served.out.links:
            self._served.out.links.remove(self.link)
            self._served.out.give_back(unconfirmed)

    def _submit(self, sequence_number: int, sm: Sm) -> None:
        served = self._served
        assert served is not None  # the session lets nothing through before the bind
        digits = sm.destination_addr.removeprefix("+")
        if not (digits.isascii() and digits.isdecimal() and 7 <= len(digits) <= 15):
            self._session.respond(sequence_number, Status.ESME_RINVDSTADR)
            return
        if served.pace is not None and not served.pace.take(self._loop.time()):
            self._session.respond(sequence_number, Status.ESME_RTHROTTLED)
            return
        fate = self._fate_of("+" + digits, served.system_id)
        if fate.response_s > 0:
            self._loop.call_later(fate.response_s, self._meet, fate, sequence_number, sm)
        else:
            self._meet(fate, sequence_number, sm)

    def _meet(self, fate: Fate, sequence_number: int, sm: Sm) -> None:
        """Let a message meet its fate."""
        if fate.answer is Answer.DROPPED_LINK:
            self.link.abort()
        elif fate.answer is Answer.BLACKHOLE:
            self.link.freeze()
            self._leave(())
        elif fate.answer is Answer.SILENCE:
            pass
        elif fate.command_status:
            self._session.respond(sequence_number, fate.command_status)
        else:
            self._take(fate, sequence_number, sm)
        self.link.flush()

    def _take(self, fate: Fate, sequence_number: int, sm: Sm) -> None:
        served = self._served
        assert served is not None
        number = self._next_message_number()
        submitted_at = self._now()
        message_id = id_text(number, fate.response_id)
        if fate.receipt_first:
            self._report(fate, served, sm, number, submitted_at)
        if fate.answer is not Answer.UNANSWERED:
            self._session.respond(sequence_number, body=MessageIdResp(message_id=message_id))
        if fate.arrival_s is not None:
            message = SimMessage(
                sm=sm,
                msisdn="+" + sm.destination_addr.removeprefix("+"),
                account=served.system_id,
                message_id=message_id,
                submitted_at=submitted_at,
            )
            if fate.arrival_s > 0:
                self._loop.call_later(fate.arrival_s, self._on_message, message)
            else:
                self._on_message(message)
        if not fate.receipt_first:
            self._report(fate, served, sm, number, submitted_at)

    def _report(self, fate: Fate, served: Served, sm: Sm, number: int, submitted_at: datetime) -> None:
        """Queue the receipts, if any are wanted."""
        if not sm.registered_delivery & 1:
            return
        for receipt_s in fate.receipts_s:
            body = receipt_body(
                sm,
                id_text(number, fate.receipt_id),
                fate,
                submitted_at=submitted_at,
                done_at=submitted_at + timedelta(seconds=receipt_s),
            )
            served.out.add(body, 0.0 if fate.receipt_first else receipt_s)

"""The simulated carrier: an SMPP 3.4 SMSC that takes texts to virtual phones and tells what became of them.

1. It speaks through the codec and the session machine of our own side: each is a test of the other.
2. What goes wrong is decided by `faults`, never here.
3. Without faults it answers in the same turn of the loop.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hmac import compare_digest
from types import TracebackType
from typing import Annotated, Final, Self

import msgspec

from dastak.core.pace import Pace
from dastak.simulator.faults import Fate, FaultScript
from dastak.simulator.receipt_text import receipt_body
from dastak.simulator.receipts_out import ReceiptsOut
from dastak.simulator.smsc_bind import Served, SimMessage, SmscBind
from dastak.sms.pdu import encode_body, encode_sm
from dastak.sms.pdu_bodies import AlertNotification, Bind, Sm
from dastak.sms.smpp_codes import Command, Status, Tag
from dastak.sms.smpp_link import SmppLink
from dastak.sms.smpp_session import Role, SmppSession
from dastak.sms.tlv import encode_tlvs

CONNECTIONS_MAX: Final = 200
WINDOW_MAX: Final = 1000
BIND_TIMEOUT_S: Final = 5.0
RESPONSE_TIMEOUT_S: Final = 10.0
ENQUIRE_LINK_S: Final = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who may bind.

    Attributes:
        binds_max: How many binds at once.
        rate_per_s: What is more is answered ESME_RTHROTTLED; None takes all.
    """

    system_id: str
    password: str
    binds_max: Annotated[int, msgspec.Meta(ge=1)] = 10
    rate_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __repr__(self) -> str:
        """Show no password."""
        return f"Account({self.system_id!r})"


class Smsc:
    """A carrier that listens while the context lasts.

    Args:
        accounts: Who may bind.
        on_message: Given each text when it reaches its phone.
        faults: Decides what happens to each message.
        host: The address to listen on.
        port: Zero takes a free one; see the attribute after the start.
        ssl_context: For binds over TLS.
        now: The time, aware UTC.

    Attributes:
        port: Where it listens.
        faults: As given; its script may be replaced at any time.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        on_message: Callable[[SimMessage], None],
        faults: FaultScript,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.port = port
        self._accounts = {account.system_id: account for account in accounts}
        self._on_message = on_message
        self.faults = faults
        self._host = host
        self._ssl = ssl_context
        self._now = now
        # No two runs use an id twice, so that an old receipt never meets a new message.
        self._message_number = int(now().timestamp() * 1000)
        self._served: dict[str, Served] = {}
        self._links: dict[SmppLink, None] = {}  # in the order they came
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        for name, account in self._accounts.items():
            pace = Pace(account.rate_per_s, self._loop.time()) if account.rate_per_s else None
            self._served[name] = Served(system_id=name, out=ReceiptsOut(), pace=pace)
        self._server = await self._loop.create_server(self._accept, self._host, self.port, ssl=self._ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut all links; stopping twice is fine."""
        if self._server is None:
            return
        for served in self._served.values():
            served.out.stop()
        self._server.close()
        self.drop_links()
        await self._server.wait_closed()
        self._server = None
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    def binds(self, system_id: str) -> int:
        """Return how many binds an account has."""
        return len(self._served[system_id].out.links)

    def drop_links(self, count: int | None = None) -> None:
        """Cut connections, as a broken cable would: the first so many, or all."""
        for link in tuple(self._links)[:count]:
            link.abort()

    def send_text(self, system_id: str, sm: Sm) -> None:
        """Bring a text from a phone to an account."""
        self._served[system_id].out.add(encode_sm(sm))

    def report(self, message: SimMessage, stat: str, err: str) -> None:
        """Send one more receipt of a text, as a carrier does that changes its mind."""
        body = receipt_body(
            message.sm,
            message.message_id,
            Fate(stat=stat, err=err),
            submitted_at=message.submitted_at,
            done_at=self._now(),
        )
        self._served[message.account].out.add(body)

    def send_alert(self, system_id: str, msisdn: str) -> None:
        """Tell an account's binds that a phone is back."""
        body = encode_body(
            AlertNotification(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=msisdn.removeprefix("+"),
                tlv_octets=encode_tlvs([(Tag.MS_AVAILABILITY_STATUS, b"\0")]),
            )
        )
        for link in self._served[system_id].out.links:
            if link.session.may(Command.ALERT_NOTIFICATION):
                link.session.request(Command.ALERT_NOTIFICATION, body, now=self._loop.time())
                link.flush()

    def admit(self, bind: Bind) -> Served | Status:
        """Judge a bind: whose it is, or why not."""
        account = self._accounts.get(bind.system_id)
        if account is None:
            return Status.ESME_RINVSYSID
        if not compare_digest(account.password.encode(), bind.password.encode()):
            return Status.ESME_RINVPASWD
        if self.binds(bind.system_id) >= account.binds_max:
            return Status.ESME_RBINDFAIL
        return self._served[bind.system_id]

    def next_message_number(self) -> int:
        """Return the number of the next message; its message_id is written from it."""
        self._message_number += 1
        return self._message_number

    def _accept(self) -> SmppLink:
        session = SmppSession(
            Role.SMSC,
            window=WINDOW_MAX,
            inbound_max=WINDOW_MAX,
            bind_timeout_s=BIND_TIMEOUT_S,
            response_timeout_s=RESPONSE_TIMEOUT_S,
            enquire_link_s=ENQUIRE_LINK_S,
            now=self._loop.time(),
        )
        if len(self._links) >= CONNECTIONS_MAX:
            session.close("too many connections")
        bind = SmscBind(
            session,
            admit=self.admit,
            fate_of=self.faults.fate_of,
            next_message_number=self.next_message_number,
            on_message=self._on_message,
            on_closed=lambda link: self._links.pop(link, None),
            now=self._now,
        )
        self._links[bind.link] = None
        return bind.link

"""A carrier and phones in a box: SMPP, HTTP and SIP, the handsets behind it, and a way to make it misbehave.

Its messages travel over two binds; the first can be told to fail, so that failover can be tried as well.
"""

import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from ipaddress import ip_address
from random import Random
from types import TracebackType
from typing import Final, Self

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import InvalidMsisdn, InvalidRequest
from dastak.core.msisdn import Msisdn
from dastak.simulator.call_pages import call_routes, news_of
from dastak.simulator.exchange.called_endpoint import CALLS_MAX
from dastak.simulator.exchange.telephone_exchange import Exchange
from dastak.simulator.faults import FaultScript, parse_faults, plain_faults
from dastak.simulator.handset import Handset
from dastak.simulator.phone import Phones, Text, read_number
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import SimMessage
from dastak.simulator.vendor_http.vendor_carrier import VendorCarrier
from dastak.sms.coded_text import TextOptions, write_text
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.tlv import encode_tlvs
from dastak.voice.sip_settings import SipSettings

ROUTES: Final = ("sim_1", "sim_2")
# Who may call the phones, and the number that they show: one of those that are set aside for fiction.
CALLER: Final = "dastak"
CALLER_NUMBER: Final = "+12025550199"
FAULTS_OCTETS_MAX: Final = 16 * 1024


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of the vendors."""

    webhook_url: str


class Box:
    """Runs while the context lasts.

    Args:
        seed: The same seed, script and messages have the same faults.
        host: Where the carrier listens.
        port: Zero takes a free one.
        http_host: Where it listens for the requests of HTTP vendors' customers.
        http_port: Zero takes a free one.
        sip_host: Where it takes calls, in digits.
        sip_port: Zero takes a free one.

    Attributes:
        phones: What arrived.
        exchange: What rings them.
        binds: How to bind to it, by route name; known once it listens.
    """

    def __init__(
        self,
        *,
        seed: int,
        host: str = "127.0.0.1",
        port: int = 0,
        http_host: str = "127.0.0.1",
        http_port: int = 0,
        sip_host: str = "127.0.0.1",
        sip_port: int = 0,
    ) -> None:
        self.phones = Phones()
        self.binds: Mapping[str, SmppSettings] = {}
        self._handset = Handset()
        self._texts_back = 0
        self._stack = AsyncExitStack()
        # Nobody else shall bind to the carrier in the box.
        self._password = secrets.token_hex(4)
        faults = FaultScript(Random(seed))  # noqa: S311 - repeatable on purpose
        self.exchange = Exchange(
            faults,
            lambda call: self.phones.tell(news_of(call)),
            host=sip_host,
            port=sip_port,
            username=CALLER,
            password=self._password,
        )
        self._smsc = Smsc(
            [Account(system_id=name, password=self._password) for name in ROUTES],
            on_message=self._on_message,
            faults=faults,
            host=host,
            port=port,
        )
        self._vendors = VendorCarrier(
            secret=secrets.token_hex(16),
            on_text=self._on_text,
            faults=faults,
            host=http_host,
            port=http_port,
        )

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._smsc)
            await stack.enter_async_context(self._vendors)
            await stack.enter_async_context(self.exchange)
            self._stack = stack.pop_all()
        self.binds = {
            name: SmppSettings(
                host="127.0.0.1",
                port=self._smsc.port,
                system_id=name,
                password=self._password,
                window=100,
                queue_max=10_000,
            )
            for name in ROUTES
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.phones.close()
        await self._stack.aclose()

    @property
    def trunk(self) -> SipSettings:
        """How to call the phones; known once the exchange listens."""
        host, port = self.exchange.address
        host = "127.0.0.1" if ip_address(host).is_unspecified else host
        return SipSettings(
            host=host,
            domain=f"[{host}]" if ":" in host else host,
            port=port,
            username=CALLER,
            password=self._password,
            caller=CALLER_NUMBER,
            calls_max=CALLS_MAX,
            media_host=host,
        )

    def send(self, msisdn: Msisdn, text: str, *, to: str, route: str | None) -> None:
        """Bring a text from a phone to whoever is bound; it waits until somebody is.

        Args:
            msisdn: The phone.
            text: What it writes; as many parts as it takes.
            to: The sender it answers.
            route: The account it belongs to; None is the first one.
        """
        self._texts_back += 1
        written = write_text(text, TextOptions(), reference=self._texts_back)
        for part in written.parts:
            sm = Sm(
                source_addr=msisdn.removeprefix("+"),
                source_addr_ton=1,
                source_addr_npi=1,
                destination_addr=to,
                short_message=part.octets,
                esm_class=part.esm_class,
                data_coding=written.data_coding,
                tlv_octets=encode_tlvs(part.tlvs),
            )
            self._smsc.send_text(route if route in ROUTES else ROUTES[0], sm)

    def routes(self) -> list[Route]:
        """Return the HTTP side of making it misbehave."""
        return [
            Route("/sim/faults", self._show_faults),
            Route("/sim/faults", self._set_faults, methods=["PUT"]),
            Route("/sim/links", self._drop_links, methods=["DELETE"]),
            Route("/sim/vendors", self._show_vendors),
            Route("/sim/vendors", self._set_vendors, methods=["PUT"]),
            Route("/sim/phones/{msisdn}/return", self._return, methods=["POST"]),
            *call_routes(self.exchange),
        ]

    def _on_message(self, message: SimMessage) -> None:
        try:
            text = self._handset.receive(
                message.sm,
                route=message.account,
                submitted_at=message.submitted_at,
                received_at=datetime.now(UTC),
            )
        except InvalidMsisdn:
            return
        if text is not None:
            self.phones.add(text)

    def _on_text(self, text: Text) -> None:
        self.phones.add(text)

    async def _show_faults(self, _request: Request) -> Response:
        return _json(plain_faults(self._smsc.faults.faults))

    async def _set_faults(self, request: Request) -> Response:
        octets = await request.body()
        try:
            if len(octets) > FAULTS_OCTETS_MAX:
                raise InvalidRequest("The faults are too many.", field="faults")
            self._smsc.faults.faults = parse_faults(msgspec.json.decode(octets))
        except (msgspec.DecodeError, RecursionError):
            return _problem("The body is not JSON.", 400)
        except InvalidRequest as error:
            return _problem(error.detail, 422)
        return _json(plain_faults(self._smsc.faults.faults))

    async def _show_vendors(self, _request: Request) -> Response:
        return _json(self._vendors.access)

    async def _set_vendors(self, request: Request) -> Response:
        octets = await request.body()
        try:
            self._vendors.set_webhook(msgspec.json.decode(octets[:FAULTS_OCTETS_MAX], type=_Wish).webhook_url)
        except (msgspec.DecodeError, RecursionError):
            return _problem('Send JSON such as {"webhook_url": "http://127.0.0.1:8000/receipts"}.', 400)
        except InvalidRequest as error:
            return _problem(error.detail, 422)
        return _json(self._vendors.access)

    async def _return(self, request: Request) -> Response:
        """Tell every account that a phone is back, as a network does that was asked for it."""
        try:
            msisdn = read_number(request.path_params["msisdn"])
        except InvalidMsisdn as error:
            return _problem(error.detail, 422)
        for name in ROUTES:
            self._smsc.send_alert(name, msisdn)
        return Response(status_code=204)

    async def _drop_links(self, _request: Request) -> Response:
        self._smsc.drop_links()
        self._vendors.drop_links()
        return Response(status_code=204)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _problem(detail: str, status: int) -> Response:
    body = {
        "type": "urn:dastak:problem:invalid_request",
        "title": "The request is not valid",
        "status": status,
        "detail": detail,
        "code": "invalid_request",
    }
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")

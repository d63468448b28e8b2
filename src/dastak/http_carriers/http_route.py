"""One HTTP carrier as a route: texts become requests over warm connections, webhooks become receipts."""

import asyncio
import hmac
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from dastak.core.errors import CarrierFull, CarrierRejected, CarrierUnavailable, Unauthenticated
from dastak.core.message import CarrierRef, Receipt
from dastak.core.outcome import Outcome
from dastak.core.pace import ROOM_WITHIN_S
from dastak.core.receipt_parts import PartsLedger
from dastak.core.way_out import Outgoing
from dastak.http_carriers.hook_proof import Hook, is_proven
from dastak.http_carriers.hook_receipts import address_to_confirm, read_receipts
from dastak.http_carriers.http_answer import judge_answer
from dastak.http_carriers.http_render import Surroundings, for_url, own_id, render
from dastak.http_carriers.http_settings import HttpCarrier
from dastak.http_carriers.placeholders import fill
from dastak.http_carriers.turnstile import Turnstile
from dastak.http_carriers.warm_client import Patience, WarmClient

# Different codes that are counted apart; a carrier that makes up more shares the last place.
UNMAPPED_MAX: Final = 100
OVERTOOK_MAX: Final = 1000

log = logging.getLogger("dastak.http_carrier")


class Callback(msgspec.Struct, frozen=True):
    """Where a carrier's receipts come in.

    Attributes:
        tokens: The secrets that its address may have, the present one first.
        url: The whole address, secret and all; empty when nobody outside can reach us.
        node: What a proxy calls this node, where only this one can answer; empty when there is no other.
    """

    tokens: tuple[str, ...] = ()
    url: str = ""
    node: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Callback({'reachable' if self.url else 'not reachable'})"

    def admits(self, token: str) -> bool:
        """Say whether a secret is one of ours, in constant time."""
        return sum(hmac.compare_digest(known.encode(), token.encode()) for known in self.tokens) > 0


class HttpRoute:
    """A client of one carrier, warm while the context lasts.

    Args:
        name: Under which its messages are kept.
        carrier: Settings and profile.
        callback: Where its receipts come in.
        foreign: Says whether a text cannot be written in the GSM alphabet.

    Attributes:
        unmapped: How often a code came that no table knows.
    """

    def __init__(
        self, name: str, carrier: HttpCarrier, callback: Callback, *, foreign: Callable[[str], bool]
    ) -> None:
        self.name = name
        self.carrier = carrier
        self.callback = callback
        self.unmapped: Counter[str] = Counter()
        self._foreign = foreign
        self._parts = PartsLedger()
        # Of what was reported while requests were under way: it may be a part of a text not yet answered.
        self._overtook: deque[str] = deque(maxlen=OVERTOOK_MAX)
        self._turnstile = Turnstile(carrier.rate_per_s)
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._to_confirm = ""
        settings = carrier.settings
        patience = Patience(settings.connect_s, settings.total_s, settings.window)
        self._client = WarmClient(_place(carrier), patience)

    async def __aenter__(self) -> Self:
        """Open, and begin to connect."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way end, and disconnect."""
        await self._client.cool()
        with suppress(TimeoutError):
            async with asyncio.timeout(ROOM_WITHIN_S + self.carrier.settings.total_s):
                await self._idle.wait()
        await self._client.__aexit__(kind, error, trace)

    @property
    def available(self) -> bool:
        """Whether it is open; a carrier that is down says so by its failures."""
        return self._client.open

    @property
    def in_flight_max(self) -> int:
        """How many messages may be under way at once; at a rate those under way, and what leaves soon."""
        window, room = self.carrier.settings.window, self._turnstile.room
        return window if room is None else min(window, self._in_flight + room)

    @property
    def reason(self) -> str:
        """How it is, in words."""
        if self._to_confirm:
            return f"it asks whether receipts are wanted; open {self._to_confirm}"
        if self._client.fault:
            return self._client.fault
        deaf = self.carrier.profile.receipt is not None and not self.callback.url
        hint = "; its receipts cannot come in, for server.public_url is not set" if deaf else ""
        if self._turnstile.slowed:
            hint += f"; it throttles, so it gets {self._turnstile.rate_per_s:.3g} requests/s at present"
        return f"{self.carrier.profile.title} is reached over HTTP{hint}"

    @property
    def fault(self) -> str:
        """Why the carrier cannot be connected to; empty when it can."""
        return self._client.fault

    @property
    def unheard(self) -> str:
        """What to do so that its receipts come in here; empty when they do."""
        if self.carrier.profile.receipt is None:
            return f"look at the phone: the profile of {self.carrier.profile.title} knows no receipts"
        if not self.callback.url:
            return (
                "its receipts come to a running server that has server.public_url set: have that try it, "
                "with --on-server"
            )
        return ""

    @property
    def in_flight(self) -> int:
        """How many messages wait for the carrier's answer, or a moment for their turn."""
        return self._in_flight

    async def wait_warm(self) -> None:
        """Return as soon as the carrier was connected to, or could not be."""
        await self._client.wait_warm()

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Hand a message over.

        Raises:
            CarrierRejected: The carrier said no.
            CarrierUnavailable: No answer; with `outcome_unknown` it may have it. CarrierFull: no room now.
        """
        if not self._client.open:
            raise CarrierUnavailable("The route to this carrier is closed.")
        if self._in_flight >= self.carrier.settings.window:
            raise CarrierFull("As many requests as are allowed are under way to this carrier.")
        around = Surroundings(datetime.now(UTC), self._foreign, self.callback.url)
        request = render(outgoing, self.carrier, around)
        self._in_flight += 1
        self._idle.clear()
        try:
            await self._turnstile.take()
            within_s = min(self.carrier.settings.total_s, float(max(outgoing.validity_s, 1)))
            status, body = await self._client.send(request, within_s)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        try:
            refs = judge_answer(self.carrier, status, body, own_id=own_id(outgoing))
        except CarrierRejected as refusal:
            if refusal.outcome == Outcome.THROTTLED:
                self._turnstile.throttled()
            if refusal.outcome == Outcome.UNKNOWN:
                refusal.status = self._count(refusal.status)
            raise
        return CarrierRef(self.name, self._noted(outgoing, refs))

    def receive(self, hook: Hook, token: str, *, now: datetime) -> tuple[Receipt, ...]:
        """Read the receipts of a webhook that is proven to be the carrier's.

        Raises:
            Unauthenticated: It is not.
            MalformedRequest: It cannot be read.
        """
        form, settings = self.carrier.profile.receipt, self.carrier.settings
        if form is None or not self.callback.admits(token):
            raise Unauthenticated("This is not an address that a carrier was given.")
        secret = settings.proof_secret or settings.secret
        hash_name = self.carrier.options.get("signature_hash", "sha256")
        if not is_proven(form.proof, hook, secret, hash_name=hash_name, now=now):
            raise Unauthenticated("The webhook is not signed as this carrier signs.")
        to_confirm = address_to_confirm(form, hook)
        if to_confirm:
            self._to_confirm = to_confirm
            return ()
        receipts = read_receipts(self.name, self.carrier, hook)
        self._to_confirm = ""
        for receipt in receipts:
            if receipt.outcome is Outcome.UNKNOWN:
                self._count(receipt.evidence)
        return tuple(map(self._of_whole, receipts))

    def _noted(self, outgoing: Outgoing, refs: Sequence[str]) -> str:
        """Note the ids of the parts of a text, and return the one that stands for it."""
        if len(refs) > 1:
            text = self._parts.begin(outgoing.msisdn, len(refs))
            for number, ref in enumerate(refs, 1):
                self._parts.took(text, ref)
                if ref in self._overtook:
                    text.delivered.add(number)
            self._parts.end(text)
        return refs[-1]

    def _of_whole(self, receipt: Receipt) -> Receipt:
        """Make the receipt of a part one of its text."""
        judged = self._parts.judge([receipt.carrier.ref], receipt.outcome)
        if judged is None:
            if receipt.outcome is Outcome.DELIVERED and self._in_flight:
                self._overtook.append(receipt.carrier.ref)
            return receipt
        return msgspec.structs.replace(
            receipt,
            carrier=CarrierRef(self.name, judged.ref),
            outcome=judged.outcome,
            evidence=f"{receipt.evidence} part:{judged.number}/{judged.total}",
        )

    def _count(self, code: str) -> str:
        """Count a code that no table knows, write it down the first time, and return what it counts as."""
        if code not in self.unmapped:
            if len(self.unmapped) >= UNMAPPED_MAX:
                code = "others"
            else:
                log.warning("route %s: no table knows what the carrier means by %s", self.name, code)
        self.unmapped[code] += 1
        return code


def unmapped_codes(entries: Iterable[tuple[object, object]]) -> dict[tuple[str, ...], float]:
    """Return how many codes of each HTTP route no table knew, of carriers with their routes."""
    routes = (route for _, route in entries if isinstance(route, HttpRoute))
    return {(route.name,): float(route.unmapped.total()) for route in routes}


def _place(carrier: HttpCarrier) -> str:
    """Return where a carrier is, scheme and host; some give every account a host of its own."""
    url = urlsplit(carrier.settings.base_url or carrier.profile.request.url)
    host = fill(url.netloc, {**carrier.options, "account": carrier.settings.account}, safe=for_url)
    return f"{url.scheme}://{host}" if host else ""

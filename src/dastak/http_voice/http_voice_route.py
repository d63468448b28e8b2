"""A way out that has a vendor call: one request begins it, and what is said is fetched from us, turn by turn.

1. The code is in no request of ours and in no address: it is in the answer that follows the right digit.
2. A call whose code is not wanted any more is ended, and has nothing to say from then on.
3. A vendor that asks for no digit is used only where its operator wants that, and the timeline says so.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from dastak.core.errors import (
    CarrierError,
    CarrierFull,
    CarrierRejected,
    CarrierUnavailable,
)
from dastak.core.events import ENDS, Event, MessageDelivered
from dastak.core.message import CarrierRef
from dastak.core.outcome import Outcome
from dastak.core.verification import Verification
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_answer import judge
from dastak.http_carriers.http_render import for_url
from dastak.http_carriers.http_route import Callback
from dastak.http_carriers.placeholders import fill
from dastak.http_carriers.turnstile import Turnstile
from dastak.http_carriers.warm_client import Patience, WarmClient
from dastak.http_voice.call_desk import WITHOUT_GATE, CallDesk, TakeReceipt, TakeStep
from dastak.http_voice.call_requests import Ways, create_request, end_request
from dastak.http_voice.call_settings import CallCarrier
from dastak.http_voice.call_status import Phase
from dastak.http_voice.call_under_way import CallUnderWay
from dastak.voice.ivr import SpeechOf
from dastak.voice.prompts import shipped

log = logging.getLogger("dastak.http_voice")


class HttpVoiceRoute:
    """A `core.way_out.Route` for calls, warm while the context lasts.

    Args:
        name: Under which its calls are kept.
        carrier: Settings and profile.
        take_receipt: Told what came of each call.
        take_step: Told what happens in each.
        callback: Where the vendor reaches us.
        speech_of: Returns our recordings of a language.
        chance: Draws the digit that each call asks for, below the given number.

    Attributes:
        desk: Its calls under way, and what may be fetched of them.
        rings_phones: That what it brings is a call.
    """

    rings_phones: Final = True

    def __init__(
        self,
        name: str,
        carrier: CallCarrier,
        take_receipt: TakeReceipt,
        *,
        take_step: TakeStep,
        callback: Callback,
        speech_of: SpeechOf = shipped,
        chance: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self.name, self.carrier, self.callback = name, carrier, callback
        self.desk = CallDesk(
            name,
            carrier,
            callback,
            take_receipt=take_receipt,
            take_step=take_step,
            speech_of=speech_of,
            chance=chance,
        )
        self._take_step = take_step
        settings = carrier.settings
        self._client = WarmClient(
            _place(carrier), Patience(settings.connect_s, settings.total_s, settings.calls_max)
        )
        self._turnstile = Turnstile(carrier.rate_per_s)
        self._ending: set[asyncio.Task[None]] = set()
        self._asking = 0

    async def __aenter__(self) -> Self:
        """Open, and begin to connect."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and disconnect."""
        await self._client.cool()
        for call in self.desk.calls:
            self._hang_up(call, "we stop")
            self.desk.forget(call)
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._client.__aexit__(kind, error, trace)

    @property
    def available(self) -> bool:
        """Whether it can call now; a vendor that cannot reach us cannot be told what to say."""
        return self._client.open and (bool(self.callback.url) or not self._is_fetched)

    @property
    def in_flight_max(self) -> int:
        """How many calls may be asked for at once: one that the vendor took keeps its place until it ends."""
        return self.carrier.settings.calls_max - (len(self.desk) - self._asking)

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return len(self.desk)

    @property
    def reason(self) -> str:
        """How it is, in words."""
        if self._client.fault:
            return self._client.fault
        if not self.available:
            return "it cannot fetch what to say, for it has no address of ours"
        gate = "" if self.carrier.profile.gated else f", {WITHOUT_GATE}"
        return f"{self.carrier.profile.title} is reached over HTTP{gate}"

    @property
    def fault(self) -> str:
        """Why the carrier cannot be connected to; empty when it can."""
        return self._client.fault

    @property
    def unheard(self) -> str:
        """What to do so that its webhooks come in here; empty when they do."""
        if self.callback.url:
            return ""
        return "its webhooks come to a running server that has server.public_url set: try it with --on-server"

    async def wait_warm(self) -> None:
        """Return as soon as the carrier was connected to, or could not be."""
        await self._client.wait_warm()

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Have the vendor call; return once it says that it does.

        Raises:
            CarrierRejected: It said no, or takes no keys where they are asked for.
            CarrierUnavailable: No answer; with `outcome_unknown` it may call. CarrierFull: no room now.
        """
        if not self.available:
            raise CarrierUnavailable(f"Nobody can be called now: {self.unheard or self.reason}.")
        if len(self.desk) >= self.carrier.settings.calls_max:
            raise CarrierFull("As many calls as are allowed are under way with this carrier.")
        if outgoing.match_digits and not self.carrier.profile.gated:
            raise CarrierRejected(
                "This carrier takes no keys, so that nobody can type what the page shows.",
                status="no_keys",
                outcome=Outcome.ROUTE_CONFIG,
            )
        call = self.desk.begin(outgoing)
        self._asking += 1
        try:
            ref = await self._create(call)
        except BaseException:
            # If it calls all the same, it finds nothing to say.
            self.desk.forget(call)
            raise
        finally:
            self._asking -= 1
        if call.why_ended:
            self._end_soon(call)
        return self.desk.named(call, ref)

    def on_event(self, verification: Verification, event: Event) -> None:
        """End a call whose code is not wanted any more, or that a late text has brought."""
        for call in self.desk.of(verification.id):
            if call.script.over or call.settled:
                continue
            if isinstance(event, ENDS):
                self._hang_up(call, "the code is not wanted any more")
            elif _is_another(event, call) and call.phase < Phase.ANSWERED:
                self._hang_up(call, "the text arrived")

    @property
    def _is_fetched(self) -> bool:
        return self.carrier.profile.gated or self.carrier.profile.fetches_text

    async def _create(self, call: CallUnderWay) -> str:
        """Ask the vendor to call, and return its id of the call."""
        profile, outgoing = self.carrier.profile, call.outgoing
        ways = Ways(
            call.token,
            f"{call.url}/0" if profile.gated else "",
            f"{call.url}/status" if self.callback.url else "",
        )
        text = "" if self._is_fetched else call.text()
        request = create_request(
            self.carrier, outgoing, ways, text=text, voice=call.voice, now=datetime.now(UTC)
        )
        await self._turnstile.take()
        self._take_step(outgoing.key, "dialled", "" if profile.gated else WITHOUT_GATE)
        within_s = min(self.carrier.settings.total_s, float(max(outgoing.validity_s, 1)))
        try:
            status, body = await self._client.send(request, within_s)
            (ref, *_) = judge(profile.answer, self.carrier.settings.outcomes, status, body)
        except CarrierUnavailable as unclear:
            if unclear.outcome_unknown and call.heard_ref:
                return call.heard_ref  # it calls already
            raise
        except CarrierRejected as refusal:
            if refusal.outcome == Outcome.THROTTLED:
                self._turnstile.throttled()
            raise
        return ref

    def _hang_up(self, call: CallUnderWay, why: str) -> None:
        """Have the vendor end a call; from now on it has nothing to say, whether it does or not."""
        if not call.why_ended:
            call.why_ended = why
            self._end_soon(call)

    def _end_soon(self, call: CallUnderWay) -> None:
        task = asyncio.get_running_loop().create_task(self._end(call))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, call: CallUnderWay) -> None:
        if call.ref is None:
            return  # the answer to its beginning is not there, and what it fetches is nothing
        try:
            answered = call.phase >= Phase.ANSWERED
            request = end_request(self.carrier, call.ref.ref, answered=answered, now=datetime.now(UTC))
            if request is not None:
                status, _ = await self._client.send(request, self.carrier.settings.total_s)
                log.info("route %s: a call is ended: the carrier answered %d", self.name, status)
        except CarrierError as error:
            log.warning("route %s: a call could not be ended: %s", self.name, error.detail)


def refused_hooks(entries: Iterable[tuple[object, object]]) -> dict[tuple[str, ...], float]:
    """Return how many requests got nothing, of carriers with their routes, by route and reason."""
    routes = (route for _, route in entries if isinstance(route, HttpVoiceRoute))
    return {(route.name, why): float(count) for route in routes for why, count in route.desk.refused.items()}


def _is_another(event: Event, call: CallUnderWay) -> bool:
    """Say whether another message of the same code arrived."""
    return isinstance(event, MessageDelivered) and event.ordinal != call.outgoing.key.ordinal


def _place(carrier: CallCarrier) -> str:
    """Return where a carrier is, scheme and host."""
    url = urlsplit(carrier.settings.base_url or carrier.profile.create.url)
    host = fill(url.netloc, {**carrier.options, "account": carrier.settings.account}, safe=for_url)
    return f"{url.scheme}://{host}" if host else ""

"""What each kind of carrier wants of its settings, and how a living route is made of them.

A kind is one line of the table; nobody else asks what kind a carrier is.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, runtime_checkable

import msgspec

from dastak.core.carrier import CarrierKind
from dastak.core.errors import InvalidRequest
from dastak.core.message import Receipt
from dastak.core.reply import Reply
from dastak.core.way_out import Route
from dastak.http_carriers.http_route import Callback, HttpRoute
from dastak.http_carriers.http_settings import HttpCarrier, HttpSettings, read_http_settings, wanted_secrets
from dastak.http_voice.call_settings import CallSettings, read_call_settings, wanted_call_secrets
from dastak.http_voice.http_voice_route import HttpVoiceRoute
from dastak.sms.gsm7 import first_foreign
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.ivr import SpeechOf
from dastak.voice.prompts import shipped
from dastak.voice.sip_route import SipRoute
from dastak.voice.sip_settings import SipSettings
from dastak.voice.voice_route import TakeStep

Acknowledge = Callable[[bool], None]
TakeReceipt = Callable[[Receipt, Acknowledge], None]
TakeReply = Callable[[Reply, Acknowledge], None]


class Ears(NamedTuple):
    """Who hears what carriers bring.

    Attributes:
        on_alert: Told a route and the number of a phone that is back.
        take_step: Told what happens in a call.
    """

    take_receipt: TakeReceipt
    take_reply: TakeReply
    on_alert: Callable[[str, str], None]
    take_step: TakeStep


NO_CALLBACK: Final = Callback()


class LivingRoute(Route, Protocol):
    """A route that is kept up while the context lasts."""

    async def __aenter__(self) -> Self:
        """Begin to connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way end, and disconnect."""

    @property
    def reason(self) -> str:
        """Why it is available or not, in words."""

    @property
    def in_flight(self) -> int:
        """How many messages wait for the carrier's answer."""


@runtime_checkable
class Follows(Protocol):
    """What a route shows whose carrier counts connections: it never stands beside the one before."""

    def follow(self, older: object, ended: asyncio.Future[None]) -> None:
        """Connect only when an older route is over; to be said before the start."""


class Kind(msgspec.Struct, frozen=True):
    """One kind.

    Attributes:
        fields: All settings it knows.
        secrets: Those of them that are kept encrypted and never shown.
        read: Reads settings, secrets and all; a `ValueError` says what is wrong with them.
        make: Makes the route of a name with what was read.
        hears: Whether phones speak by it too; then `make` takes `take_reply`, `on_alert` and `slots`.
        for_trial: Settings that a trial has instead of a carrier's own.
        asked: Those secrets that a carrier with such settings cannot do without.
        hooked: Whether it calls us with receipts; then `make` takes `callback`.
        speaks: Whether it carries calls whose sound is ours; then `make` takes `take_step` and `engine`.
    """

    fields: tuple[str, ...]
    secrets: frozenset[str]
    read: Callable[[Mapping[str, Any]], Any]
    make: Callable[..., LivingRoute]
    asked: Callable[[Mapping[str, Any]], frozenset[str]]
    hears: bool = False
    for_trial: Mapping[str, Any] = MappingProxyType({})
    hooked: bool = False
    speaks: bool = False


def _http_route(name: str, carrier: HttpCarrier, _take: TakeReceipt, *, callback: Callback) -> HttpRoute:
    """Make the route of an HTTP carrier; its receipts are taken by whoever serves its webhooks."""
    return HttpRoute(name, carrier, callback, foreign=lambda text: first_foreign(text) is not None)


KINDS: Final[Mapping[CarrierKind, Kind]] = {
    CarrierKind.SMPP: Kind(
        SmppSettings.__struct_fields__,
        frozenset({"password"}),
        lambda settings: msgspec.convert(settings, SmppSettings),
        SmppRoute,
        lambda _settings: frozenset({"password"}),
        hears=True,
        for_trial=MappingProxyType({"binds": 1}),
    ),
    CarrierKind.HTTP: Kind(
        HttpSettings.__struct_fields__,
        frozenset({"secret", "proof_secret"}),
        read_http_settings,
        _http_route,
        wanted_secrets,
        hooked=True,
    ),
    CarrierKind.HTTP_VOICE: Kind(
        CallSettings.__struct_fields__,
        frozenset({"secret", "proof_secret"}),
        read_call_settings,
        HttpVoiceRoute,
        wanted_call_secrets,
        hooked=True,
        speaks=True,
    ),
    CarrierKind.SIP: Kind(
        SipSettings.__struct_fields__,
        frozenset({"password"}),
        lambda settings: msgspec.convert(settings, SipSettings),
        SipRoute,
        lambda settings: frozenset({"password"} if settings.get("username") else ()),
        speaks=True,
    ),
}


def open_route(
    kind: CarrierKind,
    name: str,
    settings: Mapping[str, Any],
    take: TakeReceipt,
    *,
    take_reply: TakeReply | None = None,
    on_alert: Callable[[str], None] | None = None,
    callback: Callback = NO_CALLBACK,
    take_step: TakeStep = lambda _key, _step, _detail: None,
    engine: EngineProcess | None = None,
    speech_of: SpeechOf = shipped,
    slots: Collection[int] | None = None,
) -> LivingRoute:
    """Make the route of a carrier; it begins to connect as its context is entered.

    Args:
        kind: How it is spoken to.
        name: Under which its messages are kept.
        settings: Secrets and all.
        take: Given every receipt.
        take_reply: Given every text from a phone; without it they are taken and forgotten.
        on_alert: Told the number of a phone that is back.
        callback: Where its webhooks come in, where it has such.
        take_step: Told what happens in a call, where it carries such.
        engine: The voice process, where it carries such; None has one of its own.
        speech_of: Returns how a locale is spoken, where a vendor plays our recordings.
        slots: Which of its binds to hold at first, where it has such; None is all.

    Raises:
        InvalidRequest: The settings are not such a kind's.
    """
    read = read_settings(kind, settings)
    if KINDS[kind].hears:
        return KINDS[kind].make(name, read, take, take_reply=take_reply, on_alert=on_alert, slots=slots)
    if KINDS[kind].speaks and KINDS[kind].hooked:
        return KINDS[kind].make(name, read, take, take_step=take_step, callback=callback, speech_of=speech_of)
    if KINDS[kind].speaks:
        return KINDS[kind].make(name, read, take, take_step=take_step, engine=engine)
    if KINDS[kind].hooked:
        return KINDS[kind].make(name, read, take, callback=callback)
    return KINDS[kind].make(name, read, take)


def read_settings(kind: CarrierKind, settings: Mapping[str, Any]) -> Any:
    """Check the settings of a carrier, secrets and all, and return them as its kind has them.

    Raises:
        InvalidRequest: Something is missing, unknown or out of its range.
    """
    for name in settings:
        if name not in KINDS[kind].fields:
            near = get_close_matches(name, KINDS[kind].fields, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise InvalidRequest(
                f"A carrier of kind {kind} has no setting `{name[:40]}`.{hint}", field="settings"
            )
    try:
        return KINDS[kind].read(settings)
    except (ValueError, OSError) as error:
        raise InvalidRequest(
            f"The settings are not those of a carrier of kind {kind}: {error}.", field="settings"
        ) from error

"""Wire the carriers: those in a box, those of the settings file, and those of the database."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, NamedTuple

from dastak.app_voice import Voices
from dastak.carriers.callback_address import callback_of
from dastak.carriers.carrier_book import CarrierBook
from dastak.carriers.carrier_kinds import Ears, LivingRoute, open_route
from dastak.carriers.fleet import Fleet
from dastak.carriers.learning import Learning
from dastak.carriers.trial import Opener, opener_of_file
from dastak.carriers.trial_desk import TrialDesk
from dastak.config import Settings, address_of, carrier_record, smpp_settings
from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.carrier_store import CarrierStore
from dastak.core.codes import KeyRing
from dastak.core.events import ENDS, Event, MessageDelivered
from dastak.core.msisdn import Msisdn
from dastak.core.node import Does
from dastak.core.ports import Clock
from dastak.core.verification import Verification
from dastak.delivery.health import Health
from dastak.delivery.routing import RouteTable
from dastak.delivery.scores import Standing
from dastak.flows.inward import Inward
from dastak.http_voice.http_voice_route import HttpVoiceRoute
from dastak.nodes.away_route import AwayRoute
from dastak.simulator.box import Box
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from dastak.store.seal import AesGcmSealer
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.sip_route import SipRoute
from dastak.voice.voice_route import VoiceRoute


async def open_box(stack: AsyncExitStack, settings: Settings) -> Box | None:
    """Start the carrier in a box, if there is to be one; the stack stops it."""
    if not settings.simulator.enabled:
        return None
    host, port = address_of(settings.simulator.smpp_listen)
    http_host, http_port = address_of(settings.simulator.http_listen)
    sip_host, sip_port = address_of(settings.simulator.sip_listen)
    box = Box(
        seed=settings.simulator.seed,
        host=host,
        port=port,
        http_host=http_host,
        http_port=http_port,
        sip_host=sip_host,
        sip_port=sip_port,
    )
    return await stack.enter_async_context(box)


def make_learning(settings: Settings, store: CarrierStore, clock: Clock) -> Learning:
    """Make what learns how good routes are."""
    wanted = settings.routing
    return Learning(
        store,
        clock,
        lambda tell: Health(fast_s=wanted.plausible_receipt_s, cost_weight=wanted.cost_weight, tell=tell),
    )


def make_route_table(
    settings: Settings, simulated: Mapping[str, SmppRoute], calls: Sequence[VoiceRoute], judge: Health
) -> RouteTable:
    """Make what chooses ways out; the fleet tells it of carriers."""
    return RouteTable(
        simulated=list(simulated.values()),
        simulated_calls=calls,
        judge=judge,
        chance=random.random,
        exploration=settings.routing.exploration,
    )


async def open_ways(
    stack: AsyncExitStack, settings: Settings, inward: Inward, judge: Health, voices: Voices
) -> tuple[Box | None, dict[str, SmppRoute], list[SipRoute], RouteTable]:
    """Start the carrier in a box, make the routes to it, and what chooses among all routes."""
    box = await open_box(stack, settings)
    simulated = make_simulated(box, inward.ears(test=True))
    calls = make_simulated_calls(box, inward, voices.engine)
    return box, simulated, calls, make_route_table(settings, simulated, calls, judge)


def make_simulated(box: Box | None, ears: Ears) -> dict[str, SmppRoute]:
    """Make the routes to the carrier in a box, if there is one."""
    binds = {} if box is None else box.binds
    return {name: _smpp_route(name, smpp, ears) for name, smpp in binds.items()}


def make_simulated_calls(box: Box | None, inward: Inward, engine: EngineProcess) -> list[SipRoute]:
    """Make the trunk to the exchange in the box, which rings the virtual phones, if there is one."""
    if box is None:
        return []
    return [
        SipRoute(
            "sim_call",
            box.trunk,
            inward.settlement.take,
            take_step=inward.call_steps.take,
            engine=engine,
        )
    ]


class RingingCalls:
    """Lets calls that ring stop where an event ends the need for them."""

    hears: Final = (*ENDS, MessageDelivered)

    def __init__(self, table: RouteTable) -> None:
        self._table = table

    def on_event(self, verification: Verification, event: Event) -> None:
        """Tell the routes that call."""
        for route in self._table.speaking:
            if isinstance(route, VoiceRoute | HttpVoiceRoute):
                route.on_event(verification, event)


def _smpp_route(name: str, smpp: SmppSettings, ears: Ears, *, shared: bool = False) -> SmppRoute:
    return SmppRoute(
        name,
        smpp,
        ears.take_receipt,
        take_reply=ears.take_reply,
        on_alert=partial(ears.on_alert, name),
        slots=() if shared else None,
    )


def _here(work: Does | None, kind: CarrierKind) -> bool:
    """Say whether this node speaks to carriers of a kind; whoever is alone speaks to all."""
    if work is None:
        return True
    return {CarrierKind.SMPP: work.binds, CarrierKind.SIP: work.speaks}.get(kind, True)


def _openers(settings: Settings) -> dict[str, Opener]:
    """Return what makes routes to the carriers of the settings file, for trials."""
    return {name: opener_of_file(name, smpp_settings(carrier)) for name, carrier in settings.carriers.items()}


class Making(NamedTuple):
    """What routes to carriers are made with.

    Attributes:
        table: Told of them.
        ears: Who hears what they bring.
        keys: Open their secrets.
        voices: What calls need.
        work: What this node does, where nodes share the work; then binds are opened as their slots are got.
    """

    table: RouteTable
    ears: Ears
    keys: KeyRing
    voices: Voices
    work: Does | None


def make_fleet(settings: Settings, store: CarrierStore, making: Making) -> tuple[TrialDesk, Fleet]:
    """Make the carriers of the settings file ready, and whatever is added to the database later.

    Whoever tries a carrier stands before those who settle: a carrier brings receipts to any of its binds.
    """
    table, ears, keys, voices, work = making
    callbacks = partial(callback_of, keys, settings.server.public_url, node=settings.server.node)
    trials = TrialDesk(ears.take_receipt, fixed=_openers(settings), callback_of=callbacks)
    ears = ears._replace(take_receipt=trials.take)
    fixed: list[tuple[Carrier, LivingRoute]] = [
        (
            carrier_record(name, carrier),
            _smpp_route(name, smpp_settings(carrier), ears, shared=work is not None)
            if _here(work, CarrierKind.SMPP)
            else AwayRoute(name, CarrierKind.SMPP),
        )
        for name, carrier in settings.carriers.items()
    ]
    book = CarrierBook(store, AesGcmSealer(keys), fixed=tuple(settings.carriers))

    def open_here(carrier: Carrier, given: Mapping[str, Any]) -> LivingRoute:
        route = open_route(
            carrier.kind,
            carrier.name,
            given,
            ears.take_receipt,
            take_reply=ears.take_reply,
            on_alert=partial(ears.on_alert, carrier.name),
            callback=callbacks(carrier.name),
            take_step=ears.take_step,
            engine=voices.engine,
            speech_of=voices.speech_of,
            slots=None if work is None else (),
        )
        return route if _here(work, carrier.kind) else AwayRoute(carrier.name, carrier.kind)

    return trials, Fleet(store, book, fixed=fixed, open_route=open_here, on_change=table.replace)


def is_learned(health: Health, route: str, msisdn: Msisdn) -> bool:
    """Say whether the deadline of receipts comes from receipts; see `Ports.deadline_is_learned`."""
    return health.scores.is_learned(route, health.networks.place_of(msisdn))


def by_place(health: Health, read: Callable[[Standing], float]) -> dict[tuple[str, ...], float]:
    """Return a figure of every route at every place where it was used."""
    standings = health.standings()
    return {(one.figures.route, one.figures.country, one.figures.operator): read(one) for one in standings}

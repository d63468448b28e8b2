"""Wire the parts and run them: the one place that picks a concrete store, limits and routes."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from dastak import app_carriers, app_stop, config_secrets
from dastak.api.asgi_way import asgi
from dastak.api.call_hooks import call_routes
from dastak.api.carrier_hooks import hook_routes
from dastak.api.door import Door
from dastak.api.endpoint_table import ENDPOINTS
from dastak.api.endpoints import Api, Dispatcher
from dastak.api.idempotency import Turns
from dastak.api.openapi import document
from dastak.app_gate import make_gate
from dastak.app_limits import make_limits
from dastak.app_nodes import Among
from dastak.app_pages import people_routes, tell_leads
from dastak.app_stop import StopStack
from dastak.app_store import clock_of, served_store, watch_store
from dastak.app_voice import voices_of
from dastak.carriers.fleet import Fleet
from dastak.carriers.outages import Outages
from dastak.carriers.trial_desk import TrialDesk
from dastak.config import Settings, address_of, is_loopback
from dastak.core.codes import KeyRing
from dastak.core.ports import Clock, Ports
from dastak.delivery.health import Health
from dastak.delivery.hedging import HedgeBudget
from dastak.dlt.registers import Registers
from dastak.entropy import Entropy
from dastak.flows.inward import Inward
from dastak.flows.worker import every
from dastak.http_carriers.http_route import unmapped_codes
from dastak.http_server import serve, served_beside
from dastak.http_voice.http_voice_route import refused_hooks
from dastak.simulator.box import Box
from dastak.simulator.phone_pages import phone_routes
from dastak.sms.smpp_route import SmppRoute
from dastak.steady_clock import SteadyClock
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer
from dastak.telemetry.metrics import CONTENT_TYPE, Metrics
from dastak.telemetry.publisher import Publisher
from dastak.tenancy.directory import Directory
from dastak.tenancy.domains.domain_proof import DomainProofs
from dastak.tenancy.domains.domain_rules import own_hosts_of
from dastak.tenancy.known_passwords import read_breached
from dastak.tenancy.password_hashes import PasswordHashes
from dastak.tenancy.signed_request import GuardedSender
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.sip_route import SipRoute, sip_junk
from dastak.web.explorer import explorer_routes

REVISION_EVERY_S: Final = 0.5
CLOCK_OFFSET_S_MAX: Final = 2.0
HOME_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


class Running(msgspec.Struct, frozen=True):
    """Where the program answers.

    Attributes:
        phones_url: The page of the virtual phones, where there are any.
    """

    url: str
    phones_url: str | None


class House(msgspec.Struct, frozen=True):
    """The parts of a running program, as the edges see them."""

    ports: Ports
    store: Database
    clock: SteadyClock
    directory: Directory
    registers: Registers
    metrics: Metrics
    fleet: Fleet
    trials: TrialDesk
    health: Health
    simulated: Mapping[str, SmppRoute]
    box: Box | None
    engine: EngineProcess
    among: Among


async def run(
    settings: Settings, *, dev: bool, ready: Callable[[Running], None], test_key: str | None = None
) -> None:
    """Run everything until SIGTERM or SIGINT, then stop in order: requests, messages, binds, store.

    Args:
        settings: As read at start.
        dev: Serve the explorer and the metrics as well.
        ready: Called once, when the port answers and the carrier in the box is bound.
        test_key: Shown in the ready lines of the phones' pages.

    Raises:
        OSError: The port is taken.
        ConfigError: The key file cannot be used.
    """
    listener = _open(settings.server.listen)
    async with StopStack() as stack:
        stack.callback(listener.close)
        house = await _build(stack, settings)
        stack.by_s = app_stop.REQUESTS_BY_S
        at_home = is_loopback(address_of(settings.server.listen)[0])
        url = f"http://{settings.server.listen.rpartition(':')[0]}:{listener.getsockname()[1]}"
        public_url = (settings.server.public_url or url).rstrip("/")
        dispatcher = Dispatcher(
            _api(house, settings, public_url, dev=dev),
            ENDPOINTS if house.among.work.answers else (),
            on_answer=house.metrics.on_answer,
        )
        gate = make_gate(house.directory, house.metrics)
        answers = partial(asgi, gate, dispatcher.respond)
        door = await stack.enter_async_context(Door(settings.server.door))
        passwords = PasswordHashes(read_breached(settings.login.breached_passwords))
        await tell_leads(stack, house.ports, house.store, settings)
        await stack.enter_async_context(passwords)
        people: Sequence[Route] = ()
        if house.among.work.answers:
            people = _people(house, passwords, settings, public_url, answers)
        pages = _pages(house, answers(), people, dev=dev, at_home=at_home, test_key=test_key)
        closing = partial(stack.begin, None if house.box is None else house.box.phones.close)
        running = Running(url, None if house.box is None else f"{url}/sim/phones")
        if settings.server.ops_listen is not None:
            ops = Starlette(routes=_ops_routes(house))
            await stack.enter_async_context(served_beside(ops, _open(settings.server.ops_listen)))
        await serve(
            pages, door, gate, dispatcher.respond, listener, ready=lambda: ready(running), closing=closing
        )


def _api(house: House, settings: Settings, public_url: str, *, dev: bool) -> Api:
    private = settings.login.private_checks
    return Api(
        ports=house.ports,
        directory=house.directory,
        fleet=house.fleet,
        registers=house.registers,
        dlt_store=house.store,
        replies=house.store,
        oidc=house.store.oidc,
        people=house.store.people,
        private_checks=private,
        domains=DomainProofs(
            house.ports.keys,
            GuardedSender(house.ports.clock, private=private),
            shared=own_hosts_of(settings.server.public_url),
            asked=not dev,
        ),
        landing=house.store.landing,
        trials=house.trials,
        health=house.health,
        exploration=settings.routing.exploration,
        turns=Turns(),
        code_pages=house.store.code_pages,
        public_url=public_url,
    )


async def _build(stack: StopStack, settings: Settings) -> House:
    """Open the parts from the ground up; the stack closes them the other way round."""
    keys, store = await _unlock(stack, settings)
    clock = await stack.enter_async_context(clock_of(store))
    directory, registers = await _tenancy(stack, store, clock)
    limits = await make_limits(stack, settings, store, clock, keys)
    voices = await stack.enter_async_context(voices_of(settings, directory, store.voices))
    inward = Inward.of((metrics := Metrics()).on_reply)
    health = (await stack.enter_async_context(app_carriers.make_learning(settings, store, clock))).health
    box, simulated, calls, table = await app_carriers.open_ways(stack, settings, inward, health, voices)
    nodes, hedges = Among(settings, store.nodes), HedgeBudget()
    ringing = app_carriers.RingingCalls(table)
    told = Publisher((metrics, inward.settlement, ringing, health, limits.calls, hedges, nodes.worker))
    routes = app_carriers.Making(table, inward.ears(), keys, voices, nodes.shared)
    trials, fleet = app_carriers.make_fleet(settings, store, routes)
    outages = Outages(store, clock, lambda: fleet.entries)
    ports = Ports(
        clock=clock,
        entropy=Entropy(),
        store=store,
        limits=limits.sends,
        calls=limits.calls,
        routes=table,
        keys=keys,
        sealer=AesGcmSealer(keys),
        dlt=registers,
        publish=told.publish,
        hand_over=nodes.hand_over,
        look_for=nodes.worker.look_for,
        service_of=directory.service_of,
        tenant_of=directory.tenant_of,
        is_stopped=store.is_stopped,
        receipt_within_s=health.deadline_s,
        deadline_is_learned=partial(app_carriers.is_learned, health),
        price_micros=fleet.price_micros,
        call_price=fleet.call_price,
        call_terms=table.call_terms,
        believes=health.trusted,
        may_hedge=lambda route: hedges.take(route, clock.now().timestamp()),
        learn_network=health.learn_network,
        lease=nodes.lease,
        too_late=nodes.time_to_leave(settings, table, outages),
    )
    inward.begin(ports, store, directory.owners_of)
    await nodes.join(stack, fleet)
    await _set_out(stack, (*simulated.values(), *calls), fleet, outages)
    await nodes.set_to_work(stack, ports, inward.settlement)
    metrics.watch("dastak_limits_unshared", limits.unshared)
    return _with_figures(House(ports, store, clock, directory, registers, metrics, fleet, trials,
        health, simulated, box, voices.engine, nodes))  # fmt: skip


async def _unlock(stack: AsyncExitStack, settings: Settings) -> tuple[KeyRing, Database]:
    """Read the keys and open the database. Raises: ConfigError (they do not belong together)."""
    keys = config_secrets.read_keys(settings)
    store = await stack.enter_async_context(served_store(settings))
    known = await store.note_keys(keys.marks())
    config_secrets.refuse_other_keys(settings, keys, known)
    config_secrets.warn_of_lacking_keys(settings, keys, known)
    return keys, store


async def _tenancy(stack: AsyncExitStack, store: Database, clock: Clock) -> tuple[Directory, Registers]:
    """Read who may ask and what they registered; what another process changes is seen within a second."""
    directory, registers = Directory(clock.now), Registers()
    await directory.refresh(store)
    await registers.refresh(store)
    await stack.enter_async_context(every(REVISION_EVERY_S, lambda: directory.refresh(store)))
    await stack.enter_async_context(every(REVISION_EVERY_S, lambda: registers.refresh(store)))
    return directory, registers


async def _set_out(
    stack: StopStack, simulated: Sequence[SmppRoute | SipRoute], fleet: Fleet, outages: Outages
) -> None:
    """Open all carriers, follow their changes, and write down when their links are down.

    Those in the box are waited for: they answer within a second, and who runs `dastak dev` begins at once.
    """
    stack.by_s = app_stop.BINDS_BY_S
    for route in simulated:
        await stack.enter_async_context(route)
    await asyncio.gather(*(route.wait_bound() for route in simulated))
    await stack.enter_async_context(fleet)
    await stack.enter_async_context(every(REVISION_EVERY_S, fleet.refresh))
    await stack.enter_async_context(every(REVISION_EVERY_S, outages.look))


def _with_figures(house: House) -> House:
    watch = house.metrics.watch
    watch_store(house.metrics, house.store)
    watch("dastak_messages_in_flight", lambda: house.among.worker.in_flight)
    watch("dastak_messages_waiting", lambda: house.among.worker.waiting)
    watch("dastak_clock_offset_seconds", house.clock.offset_s)
    watch("dastak_calls_in_flight", lambda: house.engine.in_flight)
    watch("dastak_voice_process_restarts", lambda: house.engine.restarts)
    house.among.watch(house.metrics)
    house.metrics.watch_each("dastak_bound", lambda: _bound(house))
    health, watch_each, by_place = house.health, house.metrics.watch_each, app_carriers.by_place
    watch_each("dastak_call_hooks_refused", lambda: refused_hooks(house.fleet.entries))
    watch_each("dastak_unmapped_codes", lambda: unmapped_codes(house.fleet.entries))
    watch_each("dastak_sip_junk", lambda: sip_junk(house.fleet.entries))
    watch_each(
        "dastak_route_trips",
        lambda: {(route,): float(one.trips) for route, one in health.breakers().items()},
    )
    watch_each(
        "dastak_route_believed",
        lambda: {(carrier.name,): float(health.trusted(carrier.name)) for carrier, _ in house.fleet.entries},
    )
    watch_each("dastak_route_score", lambda: by_place(health, lambda one: one.figures.score))
    watch_each("dastak_route_weight_left", lambda: by_place(health, lambda one: one.weight_left))
    watch_each("dastak_route_receipt_deadline_seconds", lambda: by_place(health, lambda one: one.deadline_s))
    return house


def _bound(house: House) -> dict[tuple[str, ...], float]:
    routes = [*house.simulated.values(), *(route for _, route in house.fleet.entries)]
    return {(route.name,): float(route.available) for route in routes}


def _faults(house: House) -> dict[str, str | None]:
    """Say what is wrong with each part; None is well."""
    offset_s = house.clock.offset_s()
    routes = [*house.simulated.values(), *(route for _, route in house.fleet.entries)]
    return {
        "store": None if house.store.healthy else "the database cannot write",
        "clock": None if abs(offset_s) <= CLOCK_OFFSET_S_MAX else f"{offset_s:.1f} s ahead of the wall clock",
        **{route.name: None if route.available else route.reason for route in routes},
        **({"voice process": house.engine.fault} if house.engine.fault else {}),
        **house.fleet.faults,
    }


def _is_ready(house: House, faults: Mapping[str, str | None]) -> bool:
    """Say whether work can be done: one carrier that is down is no reason to send callers away."""
    carriers = [route.name for _, route in house.fleet.entries] or list(house.simulated)
    reachable = not carriers or any(faults[name] is None for name in carriers)
    return reachable and faults["store"] is None and faults["clock"] is None


def _pages(
    house: House,
    api: ASGIApp,
    people: Sequence[Route],
    *,
    dev: bool,
    at_home: bool,
    test_key: str | None,
) -> Starlette:
    """Make the ASGI application: health, pages, and the API for requests that cannot take the short way."""
    routes: list[BaseRoute] = _ops_routes(house) if dev else [Route("/healthz", _alive), _ready_route(house)]
    shown: list[Route] = []
    if house.box is not None:
        shown += [
            *phone_routes(house.box.phones, send=house.box.send, test_key=test_key),
            *house.box.routes(),
        ]
    if dev:
        shown += explorer_routes(partial(document, ENDPOINTS))
    routes += map(_only_at_home, shown) if at_home else shown
    routes += people
    routes += hook_routes(house.fleet, house.trials.take, house.clock)
    routes += call_routes(house.fleet, house.trials, house.clock)
    return Starlette(routes=[*routes, Mount("/", api)])


def _people(
    house: House,
    passwords: PasswordHashes,
    settings: Settings,
    public_url: str,
    answers: Callable[[], ASGIApp],
) -> Sequence[Route]:
    """Make the pages for people; they answer at any host that leads here once `public_url` is set."""
    known = settings.server.public_url or not is_loopback(address_of(settings.server.listen)[0])
    routes = people_routes(
        *(house.ports, house.directory, house.store, passwords, settings),
        public_url=public_url,
        api=answers() if known else None,
    )
    return routes if known else [*map(_only_at_home, routes)]


def _only_at_home(route: Route) -> Route:
    """Have a page answer only who calls us by a name of this machine.

    Another site's page may have its own name point to this machine (DNS rebinding): its browser would take
    us for that site, and let the page read the phones.
    """
    route.app = TrustedHostMiddleware(route.app, allowed_hosts=HOME_NAMES, www_redirect=False)
    return route


def _ops_routes(house: House) -> list[BaseRoute]:
    """Return what monitoring reads and nobody else may."""

    async def scrape(_request: Request) -> Response:
        return Response(house.metrics.text(), media_type=CONTENT_TYPE)

    return [Route("/healthz", _alive), _ready_route(house, details=True), Route("/metrics", scrape)]


async def _alive(_request: Request) -> Response:
    return Response("alive\n", media_type="text/plain")


def _ready_route(house: House, *, details: bool = False) -> Route:
    async def ready(_request: Request) -> Response:
        faults = _faults(house)
        more = {"parts": faults, "node": house.among.told()} if details else {}
        shown = {"ready": _is_ready(house, faults), **more}
        return Response(
            msgspec.json.encode(shown), 200 if shown["ready"] else 503, media_type="application/json"
        )

    return Route("/readyz", ready)


def _open(listen: str) -> socket.socket:
    host, port = address_of(listen)
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)

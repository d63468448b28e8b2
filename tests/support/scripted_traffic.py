"""Messages through scripted routes in scaled time: seeded, with everything that health learns from.

What is under test is the real `RouteTable` and the real `Health`; carriers, phones and people follow scripts.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from itertools import count

from dastak.core import events
from dastak.core.carrier import Carrier, CarrierKind, Lane
from dastak.core.errors import CarrierUnavailable
from dastak.core.message import CarrierRef, RecordedText
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.core.way_out import Outgoing, Wanted
from dastak.delivery.demotions import Demotion
from dastak.delivery.failover import ANSWER_WITHIN_S
from dastak.delivery.health import Health
from dastak.delivery.routing import RouteTable
from tests.support.samples import MSISDN, NOW, some_msisdn, some_verification

BEGIN_S = NOW.timestamp()


@dataclass
class Script:
    """How a route behaves; change it while the traffic runs.

    Attributes:
        answers: Whether it answers a submit at all; without an answer the message is lost on it.
        linked: Whether it has a link.
        refuses: The share of submits that it refuses, with `network_temporary`.
        latency_s: From submit to phone, half of the time.
        reaches: The share of texts that reach their phones.
        honest: Whether it says so when they do not.
        silent: It sends no receipts at all.
    """

    name: str
    lane: Lane = field(default_factory=Lane)
    answers: bool = True
    linked: bool = True
    refuses: float = 0.0
    latency_s: float = 2.0
    reaches: float = 0.97
    honest: bool = True
    silent: bool = False
    available: bool = True

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        raise AssertionError("the traffic asks the script, and nobody submits")


@dataclass
class Offer:
    """One message as it went: when it was asked for, who was asked first, who took it and when."""

    at_s: float
    first: str
    route: str = ""
    submitted_s: float = 0.0
    phone_s: float | None = None
    msisdn: Msisdn = MSISDN


class Traffic:
    """A town that logs in."""

    def __init__(
        self, *scripts: Script, seed: int = 1, converts: float = 0.85, exploring: bool = True
    ) -> None:
        self.random = random.Random(seed)
        self.scripts = {script.name: script for script in scripts}
        self.told: list[Demotion] = []
        self.health = Health(tell=self.told.append)
        self.table = RouteTable(judge=self.health, chance=self.random.random if exploring else None)
        self.carriers = [
            Carrier(name=script.name, kind=CarrierKind.SMPP, lane=script.lane) for script in scripts
        ]
        self.table.replace(zip(self.carriers, scripts, strict=True))
        self.converts = converts
        self.now_s = 0.0
        self.offers: list[Offer] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._numbers = count()
        self._at(1.0, self._tick)

    def run(self, seconds: float, *, per_s: float) -> list[Offer]:
        """Send so many messages a second, and return them."""
        end_s, begun = self.now_s + seconds, len(self.offers)
        at_s = self.now_s
        while (at_s := at_s + self.random.expovariate(per_s)) < end_s:
            self._at(at_s, self._start)
        while self._queue and self._queue[0][0] <= end_s:
            self.now_s, _, act = heappop(self._queue)
            act()
        self.now_s = end_s
        return self.offers[begun:]

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heappush(self._queue, (at_s, next(self._order), act))

    def _tick(self) -> None:
        self.health.tick(BEGIN_S + self.now_s)
        self._at(self.now_s + 1.0, self._tick)

    def _start(self) -> None:
        created_at = NOW + timedelta(seconds=self.now_s)
        verification = some_verification(
            msisdn=some_msisdn(next(self._numbers)),
            created_at=created_at,
            expires_at=created_at + timedelta(seconds=300),
        )
        routes = [route.name for route in self.table.order(self._wanted(verification.msisdn))]
        offer = Offer(self.now_s, routes[0], msisdn=verification.msisdn)
        self.offers.append(offer)
        self._offer(verification, offer, routes, [])

    @staticmethod
    def _wanted(msisdn: Msisdn) -> Wanted:
        return Wanted(mode=Mode.LIVE, channel=Channel.SMS, tenant=1, msisdn=msisdn, remaining_s=300.0)

    def _offer(
        self, verification: Verification, offer: Offer, routes: list[str], refusals: list[events.Event]
    ) -> None:
        if not routes:
            self._tell(verification, *refusals)
            return
        script = self.scripts[routes[0]]
        status, waited_s = "", 0.02
        if not script.linked:
            status = CarrierUnavailable.code
        elif not script.answers:
            status, waited_s = CarrierUnavailable.code, ANSWER_WITHIN_S
        elif self.random.random() < script.refuses:
            status = "ESME_RSYSERR"
        if not status:
            self._at(self.now_s + waited_s, lambda: self._taken(verification, offer, script, refusals))
            return

        def refused() -> None:
            refusal = events.MessageRefused(self._ms(), 0, script.name, status, Outcome.NETWORK_TEMPORARY)
            self._offer(verification, offer, routes[1:], [*refusals, refusal])

        self._at(self.now_s + waited_s, refused)

    def _taken(
        self, verification: Verification, offer: Offer, script: Script, refusals: list[events.Event]
    ) -> None:
        offer.route, offer.submitted_s = script.name, self.now_s
        self._tell(verification, *refusals, events.MessageSubmitted(self._ms(), 0, script.name, "ref", 20))
        reached = self.random.random() < script.reaches
        latency_s = script.latency_s * self.random.lognormvariate(0.0, 0.3)
        if reached:
            offer.phone_s = self.now_s + latency_s
            if self.random.random() < self.converts:
                typed_s = latency_s + self.random.lognormvariate(2.5, 0.5)
                self._at(
                    self.now_s + typed_s,
                    lambda: self._tell(verification, events.VerificationApproved(self._ms())),
                )
        if script.silent or not (reached or not script.honest):
            return
        self._at(self.now_s + latency_s, lambda: self._tell(verification, self._delivered(script)))

    def _delivered(self, script: Script) -> events.Event:
        """Return what a receipt that says delivered becomes, believed or not."""
        if self.health.trusted(script.name):
            return events.MessageDelivered(self._ms(), 0, "stat:DELIVRD")
        return events.ReceiptNoted(self._ms(), 0, Outcome.DELIVERED, "stat:DELIVRD")

    def _tell(self, verification: Verification, *told: events.Event) -> None:
        for event in told:
            self.health.on_event(verification, event)

    def _ms(self) -> int:
        return int((BEGIN_S + self.now_s) * 1000)


def recorded(offers: list[Offer]) -> list[RecordedText]:
    """Return messages as a store remembers them."""
    return [RecordedText(1, offer.msisdn, 1, offer.route, 0) for offer in offers]


def shares(offers: list[Offer]) -> dict[str, float]:
    """Return how much of the traffic each route was asked first to take."""
    firsts = Counter(offer.first for offer in offers)
    return {name: firsts[name] / len(offers) for name in sorted(firsts)}


def share(offers: list[Offer], name: str) -> float:
    """Return how much of the traffic one route was asked first to take."""
    return shares(offers).get(name, 0.0)


def start_to_phone_s(offers: list[Offer]) -> list[float]:
    """Return how long the messages took that reached a phone, in order."""
    return sorted(offer.phone_s - offer.at_s for offer in offers if offer.phone_s is not None)

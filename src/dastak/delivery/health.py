"""Learn from what happens to messages how good each route is, and say when that changes their shares.

1. Only what was committed is learned from, by whichever node, and nothing from test messages.
2. A failure that is the phone's, the text's or the number's is no failure of the route.
3. Receipts of a route that is not believed count neither as success nor as failure; typed codes still do.
4. Every change of weight is told once, with its reason and figures, and so is its end.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from dastak.core import events
from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.tenant import Mode
from dastak.core.verification import Verification
from dastak.delivery import breaker as breakers
from dastak.delivery.breaker import Answer, Breaker
from dastak.delivery.conversions import Conversions, Sent
from dastak.delivery.deadlines import RECEIPTS_MIN, deadline_s, median_s
from dastak.delivery.demotions import Demotion, Demotions
from dastak.delivery.false_receipts import FAST_S, FalseReceipts, Mark
from dastak.delivery.networks import Networks, Place
from dastak.delivery.scores import VALUE_MIN, Chances, Scores, Standing, share_left, worth
from dastak.delivery.smooth import Smooth
from dastak.delivery.snapshot import Kept


class Health:
    """A listener on events, and the judge that routing asks.

    Args:
        fast_s: See `FalseReceipts`.
        cost_weight: How much of a score one unit of the currency is worth; 0 asks for the price only between
            equals.
        tell: Told of every change of weight.

    Attributes:
        version: Rises whenever routing should ask again.
    """

    def __init__(
        self,
        *,
        fast_s: float = FAST_S,
        cost_weight: float = 0.0,
        tell: Callable[[Demotion], None] = lambda _demotion: None,
    ) -> None:
        self._cost_weight = cost_weight
        self._demotions = Demotions(tell)
        self.networks = Networks()
        self._scores = Scores()
        self._smooth = Smooth()
        self.version = 0
        self._conversions = Conversions()
        self._suspicion = FalseReceipts(fast_s=fast_s, tell=self._on_mark)
        self._revisions: dict[str, int] = {}
        self._breakers: dict[str, Breaker] = {}
        self._now_s = 0.0
        self._standings: tuple[int, list[Standing]] = (-1, [])
        self._busy: set[str] = set()
        self._deadlines: dict[tuple[str, Place], float] = {}
        self._answers: Mapping[type[events.Event], Callable[[Verification, Any], None]] = {
            events.MessageSubmitted: self._submitted,
            events.MessageRefused: self._refused,
        }
        self._fates: Mapping[type[events.Event], Callable[[VerificationId, Any], None]] = {
            events.MessageDelivered: self._arrived,
            events.ReceiptNoted: self._arrived,
            events.MessageUndelivered: self._undelivered,
            events.VerificationApproved: self._approved,
            events.VerificationCanceled: self._called_off,
            events.VerificationFailed: self._called_off,
        }
        self.hears: Collection[type[events.Event]] = self._answers.keys() | self._fates.keys()

    def watch(self, revisions: Mapping[str, int]) -> None:
        """Learn about these routes from now on. Where the revision is another one, an operator acted."""
        for route, revision in revisions.items():
            if self._revisions.get(route, -1) != revision:
                self.operator_acted(route)
        for route in self._breakers.keys() - revisions.keys():
            self._set_breaker(route, Breaker(why="it is not used any more"))
            del self._breakers[route]
        self._demotions.end_unused(revisions, at_s=self._now_s)
        self._revisions = dict(revisions)
        self.version += 1

    @property
    def scores(self) -> Scores:
        """What is known of every route, up to the last event."""
        self._count_smooth()
        return self._scores

    def on_event(self, verification: Verification, event: events.Event) -> None:
        """Learn from what was committed."""
        if verification.mode is not Mode.TEST:
            self._now_s = max(self._now_s, event.at_ms / 1000)
            if (answer := self._answers.get(type(event))) is not None:
                answer(verification, event)
            else:
                self._fates[type(event)](verification.id, event)

    def unheard(self, now_s: float) -> Sequence[tuple[int, VerificationId]]:
        """Return tenant and verification of texts that a tick would judge for silence; see `hear`."""
        return self._conversions.unheard(now_s)

    def hear(self, of: VerificationId, timeline: Sequence[events.Event]) -> None:
        """Learn what became of a verification at any node; what was heard before changes nothing."""
        for event in timeline:
            if (fate := self._fates.get(type(event))) is not None:
                fate(of, event)

    def tick(self, now_s: float, *, judges: bool = True) -> None:
        """Let time pass; once a second is right. Without `judges` silence is judged at a later one."""
        self._count_smooth()
        self._now_s = max(self._now_s, now_s)
        self._deadlines.clear()
        for route, breaker in self._breakers.items():
            self._set_breaker(route, breakers.passed(breaker, now_s=self._now_s))
        for sent in self._conversions.overdue(now_s) if judges else ():
            self._count_lost(sent)
        for route, place, tenant, entered in self._conversions.ripe(now_s) if judges else ():
            self.scores.note(route, place, "entered", float(entered), now_s=self._now_s)
            self._suspicion.note_trial(route, place, tenant, entered=entered, now_s=self._now_s)
        self._suspicion.passed(now_s=self._now_s)
        self.networks.forget(now_s=self._now_s)
        self._tell_changes()
        self.version += 1

    def factors(self, routes: Sequence[tuple[str, int]], place: Place) -> list[float]:
        """Return what is left of each route's weight, beside the others.

        Args:
            routes: Each with the price of a segment, in millionths of the currency.
            place: Where the message goes.
        """
        values = [
            max(
                VALUE_MIN,
                self.scores.score(route, place, now_s=self._now_s) - self._cost_weight * price_micros / 1e6,
            )
            for route, price_micros in routes
        ]
        # A route that is asked last anyway is no measure for the others.
        best = max(
            (value for (route, _), value in zip(routes, values, strict=True) if not self.trips(route)),
            default=max(values, default=1.0),
        )
        marks = self._suspicion.marks
        return [
            share_left(value, best) * (marks[route].factor if route in marks else 1.0)
            for (route, _), value in zip(routes, values, strict=True)
        ]

    def left(self, place: Place) -> Mapping[str, float]:
        """Return what is left of the weight of each route that was used at a place."""
        # A route that is not used there, perhaps because it may not, is no measure for the others.
        used = [(route, 0) for route in self._revisions if self.scores.knows(route, place)]
        return dict(zip((route for route, _ in used), self.factors(used, place), strict=True))

    def chances(self, route: str, place: Place) -> Chances:
        """Return what is expected of a text that is handed to a route."""
        figures = self.scores.figures(route, place, now_s=self._now_s)
        arrived = figures.submitted * figures.arrived
        return Chances(arrived, arrived * figures.entered)

    def trips(self, route: str) -> bool:
        """Say whether a route is asked only when there is no other."""
        return route in self._breakers and self._breakers[route].trips

    def half_open(self) -> tuple[str, ...]:
        """Return the routes that may be tried with single messages."""
        may_probe = partial(breakers.may_probe, now_s=self._now_s)
        return tuple(route for route, breaker in self._breakers.items() if may_probe(breaker))

    def probe(self, route: str) -> bool:
        """Take the right to try a route with one message, if nobody has it."""
        breaker = self._breakers.get(route)
        if breaker is None or not breakers.may_probe(breaker, now_s=self._now_s):
            return False
        self._breakers[route] = breakers.probing(breaker, now_s=self._now_s)
        return True

    def median_s(self, route: str, place: Place) -> float:
        """Return how long a route needs to the phone, half of the time."""
        return median_s(self.scores.latencies(route, place, enough=RECEIPTS_MIN))

    def operator_of(self, msisdn: Msisdn) -> str:
        """Return the network of a number, where receipts told."""
        return self.networks.operator_of(msisdn)

    def learn_network(self, msisdn: Msisdn, operator: str) -> None:
        """Believe a receipt that names the network of a number."""
        self.networks.learn(msisdn, operator, now_s=self._now_s)

    def deadline_s(self, route: str, msisdn: Msisdn) -> float:
        """Return how long a route may take for the receipt of a message to a number."""
        return self._deadline_s(route, self.networks.place_of(msisdn))

    def trusted(self, route: str) -> bool:
        """Say whether a receipt of this route that says delivered stops the clocks."""
        return route not in self._suspicion.marks

    def operator_acted(self, route: str) -> None:
        """Give a route another chance, because somebody mended it."""
        self._suspicion.acquit(route)
        if route in self._breakers:
            self._set_breaker(route, breakers.operator_acted(self._breakers[route], now_s=self._now_s))

    def breakers(self) -> Mapping[str, Breaker]:
        """Return the breakers of the routes that were used."""
        return self._breakers

    def marks(self) -> Mapping[str, Mark]:
        """Return the routes whose receipts are not believed, and why."""
        return self._suspicion.marks

    def standings(self, wanted: str = "") -> list[Standing]:
        """Return how good a route is at each place where it was used, every route without a name.

        As of the last tick: thousands of places cost tens of milliseconds, and several look.
        """
        if self._standings[0] != self.version:
            self._standings = self.version, list(self._stand())
        return [one for one in self._standings[1] if wanted in ("", one.figures.route)]

    def _stand(self) -> Iterator[Standing]:
        left: dict[Place, Mapping[str, float]] = {}
        for route, place in self.scores.places():
            if place not in left:
                left[place] = self.left(place)
            yield Standing(
                figures=self.scores.figures(route, place, now_s=self._now_s),
                weight_left=left[place].get(route, 0.0),
                median_s=self.median_s(route, place),
                deadline_s=deadline_s(self.scores.latencies(route, place, enough=RECEIPTS_MIN)),
            )

    def snapshot(self) -> bytes:
        """Return what should outlive a restart: no message and no number is in it."""
        broken = {
            route: breaker
            for route, breaker in self._breakers.items()
            # Carriers of the settings file have no revision; who mends one there restarts the program.
            if breaker.trips and self._revisions.get(route)
        }
        return Kept(
            revision=self._demotions.revision,
            told=self._demotions.told(),
            revisions=self._revisions,
            evidence=self.scores.snapshot(),
            marks=dict(self._suspicion.marks),
            broken=broken,
        ).encode()

    def restore(self, kept: bytes) -> bool:
        """Go on with a snapshot; one that cannot be read is no reason not to start."""
        known = Kept.decode(kept)
        if known is None:
            return False
        self._demotions.restore(known.revision, known.told)
        self._revisions = known.revisions
        self.scores.restore(known.evidence)
        self._suspicion.restore(known.marks)
        self._breakers.update(known.broken)
        self.version += 1
        return True

    def _submitted(self, verification: Verification, event: events.MessageSubmitted) -> None:
        route, at_s = event.route, event.at_ms / 1000
        if route not in self._revisions:
            return
        place = self.networks.place_of(verification.msisdn)
        self._smooth.of(route, place, verification.tenant).accepted += 1
        breaker = self._breakers.get(route)
        if breaker is None or breaker.trips:  # each message is a proof
            self._count_smooth()
        asked_s = verification.last_sent_at.timestamp()
        sent = Sent(event.ordinal, route, place, verification.tenant, at_s, asked_s)
        self._conversions.submitted(verification.id, sent, due_s=at_s + self._deadline_s(route, place))

    def _refused(self, verification: Verification, event: events.MessageRefused) -> None:
        route, at_s, outcome = event.route, event.at_ms / 1000, event.outcome
        if route not in self._revisions:
            return
        self._count_smooth()  # what went well before it
        place = self.networks.place_of(verification.msisdn)
        self._busy.add(place.country)
        if outcome == Outcome.THROTTLED:
            self.scores.note(route, place, "unthrottled", 0.0, now_s=at_s)
        elif breakers.may_be_its_fault(outcome):
            self.scores.note(route, place, "submitted", 0.0, now_s=at_s)
        self._answered(route, breakers.blame(outcome, event.status), verification.tenant, at_s)

    def _arrived(self, of: VerificationId, event: events.MessageDelivered | events.ReceiptNoted) -> None:
        """Learn from a receipt, also from one that moved nothing, perhaps because it is not believed."""
        if isinstance(event, events.ReceiptNoted) and event.outcome != Outcome.DELIVERED:
            return
        sent = self._conversions.told(of, event.ordinal, arrived=True, at_s=event.at_ms / 1000)
        if sent is None:
            return
        seconds = max(0.0, event.at_ms / 1000 - sent.submitted_s)
        self._suspicion.note_latency(sent.route, seconds, now_s=self._now_s)
        if not self.trusted(sent.route):
            return
        sums = self._smooth.of(sent.route, sent.place, sent.tenant)
        sums.latencies.append(seconds)
        if not sent.counted:
            sent.counted = True
            sums.arrived += 1

    def _undelivered(self, of: VerificationId, event: events.MessageUndelivered) -> None:
        sent = self._conversions.told(of, event.ordinal, arrived=False, at_s=event.at_ms / 1000)
        if sent is not None:
            if breakers.may_be_its_fault(event.outcome):
                self._count_lost(sent)
            sent.counted = True

    def _called_off(self, of: VerificationId, _event: events.Event) -> None:
        self._conversions.forget(of)

    def _approved(self, of: VerificationId, event: events.VerificationApproved) -> None:
        """Learn from a typed code: whatever the receipts say, this text arrived."""
        sent = self._conversions.typed(of, at_s=event.at_ms / 1000)
        if sent is None:
            return
        if sent.given_up and sent.told_s is None:
            self.scores.arrived_after_all(sent.route, sent.place)
        elif not sent.counted:
            self._smooth.of(sent.route, sent.place, sent.tenant).arrived += 1
        sent.counted = True

    def _count_lost(self, sent: Sent) -> None:
        if not sent.counted:
            sent.counted = True
            self.scores.note(sent.route, sent.place, "arrived", 0.0, now_s=self._now_s)

    def _count_smooth(self) -> None:
        """Count what went well since the last look, all at once."""
        for route, place, tenant, sums in self._smooth.take():
            note = partial(self._scores.note, route, place, now_s=self._now_s)
            if sums.accepted:
                self._busy.add(place.country)
                note("submitted", sums.accepted, of=sums.accepted)
                note("unthrottled", sums.accepted, of=sums.accepted)
                self._answered(route, Answer.ACCEPTED, tenant, self._now_s, messages=sums.accepted)
            if sums.arrived:
                note("arrived", sums.arrived, of=sums.arrived)
            if sums.latencies:
                note("prompt", sum(map(worth, sums.latencies)), of=len(sums.latencies))
                self._scores.note_latencies(route, place, sums.latencies)

    def _answered(self, route: str, answer: Answer, tenant: int, at_s: float, *, messages: int = 1) -> None:
        known = self._breakers.get(route) or Breaker()
        fresh = breakers.answered(known, answer, tenant=tenant, now_s=at_s, messages=messages)
        self._set_breaker(route, fresh)

    def _set_breaker(self, route: str, fresh: Breaker) -> None:
        known = self._breakers.get(route)
        self._breakers[route] = fresh
        if fresh.trips != (known is not None and known.trips):
            why = f"breaker {fresh.state}: {fresh.why}"
            self._change(route, (float(fresh.trips), float(not fresh.trips)), why, {})
        if known is None or fresh.state is not known.state:
            self.version += 1

    def _on_mark(self, mark: Mark, is_set: bool) -> None:
        before, factor = (1.0, mark.factor) if is_set else (mark.factor, 1.0)
        why = f"receipts are {'' if is_set else 'again '}{'not ' if is_set else ''}believed: {mark.why}"
        self._change(mark.route, (before, factor), why, mark.figures)
        self.version += 1

    def _deadline_s(self, route: str, place: Place) -> float:
        """Return a deadline, as it was learned up to the last tick: every message asks for it twice."""
        known = self._deadlines.get((route, place))
        if known is None:
            latencies = self.scores.latencies(route, place, enough=RECEIPTS_MIN)
            known = self._deadlines[route, place] = deadline_s(latencies)
        return known

    def _tell_changes(self) -> None:
        """Tell where a route's share fell or came back since the last look."""
        countries = self._busy | self._demotions.countries()
        self._busy = set()
        for country in countries:
            place = Place(country)
            for route, factor in self.left(place).items():
                messages = self.scores.messages(route, place, now_s=self._now_s)
                reasons = partial(self.scores.reasons, route, place, now_s=self._now_s)
                self._demotions.watch(
                    route, country, factor, messages=messages, figures=reasons, at_s=self._now_s
                )

    def _change(self, route: str, step: tuple[float, float], why: str, figures: Mapping[str, float]) -> None:
        self._demotions.note(route, "", step, why, figures, at_s=self._now_s)

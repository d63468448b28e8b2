"""A node that sends learns what other nodes were told: most receipts and codes come to one of them."""

from collections import defaultdict
from datetime import timedelta
from random import Random
from typing import Final

import pytest

from dastak.core import events
from dastak.core.ids import VerificationId
from dastak.core.tenant import Mode
from dastak.delivery.health import Health
from dastak.delivery.networks import Place
from dastak.delivery.scores import Figures
from tests.support.samples import NOW, some_msisdn, some_verification

BEGIN_MS: Final = int(NOW.timestamp() * 1000)
INDIA: Final = Place("IN")
SECONDS: Final = 400
# Two carriers, of which one brings two texts of five; of those that arrive four codes of five are typed.
ARRIVE: Final = {"good": 1.0, "bad": 0.4}
TYPED: Final = 0.8


class Node:
    """One of several nodes, which sends a text by each carrier each second and hears a part of the rest."""

    def __init__(self, *, hears: float) -> None:
        self.health = Health()
        self.health.watch(dict.fromkeys(ARRIVE, 1))
        self.timelines: defaultdict[VerificationId, list[events.Event]] = defaultdict(list)
        self._hears = hears

    def live(self, *, asks: bool) -> None:
        """Send, and let time pass; it may ask for timelines before it judges."""
        chance, elsewhere = Random(1), Random(2)
        later: defaultdict[int, list[tuple[int, events.Event]]] = defaultdict(list)
        for second in range(SECONDS):
            at_ms = BEGIN_MS + 1_000 * second
            for n, route in enumerate(ARRIVE, len(ARRIVE) * second):
                self._tell(n, events.MessageSubmitted(at_ms, 0, route, f"ref-{n}", 40))
                if chance.random() < ARRIVE[route]:
                    arrived_ms = at_ms + chance.randrange(1_500, 5_000)
                    later[second + 5].append((n, events.MessageDelivered(arrived_ms, 0, "stat:DELIVRD")))
                    if chance.random() < TYPED:
                        later[second + 9].append((n, events.VerificationApproved(at_ms + 9_000)))
            for n, event in later.pop(second, ()):
                if elsewhere.random() < self._hears:
                    self._tell(n, event)
                else:
                    self.timelines[_id(n)].append(event)
            if asks:
                for _, of in self.health.unheard(at_ms / 1000):
                    self.health.hear(of, self.timelines[of])
            self.health.tick(at_ms / 1000)

    def figures(self, route: str) -> Figures:
        return self.health.scores.figures(route, INDIA, now_s=BEGIN_MS / 1000 + SECONDS)

    def _tell(self, n: int, event: events.Event) -> None:
        self.timelines[_id(n)].append(event)
        asked_at = NOW + timedelta(seconds=n // len(ARRIVE))
        of = some_verification(id=_id(n), msisdn=some_msisdn(n), mode=Mode.LIVE, last_sent_at=asked_at)
        self.health.on_event(of, event)


def _id(n: int) -> VerificationId:
    return VerificationId(n.to_bytes(16, "big"))


@pytest.mark.parametrize("hears", [0.5, 0.2, 0.0], ids=["half", "a-fifth", "nothing"])
def test_node_that_hears_a_part_judges_as_one_that_hears_all(hears: float) -> None:
    alone, one_of_many = Node(hears=1.0), Node(hears=hears)
    alone.live(asks=False)
    one_of_many.live(asks=True)

    for route in ARRIVE:
        mine, whole = one_of_many.figures(route), alone.figures(route)
        for name in ("arrived", "entered", "score"):
            assert getattr(mine, name) == pytest.approx(getattr(whole, name), abs=0.05), (route, name)
    assert one_of_many.health.left(INDIA)["bad"] < 0.1
    assert one_of_many.health.left(INDIA)["good"] == 1.0
    assert one_of_many.health.marks() == alone.health.marks() == {}


def test_who_heard_everything_asks_only_for_codes_that_nobody_typed() -> None:
    alone = Node(hears=1.0)
    alone.live(asks=False)
    later_s = BEGIN_MS / 1000 + SECONDS

    asked = {of for _, of in alone.health.unheard(later_s + 1_000)}

    kinds = {of: {type(event) for event in timeline} for of, timeline in alone.timelines.items()}
    assert asked
    assert all(events.VerificationApproved not in kinds[of] for of in asked)


def test_nobody_is_judged_while_the_database_cannot_be_asked() -> None:
    node = Node(hears=0.0)
    at_s = BEGIN_MS / 1000
    for n in range(30):
        node._tell(n, events.MessageSubmitted(BEGIN_MS, 0, "good", f"ref-{n}", 40))
    node.health.tick(at_s + 1_000, judges=False)
    before = node.health.scores.figures("good", INDIA, now_s=at_s)
    for _, of in node.health.unheard(at_s + 1_001):
        node.health.hear(of, [events.MessageDelivered(BEGIN_MS + 3_000, 0, "stat:DELIVRD")])
    node.health.tick(at_s + 1_001)

    after = node.health.scores.figures("good", INDIA, now_s=at_s)
    assert after.arrived >= before.arrived
    assert len(node.health.unheard(at_s + 1_002)) == 0

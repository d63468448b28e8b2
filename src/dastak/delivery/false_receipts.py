"""Find routes whose receipts say delivered while people do not have the code.

1. What counts is whether codes are typed, against the other routes of the same network and each tenant alone:
   a tenant whose people seldom finish makes no route look bad.
2. Texts are judged in blocks. Two bad blocks in a row make a route untrusted, and so does a single very bad
   one; chance alone does that less than once in ten thousand blocks. Two good ones in a row end it, and
   so does time.
3. Odd latencies make a route untrusted only while its codes do not prove it right.
"""

from collections.abc import Callable, Mapping
from math import exp, lgamma
from statistics import NormalDist
from typing import Final

import msgspec

from dastak.delivery.networks import Place
from dastak.delivery.scores import ENTERED, Share

BLOCK: Final = 50
# As unlikely as this two times in a row, or once as the other: less than once in ten thousand blocks of an
# honest route, whatever share of its codes is typed (computed in tests/unit/test_false_alarms.py).
SIGMAS: Final = 2.75
VERY_BAD_SIGMAS: Final = 4.0
GOOD_SIGMAS: Final = 1.5
# A smaller difference may be true and is no reason to distrust; the score knows it anyway.
SHORTFALL_MIN: Final = 0.1
BLOCKS_IN_A_ROW: Final = 2
# With fewer texts by other routes there is nothing to compare with.
OTHERS_MIN: Final = 100
OTHERS_OF_TENANT_MIN: Final = 20
# The radio network alone took 1.8 s between submit and phone (measured).
FAST_S: Final = 0.8
SAME_S: Final = 0.02
WHOLE_SECONDS_S: Final = 0.015
# Of a block; one in thirty is that near to a whole second by chance.
WHOLE_SECONDS_MIN: Final = 40
UNTRUSTED_S: Final = 6 * 3600.0
# Less than this is not told apart from nothing.
CHANCE_MIN: Final = 1e-15
TALLIES_MAX: Final = 5_000
BLOCKS_MAX: Final = 2_000


class Mark(msgspec.Struct, frozen=True):
    """Why the receipts of a route are not believed.

    Attributes:
        factor: What is left of the route's weight.
    """

    route: str
    since_s: float
    sign: str
    why: str
    figures: Mapping[str, float]
    factor: float


# What a sign costs: few logins are proof enough, odd latencies are only odd.
FACTORS: Final[Mapping[str, float]] = {
    "few_entries": 0.1,
    "too_fast": 0.5,
    "all_the_same": 0.5,
    "whole_seconds": 0.5,
}


class _Block(msgspec.Struct, kw_only=True):
    """The texts of one route and network that are compared next, by tenant: how many, how many typed."""

    texts: dict[int, int] = msgspec.field(default_factory=dict)
    typed: int = 0
    count: int = 0
    bad: int = 0
    good: int = 0


class FalseReceipts:
    """Watches every route.

    Args:
        fast_s: Half of a route's receipts sooner than this are not plausible; 0 where carriers are simulated,
            and then no latency is odd.
        tell: Told of every mark that is set, and of every one that is taken away (then with False).
    """

    def __init__(
        self, *, fast_s: float = FAST_S, tell: Callable[[Mark, bool], None] = lambda _mark, _set: None
    ) -> None:
        self._fast_s, self._tell = fast_s, tell
        self._tallies: dict[tuple[Place, int], dict[str, Share]] = {}
        self._blocks: dict[tuple[str, Place], _Block] = {}
        self._latencies: dict[str, list[float]] = {}
        self._proven: set[str] = set()
        self._marks: dict[str, Mark] = {}

    @property
    def marks(self) -> Mapping[str, Mark]:
        """The routes whose receipts are not believed."""
        return self._marks

    def note_latency(self, route: str, seconds: float, *, now_s: float) -> None:
        """Look at how long a receipt took that said delivered."""
        if self._fast_s <= 0.0:
            return
        latencies = self._latencies.setdefault(route, [])
        latencies.append(seconds)
        if len(latencies) < BLOCK:
            return
        del self._latencies[route]
        found = _odd(sorted(latencies), self._fast_s)
        if found is not None and route not in self._proven:
            self._mark(route, *found, now_s=now_s)

    def note_trial(self, route: str, place: Place, tenant: int, *, entered: bool, now_s: float) -> None:
        """Look at a text that was said to have arrived, and whether its code was typed."""
        tally = self._tallies.pop((place, tenant), None)
        if tally is None:
            tally = {}
            if len(self._tallies) >= TALLIES_MAX:
                del self._tallies[next(iter(self._tallies))]
        self._tallies[place, tenant] = tally
        tally.setdefault(route, Share()).note(float(entered), ENTERED, now_s)
        if self._others(route, place, tenant, now_s)[1] >= OTHERS_OF_TENANT_MIN:
            self._compare(route, place, tenant, entered, now_s)

    def passed(self, *, now_s: float) -> None:
        """Believe a route again after a long time: it shall show what it does now."""
        for mark in [mark for mark in self._marks.values() if now_s - mark.since_s >= UNTRUSTED_S]:
            self.acquit(mark.route)

    def acquit(self, route: str) -> None:
        """Believe a route again."""
        self._blocks = {key: block for key, block in self._blocks.items() if key[0] != route}
        self._latencies.pop(route, None)
        mark = self._marks.pop(route, None)
        if mark is not None:
            self._tell(mark, False)

    def restore(self, marks: Mapping[str, Mark]) -> None:
        """Go on with the marks of an earlier run; they were told of then."""
        self._marks = dict(marks)

    def _compare(self, route: str, place: Place, tenant: int, entered: bool, now_s: float) -> None:
        if len(self._blocks) >= BLOCKS_MAX and (route, place) not in self._blocks:
            del self._blocks[next(iter(self._blocks))]
        block = self._blocks.setdefault((route, place), _Block())
        block.texts[tenant] = block.texts.get(tenant, 0) + 1
        block.typed += entered
        block.count += 1
        if block.count < BLOCK:
            return
        self._judge(route, place, block, now_s)
        block.texts, block.typed, block.count = {}, 0, 0

    def _judge(self, route: str, place: Place, block: _Block, now_s: float) -> None:
        expected = others = 0.0
        chances = [1.0]
        for tenant, count in block.texts.items():
            good, of = self._others(route, place, tenant, now_s)
            # Rather than from a few others who all typed, expect one more of each kind.
            expected += count * (good + 1) / (of + 2)
            chances = _sum_of(chances, _typed_of(count, good + 1, of - good + 1))
            others += of
        if others < OTHERS_MIN:
            return
        sigmas = _sigmas(sum(chances[: block.typed + 1]))
        bad = sigmas >= SIGMAS and expected - block.typed >= SHORTFALL_MIN * BLOCK
        block.bad = block.bad + 1 if bad else 0
        block.good = block.good + 1 if sigmas < GOOD_SIGMAS else 0
        if block.bad >= BLOCKS_IN_A_ROW or (bad and sigmas >= VERY_BAD_SIGMAS):
            self._proven.discard(route)
            self._mark(
                route,
                "few_entries",
                f"of {BLOCK} texts said to be delivered {block.typed} were typed; other routes would have "
                f"{expected:.0f} ({sigmas:.1f} sigma, bad blocks in a row: {block.bad})",
                {"typed": block.typed, "expected": round(expected, 1), "sigmas": round(sigmas, 1)},
                now_s=now_s,
            )
        elif block.good >= BLOCKS_IN_A_ROW:
            self._proven.add(route)
            if route in self._marks and not self._doubted_elsewhere(route, place):
                self.acquit(route)

    def _doubted_elsewhere(self, route: str, place: Place) -> bool:
        return any(block.bad and where != place for (of, where), block in self._blocks.items() if of == route)

    def _others(self, route: str, place: Place, tenant: int, now_s: float) -> tuple[float, float]:
        """Return what other routes that are believed did for a tenant at a place: typed, of how many."""
        good = of = 0.0
        for other, share in self._tallies.get((place, tenant), {}).items():
            if other != route and other not in self._marks:
                kept = share.kept(ENTERED, now_s)
                good += share.good * kept
                of += share.all * kept
        return good, of

    def _mark(self, route: str, sign: str, why: str, figures: Mapping[str, float], *, now_s: float) -> None:
        known = self._marks.get(route)
        if known is not None and FACTORS[known.sign] <= FACTORS[sign]:
            return
        mark = Mark(route, now_s, sign, why, figures, FACTORS[sign])
        self._marks[route] = mark
        self._tell(mark, True)


def _typed_of(count: int, good: float, bad: float) -> list[float]:
    """Return the chance of each number of typed codes among so many texts, where others had `good` and `bad`.

    How many are typed varies by chance, and so does what is known of the share; near to all or nothing
    neither is anything like a bell curve. This is the beta-binomial distribution.
    """

    def weight(k: int) -> float:
        return (
            lgamma(count + 1)
            - lgamma(k + 1)
            - lgamma(count - k + 1)
            + lgamma(good + k)
            + lgamma(bad + count - k)
            - lgamma(good + bad + count)
            + lgamma(good + bad)
            - lgamma(good)
            - lgamma(bad)
        )

    return [exp(weight(k)) for k in range(count + 1)]


def _sum_of(one: list[float], other: list[float]) -> list[float]:
    """Return the chances of the sum of two numbers, from the chances of each."""
    chances = [0.0] * (len(one) + len(other) - 1)
    for n, chance in enumerate(one):
        for m, another in enumerate(other):
            chances[n + m] += chance * another
    return chances


def _sigmas(chance: float) -> float:
    """Return how many sigmas below the middle of a bell curve something lies that is so unlikely or more."""
    return -NormalDist().inv_cdf(min(max(chance, CHANCE_MIN), 1 - CHANCE_MIN))


def _odd(latencies: list[float], fast_s: float) -> tuple[str, str, Mapping[str, float]] | None:
    """Return what is odd about a block of latencies in order, if anything is."""
    p5, p50, p95 = (latencies[int(share * len(latencies))] for share in (0.05, 0.5, 0.95))
    if p50 < fast_s:
        return "too_fast", f"half of the receipts came within {p50:.2f} s", {"p50_s": p50}
    if p95 - p5 < SAME_S:
        return "all_the_same", f"nearly all receipts came after {p50:.2f} s", {"p5_s": p5, "p95_s": p95}
    whole = sum(abs(seconds - round(seconds)) < WHOLE_SECONDS_S for seconds in latencies)
    if whole >= WHOLE_SECONDS_MIN:
        return "whole_seconds", f"{whole} of {BLOCK} receipts came after whole seconds", {"whole": whole}
    return None

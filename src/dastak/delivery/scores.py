"""Judge routes by what they did: the expected worth of handing them a message, for each network.

1. A score is the product of five shares: submits accepted, submits not throttled, receipts by the deadline,
   the worth of the time they took, and codes that were typed after a text was said to have arrived.
2. Every share begins with a prior, so that little evidence says little. New evidence drives out old by a
   half-life, but a dozen messages stay however few there are; in silence what was learned drifts back slowly.
3. What is known of a network builds on what is known of its country, and that on the prior.
4. Conversion compares routes: without evidence a route is taken to convert as all routes there do.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from dastak.delivery.deadlines import RECEIPTS_MIN, Latencies
from dastak.delivery.networks import Place

EVIDENCE_MAX: Final = 2_000
# A route whose score is a tenth lower than the best one's gets half of the share that its weight gives it.
SHARPNESS: Final = 6.0
# What the worst route is worth, and the least that is left of its weight.
VALUE_MIN: Final = 0.001
# Each ten seconds halve what a text is worth to somebody who waits at a login.
WORTH_HALVES_S: Final = 10.0


def share_left(value: float, best: float) -> float:
    """Return what is left of a route's weight beside the best one."""
    return max(VALUE_MIN, float(min(1.0, value / best) ** SHARPNESS))


def worth(seconds: float) -> float:
    """Return what a text is worth that took so long: 1 at once, half after ten seconds."""
    return float(0.5 ** (seconds / WORTH_HALVES_S))


# One message drives out so much of those before it at most. Else a dead route that is tried once a minute
# would look well again before the next try.
KEPT_MIN: Final = 0.93
DRIFT_S: Final = 900.0


class Judged(msgspec.Struct, frozen=True):
    """How one share is estimated: replaced by half in `half_life_s`; a prior counts for so many messages."""

    half_life_s: float
    prior: float
    prior_messages: float


# What is learned in seconds is forgotten in minutes; what takes minutes to learn lasts an hour.
SUBMITTED: Final = Judged(300.0, 0.98, 10.0)
UNTHROTTLED: Final = Judged(60.0, 0.98, 10.0)
ARRIVED: Final = Judged(60.0, 0.95, 10.0)
PROMPT: Final = Judged(30.0, worth(2.5), 10.0)
ENTERED: Final = Judged(2700.0, 0.8, 60.0)


class Share(msgspec.Struct):
    """A share that forgets: `good` of `all`, as of an instant."""

    good: float = 0.0
    all: float = 0.0
    at_s: float = 0.0

    def note(self, value: float, judged: Judged, now_s: float, of: int = 1) -> None:
        """Count so many messages; each is worth 0 to 1, and `value` is their sum."""
        replaced = 0.5 ** (max(0.0, now_s - self.at_s) / judged.half_life_s)
        kept = max(replaced, KEPT_MIN**of * self.kept(judged, now_s))
        self.good = self.good * kept + value
        self.all = self.all * kept + of
        self.at_s = max(self.at_s, now_s)

    def correct(self, value: float) -> None:
        """Add to a message that was counted before."""
        self.good = min(self.good + value, self.all)

    def kept(self, judged: Judged, now_s: float) -> float:
        """Return how much of what was counted is left after the silence since."""
        return float(0.5 ** (max(0.0, now_s - self.at_s) / max(DRIFT_S, judged.half_life_s)))

    def messages(self, judged: Judged, now_s: float) -> float:
        """Return for how many messages this speaks."""
        return self.all * self.kept(judged, now_s)

    def mean(self, judged: Judged, now_s: float, prior: float) -> float:
        """Return the expected share (the mean of a Beta distribution)."""
        kept = self.kept(judged, now_s)
        return (self.good * kept + prior * judged.prior_messages) / (self.all * kept + judged.prior_messages)


class Evidence(msgspec.Struct, kw_only=True):
    """All that is known of one route at one place."""

    submitted: Share = msgspec.field(default_factory=Share)
    unthrottled: Share = msgspec.field(default_factory=Share)
    arrived: Share = msgspec.field(default_factory=Share)
    prompt: Share = msgspec.field(default_factory=Share)
    entered: Share = msgspec.field(default_factory=Share)
    latencies: Latencies = msgspec.field(default_factory=Latencies)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A score with what it is made of, to be shown.

    Attributes:
        receipts: For how many messages `arrived` speaks, and `entries` for `entered`.
        entered_low: The lower end of the 95 % interval of `entered`; see `wilson`.
    """

    route: str
    country: str
    operator: str
    score: float
    submitted: float
    unthrottled: float
    arrived: float
    prompt: float
    entered: float
    entered_low: float
    entered_high: float
    receipts: float
    entries: float
    p50_s: float | None
    p95_s: float | None


class Standing(NamedTuple):
    """How good a route is at a place.

    Attributes:
        weight_left: What its score leaves of its weight, beside the others there; 0 when it is not used now.
        median_s: How long it needs to the phone, half of the time.
        deadline_s: By when a receipt should be there.
    """

    figures: Figures
    weight_left: float
    median_s: float
    deadline_s: float


class Chances(NamedTuple):
    """What becomes of a text, as far as scores tell: to arrive, and to have its code typed; 0 to 1 each."""

    arrived: float
    entered: float


Key = tuple[str, str, str]
# Of all routes together.
_ALL: Final = ""
_FIELDS: Final[Mapping[str, Judged]] = {
    "submitted": SUBMITTED,
    "unthrottled": UNTHROTTLED,
    "arrived": ARRIVED,
    "prompt": PROMPT,
    "entered": ENTERED,
}
_EMPTY: Final = Evidence()


class Scores:
    """What is known of all routes; where it becomes too much, what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._known: dict[Key, Evidence] = {}

    def __len__(self) -> int:
        return len(self._known)

    def note(self, route: str, place: Place, field: str, value: float, *, now_s: float, of: int = 1) -> None:
        """Count messages for one of the five shares, by the name of the field of `Evidence`."""
        judged = _FIELDS[field]
        for key in self._keys(route, place):
            getattr(self._of(key), field).note(value, judged, now_s, of)
        if field == "entered":
            self._of((_ALL, place.country, "")).entered.note(value, judged, now_s, of)

    def arrived_after_all(self, route: str, place: Place) -> None:
        """Believe that a message arrived which had been given up."""
        for key in self._keys(route, place):
            self._of(key).arrived.correct(1.0)

    def note_latencies(self, route: str, place: Place, seconds: Iterable[float]) -> None:
        """Count how long receipts took."""
        for key in self._keys(route, place):
            latencies = self._of(key).latencies
            for one in seconds:
                latencies.note(one)

    def latencies(self, route: str, place: Place, *, enough: float) -> Latencies | None:
        """Return the latencies at a network, or of its country where the network has not `enough`."""
        for key in self._keys(route, place):
            known = self._known.get(key)
            if known is not None and known.latencies.total >= enough:
                return known.latencies
        return None

    def is_learned(self, route: str, place: Place) -> bool:
        """Say whether enough receipts came from there to know by when one should be there."""
        return self.latencies(route, place, enough=RECEIPTS_MIN) is not None

    def score(self, route: str, place: Place, *, now_s: float) -> float:
        """Return what a message is worth that is handed to this route: 0 to 1."""
        shares = self._shares(route, place, now_s)
        product = 1.0
        for share in shares.values():
            product *= share
        return product

    def messages(self, route: str, place: Place, *, now_s: float) -> float:
        """Return for how many submits, receipts or entries the score of a route speaks, the most of them."""
        known = self._known.get((route, *place), _EMPTY)
        return max(float(getattr(known, field).messages(judged, now_s)) for field, judged in _FIELDS.items())

    def knows(self, route: str, place: Place) -> bool:
        """Say whether anything is known of a route at a place."""
        return (route, *place) in self._known

    def places(self) -> list[tuple[str, Place]]:
        """Return every route and place of which something is known."""
        return [(route, Place(country, operator)) for route, country, operator in self._known if route]

    def figures(self, route: str, place: Place, *, now_s: float) -> Figures:
        """Return a score with what it is made of."""
        shares = self._shares(route, place, now_s)
        known = self._known.get((route, *place), _EMPTY)
        entries = known.entered.messages(ENTERED, now_s)
        low, high = wilson(known.entered.good * known.entered.kept(ENTERED, now_s), entries)
        return Figures(
            route=route,
            country=place.country,
            operator=place.operator,
            score=self.score(route, place, now_s=now_s),
            entered_low=low,
            entered_high=high,
            receipts=known.arrived.messages(ARRIVED, now_s),
            entries=entries,
            p50_s=known.latencies.quantile(0.5),
            p95_s=known.latencies.quantile(0.95),
            **shares,
        )

    def reasons(self, route: str, place: Place, *, now_s: float) -> Mapping[str, float]:
        """Return the figures that explain a score, rounded to be read."""
        figures = self.figures(route, place, now_s=now_s)
        return {name: round(getattr(figures, name), 3) for name in ("score", *_FIELDS, "receipts", "entries")}

    def snapshot(self) -> list[tuple[Key, Evidence]]:
        """Return everything, to be kept."""
        return list(self._known.items())

    def restore(self, kept: list[tuple[Key, Evidence]]) -> None:
        """Go on with what was kept; it is as old as it is."""
        self._known = dict(kept[-EVIDENCE_MAX:])

    def _shares(self, route: str, place: Place, now_s: float) -> dict[str, float]:
        pool = self._known.get((_ALL, place.country, ""), _EMPTY).entered
        shares = {field: judged.prior for field, judged in _FIELDS.items()}
        shares["entered"] = pool.mean(ENTERED, now_s, ENTERED.prior)
        for key in reversed(self._keys(route, place)):
            known = self._known.get(key)
            if known is not None:
                for field, judged in _FIELDS.items():
                    shares[field] = getattr(known, field).mean(judged, now_s, shares[field])
        return shares

    @staticmethod
    def _keys(route: str, place: Place) -> tuple[Key, ...]:
        """Return the keys of a place, the narrowest first."""
        country = (route, place.country, "")
        return ((route, place.country, place.operator), country) if place.operator else (country,)

    def _of(self, key: Key) -> Evidence:
        known = self._known.pop(key, None)
        if known is None:
            known = Evidence()
            if len(self._known) >= EVIDENCE_MAX:
                del self._known[next(iter(self._known))]
        self._known[key] = known
        return known


def wilson(good: float, of: float) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if of <= 0.0:
        return 0.0, 1.0
    z2 = 1.96**2
    share = good / of
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = float(1.96 * (share * (1 - share) / of + z2 / (4 * of * of)) ** 0.5 / (1 + z2 / of))
    return max(0.0, middle - half), min(1.0, middle + half)

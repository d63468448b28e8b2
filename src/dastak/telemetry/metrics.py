"""Count what happens, for Prometheus; a listener on events that nothing depends on.

Counting is a dictionary and an addition (0.1 us), because every start and check does it; names, help and
labels are put together only when somebody scrapes.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from dastak.core import events
from dastak.core.reply import HeardReply
from dastak.core.tenant import Mode
from dastak.core.verification import Verification

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Of what was sent away before anybody looked for its endpoint.
ANY_ENDPOINT: Final = "/v1/*"

# What a metric is called, what it means, and its labels in the order in which they are counted.
Table = Mapping[str, tuple[str, tuple[str, ...]]]
COUNTERS: Final[Table] = {
    "dastak_verifications": ("Verifications by what became of them.", ("event", "mode")),
    "dastak_attempts_missed": ("Wrong attempts by reason.", ("reason", "mode")),
    "dastak_messages": ("Messages by what became of them.", ("event", "mode")),
    "dastak_refusals": ("Messages that a route refused, by carrier status.", ("route", "status")),
    "dastak_replies": ("Texts from phones by what they ask for.", ("kind", "mode")),
    "dastak_http_answers": ("Answers of the API by endpoint and status.", ("endpoint", "status")),
    "dastak_requests_shed": ("Requests sent away before any work, by what they asked for.", ("kind",)),
}
# Read from the parts when somebody scrapes: figures that only rise, and figures that rise and fall.
TOTALS: Final[Table] = {
    "dastak_store_commits": ("Commits of the database.", ()),
    "dastak_store_operations": ("Operations that those commits held.", ()),
    "dastak_database_connects": ("Connections to PostgreSQL that were opened.", ()),
    "dastak_database_doubts": ("Work that PostgreSQL may have done or not: its answer was lost.", ()),
    "dastak_voice_process_restarts": ("How often the voice process died and was started again.", ()),
    "dastak_limits_unshared": (
        "Starts and resends that this node limited by its own counts because the shared ones did not answer.",
        (),
    ),
    "dastak_starts_too_late": (
        "Starts refused because their text or call could not leave in time, by channel.",
        ("channel",),
    ),
    "dastak_sip_junk": ("Messages at the SIP port of a trunk that were thrown away.", ("route", "reason")),
    "dastak_call_hooks_refused": (
        "Requests for a call's script or sounds that got nothing, by reason.",
        ("route", "reason"),
    ),
    "dastak_unmapped_codes": ("Codes of an HTTP carrier that no table of its profile knows.", ("route",)),
}
_PLACE: Final = ("route", "country", "operator")
GAUGES: Final[Table] = {
    "dastak_requests_in_flight": ("Requests to the API that are being answered now.", ()),
    "dastak_requests_window": ("How many starts may be under way now before more are sent away.", ()),
    "dastak_queue_delay_seconds": ("What answers of late took longer than the fastest: the queue.", ()),
    "dastak_messages_in_flight": ("Messages being delivered now.", ()),
    "dastak_messages_waiting": ("Messages that wait until a route has room.", ()),
    "dastak_lane_wait_seconds": ("In how long the last one leaves who waits for a route.", ("route",)),
    "dastak_binds_held": ("Binds to carriers that this node holds of those that nodes share.", ()),
    "dastak_nodes_living": ("Nodes that share the database and live, this one too.", ()),
    "dastak_calls_in_flight": ("Calls over SIP trunks that ring or speak now.", ()),
    "dastak_clock_offset_seconds": ("How far our clock is ahead of the wall clock.", ()),
    "dastak_store_writes": ("Whether the database took the last write: 1 or 0.", ()),
    "dastak_database_clock_offset_seconds": (
        "How far PostgreSQL's clock is ahead of the wall clock here.",
        (),
    ),
    "dastak_bound": ("Whether a route is bound: 1 or 0.", ("route",)),
    "dastak_route_score": ("How good a route is at a place: 0 to 1.", _PLACE),
    "dastak_route_weight_left": ("What its score leaves of a route's weight at a place: 0 to 1.", _PLACE),
    "dastak_route_receipt_deadline_seconds": ("By when a receipt should be there, as learned.", _PLACE),
    "dastak_route_trips": ("Whether a route is asked only when there is no other: 1 or 0.", ("route",)),
    "dastak_route_believed": ("Whether receipts of a route that say delivered are believed.", ("route",)),
}
SUBMIT_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

# What is counted by its kind alone, and as what.
_COUNTED: Final[Mapping[type[events.Event], tuple[str, str]]] = {
    events.VerificationStarted: ("dastak_verifications", "started"),
    events.VerificationApproved: ("dastak_verifications", "approved"),
    events.VerificationExhausted: ("dastak_verifications", "exhausted"),
    events.VerificationExpired: ("dastak_verifications", "expired"),
    events.VerificationCanceled: ("dastak_verifications", "canceled"),
    events.VerificationFailed: ("dastak_verifications", "failed"),
    events.NumberLocked: ("dastak_verifications", "number_locked"),
    events.CallReported: ("dastak_verifications", "reported"),
    events.MessageQueued: ("dastak_messages", "queued"),
    events.MessageSubmitted: ("dastak_messages", "submitted"),
    events.MessageDelivered: ("dastak_messages", "delivered"),
    events.MessageUndelivered: ("dastak_messages", "undelivered"),
    events.MessageDropped: ("dastak_messages", "dropped"),
    events.PhoneReturned: ("dastak_messages", "sent_again"),
}


class Metrics(Collector):
    """All counts since the start of the process."""

    hears: Collection[type[events.Event]] = (*_COUNTED, events.AttemptMissed, events.MessageRefused)

    def __init__(self) -> None:
        # From nothing on: to Prometheus a count that appears with its first event has not risen.
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._counts.update({(*counted, mode): 0 for counted in _COUNTED.values() for mode in Mode})
        self._submits: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(SUBMIT_BUCKETS_S) + 1))
        self._submit_s: defaultdict[str, float] = defaultdict(float)
        self._watched: list[tuple[str, tuple[str, ...], Callable[[], float]]] = []
        self._watched_each: list[tuple[str, Callable[[], Mapping[tuple[str, ...], float]]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def on_event(self, verification: Verification, event: events.Event) -> None:
        """Count what was committed."""
        counted = _COUNTED.get(type(event))
        if counted is not None:
            self._counts[*counted, verification.mode] += 1
            if isinstance(event, events.MessageSubmitted):
                self._time_submit(event)
        elif isinstance(event, events.AttemptMissed):
            self._counts["dastak_attempts_missed", event.reason, verification.mode] += 1
        elif isinstance(event, events.MessageRefused):
            self._counts["dastak_refusals", event.route, event.status] += 1

    def on_reply(self, heard: HeardReply) -> None:
        """Count a text from a phone."""
        mode = Mode.TEST if heard.test else Mode.LIVE
        self._counts["dastak_replies", heard.reply.kind, mode] += 1

    def on_answer(self, endpoint: str, status: int) -> None:
        """Count an answer of the API."""
        self._counts["dastak_http_answers", endpoint, str(status)] += 1

    def on_shed(self, kind: str) -> None:
        """Count a request that was sent away; it is an answer as well."""
        self._counts["dastak_requests_shed", kind] += 1
        self._counts["dastak_http_answers", ANY_ENDPOINT, "503"] += 1

    def watch(self, name: str, read: Callable[[], float], *labels: str) -> None:
        """Read one of `TOTALS` or `GAUGES`, with these labels, whenever somebody scrapes."""
        self._watched.append((name, labels, read))

    def watch_each(self, name: str, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Read one of `TOTALS` or `GAUGES` at a scrape: a figure for each set of values of its labels."""
        self._watched_each.append((name, read))

    def text(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Be a collector of `prometheus_client`."""
        for name, (meaning, labels) in COUNTERS.items():
            family = CounterMetricFamily(name, meaning, labels=labels)
            for (counted, *values), count in self._counts.items():
                if counted == name:
                    family.add_metric(values, count)
            yield family
        histogram = HistogramMetricFamily(
            "dastak_submit_seconds", "From hand-over to the carrier's answer, by route.", labels=("route",)
        )
        for route, counts in self._submits.items():
            histogram.add_metric([route], _cumulate(counts), self._submit_s[route])
        yield histogram
        for table, kind in ((TOTALS, CounterMetricFamily), (GAUGES, GaugeMetricFamily)):
            for name, (meaning, names) in table.items():
                watched = kind(name, meaning, labels=names)
                for of, labels, read in self._watched:
                    if of == name:
                        watched.add_metric(labels, read())
                for of, read_each in self._watched_each:
                    if of == name:
                        for of_each, value in read_each().items():
                            watched.add_metric(of_each, value)
                yield watched

    def _time_submit(self, event: events.MessageSubmitted) -> None:
        seconds = event.latency_ms / 1000
        self._submits[event.route][bisect_left(SUBMIT_BUCKETS_S, seconds)] += 1
        self._submit_s[event.route] += seconds


def _cumulate(counts: Sequence[int]) -> list[tuple[str, float]]:
    total = 0
    buckets = []
    for bound, count in zip((*map(str, SUBMIT_BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets

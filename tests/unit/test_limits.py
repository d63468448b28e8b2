from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest, RateLimited
from dastak.core.msisdn import Msisdn
from dastak.core.past_use import LookFurther, PastSend
from dastak.core.policy import Policy
from dastak.core.tenant import ApiKey, Caller, Mode, Service, Tenant
from dastak.guard.buckets import KEYS_MAX, Rate
from dastak.guard.limits import DAY_S, DEFAULTS, HOUR_S, LIMITS, LimitSettings, SendLimits

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASHA, BINA = Msisdn("+919876543210"), Msisdn("+919876543211")
FAST = Rate(count=1_000, per_s=1)
# With these only one limit can be met.
OPEN = LimitSettings(**dict.fromkeys(LIMITS, FAST))


def caller(tenant: int = 1, *, service: int = 1, key: str = "k1", mode: Mode = Mode.LIVE) -> Caller:
    return Caller(
        ApiKey(
            id=key,
            digest=b"",
            tenant=tenant,
            service=service,
            mode=mode,
            scopes=(),
            name="app",
            created_at=NOON,
        ),
        Tenant(n=tenant, name="t", daily_spend_cap_micros=0),
        Service(n=service, tenant=tenant, name="s", brand="Dastak", policy=Policy()),
    )


APP = caller()


def fresh(live: LimitSettings = DEFAULTS, test: LimitSettings = DEFAULTS) -> SendLimits:
    return SendLimits(live=live, test=test)


def met(
    limits: SendLimits,
    after_s: float = 0,
    *,
    by: Caller = APP,
    to: Msisdn = ASHA,
    client_ip: str | None = None,
) -> tuple[str, int] | None:
    try:
        limits.take_here(by, to, client_ip, now=NOON + timedelta(seconds=after_s))
    except RateLimited as limited:
        return limited.limit, limited.retry_after_s
    return None


def only(**rates: Rate) -> LimitSettings:
    return msgspec.structs.replace(OPEN, **rates)


def test_sixth_send_to_a_number_waits_two_minutes() -> None:
    limits = fresh()

    answers = [met(limits) for _ in range(6)]

    assert answers == [None] * 5 + [("number", 120)]
    assert met(limits, 119) == ("number", 1)
    assert met(limits, 120) is None


def test_sends_as_fast_as_allowed_meet_the_limit_over_all_tenants() -> None:
    limits, sent, at_s = fresh(), 0, 0.0
    while (answer := met(limits, at_s)) is None or answer[0] == "number":
        sent += answer is None
        at_s += 0 if answer is None else answer[1]

    assert (answer[0], sent) == ("number_everywhere", 12)
    assert at_s < HOUR_S


def test_number_is_limited_over_all_tenants() -> None:
    limits = fresh()

    answers = [met(limits, by=caller(tenant)) for tenant in (1, 2, 3, 4, 5) for _ in range(5)]

    assert answers[:10] == [None] * 10
    assert set(answers[10:]) == {("number_everywhere", 360)}


def test_numbers_do_not_count_for_one_another() -> None:
    limits = fresh()
    for _ in range(5):
        met(limits)

    assert met(limits, to=BINA) is None


def test_test_keys_leave_live_budgets_alone() -> None:
    limits = fresh()

    test = [met(limits, by=caller(mode=Mode.TEST)) for _ in range(6)]
    team = [met(limits, by=caller(mode=Mode.TEAM)) for _ in range(3)]
    live = [met(limits, by=caller(mode=Mode.LIVE)) for _ in range(3)]

    assert test == [None] * 5 + [("number", 120)]
    assert team + live == [None] * 5 + [("number", 120)]


def test_modes_have_rates_of_their_own() -> None:
    limits = fresh(test=OPEN)

    answers = [met(limits, by=caller(mode=Mode.TEST)) for _ in range(100)]

    assert answers == [None] * 100


# For each limit: what varies over its sends without leaving it, and what leaves it.
SHARERS: dict[str, tuple[Callable[[int], dict[str, object]], dict[str, object]]] = {
    "number": (lambda n: {"by": caller(key=f"k{n}", service=n)}, {"by": caller(2)}),
    "number_daily": (lambda n: {"by": caller(key=f"k{n}", service=n)}, {"by": caller(2)}),
    "number_everywhere": (lambda n: {"by": caller(n)}, {"to": BINA}),
    "number_everywhere_daily": (lambda n: {"by": caller(n)}, {"to": BINA}),
    "client_ip": (
        lambda n: {"by": caller(key=f"k{n}"), "to": Msisdn(f"+91987654000{n}"), "client_ip": "203.0.113.7"},
        {"client_ip": "203.0.113.8"},
    ),
    "key": (lambda n: {"to": Msisdn(f"+91987654000{n}")}, {"by": caller(key="other")}),
    "service": (
        lambda n: {"to": Msisdn(f"+91987654000{n}"), "by": caller(key=f"k{n}")},
        {"by": caller(service=2)},
    ),
    "tenant": (
        lambda n: {"to": Msisdn(f"+91987654000{n}"), "by": caller(key=f"k{n}", service=n)},
        {"by": caller(2)},
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_counts_what_it_is_for(limit: str) -> None:
    sharer, stranger = SHARERS[limit]
    limits = fresh(only(**{limit: Rate(count=3, per_s=60)}))

    answers = [met(limits, **sharer(n)) for n in (1, 2, 3, 4)]

    assert answers == [None, None, None, (limit, 20)]
    assert met(limits, **stranger) is None


def test_refused_send_counts_nowhere() -> None:
    limits = fresh(only(key=Rate(count=1, per_s=60), number=Rate(count=2, per_s=60)))
    met(limits)
    for _ in range(10):
        assert met(limits) == ("key", 60)

    assert met(limits, by=caller(key="other")) is None
    assert met(limits, by=caller(key="third")) == ("number", 30)


def test_refused_first_send_to_a_number_counts_nowhere() -> None:
    limits = fresh(only(key=Rate(count=1, per_s=60), number=Rate(count=1, per_s=60)))
    met(limits)
    refused = met(limits, to=BINA)

    assert refused == ("key", 60)
    assert met(limits, by=caller(key="other"), to=BINA) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.7", "203.0.113.8", False),
        ("0.0.0.0", "::", False),
    ],
)
def test_client_address_is_a_subscriber(one: str, other: str, same: bool) -> None:
    limits = fresh(only(client_ip=Rate(count=1, per_s=60)))
    met(limits, client_ip=one)

    answer = met(limits, client_ip=other)

    assert answer == (("client_ip", 60) if same else None)


def test_client_address_of_another_tenant_counts_for_itself() -> None:
    limits = fresh(only(client_ip=Rate(count=1, per_s=60)))
    met(limits, client_ip="203.0.113.7")

    assert met(limits, by=caller(2), client_ip="203.0.113.7") is None


@pytest.mark.parametrize(
    "wrong", ["", "203.0.113", "203.0.113.7, 10.0.0.1", "203.0.113.07", "x", "2001:db8::/64"]
)
def test_client_address_that_is_none_is_the_callers_fault(wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        met(fresh(), client_ip=wrong)

    assert refused.value.field == "client_ip"


def test_restart_counts_what_the_database_remembers() -> None:
    limits = fresh()
    live = [PastSend(Mode.LIVE, 1, ASHA, NOON - timedelta(seconds=ago_s)) for ago_s in (1, 5, 4, 3, 2)]

    limits.seed([*live, PastSend(Mode.TEST, 1, BINA, NOON)])

    assert met(limits) == ("number", 115)
    assert met(limits, to=BINA) is None
    assert [met(limits, by=caller(2)) for _ in range(6)] == [None] * 5 + [("number_everywhere", 355)]


sends = st.lists(
    st.tuples(st.sampled_from([1, 2]), st.sampled_from([ASHA, BINA]), st.integers(0, 4_000), st.booleans()),
    max_size=60,
)


@given(sends)
def test_notes_and_sweeps_change_no_answer(asked: list[tuple[int, Msisdn, int, bool]]) -> None:
    """A number that is sure to be known has no note, so its buckets do all the work."""
    settings, at_s = only(number=Rate(count=2, per_s=600)), 0
    noting, plain = fresh(settings), fresh(settings)
    long_ago = NOON - timedelta(days=30)
    for tenant in (1, 2):
        for msisdn in (ASHA, BINA):
            # Twice, so that the note unfolds; all of it is over long before noon.
            plain.seed([PastSend(Mode.LIVE, tenant, msisdn, long_ago)] * 2)
    for tenant, msisdn, gap_s, swept in asked:
        at_s += gap_s
        if swept:
            noting.sweep(NOON + timedelta(seconds=at_s))

        assert met(noting, at_s, by=caller(tenant), to=msisdn) == met(
            plain, at_s, by=caller(tenant), to=msisdn
        )


def kept(limits: SendLimits, mode: Mode = Mode.LIVE) -> int:
    """How many keys take memory."""
    book = limits._books[mode]  # nothing else can tell what is kept
    return len(book._notes) + sum(len(buckets.full_at_us) for buckets in book._buckets.values())


def test_number_that_comes_once_takes_one_entry_and_goes_after_hours() -> None:
    limits = fresh()
    for number in range(200):
        met(limits, number / 10, to=Msisdn(f"+919876{number:06}"))
    askers = 3  # key, service and tenant
    seldom_s = DAY_S / 15

    assert kept(limits) == 200 + askers
    limits.sweep(NOON + timedelta(seconds=seldom_s - 1))
    assert kept(limits) == 200
    limits.sweep(NOON + timedelta(seconds=seldom_s + 10))
    assert kept(limits) == 99
    limits.sweep(NOON + timedelta(seconds=seldom_s + 20))
    assert kept(limits) == 0


@pytest.mark.parametrize("mode", Mode)
def test_number_that_comes_often_goes_too(mode: Mode) -> None:
    limits = fresh()
    for _ in range(5):
        met(limits, by=caller(mode=mode))
    for hour in range(24):
        limits.sweep(NOON + timedelta(hours=hour))

    assert kept(limits, mode) == 0


def test_notes_are_bounded() -> None:
    limits = fresh()
    # What a million sends leave behind, without sending them.
    limits._books[Mode.LIVE]._notes = dict.fromkeys(range(KEYS_MAX + 10), 2**90)

    limits.sweep(NOON)

    assert kept(limits) == KEYS_MAX


def test_clock_that_steps_an_hour_ahead_neither_locks_nor_lasts() -> None:
    limits = fresh()
    for _ in range(5):
        met(limits)

    assert met(limits, 3_600) is None
    assert [met(limits, 3_600) for _ in range(5)][-1] is not None


class Nodes:
    """Several nodes whose database judges, and all that it knows."""

    def __init__(self, count: int, settings: LimitSettings) -> None:
        self.nodes = [SendLimits(live=settings, judged=True) for _ in range(count)]
        self.sent: list[PastSend] = []

    def ask(self, node: int, by: Caller, at: datetime) -> str | None:
        """Send through a node and return the limit that is met; its use is written where it is allowed."""
        limits = self.nodes[node]
        try:
            limits.take_here(by, ASHA, None, now=at)
            judge = limits.judge(by, ASHA, now=at)
            assert judge is not None
            assert judge.since is not None
            try:
                judge.rule([send for send in self.sent if send.at >= judge.since], False)
            except LookFurther:
                judge.rule(self.sent, True)
        except RateLimited as limited:
            return limited.limit
        assert isinstance(judge.use, PastSend)
        self.sent.append(judge.use)
        return None


# Only the limits of a number, which a database judges; short ones, so that a few asks meet them.
OF_A_NUMBER = msgspec.structs.replace(
    OPEN,
    number=Rate(count=3, per_s=60),
    number_daily=Rate(count=5, per_s=300),
    number_everywhere=Rate(count=5, per_s=90),
    number_everywhere_daily=Rate(count=8, per_s=400),
)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(0, 45)), min_size=8, max_size=60))
def test_nodes_that_are_judged_allow_together_exactly_what_one_alone_would(
    asks: list[tuple[int, int, int]],
) -> None:
    nodes, alone, after_s = Nodes(3, OF_A_NUMBER), fresh(OF_A_NUMBER), 0
    for node, tenant, gap_s in asks:
        after_s += gap_s
        by = caller(tenant)

        refused = nodes.ask(node, by, NOON + timedelta(seconds=after_s)) is not None

        assert refused == (met(alone, after_s, by=by) is not None)


def test_refusal_by_the_judge_is_known_here_and_gives_the_asker_its_own_back() -> None:
    one_each = Rate(count=1, per_s=DAY_S)
    nodes = Nodes(2, msgspec.structs.replace(OPEN, number=one_each, key=Rate(count=2, per_s=DAY_S)))
    here = nodes.nodes[1]
    told = [nodes.ask(node, APP, NOON) for node in (0, 1)]
    here.give_back(APP, ASHA, None)  # as the flow does

    assert told == [None, "number"]
    assert met(here) == ("number", DAY_S)
    assert met(here, to=BINA) is None
    assert met(here, to=BINA) is None


def test_every_limit_has_a_rate_and_a_sentence() -> None:
    assert LimitSettings.__struct_fields__ == tuple(LIMITS)
    assert all(sentence.endswith(".") for sentence in LIMITS.values())


def test_rates_are_read_from_settings() -> None:
    read = msgspec.convert({"number": {"count": 1, "per_s": 60}}, LimitSettings)

    assert met(fresh(read), to=BINA) is None
    assert read.number == Rate(count=1, per_s=60)
    with pytest.raises(msgspec.ValidationError, match="at least 1"):
        msgspec.convert({"number": {"count": 0, "per_s": 60}}, LimitSettings)


@pytest.mark.parametrize("client_ip", [None, "203.0.113.7"])
def test_send_that_is_given_back_leaves_no_trace(client_ip: str | None) -> None:
    limits = fresh(msgspec.structs.replace(OPEN, number=Rate(count=2, per_s=DAY_S)))

    for _ in range(5):
        assert met(limits, client_ip=client_ip) is None
        limits.give_back(APP, ASHA, client_ip)
    kept = [met(limits, client_ip=client_ip) for _ in range(2)]
    limits.give_back(APP, ASHA, client_ip)
    again = [met(limits, client_ip=client_ip) for _ in range(2)]

    assert kept == [None, None]
    assert again[0] is None
    assert again[1] is not None


def test_send_that_is_given_back_is_that_of_its_asker_alone() -> None:
    one_each = Rate(count=1, per_s=DAY_S)
    limits = fresh(msgspec.structs.replace(OPEN, tenant=one_each, number=one_each))
    other = caller(2, service=2, key="k2")
    assert met(limits) is None
    assert met(limits, by=other, to=BINA) is None

    limits.give_back(APP, ASHA, None)

    assert met(limits, by=other, to=BINA) is not None
    assert met(limits) is None

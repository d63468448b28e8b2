"""Make the page of all limits: what each protects, where it is counted, and what is done without that."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from dastak.core import lockout
from dastak.core.policy import ATTEMPTS_MAX, LEGACY_ATTEMPTS_MAX, RESENDS_MAX
from dastak.core.sign_in_limits import BUDGETS
from dastak.core.spend import TENANT_CAP
from dastak.flows.match import TRIES_MAX
from dastak.guard import call_limits, limits
from dastak.guard.buckets import Rate
from tools.markdown import code, join, table

HEAD: Final = ("limit", "so many", "protects")
# Those of `LIMITS` that are about a number; all others are about who asks.
OF_A_NUMBER: Final = "number"


class Group(NamedTuple):
    """Limits that are counted in one place.

    Attributes:
        rows: Name, rate and what it protects, of each.
        counted: Where, on SQLite and on PostgreSQL.
        without: What happens when the counter cannot be had.
    """

    title: str
    rows: Iterable[tuple[str, str, str]]
    counted: str
    without: str


def every_limit() -> str:
    """Make the page."""
    return join(
        "# Limits",
        "Limits that protect money or accounts are exact over all nodes: they are counted in the database, "
        "in the "
        "commit that they allow. A hundred requests at once, at several nodes, get no more than one after "
        "the "
        "other would, and a node that dies takes no count with it. Limits that protect comfort are counted "
        "by "
        "each node, and by all together where [`limits.valkey_url`](settings.md) is set. Every refusal is "
        "429 "
        "with the limit's name as its `reason`, and `Retry-After`. The rates of sends and calls are "
        "[settings](settings.md); here are the defaults.",
        *(block for group in GROUPS for block in _group(group)),
    )


def _group(group: Group) -> tuple[str, ...]:
    rows = [(code(name), many, protects) for name, many, protects in group.rows]
    return (
        f"## {group.title}",
        table(HEAD, rows),
        f"**Counted** {group.counted}",
        f"**Without the counter:** {group.without}",
    )


def _rate(rate: Rate) -> str:
    return f"{rate.count} in {_time(rate.per_s)}" + (f", {rate.burst} at once" if rate.burst else "")


def _time(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise AssertionError(seconds)


def _sends(*, of_number: bool) -> list[tuple[str, str, str]]:
    found = []
    for name in limits.LIMITS:
        if name.startswith(OF_A_NUMBER) is of_number:
            protects = "a phone from being flooded, and your money" if of_number else "the service's pace"
            found.append((name, _rate(getattr(limits.DEFAULTS, name)), protects))
    return found


def _calls() -> list[tuple[str, str, str]]:
    wanted = call_limits.counted(call_limits.CallRates())
    rates = (wanted.apart, wanted.hourly, wanted.daily)
    return [
        (name, _rate(rate), "people's peace, and your money")
        for name, rate in zip(call_limits.LIMITS, rates, strict=True)
    ]


def _guesses() -> list[tuple[str, str, str]]:
    return [
        (
            "attempts",
            f"{ATTEMPTS_MAX} a verification, {LEGACY_ATTEMPTS_MAX} with short codes",
            "a code",
        ),
        ("wrong_per_hour", f"{lockout.WRONG_PER_HOUR_MAX} in 1 hour", "a number from being guessed"),
        (
            "wrong_per_day",
            f"{lockout.WRONG_PER_DAY_MAX} in 1 day, {lockout.LEGACY_WRONG_PER_DAY_MAX} with short codes",
            "the same",
        ),
        ("wrong_consecutive", f"{lockout.WRONG_CONSECUTIVE_MAX} in a row, then until you unlock", "the same"),
        ("match", f"{TRIES_MAX} numbers typed into a phone", "a number that is matched"),
        ("resends", f"as the policy says, {RESENDS_MAX} at most", "a phone"),
    ]


def _sign_ins() -> list[tuple[str, str, str]]:
    return [
        (budget.name, f"{budget.attempts} in {_time(budget.window_s)}", "accounts of people and operators")
        for budget in BUDGETS
    ]


IN_DATABASE: Final = "in the database, on SQLite and on PostgreSQL."
REFUSED: Final = "503 with `Retry-After`; nothing is judged and nothing is sent that cannot be counted."

GROUPS: Final = (
    Group(
        "What a number is sent",
        _sends(of_number=True),
        "on PostgreSQL by the rows of its verifications, under the lock of the number, in the commit of "
        "the start "
        "or resend. On SQLite one process sends, and counts in its memory, which it fills from the "
        "database when it "
        "starts. Of several resends of one verification each counts as if it were the last.",
        REFUSED,
    ),
    Group(
        "How often a number is called",
        _calls(),
        "as above; on PostgreSQL a call is written down as `offered` before it is dialled, so that one "
        "whose node "
        "died is counted and not called twice. That a person reported a call is known to all nodes within "
        "a second.",
        "nothing is dialled; the message stays and is offered again.",
    ),
    Group(
        "Money",
        [
            (TENANT_CAP, "the tenant's daily cap", "your money"),
            ("call_service_cap", "the service's daily cap for calls", "your money"),
            ("call_prefix_cap", "the trunk's daily cap for a prefix", "your money, from one expensive range"),
        ],
        IN_DATABASE,
        REFUSED,
    ),
    Group(
        "Guesses",
        _guesses(),
        IN_DATABASE + " An attempt is counted before it is judged.",
        "503; the attempt is not judged, and never approved.",
    ),
    Group(
        "Signing in",
        _sign_ins(),
        IN_DATABASE + " An attempt is counted before the password is looked at. No name and no address can "
        "be read "
        "from what is kept.",
        "nobody signs in until the database answers.",
    ),
    Group(
        "Who asks",
        _sends(of_number=False),
        "by each node in its memory, so that several nodes allow together several times as much. With "
        "`limits.valkey_url` by all nodes together in that server.",
        "each node goes on by its own counts, at its share of the rate: the rate by the number of nodes "
        "that are "
        "up. `dastak_limits_unshared_total` counts that, and an alert tells. Checks are never refused for "
        "it, and "
        "the limits above do not depend on it.",
    ),
)

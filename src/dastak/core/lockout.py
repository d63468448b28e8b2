"""Count wrong attempts per number over all its verifications, and say when a number is locked.

A fresh verification gives no fresh guesses: this count is what makes six digits safe. With 20 wrong attempts
a day the chance to take over one number by guessing is 0.73 % a year; without it 73 %.

Source: NIST SP 800-63B-4, 3.1.3.2 and 3.2.2; arithmetic in docs/explanation/policy.md.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

WRONG_PER_HOUR_MAX: Final = 10
WRONG_PER_DAY_MAX: Final = 20
LEGACY_WRONG_PER_DAY_MAX: Final = 5
WRONG_CONSECUTIVE_MAX: Final = 100

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

# The list of instants is all that is needed to judge both windows, so it is kept no longer than that.
assert WRONG_PER_HOUR_MAX <= WRONG_PER_DAY_MAX
assert LEGACY_WRONG_PER_DAY_MAX <= WRONG_PER_DAY_MAX


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """The wrong attempts of one tenant's number: those with test keys, or the others.

    Attributes:
        consecutive: Wrong attempts since the last right one.
        wrong_at_s: When the last ones of a day were, in whole seconds since 1970 UTC, oldest first.
    """

    consecutive: int = 0
    wrong_at_s: tuple[int, ...] = ()


CLEAN: Final = Tally()


class Lock(msgspec.Struct, frozen=True):
    """A number is locked.

    Attributes:
        limit: Which of the limits: `wrong_per_hour`, `wrong_per_day` or `wrong_consecutive`.
        until: When it opens by itself; None means that somebody must unlock it.
    """

    limit: str
    until: datetime | None


def missed(tally: Tally, *, now: datetime) -> Tally:
    """Count one more wrong attempt."""
    second = int(now.timestamp())
    kept = [at_s for at_s in tally.wrong_at_s if at_s > second - DAY.total_seconds()]
    return Tally(tally.consecutive + 1, (*kept, second)[-WRONG_PER_DAY_MAX:])


def matched(tally: Tally) -> Tally:
    """Note a right attempt: it ends the run of wrong ones, but never the windows."""
    return Tally(0, tally.wrong_at_s)


def lock(tally: Tally, *, now: datetime, legacy: bool = False) -> Lock | None:
    """Say whether a number may not be guessed at now.

    Args:
        tally: Its wrong attempts.
        now: The time.
        legacy: Its codes are short, so a day allows five wrong attempts and not twenty.
    """
    if tally.consecutive >= WRONG_CONSECUTIVE_MAX:
        return Lock("wrong_consecutive", None)
    per_day = LEGACY_WRONG_PER_DAY_MAX if legacy else WRONG_PER_DAY_MAX
    opens = [
        (datetime.fromtimestamp(tally.wrong_at_s[-allowed], now.tzinfo) + window, limit)
        for limit, window, allowed in (
            ("wrong_per_hour", HOUR, WRONG_PER_HOUR_MAX),
            ("wrong_per_day", DAY, per_day),
        )
        if len(tally.wrong_at_s) >= allowed
    ]
    if not opens:
        return None
    # Whoever waits as told must find the number open, so the lock that opens last counts.
    opens_at, limit = max(opens)
    return Lock(limit, opens_at) if now < opens_at else None

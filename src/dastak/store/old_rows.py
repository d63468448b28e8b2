"""Delete what is no verification and was kept for a while only, on whatever database."""

from datetime import datetime, timedelta
from typing import Final

from dastak.core.lockout import WRONG_CONSECUTIVE_MAX
from dastak.core.policy import TTL_S_MAX
from dastak.store import landing_tables, rows
from dastak.store.desk import Execute

# An Idempotency-Key of a start is kept a day after the last moment its verification can be pending.
ANSWER_KEPT: Final = timedelta(days=1, seconds=TTL_S_MAX)


def sweep_rest(execute: Execute, now: datetime, keep_after: datetime, limit: int) -> None:
    """Delete replies, reports, answers, tallies, accounts, visits and leads whose time is up.

    Args:
        execute: In a transaction of its caller.
        now: The present instant.
        keep_after: What came before is not kept, where nothing else says for how long.
        limit: How many of each at most.
    """
    keep_after_ms = rows.to_ms(keep_after)
    execute("delete_old_replies", (keep_after_ms, limit))
    execute("delete_reports", (keep_after_ms, limit))
    execute("delete_answers", (rows.to_ms(now - ANSWER_KEPT), limit))
    execute("delete_tallies", (int(keep_after.timestamp()), WRONG_CONSECUTIVE_MAX, limit))
    execute("delete_accounts", (keep_after.toordinal(),))
    landing_tables.sweep(execute, now, limit)

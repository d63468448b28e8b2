"""What must be known again after a restart, read from the SQLite database: sends, calls, texts."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import islice, takewhile

from dastak.core.call_report import CallReport
from dastak.core.message import RecordedText
from dastak.core.ports import PastCall, PastSend
from dastak.store import rows


# Each is closed: a statement left half read would keep the log from starting anew.
def sends_since(connection: sqlite3.Connection, sql: Mapping[str, str], since: datetime) -> list[PastSend]:
    """See `Store.sends_since`."""
    sends: list[PastSend] = []
    with closing(connection.execute(sql["newest_sends"])) as newest_first:
        for row in newest_first:
            of_one = rows.sends_of(row)
            if of_one[0].at < since:
                break
            sends += of_one
    return sends


def calls_since(connection: sqlite3.Connection, sql: Mapping[str, str], since: datetime) -> list[PastCall]:
    """See `Store.calls_since`."""
    since_ms = rows.to_ms(since)
    with closing(connection.execute(sql["newest_calls"])) as newest_first:
        of_time = takewhile(lambda row: row[0] >= since_ms, newest_first)
        return [call for row in of_time if (call := rows.call_of(row)) is not None]


def recorded_texts(
    connection: sqlite3.Connection, sql: Mapping[str, str], since_ms: int, limit: int
) -> Sequence[RecordedText]:
    """See `Store.recorded_texts`."""
    with closing(connection.execute(sql["newest_texts"])) as newest_first:
        of_time = takewhile(lambda row: row[0] >= since_ms, newest_first)
        return [rows.recorded_text_of(row) for row in islice(of_time, limit)]


def reports_since(
    connection: sqlite3.Connection, sql: Mapping[str, str], since: datetime
) -> list[CallReport]:
    """See `Store.reports_since`."""
    return [rows.report_of(row) for row in connection.execute(sql["reports_since"], (rows.to_ms(since),))]

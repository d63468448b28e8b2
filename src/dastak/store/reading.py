"""What is read of verifications: one page of a list, and the timeline of one."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from dastak.core.errors import NotFound
from dastak.core.events import AnyEvent, from_lines
from dastak.core.ports import Filter, Page
from dastak.store import rows
from dastak.store.desk import NEWEST, PAGE_MAX, Execute


def page(wanted: Filter, execute: Execute) -> Page:
    """See `Store.list`."""
    limit = min(wanted.limit, PAGE_MAX)
    parameters: list[Any] = [
        wanted.tenant,
        wanted.service,
        None if wanted.state is None else rows.STATES[wanted.state],
        None if wanted.created_from is None else rows.to_ms(wanted.created_from),
        None if wanted.created_to is None else rows.to_ms(wanted.created_to),
        NEWEST if wanted.before is None else wanted.before,
        limit + 1,
    ]
    query = "list_of_tenant"
    if wanted.msisdn is not None:
        query = "list_of_number"
        parameters.append(int(wanted.msisdn))
    found = execute(query, parameters).fetchall()
    cursor = found[limit - 1][0] if len(found) > limit else None
    return Page(tuple(rows.held_of(row).verification for row in found[:limit]), cursor)


def timeline_of(found: Sequence[rows.Row]) -> Sequence[AnyEvent]:
    """Put the rows of `timelines` in order of time. Raises: NotFound (there are none)."""
    if not found:
        raise NotFound("There is no such verification.")
    (started, *later), *of_messages = (from_lines(lines) for _, lines in found)
    # Within one millisecond a verification begins before its messages, and ends because of them.
    events = [started, *chain.from_iterable(of_messages), *later]
    return sorted(events, key=lambda event: event.at_ms)

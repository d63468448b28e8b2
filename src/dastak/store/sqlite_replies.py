"""Replies in the SQLite database, and the numbers that want nothing more of a tenant."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from dastak.core.events import Event, MessageQueued, MessageSubmitted, from_lines
from dastak.core.ids import VerificationId
from dastak.core.message import MessageState
from dastak.core.msisdn import Msisdn
from dastak.core.reply import HeardReply, Reply, ReplyKind, Stop
from dastak.core.verification import State, Verification
from dastak.store import rows
from dastak.store.sqlite_writes import TIMELINE_OCTETS_MAX

# A carrier that lost our answer brings a reply again when it is bound again, and that is soon.
SAME_WITHIN: Final = timedelta(minutes=10)
# Somebody who writes on and on pushes out their own replies, and nobody else's.
REPLIES_PER_NUMBER_MAX: Final = 100
# So many of a number's latest verifications are looked at.
LATEST_MAX: Final = 20

_NOBODY: Final = 0

Page = tuple[Sequence[rows.Row], int | None]


class _Record(msgspec.Struct, frozen=True):
    """What stands in the column `record`."""

    route: str
    to: str
    kind: ReplyKind
    text_masked: str
    test: bool


_RECORD: Final = msgspec.json.Decoder(_Record)


class Told(NamedTuple):
    """What is told with a reply; see `ReplyStore.keep_reply`."""

    answers: VerificationId | None
    events: tuple[Event, ...]
    lifts: Collection[int]


def keep(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    heard: HeardReply,
    told: Told,
) -> bool:
    """See `ReplyStore.keep_reply`."""
    reply, number, at = heard.reply, int(heard.reply.msisdn), rows.to_ms(heard.at)
    digest = _digest(heard)
    same_since = rows.to_ms(heard.at - SAME_WITHIN)
    known = connection.execute(sql["known_reply"], (number, digest, same_since)).fetchone()
    _obey(connection, sql, heard, told.lifts)
    if known is not None:
        return False
    record = _Record(reply.route, reply.to, reply.kind, reply.text_masked, heard.test)
    row = (tenant_number(heard.tenant), number, at, rows.text(record), digest)
    connection.execute(sql["insert_reply"], row)
    connection.execute(sql["delete_replies_over"], (number, REPLIES_PER_NUMBER_MAX))
    if told.answers is not None and told.events:
        line = (TIMELINE_OCTETS_MAX, rows.lines(told.events), told.answers)
        connection.execute(sql["tell_verification"], line)
    return True


def lift(connection: sqlite3.Connection, sql: Mapping[str, str], tenant: int, msisdn: Msisdn) -> bool:
    """See `ReplyStore.lift_stop`."""
    return connection.execute(sql["delete_stops"], (tenant, int(msisdn))).rowcount > 0


def answered_by(
    connection: sqlite3.Connection, sql: Mapping[str, str], msisdn: Msisdn, route: str
) -> tuple[Verification, ...]:
    """See `ReplyStore.answered_by`."""
    latest = connection.execute(sql["newest_of_number"], (int(msisdn), None, LATEST_MAX)).fetchall()
    found = []
    for row in latest:
        places = [
            place
            for state, trace in connection.execute(sql["traces"], (row[0],)).fetchall()
            if (place := _place(state, trace, route)) is not None
        ]
        if places:
            found.append((max(places), rows.held_of(row).verification))
    found.sort(key=lambda placed: placed[0], reverse=True)
    return tuple(verification for _, verification in found)


def pending_of(
    connection: sqlite3.Connection, sql: Mapping[str, str], msisdn: Msisdn
) -> tuple[Verification, ...]:
    """See `ReplyStore.pending_of`."""
    asked = (int(msisdn), rows.STATES[State.PENDING], LATEST_MAX)
    found = connection.execute(sql["newest_of_number"], asked).fetchall()
    return tuple(rows.held_of(row).verification for row in found)


def newest(connection: sqlite3.Connection, query: str, tenant: int, before: int, limit: int) -> Page:
    """Read a page of rows that begin with their number, newest first, and what asks for the next one."""
    found = connection.execute(query, (tenant, before, limit + 1)).fetchall()
    return found[:limit], found[limit - 1][0] if len(found) > limit else None


def reply_of(row: rows.Row) -> HeardReply:
    """Read a row of `replies_of`."""
    n, tenant, msisdn, at, record = row
    said = _RECORD.decode(record)
    return HeardReply(
        reply=Reply(
            route=said.route,
            msisdn=f"+{msisdn}",
            to=said.to,
            kind=said.kind,
            text_masked=said.text_masked,
        ),
        at=rows.from_ms(at),
        tenant=None if tenant == _NOBODY else tenant,
        test=said.test,
        n=n,
    )


def stop_of(row: rows.Row) -> Stop:
    """Read a row of `stops_of`."""
    n, tenant, msisdn, test, since = row
    return Stop(n=n, tenant=tenant, msisdn=Msisdn(f"+{msisdn}"), test=bool(test), since=rows.from_ms(since))


def tenant_number(tenant: int | None) -> int:
    """Return what stands for a tenant, or for none, in the column."""
    return _NOBODY if tenant is None else tenant


def _obey(
    connection: sqlite3.Connection, sql: Mapping[str, str], heard: HeardReply, lifts: Collection[int]
) -> None:
    """Do what a reply asks for."""
    meant = set() if heard.tenant is None else {heard.tenant}
    number, test = int(heard.reply.msisdn), heard.test
    if heard.reply.kind is ReplyKind.STOP:
        since = rows.to_ms(heard.at)
        connection.executemany(sql["insert_stop"], [(tenant, number, test, since) for tenant in meant])
    elif heard.reply.kind is ReplyKind.START:
        connection.executemany(sql["delete_stop"], [(tenant, number, test) for tenant in meant.union(lifts)])


def _digest(heard: HeardReply) -> bytes:
    reply = heard.reply
    said = "\0".join((str(heard.test), reply.route, reply.to, reply.kind, reply.text_masked))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _place(state: int, trace: str, route: str) -> tuple[bool, int] | None:
    """Say how likely a message is what a reply by this route answers: it went that way, and how late."""
    events = from_lines(trace.encode())
    went = [event.at_ms for event in events if isinstance(event, MessageSubmitted) and event.route == route]
    if went:
        return True, max(went)
    if state != rows.MESSAGE_STATES[MessageState.QUEUED]:
        return None
    # The phone may have it before we have noted who took it.
    return False, max((event.at_ms for event in events if isinstance(event, MessageQueued)), default=0)

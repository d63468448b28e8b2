"""Replies in the database, and the numbers that want nothing more of a tenant."""

from collections.abc import Collection
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from dastak.core.events import Event, MessageQueued, MessageSubmitted, from_lines
from dastak.core.ids import VerificationId
from dastak.core.message import MessageState
from dastak.core.msisdn import Msisdn
from dastak.core.ports import Once
from dastak.core.reply import HeardReply, Reply, ReplyKind, Stop
from dastak.core.reply_store import ReplyPage, StopPage
from dastak.core.tenant import Mode
from dastak.core.verification import State, Verification
from dastak.store import rows
from dastak.store.desk import Desk, Execute, newest
from dastak.store.stop_list import StopList

# A carrier that lost our answer brings a reply again when it is bound again, and that is soon.
SAME_WITHIN: Final = timedelta(minutes=10)
# Somebody who writes on and on pushes out their own replies, and nobody else's.
REPLIES_PER_NUMBER_MAX: Final = 100
# So many of a number's latest verifications are looked at.
LATEST_MAX: Final = 20

_NOBODY: Final = 0


class _Record(msgspec.Struct, frozen=True):
    """What stands in the column `record`."""

    route: str
    to: str
    kind: ReplyKind
    text_masked: str
    test: bool


_RECORD: Final = msgspec.json.Decoder(_Record)


class _Told(NamedTuple):
    """What is told with a reply; see `ReplyStore.keep_reply`."""

    answers: VerificationId | None
    events: tuple[Event, ...]
    lifts: Collection[int]


class ReplyTables:
    """The port `ReplyStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stops = StopList(desk)

    async def answered_by(self, msisdn: Msisdn, *, route: str) -> tuple[Verification, ...]:
        """See `ReplyStore.answered_by`."""
        return await self._desk.read(partial(_answered_by, msisdn, route))

    async def pending_of(self, msisdn: Msisdn) -> tuple[Verification, ...]:
        """See `ReplyStore.pending_of`."""
        asked = (int(msisdn), rows.STATES[State.PENDING], LATEST_MAX)
        found = await self._desk.read(lambda execute: execute("newest_of_number", asked).fetchall())
        return tuple(rows.held_of(row).verification for row in found)

    async def keep_reply(
        self,
        heard: HeardReply,
        *,
        answers: VerificationId | None = None,
        events: tuple[Event, ...] = (),
        lifts: Collection[int] = (),
    ) -> bool:
        """See `ReplyStore.keep_reply`."""
        try:
            return await self._desk.write(partial(_keep, heard, _Told(answers, events, lifts)))
        finally:
            self._stops.forget()

    async def is_stopped(self, tenant: int, mode: Mode, msisdn: Msisdn) -> bool:
        """See `ReplyStore.is_stopped`."""
        return await self._stops.has((tenant, int(msisdn), mode is Mode.TEST))

    async def lift_stop(self, tenant: int, msisdn: Msisdn, *, once: Once | None = None) -> bool:
        """See `ReplyStore.lift_stop`."""
        number = (tenant, int(msisdn))
        try:
            return await self._desk.write(
                lambda execute: execute("delete_stops", number).rowcount > 0, once=once
            )
        finally:
            self._stops.forget()

    async def replies(self, tenant: int | None, *, before: int | None = None, limit: int = 50) -> ReplyPage:
        """See `ReplyStore.replies`."""
        found, cursor = await self._desk.list(newest("replies_of", _number_of(tenant), before, limit))
        return ReplyPage(tuple(map(_reply_of, found)), cursor)

    async def stops(self, tenant: int, *, before: int | None = None, limit: int = 50) -> StopPage:
        """See `ReplyStore.stops`."""
        found, cursor = await self._desk.list(newest("stops_of", tenant, before, limit))
        return StopPage(tuple(map(_stop_of, found)), cursor)


def _keep(heard: HeardReply, told: _Told, execute: Execute) -> bool:
    reply, number, at = heard.reply, int(heard.reply.msisdn), rows.to_ms(heard.at)
    digest = _digest(heard)
    same_since = rows.to_ms(heard.at - SAME_WITHIN)
    known = execute("known_reply", (number, digest, same_since)).fetchone()
    _obey(execute, heard, told.lifts)
    if known is not None:
        return False
    record = _Record(reply.route, reply.to, reply.kind, reply.text_masked, heard.test)
    execute("insert_reply", (_number_of(heard.tenant), number, at, rows.text(record), digest))
    execute("delete_replies_over", (number, REPLIES_PER_NUMBER_MAX))
    if told.answers is not None and told.events:
        line = (rows.TIMELINE_OCTETS_MAX, rows.lines(told.events), told.answers)
        execute("tell_verification", line)
    return True


def _answered_by(msisdn: Msisdn, route: str, execute: Execute) -> tuple[Verification, ...]:
    latest = execute("newest_of_number", (int(msisdn), None, LATEST_MAX)).fetchall()
    found = []
    for row in latest:
        places = [
            place
            for state, trace in execute("traces", (row[0],)).fetchall()
            if (place := _place(state, trace, route)) is not None
        ]
        if places:
            found.append((max(places), rows.held_of(row).verification))
    found.sort(key=lambda placed: placed[0], reverse=True)
    return tuple(verification for _, verification in found)


def _reply_of(row: rows.Row) -> HeardReply:
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


def _stop_of(row: rows.Row) -> Stop:
    """Read a row of `stops_of`."""
    n, tenant, msisdn, test, since = row
    return Stop(n=n, tenant=tenant, msisdn=Msisdn(f"+{msisdn}"), test=bool(test), since=rows.from_ms(since))


def _number_of(tenant: int | None) -> int:
    """Return what stands for a tenant, or for none, in the column."""
    return _NOBODY if tenant is None else tenant


def _obey(execute: Execute, heard: HeardReply, lifts: Collection[int]) -> None:
    """Do what a reply asks for."""
    meant = set() if heard.tenant is None else {heard.tenant}
    number, test = int(heard.reply.msisdn), int(heard.test)
    if heard.reply.kind is ReplyKind.STOP:
        for tenant in meant:
            execute("insert_stop", (tenant, number, test, rows.to_ms(heard.at)))
    elif heard.reply.kind is ReplyKind.START:
        for tenant in meant.union(lifts):
            execute("delete_stop", (tenant, number, test))


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

"""People in the database, their browsers and their log: what counts as one act is one commit."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Entry, Invitation, PasswordLink
from dastak.core.person import Person, PersonId
from dastak.core.ports import Once
from dastak.core.sign_in_limits import Claim, Tally, give_back, spend
from dastak.core.sign_in_state import (
    DEVICES_MAX,
    SIGN_INS_KEPT,
    BrowserSession,
    Device,
    SignInLine,
    Stage,
    over_at,
)
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.desk import Desk, Execute, Taken
from dastak.store.factor_tables import remove_factor

T = TypeVar("T")

# Each act that adds a row takes a few away that are over, so that no sweep is needed.
_SWEPT_MAX: Final = 10

_LOGIN: Final = msgspec.json.Decoder(LoginSettings)
_PERSON: Final = msgspec.json.Decoder(Person)
_SESSION: Final = msgspec.json.Decoder(BrowserSession)
_DEVICE: Final = msgspec.json.Decoder(Device)
_LINE: Final = msgspec.json.Decoder(SignInLine)
_TALLY: Final = msgspec.json.Decoder(Tally)
_INVITATION: Final = msgspec.json.Decoder(Invitation)
_LINK: Final = msgspec.json.Decoder(PasswordLink)


class PeopleTables:
    """The port `PeopleStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def login_of(self, service: int) -> LoginSettings | None:
        """See `PeopleStore.login_of`."""
        return await self._one(_LOGIN, "login_of", service)

    async def put_login(self, settings: LoginSettings, *, once: Once | None = None) -> LoginSettings:
        """See `PeopleStore.put_login`."""

        def put(execute: Execute) -> LoginSettings:
            execute("put_login", (settings.service, rows.text(settings)))
            return settings

        return await self._desk.write(put, once=once)

    async def person_named(self, service: int, mode: Mode, name_key: str) -> Person | None:
        """See `PeopleStore.person_named`."""
        return await self._one(_PERSON, "person_named", service, rows.MODES[mode], name_key)

    async def find_person(self, person: PersonId) -> Person | None:
        """See `PeopleStore.find_person`."""
        return await self._one(_PERSON, "person_by_id", person)

    async def people_of(self, service: int, *, limit: int) -> Sequence[Person]:
        """See `PeopleStore.people_of`."""
        return await self._all(_PERSON, "people_of", service, limit)

    async def put_person(self, person: Person, name_key: str, *, invited_by: bytes | None = None) -> Person:
        """See `PeopleStore.put_person`."""
        return await self._desk.write(partial(_put_person, person, name_key, invited_by))

    async def move_person(self, person: PersonId, rule: Callable[[Person], Person]) -> Person:
        """See `PeopleStore.move_person`."""
        return await self._desk.write(partial(_move_person, person, rule))

    async def remove_person(self, person: PersonId) -> None:
        """See `PeopleStore.remove_person`."""
        await self._desk.write(partial(_remove_person, person))

    async def claim(self, claims: Sequence[Claim], *, now: datetime) -> Claim | None:
        """See `PeopleStore.claim`."""
        return await self._desk.write(partial(_claim, claims, int(now.timestamp())))

    async def give_back(self, claims: Sequence[Claim], *, now: datetime) -> None:
        """See `PeopleStore.give_back`."""
        await self._desk.write(partial(_give_back, claims, int(now.timestamp())))

    async def enter(self, entry: Entry) -> bool:
        """See `PeopleStore.enter`."""
        return await self._desk.write(partial(_enter, entry))

    async def session_of(self, digest: bytes) -> BrowserSession | None:
        """See `PeopleStore.session_of`."""
        return await self._one(_SESSION, "session_by_digest", digest)

    async def move_session(
        self, digest: bytes, rule: Callable[[BrowserSession], BrowserSession], line: SignInLine | None = None
    ) -> BrowserSession | None:
        """See `PeopleStore.move_session`."""
        return await self._desk.write(partial(_move_session, digest, rule, line))

    async def end_session(self, digest: bytes, *, now: datetime) -> None:
        """See `PeopleStore.end_session`."""

        def end(execute: Execute) -> None:
            for visit in (digest, _take_session(digest, execute)):
                if visit is not None:
                    execute("revoke_grants_in_visit", (visit, rows.to_ms(now)))

        await self._desk.write(end)

    async def drop_session(self, digest: bytes) -> None:
        """See `PeopleStore.drop_session`."""

        def drop(execute: Execute) -> None:
            before = _take_session(digest, execute)
            if before is not None:
                execute("move_grants_in_visit", (before, digest))

        await self._desk.write(drop)

    async def end_sessions(
        self,
        person: PersonId,
        *,
        but: bytes | None,
        line: SignInLine,
        rule: Callable[[Person], Person] | None = None,
    ) -> None:
        """See `PeopleStore.end_sessions`."""

        def end(execute: Execute) -> None:
            if rule is not None:
                _move_person(person, rule, execute)
            execute("delete_sessions", (person, but or b""))
            execute("delete_devices", (person,))
            execute("delete_password_links_of", (person,))
            execute("revoke_grants_of_account", (person.hex(), rows.to_ms(line.at), but or b""))
            _note(person, line, execute)

        await self._desk.write(end)

    async def device_of(self, digest: bytes, person: PersonId) -> Device | None:
        """See `PeopleStore.device_of`."""
        return await self._one(_DEVICE, "device_of", digest, person)

    async def devices_of(self, person: PersonId) -> Sequence[Device]:
        """See `PeopleStore.devices_of`."""
        return await self._all(_DEVICE, "devices_of", person, DEVICES_MAX)

    async def forget_device(self, person: PersonId, digest: bytes) -> bool:
        """See `PeopleStore.forget_device`."""
        return await self._write("delete_device", digest, person) > 0

    async def put_recovery_codes(
        self, person: PersonId, digests: Sequence[bytes], *, line: SignInLine
    ) -> None:
        """See `PeopleStore.put_recovery_codes`."""

        def put(execute: Execute) -> None:
            execute("delete_recovery_codes", (person,))
            for digest in digests:
                execute("insert_recovery_code", (person, digest))
            _note(person, line, execute)

        await self._desk.write(put)

    async def spend_recovery_code(self, person: PersonId, digests: Sequence[bytes], *, now: datetime) -> bool:
        """See `PeopleStore.spend_recovery_code`."""
        at = rows.to_ms(now)
        return await self._desk.write(
            lambda execute: any(
                execute("spend_recovery_code", (person, digest, at)).rowcount for digest in digests
            )
        )

    async def recovery_codes_left(self, person: PersonId) -> int:
        """See `PeopleStore.recovery_codes_left`."""
        (left,) = await self._desk.read(lambda execute: execute("recovery_codes_left", (person,)).fetchone())
        return int(left)

    async def note_line(self, person: PersonId, line: SignInLine) -> None:
        """See `PeopleStore.note_line`."""
        await self._desk.write(partial(_note, person, line))

    async def lines_of(self, person: PersonId, *, limit: int) -> Sequence[SignInLine]:
        """See `PeopleStore.lines_of`."""
        return await self._all(_LINE, "sign_ins_of", person, limit)

    async def put_invitation(self, invitation: Invitation) -> None:
        """See `PeopleStore.put_invitation`."""
        row = (invitation.digest, rows.to_ms(invitation.expires_at), rows.text(invitation))
        await self._write("insert_invitation", *row)

    async def invitation_of(self, digest: bytes) -> Invitation | None:
        """See `PeopleStore.invitation_of`."""
        return await self._one(_INVITATION, "invitation_of", digest)

    async def put_password_link(
        self, link: PasswordLink, *, line: SignInLine, once: Once | None = None
    ) -> PasswordLink:
        """See `PeopleStore.put_password_link`."""
        row = (link.digest, link.person, rows.to_ms(link.expires_at), rows.text(link))

        def put(execute: Execute) -> PasswordLink:
            execute("delete_password_links_of", (link.person,))
            execute("delete_password_links_over", (rows.to_ms(line.at), _SWEPT_MAX))
            execute("insert_password_link", row)
            _note(link.person, line, execute)
            return link

        return await self._desk.write(put, once=once)

    async def password_link_of(self, digest: bytes) -> PasswordLink | None:
        """See `PeopleStore.password_link_of`."""
        return await self._one(_LINK, "password_link_of", digest)

    async def _write(self, statement: str, *row: object) -> int:
        return await self._desk.write(lambda execute: execute(statement, row).rowcount)

    async def _one(self, decoder: "msgspec.json.Decoder[T]", statement: str, *asked: object) -> "T | None":
        found = await self._desk.read(lambda execute: execute(statement, asked).fetchone())
        return None if found is None else decoder.decode(found[0])

    async def _all(self, decoder: "msgspec.json.Decoder[T]", statement: str, *asked: object) -> "Sequence[T]":
        found = await self._desk.read(lambda execute: execute(statement, asked).fetchall())
        return [decoder.decode(record) for (record,) in found]


def _put_person(person: Person, name_key: str, invited_by: bytes | None, execute: Execute) -> Person:
    if invited_by is not None and execute("delete_invitation", (invited_by,)).rowcount == 0:
        raise NotFound("This invitation was used, or its time is over.")
    mode = rows.MODES[person.mode]
    try:
        execute("insert_person", (person.id, person.service, mode, name_key, rows.text(person)))
    except Taken as taken:
        raise Conflict("This username is taken; choose another one.") from taken
    return person


def _person(person_id: PersonId, execute: Execute) -> Person:
    found = execute("person_by_id", (person_id,)).fetchone()
    if found is None:
        raise NotFound("There is no such person.")
    return _PERSON.decode(found[0])


def _move_person(person_id: PersonId, rule: Callable[[Person], Person], execute: Execute) -> Person:
    moved = rule(_person(person_id, execute))
    execute("keep_person", (person_id, rows.text(moved)))
    return moved


def _remove_person(person: PersonId, execute: Execute) -> None:
    for one in _person(person, execute).owned:
        remove_factor(bytes.fromhex(one.factor), execute)
    execute("delete_person", (person,))
    execute("delete_sessions", (person, b""))
    for statement in (
        "delete_devices", "delete_recovery_codes", "delete_sign_ins", "delete_password_links_of",
    ):  # fmt: skip
        execute(statement, (person,))


def _claim(claims: Sequence[Claim], now_s: int, execute: Execute) -> Claim | None:
    spent = []
    for claim in claims:
        tally = spend(_tally(claim.key, execute), claim.budget, now_s)
        if tally is None:
            return claim
        spent.append((claim.key, now_s + claim.budget.window_s, rows.text(tally)))
    for row in spent:
        execute("put_sign_in_tally", row)
    execute("delete_sign_in_tallies_over", (now_s, _SWEPT_MAX))
    return None


def _tally(key: bytes, execute: Execute) -> Tally:
    found = execute("sign_in_tally", (key,)).fetchone()
    return () if found is None else _TALLY.decode(found[0])


def _enter(entry: Entry, execute: Execute) -> bool:
    session, before = entry.session, None
    if entry.password_n is not None and not _has_password(session.person, entry.password_n, execute):
        return False
    if entry.link is not None and execute("delete_password_link", (entry.link,)).rowcount == 0:
        return False
    now = rows.to_ms(session.created_at)
    if entry.replaces is not None:
        replaced = _session(entry.replaces, execute)
        if replaced is None or execute("delete_session", (entry.replaces,)).rowcount == 0:
            return False
        execute("move_grants_in_visit", (entry.replaces, session.digest))
        before = replaced.before
    if entry.ends is not None and entry.ends != entry.replaces:
        # Whoever signs in once more before the second step had the same session before.
        before = _take_session(entry.ends, execute) or entry.ends
    if session.stage is Stage.SIGNED_IN and before is not None:
        _go_on(before, session, now, execute)
        before = None
    session = msgspec.structs.replace(session, before=before)
    execute("delete_sessions_over", (now, _SWEPT_MAX))
    row = (session.digest, session.person, rows.to_ms(over_at(session)), rows.text(session))
    execute("insert_session", row)
    _give_back(entry.back, int(session.created_at.timestamp()), execute)
    if entry.device is not None:
        _know(entry.device, entry.forgets, execute)
        execute("delete_devices_over", (now, _SWEPT_MAX))
    if entry.line is not None:
        _note(session.person, entry.line, execute)
    return True


def _has_password(person: PersonId, password_n: int, execute: Execute) -> bool:
    """Say whether a password still is its person's, and lets it in."""
    found = execute("person_by_id", (person,)).fetchone()
    now = None if found is None else _PERSON.decode(found[0])
    return now is not None and not now.blocked and now.password_n == password_n


def _session(digest: bytes, execute: Execute) -> BrowserSession | None:
    found = execute("session_by_digest", (digest,)).fetchone()
    return None if found is None else _SESSION.decode(found[0])


def _take_session(digest: bytes, execute: Execute) -> bytes | None:
    """End a session; return the one before it that still has what sites were given."""
    found = _session(digest, execute)
    execute("delete_session", (digest,))
    return None if found is None else found.before


def _go_on(before: bytes, session: BrowserSession, now: int, execute: Execute) -> None:
    """Have a person's sites go on in the session that is signed in; what somebody else gave there ends."""
    execute("move_grants_of_account_in_visit", (before, session.digest, session.person.hex()))
    execute("revoke_grants_in_visit", (before, now))


def _give_back(claims: Sequence[Claim], now_s: int, execute: Execute) -> None:
    for claim in claims:
        tally = give_back(_tally(claim.key, execute))
        execute("put_sign_in_tally", (claim.key, now_s + claim.budget.window_s, rows.text(tally)))


def _know(device: Device, before: bytes | None, execute: Execute) -> None:
    """Know a browser under a new secret; whoever else used it is known there as well."""
    known = [device]
    if before is not None:
        others = execute("other_people_of_device", (before, device.person)).fetchall()
        for (record,) in others:
            other = _DEVICE.decode(record)
            known.append(msgspec.structs.replace(other, digest=device.digest))
            execute("delete_device", (before, other.person))
        execute("delete_device", (before, device.person))
    for one in known:
        execute("put_device", (one.digest, one.person, rows.to_ms(one.expires_at), rows.text(one)))
    execute("delete_devices_beyond", (device.person, DEVICES_MAX))


def _move_session(
    digest: bytes,
    rule: Callable[[BrowserSession], BrowserSession],
    line: SignInLine | None,
    execute: Execute,
) -> BrowserSession | None:
    found = execute("session_by_digest", (digest,)).fetchone()
    if found is None:
        return None
    moved = rule(_SESSION.decode(found[0]))
    execute("keep_session", (digest, rows.text(moved)))
    if line is not None:
        _note(moved.person, line, execute)
    return moved


def _note(person: PersonId, line: SignInLine, execute: Execute) -> None:
    execute("insert_sign_in", (person, rows.text(line)))
    execute("delete_sign_ins_beyond", (person, SIGN_INS_KEPT))

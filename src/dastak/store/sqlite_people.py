"""People in the SQLite database, their browsers and their log: what counts as one act is one commit."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Entry, Invitation
from dastak.core.person import Person, PersonId
from dastak.core.ports import Once
from dastak.core.sign_in_limits import Claim, Tally, give_back, spend
from dastak.core.sign_in_state import DEVICES_MAX, SIGN_INS_KEPT, BrowserSession, Device, SignInLine, over_at
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.group_commit import GroupCommit
from dastak.store.sqlite_file import READING
from dastak.store.statements import load

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


class SqlitePeople:
    """The port `PeopleStore`, on the connections of one store."""

    def __init__(
        self,
        group: GroupCommit,
        *,
        once: Callable[[Once | None, Callable[[], LoginSettings]], LoginSettings],
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
    ) -> None:
        self._group, self._once = group, once
        self._writer, self._reader = writer, reader
        self._sql = load("people.sql")

    async def login_of(self, service: int) -> LoginSettings | None:
        """See `PeopleStore.login_of`."""
        return self._one(_LOGIN, "login_of", service)

    async def put_login(self, settings: LoginSettings, *, once: Once | None = None) -> LoginSettings:
        """See `PeopleStore.put_login`."""

        def put() -> LoginSettings:
            self._write("put_login", settings.service, rows.text(settings))
            return settings

        return await self._group.run(partial(self._once, once, put))

    async def person_named(self, service: int, mode: Mode, name_key: str) -> Person | None:
        """See `PeopleStore.person_named`."""
        return self._one(_PERSON, "person_named", service, rows.MODES[mode], name_key)

    async def find_person(self, person: PersonId) -> Person | None:
        """See `PeopleStore.find_person`."""
        return self._one(_PERSON, "person_by_id", person)

    async def people_of(self, service: int, *, limit: int) -> Sequence[Person]:
        """See `PeopleStore.people_of`."""
        return self._all(_PERSON, "people_of", service, limit)

    async def put_person(self, person: Person, name_key: str, *, invited_by: bytes | None = None) -> Person:
        """See `PeopleStore.put_person`."""
        return await self._group.run(partial(self._put_person, person, name_key, invited_by))

    async def move_person(self, person: PersonId, rule: Callable[[Person], Person]) -> Person:
        """See `PeopleStore.move_person`."""
        return await self._group.run(partial(self._move_person, person, rule))

    async def remove_person(self, person: PersonId) -> None:
        """See `PeopleStore.remove_person`."""
        await self._group.run(partial(self._remove_person, person))

    async def claim(self, claims: Sequence[Claim], *, now: datetime) -> Claim | None:
        """See `PeopleStore.claim`."""
        return await self._group.run(partial(self._claim, claims, int(now.timestamp())))

    async def give_back(self, claims: Sequence[Claim], *, now: datetime) -> None:
        """See `PeopleStore.give_back`."""
        await self._group.run(partial(self._give_back, claims, int(now.timestamp())))

    async def enter(self, entry: Entry) -> bool:
        """See `PeopleStore.enter`."""
        return await self._group.run(partial(self._enter, entry))

    async def session_of(self, digest: bytes) -> BrowserSession | None:
        """See `PeopleStore.session_of`."""
        return self._one(_SESSION, "session_by_digest", digest)

    async def move_session(
        self, digest: bytes, rule: Callable[[BrowserSession], BrowserSession], line: SignInLine | None = None
    ) -> BrowserSession | None:
        """See `PeopleStore.move_session`."""
        return await self._group.run(partial(self._move_session, digest, rule, line))

    async def end_session(self, digest: bytes) -> None:
        """See `PeopleStore.end_session`."""
        await self._group.run(partial(self._write, "delete_session", digest))

    async def end_sessions(self, person: PersonId, *, but: bytes | None, line: SignInLine) -> None:
        """See `PeopleStore.end_sessions`."""

        def end() -> None:
            self._write("delete_sessions", person, but or b"")
            self._write("delete_devices", person)
            self._note(person, line)

        await self._group.run(end)

    async def device_of(self, digest: bytes, person: PersonId) -> Device | None:
        """See `PeopleStore.device_of`."""
        return self._one(_DEVICE, "device_of", digest, person)

    async def devices_of(self, person: PersonId) -> Sequence[Device]:
        """See `PeopleStore.devices_of`."""
        return self._all(_DEVICE, "devices_of", person, DEVICES_MAX)

    async def forget_device(self, person: PersonId, digest: bytes) -> bool:
        """See `PeopleStore.forget_device`."""
        return await self._group.run(partial(self._write, "delete_device", digest, person)) > 0

    async def put_recovery_codes(
        self, person: PersonId, digests: Sequence[bytes], *, line: SignInLine
    ) -> None:
        """See `PeopleStore.put_recovery_codes`."""

        def put() -> None:
            self._write("delete_recovery_codes", person)
            for digest in digests:
                self._write("insert_recovery_code", person, digest)
            self._note(person, line)

        await self._group.run(put)

    async def spend_recovery_code(self, person: PersonId, digests: Sequence[bytes], *, now: datetime) -> bool:
        """See `PeopleStore.spend_recovery_code`."""
        at = rows.to_ms(now)
        return await self._group.run(
            lambda: any(self._write("spend_recovery_code", person, digest, at) for digest in digests)
        )

    async def recovery_codes_left(self, person: PersonId) -> int:
        """See `PeopleStore.recovery_codes_left`."""
        with READING:
            (left,) = self._reader.execute(self._sql["recovery_codes_left"], (person,)).fetchone()
        return int(left)

    async def note_line(self, person: PersonId, line: SignInLine) -> None:
        """See `PeopleStore.note_line`."""
        await self._group.run(partial(self._note, person, line))

    async def lines_of(self, person: PersonId, *, limit: int) -> Sequence[SignInLine]:
        """See `PeopleStore.lines_of`."""
        return self._all(_LINE, "sign_ins_of", person, limit)

    async def put_invitation(self, invitation: Invitation) -> None:
        """See `PeopleStore.put_invitation`."""
        row = (invitation.digest, rows.to_ms(invitation.expires_at), rows.text(invitation))
        await self._group.run(partial(self._write, "insert_invitation", *row))

    async def invitation_of(self, digest: bytes) -> Invitation | None:
        """See `PeopleStore.invitation_of`."""
        return self._one(_INVITATION, "invitation_of", digest)

    def _put_person(self, person: Person, name_key: str, invited_by: bytes | None) -> Person:
        if invited_by is not None and not self._write("delete_invitation", invited_by):
            raise NotFound("This invitation was used, or its time is over.")
        mode = rows.MODES[person.mode]
        try:
            row = (person.id, person.service, mode, name_key, rows.text(person))
            self._writer.execute(self._sql["insert_person"], row)
        except sqlite3.IntegrityError as error:
            raise Conflict("This username is taken; choose another one.") from error
        return person

    def _move_person(self, person_id: PersonId, rule: Callable[[Person], Person]) -> Person:
        found = self._writer.execute(self._sql["person_by_id"], (person_id,)).fetchone()
        if found is None:
            raise NotFound("There is no such person.")
        moved = rule(_PERSON.decode(found[0]))
        self._write("keep_person", person_id, rows.text(moved))
        return moved

    def _remove_person(self, person: PersonId) -> None:
        if not self._write("delete_person", person):
            raise NotFound("There is no such person.")
        self._write("delete_sessions", person, b"")
        for statement in ("delete_devices", "delete_recovery_codes", "delete_sign_ins"):
            self._write(statement, person)

    def _claim(self, claims: Sequence[Claim], now_s: int) -> Claim | None:
        spent = []
        for claim in claims:
            tally = spend(self._tally(claim.key), claim.budget, now_s)
            if tally is None:
                return claim
            spent.append((claim.key, now_s + claim.budget.window_s, rows.text(tally)))
        self._writer.executemany(self._sql["put_tally"], spent)
        self._write("delete_tallies_over", now_s, _SWEPT_MAX)
        return None

    def _tally(self, key: bytes) -> Tally:
        found = self._writer.execute(self._sql["tally"], (key,)).fetchone()
        return () if found is None else _TALLY.decode(found[0])

    def _enter(self, entry: Entry) -> bool:
        session = entry.session
        if entry.replaces is not None and not self._write("delete_session", entry.replaces):
            return False
        now = rows.to_ms(session.created_at)
        self._write("delete_sessions_over", now, _SWEPT_MAX)
        row = (session.digest, session.person, rows.to_ms(over_at(session)), rows.text(session))
        self._write("insert_session", *row)
        self._give_back(entry.back, int(session.created_at.timestamp()))
        if entry.device is not None:
            self._know(entry.device, entry.forgets)
            self._write("delete_devices_over", now, _SWEPT_MAX)
        if entry.line is not None:
            self._note(session.person, entry.line)
        return True

    def _give_back(self, claims: Sequence[Claim], now_s: int) -> None:
        for claim in claims:
            tally = give_back(self._tally(claim.key))
            self._write("put_tally", claim.key, now_s + claim.budget.window_s, rows.text(tally))

    def _know(self, device: Device, before: bytes | None) -> None:
        """Know a browser under a new secret; whoever else used it is known there as well."""
        known = [device]
        if before is not None:
            others = self._writer.execute(
                self._sql["other_people_of_device"], (before, device.person)
            ).fetchall()
            for (record,) in others:
                other = _DEVICE.decode(record)
                known.append(msgspec.structs.replace(other, digest=device.digest))
                self._write("delete_device", before, other.person)
            self._write("delete_device", before, device.person)
        for one in known:
            self._write("put_device", one.digest, one.person, rows.to_ms(one.expires_at), rows.text(one))
        self._write("delete_devices_beyond", device.person, DEVICES_MAX)

    def _move_session(
        self, digest: bytes, rule: Callable[[BrowserSession], BrowserSession], line: SignInLine | None
    ) -> BrowserSession | None:
        found = self._writer.execute(self._sql["session_by_digest"], (digest,)).fetchone()
        if found is None:
            return None
        moved = rule(_SESSION.decode(found[0]))
        self._write("keep_session", digest, rows.text(moved))
        if line is not None:
            self._note(moved.person, line)
        return moved

    def _note(self, person: PersonId, line: SignInLine) -> None:
        self._write("insert_sign_in", person, rows.text(line))
        self._write("delete_sign_ins_beyond", person, SIGN_INS_KEPT)

    def _write(self, statement: str, *parameters: object) -> int:
        return self._writer.execute(self._sql[statement], parameters).rowcount

    def _one(self, decoder: "msgspec.json.Decoder[T]", statement: str, *parameters: object) -> "T | None":
        with READING:
            found = self._reader.execute(self._sql[statement], parameters).fetchone()
        return None if found is None else decoder.decode(found[0])

    def _all(self, decoder: "msgspec.json.Decoder[T]", statement: str, *parameters: object) -> "Sequence[T]":
        with READING:
            found = self._reader.execute(self._sql[statement], parameters).fetchall()
        return [decoder.decode(record) for (record,) in found]

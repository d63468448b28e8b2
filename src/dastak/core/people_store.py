"""Where people, their browsers and their sign-ins are written down, as the flows and pages see it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from dastak.core.login_settings import LoginSettings
from dastak.core.person import Person, PersonId
from dastak.core.ports import Once, Ports
from dastak.core.sign_in_limits import Claim
from dastak.core.sign_in_state import BrowserSession, Device, SignInLine
from dastak.core.tenant import Mode


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A token by which an operator makes an account, once.

    Attributes:
        digest: SHA-256 of the token.
        username: Who is invited.
        tenant: What the operator will look after; None is all.
    """

    digest: bytes
    username: str
    expires_at: datetime
    tenant: int | None = None


class PasswordLink(msgspec.Struct, frozen=True, kw_only=True):
    """A token by which somebody whom the tenant knows chooses a new password, once and with one proof more.

    Attributes:
        digest: SHA-256 of the token.
    """

    digest: bytes
    person: PersonId
    expires_at: datetime


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A gain of trust, written in one commit.

    Attributes:
        session: The new session.
        replaces: The digest of the one before it, which must be there.
        ends: The digest of whatever session the browser had, if any; that one is over. Once the new one is
            signed in, what sites were given in it is revoked, but for those of the same person, who goes on.
        line: For the log of its person.
        back: Attempts that were right after all.
        device: The browser, to be known again.
        forgets: The digest under which the browser was known before.
        link: The digest of a password link, which is used up by this.
        password_n: The password that was right; its person must still have that one, and not be blocked.
    """

    session: BrowserSession
    replaces: bytes | None = None
    ends: bytes | None = None
    line: SignInLine | None = None
    back: tuple[Claim, ...] = ()
    device: Device | None = None
    forgets: bytes | None = None
    link: bytes | None = None
    password_n: int | None = None


class PeopleStore(Protocol):
    """The people in the database; it raises `Overloaded` as `Store` does."""

    async def login_of(self, service: int) -> LoginSettings | None:
        """Return how people sign in to a service; None is that nobody does."""

    async def put_login(self, settings: LoginSettings, *, once: Once | None = None) -> LoginSettings:
        """Write that down, in place of what there was.

        Raises:
            Conflict: `once` was answered since it was last looked for.
        """

    async def person_named(self, service: int, mode: Mode, name_key: str) -> Person | None:
        """Return a person by what its spellings have in common."""

    async def find_person(self, person: PersonId) -> Person | None:
        """Return a person."""

    async def people_of(self, service: int, *, limit: int) -> Sequence[Person]:
        """Return the people of a service, newest first."""

    async def put_person(self, person: Person, name_key: str, *, invited_by: bytes | None = None) -> Person:
        """Insert a person, and use up the invitation with that digest in the same commit.

        Raises:
            Conflict: The name is taken.
            NotFound: There is no such invitation any more.
        """

    async def move_person(self, person: PersonId, rule: Callable[[Person], Person]) -> Person:
        """Run a rule on a person while nobody else can change it. Raises: NotFound."""

    async def remove_person(self, person: PersonId) -> None:
        """Delete a person and all that is kept of it. Raises: NotFound."""

    async def claim(self, claims: Sequence[Claim], *, now: datetime) -> Claim | None:
        """Count an attempt against all of these, or against none; return the one that is used up."""

    async def give_back(self, claims: Sequence[Claim], *, now: datetime) -> None:
        """Take back an attempt that was never looked at."""

    async def enter(self, entry: Entry) -> bool:
        """Write a gain of trust.

        Returns:
            False, with nothing written, when the session or link before it is gone, the password changed, or
            its person is blocked.
        """

    async def session_of(self, digest: bytes) -> BrowserSession | None:
        """Return a session."""

    async def move_session(
        self, digest: bytes, rule: Callable[[BrowserSession], BrowserSession], line: SignInLine | None = None
    ) -> BrowserSession | None:
        """Run a rule on a session, and log a line; None when it is gone."""

    async def end_session(self, digest: bytes, *, now: datetime) -> None:
        """End a session, and what other sites were given in it.

        If it was never signed in, that is what they were given in the one before.
        """

    async def drop_session(self, digest: bytes) -> None:
        """End a session that was never signed in.

        What sites were given in the one before goes by this one, for the next that the browser has.
        """

    async def end_sessions(
        self,
        person: PersonId,
        *,
        but: bytes | None,
        line: SignInLine,
        rule: Callable[[Person], Person] | None = None,
    ) -> None:
        """End all sessions of a person but one, and all that other sites were given in them.

        Browsers are forgotten, and a link to a new password is worth nothing any more. What changes the
        person in the same commit is the rule. Raises: NotFound (there is a rule, and no such person).
        """

    async def device_of(self, digest: bytes, person: PersonId) -> Device | None:
        """Return a browser that a person signed in with before."""

    async def devices_of(self, person: PersonId) -> Sequence[Device]:
        """Return the browsers of a person, newest first."""

    async def forget_device(self, person: PersonId, digest: bytes) -> bool:
        """Forget a browser of a person; False when it is not known."""

    async def put_recovery_codes(
        self, person: PersonId, digests: Sequence[bytes], *, line: SignInLine
    ) -> None:
        """Write the recovery codes of a person, in place of those it had."""

    async def spend_recovery_code(self, person: PersonId, digests: Sequence[bytes], *, now: datetime) -> bool:
        """Use up the one code that has one of these digests; False when there is none, or none any more."""

    async def recovery_codes_left(self, person: PersonId) -> int:
        """Return how many recovery codes of a person are not used."""

    async def note_line(self, person: PersonId, line: SignInLine) -> None:
        """Append to the log of a person; the oldest lines go."""

    async def lines_of(self, person: PersonId, *, limit: int) -> Sequence[SignInLine]:
        """Return the log of a person, newest first."""

    async def put_invitation(self, invitation: Invitation) -> None:
        """Write an invitation down."""

    async def put_password_link(
        self, link: PasswordLink, *, line: SignInLine, once: Once | None = None
    ) -> PasswordLink:
        """Write a password link down, in place of the one its person had; Conflict as with `put_login`."""

    async def password_link_of(self, digest: bytes) -> PasswordLink | None:
        """Return a password link that is not used up."""

    async def invitation_of(self, digest: bytes) -> Invitation | None:
        """Return an invitation that is not used up."""


class Asker(StrEnum):
    """For whom a password is hashed; each kind waits apart from the others and has its share of the turns."""

    KNOWN = "known"  # somebody who proved something before: this browser's sign-in, a code, an invitation
    CONSOLE = "console"  # an operator in a browser that signed in to the console before
    STRANGER = "stranger"  # everybody else, at the console too


class Passwords(Protocol):
    """Hashes passwords slowly, without holding up anything else.

    `whose` is the account by which somebody is no stranger; few of one account wait apart, the others among
    strangers.
    """

    def make(self, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b"") -> Awaitable[str]:
        """Return what is kept of a password. Raises: Overloaded (too many wait)."""

    def holds(
        self, kept: str | None, clear: str, asker: Asker = Asker.STRANGER, whose: bytes = b""
    ) -> Awaitable[bool]:
        """Say whether a password is the one; None, for nobody, takes as long. Raises: Overloaded."""

    def is_outdated(self, kept: str) -> bool:
        """Say whether it would be hashed otherwise today."""

    def is_known(self, clear: str) -> bool:
        """Say whether everybody would try this password first."""


class LoginPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What the flows of people may touch.

    Attributes:
        asks_elsewhere: Asks a customer's own system whether a password is right; raises `Overloaded`. None
            is a refusal that says nothing of name and password: it may be there for a repeat.
    """

    ports: Ports
    people: PeopleStore
    passwords: Passwords
    asks_elsewhere: Callable[[LoginSettings, str, str], Awaitable[bool | None]]

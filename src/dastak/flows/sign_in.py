"""Sign in: the password first, then what else the service wants, and a new session at each gain of trust.

1. Nobody learns which of name, password and lock was the reason: one answer, and the same work for it.
2. An attempt is counted before its password is looked at.
3. Only the session whose password was right is ever asked for a code.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from dastak.core.errors import Conflict, Overloaded, RateLimited
from dastak.core.ids import FactorId
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Asker, Entry, LoginPorts, PeopleStore
from dastak.core.person import (
    NAME_CHARACTERS_MAX,
    PERSON_ID_OCTETS,
    Person,
    PersonId,
    exact_key,
    name_key,
    owned,
    recovery_digests,
    ways,
)
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_limits import (
    SECOND_STEP,
    Claim,
    claims_of_account,
    claims_of_source,
    key_of,
    network_of,
)
from dastak.core.sign_in_state import (
    AGENT_CHARACTERS_MAX,
    AMR_RECOVERY,
    BrowserSession,
    Device,
    Purpose,
    SignInLine,
    Stage,
    amr_of,
    ask,
    known_from,
    signed_in,
    trusted_until,
)
from dastak.core.verification import Particulars
from dastak.flows.start import Ask

# What counts quick repeats forgets one soon.
REFUSED_RETRY_S: Final = 5
ATTEMPTS: Final = "Too many attempts came from this address."
log = logging.getLogger("dastak.login")

NOBODY: Final = PersonId(bytes(PERSON_ID_OCTETS))


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """The browser that signs in.

    Attributes:
        address: Its IP address.
        agent: What it says of itself.
        device: The digest of what it carries from an earlier sign-in, if anything.
        session: The digest of the session it has now.
        console: Whether it wants into the console.
    """

    address: str
    agent: str = ""
    device: bytes | None = None
    session: bytes | None = None
    console: bool = False


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A password that was right.

    Attributes:
        known: The browser, if this person signed in with it before.
        claims: What was counted, to be given back.
    """

    person: Person
    known: Device | None
    claims: tuple[Claim, ...]


async def pass_password(
    login: LoginPorts, settings: LoginSettings, visitor: Visitor, username: str, password: str
) -> Passed | None:
    """Look at a name and a password; None says no more than that they do not go together here and now.

    Raises:
        RateLimited: Too many attempts came from there, whomever they were about.
        Overloaded: It cannot be looked at now.
    """
    now, ring = login.ports.clock.now(), login.ports.keys
    found = await person_called(login.people, settings, username)
    whose = NOBODY if found is None else found.id
    known = None if visitor.device is None else await login.people.device_of(visitor.device, whose)
    known = known if known is not None and now < known.expires_at else None
    account = (settings.service.to_bytes(8), name_key(username).encode())
    source = claims_of_source(ring, visitor.address)
    claims = claims_of_account(ring, account, visitor.address, None if known is None else known.digest)
    locked = await login.people.claim((*source, *claims), now=now) is not None
    if locked:
        # A refused claim writes nothing; a lock would be known by the commit that is missing.
        await refuse_source(login.people, source, now=now)
    try:
        if settings.check_url is not None:
            person = await _known_elsewhere(login, settings, found, username, password, locked=locked)
        else:
            waits_as = _asker(visitor, None if locked else known)
            person = await _known_here(login, found, password, waits_as, locked=locked)
    except _Unsaid as unsaid:
        # The account may be another one than the password is of: there it was an attempt.
        await login.people.give_back(source, now=now)
        detail = "The system that knows the passwords refuses."
        raise Overloaded(detail, retry_after_s=REFUSED_RETRY_S) from unsaid
    except Overloaded:
        await login.people.give_back(source if locked else (*source, *claims), now=now)
        raise
    if person is None or locked or person.blocked:
        return None
    if found is not None and person.id != found.id:
        # At the account of the other spelling this attempt was a wrong one: it counts.
        return Passed(person=person, known=None, claims=())
    return Passed(person=person, known=known, claims=(*source, *claims))


async def person_called(people: PeopleStore, settings: LoginSettings, username: str) -> Person | None:
    """Return whom a name means; where a customer's own system knows names, first by this very spelling."""
    if settings.check_url is not None:
        exact = await people.person_named(settings.service, settings.mode, exact_key(username))
        if exact is not None:
            return exact
    return await people.person_named(settings.service, settings.mode, name_key(username))


async def refuse_source(
    people: PeopleStore, claims: tuple[Claim, ...], *, now: datetime, why: str = ATTEMPTS
) -> None:
    """Count an attempt from somewhere. Raises: RateLimited (there were too many, and why that is)."""
    used_up = await people.claim(claims, now=now)
    if used_up is not None:
        budget = used_up.budget
        raise RateLimited(
            why,
            limit=budget.name,
            retry_after_s=budget.window_s // budget.attempts,
            quota=budget.attempts,
            window_s=budget.window_s,
        )


def _asker(visitor: Visitor, known: Device | None) -> Asker:
    if known is None:
        return Asker.STRANGER
    return Asker.CONSOLE if visitor.console else Asker.KNOWN


async def _known_here(
    login: LoginPorts, found: Person | None, password: str, asker: Asker, *, locked: bool
) -> Person | None:
    """Return the person of our own directory whose password it is."""
    kept, whose = (None, NOBODY) if found is None else (found.password, found.id)
    right = await login.passwords.holds(kept, password, asker, whose)
    if not right or found is None:
        return None
    # Whom it lets in nowhere it tells nothing either: one more hash would be seen by its time.
    if locked or found.blocked or not login.passwords.is_outdated(found.password):
        return found
    anew = await login.passwords.make(password, asker, whose)

    def rehashed(one: Person) -> Person:
        """Leave a password alone that was changed meanwhile."""
        return msgspec.structs.replace(one, password=anew) if one.password == kept else one

    moved = await login.people.move_person(found.id, rehashed)
    return moved if moved.password_n == found.password_n else None


class _Unsaid(Exception):  # noqa: N818 - a signal: whose account it is nobody knows
    """The customer's own system did not say whether another spelling is the same account."""


async def _known_elsewhere(
    login: LoginPorts,
    settings: LoginSettings,
    found: Person | None,
    username: str,
    password: str,
    *,
    locked: bool,
) -> Person | None:
    """Return whom the customer's own system lets in.

    It judges a name as it was typed, and two spellings may be two accounts there. So who is known here by
    another spelling is let in only if the system says yes to that one too; if it says no, this is somebody
    else. A refusal without a word may be for the repeat, and would make two of one for good: come again.
    Where the account is locked one question is all, whatever its answer: two would tell that it was yes.

    Raises:
        _Unsaid: There was such a refusal.
    """
    name = username.strip()
    if len(name) > NAME_CHARACTERS_MAX or len(name_key(name)) > NAME_CHARACTERS_MAX:
        return None
    if not await login.asks_elsewhere(settings, name, password) or locked:
        return None
    if found is None:
        found = await _first_time(login, settings, name, name_key(name))
    if found.username == name:
        return found
    same = await login.asks_elsewhere(settings, found.username, password)
    if same is None:
        log.warning("check_url of service %d does not say whose account a spelling is", settings.service)
        raise _Unsaid
    if same:
        return found
    return await _first_time(login, settings, name, exact_key(name))


async def _first_time(login: LoginPorts, settings: LoginSettings, name: str, key: str) -> Person:
    """Make a record of somebody whom the customer's own system knows, or return the one just made."""
    person = Person(
        id=PersonId(login.ports.entropy(PERSON_ID_OCTETS)),
        service=settings.service,
        mode=settings.mode,
        username=name,
        created_at=login.ports.clock.now(),
    )
    with suppress(Conflict):
        return await login.people.put_person(person, key)
    made = await login.people.person_named(settings.service, settings.mode, key)
    if made is None:
        raise Overloaded("This account was removed a moment ago.", retry_after_s=1)
    return made


async def begin(
    login: LoginPorts,
    settings: LoginSettings,
    visitor: Visitor,
    passed: Passed,
    wish: BrowserSession,
    *,
    device_digest: bytes,
) -> BrowserSession | None:
    """Open the session of somebody whose password was right; it is signed in where no more is wanted.

    None is that the password was changed, or its person blocked, since it was looked at: then it is a wrong
    one.

    Args:
        login: What the flow may touch.
        settings: Of the service.
        visitor: The browser.
        passed: What `pass_password` said.
        wish: The new session as `wished` makes it.
        device_digest: Of what the browser carries from now on, if it is signed in.
    """
    now, person = login.ports.clock.now(), passed.person
    until = trusted_until(None if wish.fresh else passed.known, now, days=settings.remember_days)
    # Who has nothing to be asked for is not remembered for it.
    asked = bool(ways(person, settings.factors))
    session = msgspec.structs.replace(wish, person=person.id, trusted=asked and until is not None)
    if session.trusted or not (asked or settings.required):
        session = signed_in(session, digest=session.digest, amr=("pwd",), now=now, second=False)
    entry = Entry(session=session, ends=visitor.session, back=passed.claims, password_n=person.password_n)
    if session.stage is Stage.SIGNED_IN:
        entry = msgspec.structs.replace(
            entry,
            line=_line(visitor, session, "signed_in"),
            device=known_from(session, device_digest, trusted_until=until),
            forgets=visitor.device,
        )
    return session if await login.people.enter(entry) else None


def wished(
    login: LoginPorts,
    settings: LoginSettings,
    visitor: Visitor,
    digest: bytes,
    *,
    next_path: str = "",
    remember: bool = False,
    fresh: bool = False,
) -> BrowserSession:
    """Return a session whose password is right, of nobody yet."""
    now = login.ports.clock.now()
    return BrowserSession(
        digest=digest,
        person=NOBODY,
        service=settings.service,
        stage=Stage.PASSWORD_PASSED,
        created_at=now,
        seen_at=now,
        auth_at=now,
        next_path=next_path,
        remember=remember and settings.remember_days > 0,
        fresh=fresh,
        agent=visitor.agent[:AGENT_CHARACTERS_MAX],
    )


def asking(person: Person, channel: Channel, said: Particulars) -> Ask:
    """Return what to ask a person for; authenticators by their id, for two people may share a number."""
    if channel in FACTORS:
        factor = owned(person, channel)
        assert factor is not None
        return Ask(factor=FactorId(bytes.fromhex(factor)), particulars=said)
    assert person.msisdn is not None
    # Who knows the password asks for the own code alone; the limits of the number are enough.
    return Ask(to=person.msisdn, channel=channel, particulars=said)


async def bind(login: LoginPorts, session: BrowserSession, asked: bytes, purpose: Purpose) -> bool:
    """Bind a code that was asked for to the session that asked; False when the session is gone."""
    moved = await login.people.move_session(session.digest, lambda one: ask(one, asked, purpose))  # type: ignore[arg-type]
    return moved is not None


async def finish(
    login: LoginPorts,
    settings: LoginSettings,
    visitor: Visitor,
    passed: BrowserSession,
    *,
    session_digest: bytes,
    device_digest: bytes,
    channel: Channel | None,
) -> BrowserSession | None:
    """Let somebody in whose code was right, under a new secret; None when somebody was faster.

    Args:
        login: What the flow may touch.
        settings: Of the service.
        visitor: The browser.
        passed: The session whose code it was; it is over with this.
        session_digest: Of the new session.
        device_digest: Of what the browser carries from now on, to be known again.
        channel: How the code came; None is a recovery code.
    """
    now = login.ports.clock.now()
    amr = AMR_RECOVERY if channel is None else amr_of(channel)
    session = signed_in(passed, digest=session_digest, amr=amr, now=now, second=True)
    until = now + timedelta(days=settings.remember_days) if passed.remember else None
    what = "signed_in" if channel is not None else "recovery_code_used"
    entry = Entry(
        session=session,
        replaces=passed.digest,
        line=_line(visitor, session, what),
        device=known_from(session, device_digest, trusted_until=until),
        forgets=visitor.device,
    )
    return session if await login.people.enter(entry) else None


async def recover(login: LoginPorts, session: BrowserSession, typed: str) -> bool:
    """Use up a recovery code of the person of a session. Raises: RateLimited (too many were wrong)."""
    now, ring = login.ports.clock.now(), login.ports.keys
    claim = Claim(key_of(ring, SECOND_STEP, session.person), SECOND_STEP)
    await refuse_source(login.people, (claim,), now=now)
    digests = recovery_digests(ring, session.person, typed)
    return await login.people.spend_recovery_code(session.person, digests, now=now)


async def note(login: LoginPorts, visitor: Visitor, session: BrowserSession, what: str) -> None:
    """Write a line into the log of a session's person."""
    await login.people.note_line(session.person, _line(visitor, session, what))


def line_of(login: LoginPorts, visitor: Visitor, what: str) -> SignInLine:
    """Return a line of a log, of now."""
    return SignInLine(
        at=login.ports.clock.now(),
        what=what,
        network=network_of(visitor.address),
        agent=visitor.agent[:AGENT_CHARACTERS_MAX],
    )


def _line(visitor: Visitor, session: BrowserSession, what: str) -> SignInLine:
    return SignInLine(
        at=session.seen_at,
        what=what,
        by=session.amr,
        network=network_of(visitor.address),
        agent=session.agent,
    )

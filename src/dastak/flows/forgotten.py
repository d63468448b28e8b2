"""Set a password anew that its person forgot: by a code to the phone, and by one more proof.

1. Whether there is such an account is told to nobody: both kinds are answered alike, and at the same time.
2. It proves no less than a sign-in: whoever holds the phone needs an authenticator or a recovery code too,
   or a link from those who run the site; and such a link wants one of these, or the phone.
3. Wrong codes count in their own session, never against the number or the account: who guesses shuts nobody
   else out of the sign-in.
4. It signs nobody in. All sessions end and all browsers are forgotten, and the log says so.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from dastak.core import codes
from dastak.core.errors import DastakError
from dastak.core.ids import VerificationId, digest_of
from dastak.core.lockout import Lock
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Asker, Entry, LoginPorts, PasswordLink
from dastak.core.person import Person, PersonId, name_key, ways, with_password
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_limits import RESET_CODES, Claim, claims_of_reset, key_of
from dastak.core.sign_in_state import BrowserSession, Purpose, Stage
from dastak.core.tenant import Caller
from dastak.core.verification import Judgement, Particulars, State
from dastak.flows.check import Attempt, check
from dastak.flows.compose import code_of
from dastak.flows.sign_in import NOBODY, Visitor, asking, bind, line_of, refuse_source
from dastak.flows.sign_up import check_new_password
from dastak.flows.start import Started, start

log = logging.getLogger("dastak.login")


async def name_account(
    login: LoginPorts,
    caller: Caller,
    settings: LoginSettings,
    visitor: Visitor,
    username: str,
    *,
    session_digest: bytes,
    said: Particulars,
    lock_of: Callable[[Person], Awaitable[Lock | None]],
) -> None:
    """Open a session for whoever names an account, and send its phone a code if there is one.

    To a number that is locked nothing is sent, for no code of it would prove anything.

    Raises:
        RateLimited: Too many came from there, whomever they named.
        Overloaded: It cannot be written now.
    """
    now, key = login.ports.clock.now(), name_key(username)
    found = await login.people.person_named(settings.service, settings.mode, key)
    whose = NOBODY if found is None else found.id
    known = None if visitor.device is None else await login.people.device_of(visitor.device, whose)
    device = known.digest if known is not None and now < known.expires_at else None
    account = (settings.service.to_bytes(8), key.encode())
    source, claims = claims_of_reset(login.ports.keys, account, visitor.address, device)
    await refuse_source(login.people, source, now=now)
    allowed = await login.people.claim(claims, now=now) is None
    asked: VerificationId | None = None
    if found is not None and allowed and _may_be_sent(found) and await lock_of(found) is None:
        asked = await _send(login, caller, found, said)
    session = BrowserSession(
        digest=session_digest,
        person=whose if asked is not None else NOBODY,
        service=settings.service,
        stage=Stage.FORGOT,
        created_at=now,
        seen_at=now,
        auth_at=now,
        amr=(),
        asked=asked,
        purpose=Purpose.RESET,
    )
    line = None if asked is None else line_of(login, visitor, "password_forgotten")
    await login.people.enter(Entry(session=session, line=line))


def _may_be_sent(person: Person) -> bool:
    return not person.blocked and person.msisdn is not None and person.proved_at is not None


async def _send(
    login: LoginPorts, caller: Caller, person: Person, said: Particulars
) -> VerificationId | None:
    said = msgspec.structs.replace(said, channel=Channel.SMS, purpose="reset")
    try:
        started = await start(login.ports, caller, asking(person, Channel.SMS, said))
    except DastakError as error:  # told to nobody but us, or the answer would say that there is an account
        log.warning("no code was sent for a forgotten password: %s", error.code)
        return None
    assert isinstance(started, Started)
    return started.verification.id


async def prove_phone(
    login: LoginPorts, tenant: int, session: BrowserSession, code: str, *, session_digest: bytes
) -> BrowserSession | None:
    """Judge the code of the phone, and return the session that comes after; None says no more than no.

    A code is judged by the verification only when it is right: its wrong ones are counted here, for those of
    the verification would lock the number, and anybody can name an account.
    """
    now = login.ports.clock.now()
    tries = Claim(key_of(login.ports.keys, RESET_CODES, session.digest), RESET_CODES)
    if await login.people.claim((tries,), now=now) is not None or session.asked is None:
        return None
    held = await login.ports.store.find(tenant, session.asked)
    if held.verification.state is not State.PENDING:
        return None
    if not codes.matches(code_of(login.ports, held.verification, held.verification.generation), code):
        return None
    judged = await check(login.ports, tenant, session.asked, Attempt(code=code))
    if not (isinstance(judged, Judgement) and judged.approved):
        return None
    proved = msgspec.structs.replace(
        session, digest=session_digest, stage=Stage.PHONE_PROVED, created_at=now, asked=None
    )
    entered = await login.people.enter(Entry(session=proved, replaces=session.digest))
    return proved if entered else None


async def open_link(
    login: LoginPorts, settings: LoginSettings, token: str, *, session_digest: bytes
) -> BrowserSession | None:
    """Use up a password link and open the session of its person; None when it is not good any more."""
    found, now = await link_of(login, settings, token), login.ports.clock.now()
    if found is None:
        return None
    session = BrowserSession(
        digest=session_digest,
        person=found.person,
        service=settings.service,
        stage=Stage.VOUCHED,
        created_at=now,
        seen_at=now,
        auth_at=now,
        amr=(),
        purpose=Purpose.RESET,
    )
    return session if await login.people.enter(Entry(session=session, link=found.digest)) else None


async def link_of(login: LoginPorts, settings: LoginSettings, token: str) -> PasswordLink | None:
    """Return what a token opens at a service, now."""
    found = await login.people.password_link_of(digest_of(token))
    if found is None or login.ports.clock.now() >= found.expires_at:
        return None
    person = await login.people.find_person(found.person)
    here = person is not None and (person.service, person.mode) == (settings.service, settings.mode)
    return found if here else None


def more_ways(settings: LoginSettings, stage: Stage, person: Person) -> tuple[Channel, ...]:
    """Return by what a person proves itself once more; the phone only where it did not yet."""
    found = ways(person, settings.factors)
    return found if stage is Stage.VOUCHED else tuple(way for way in found if way in FACTORS)


async def ask_more(
    login: LoginPorts,
    caller: Caller,
    session: BrowserSession,
    person: Person,
    *,
    wanted: Sequence[Channel],
    said: Particulars,
) -> None:
    """Ask for one more code, in the first of these ways in which it can be asked for."""
    for way in wanted:
        # A recovery code still does, if none can be asked for.
        with suppress(DastakError):
            asked = asking(person, way, msgspec.structs.replace(said, channel=way, purpose="reset"))
            started = await start(login.ports, caller, asked)
            assert isinstance(started, Started)
            await bind(login, session, started.verification.id, Purpose.RESET)
            return


async def make_password(login: LoginPorts, person: Person, new: str) -> str:
    """Return what is kept of a new password. Raises: InvalidRequest (it protects nothing), Overloaded."""
    check_new_password(login, person.username, new)
    return await login.passwords.make(new, Asker.KNOWN, person.id)


async def set_password(login: LoginPorts, visitor: Visitor, person: PersonId, kept: str) -> None:
    """Give a person a new password when all was proved, and end all that was opened with the old one."""
    line = line_of(login, visitor, "password_reset")
    await login.people.end_sessions(person, but=None, line=line, rule=partial(with_password, kept=kept))

"""Make an account: a name nobody has, and a password nobody would guess."""

from contextlib import suppress
from typing import Final

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Asker, LoginPorts
from dastak.core.person import (
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    PERSON_ID_OCTETS,
    Person,
    PersonId,
    check_name,
    name_key,
    read_password,
    with_password,
)
from dastak.core.sign_in_limits import SECOND_STEP, SIGN_UPS, Claim, key_of, network_of
from dastak.flows.sign_in import Visitor, line_of, refuse_source

# A password with the name in it needs so much beside it.
_BESIDE_NAME_MIN: Final = 6


async def sign_up(
    login: LoginPorts, settings: LoginSettings, visitor: Visitor, username: str, password: str
) -> Person:
    """Make an account.

    Raises:
        InvalidRequest: The name or the password may not be used; `field` says which.
        Conflict: The name is taken.
        RateLimited: Too many accounts were made from there.
        Overloaded: It cannot be made now.
    """
    name = check_name(username)
    check_new_password(login, name, password)
    network = network_of(visitor.address).encode()
    claim = Claim(key_of(login.ports.keys, SIGN_UPS, network), SIGN_UPS)
    await refuse_source(login.people, (claim,), now=login.ports.clock.now())
    person = await person_of(login, settings, name, password)
    return await login.people.put_person(person, name_key(name))


async def change_password(login: LoginPorts, visitor: Visitor, person: Person, *, old: str, new: str) -> bool:
    """Give a person another password, for the right old one, and end all its other sessions.

    Raises:
        InvalidRequest: The new one may not be used.
        RateLimited: The old one was wrong too often.
        Overloaded: It cannot be changed now.
    """
    check_new_password(login, person.username, new)
    claim = Claim(key_of(login.ports.keys, SECOND_STEP, b"old", person.id), SECOND_STEP)
    await refuse_source(login.people, (claim,), now=login.ports.clock.now())
    if not await login.passwords.holds(person.password, old, Asker.KNOWN, person.id):
        return False
    kept = await login.passwords.make(new, Asker.KNOWN, person.id)

    def change(one: Person) -> Person:
        if one.password_n != person.password_n:
            raise Conflict("The password was changed meanwhile: the old one is another one.")
        return with_password(one, kept=kept)

    line = line_of(login, visitor, "password_changed")
    with suppress(Conflict):
        await login.people.end_sessions(person.id, but=visitor.session, line=line, rule=change)
        return True
    return False


async def person_of(
    login: LoginPorts, settings: LoginSettings, name: str, password: str, *, invited_by: bytes | None = None
) -> Person:
    """Return a new person, not yet stored; whoever was invited is no stranger. Raises: Overloaded."""
    asker = Asker.STRANGER if invited_by is None else Asker.KNOWN
    return Person(
        id=PersonId(login.ports.entropy(PERSON_ID_OCTETS)),
        service=settings.service,
        mode=settings.mode,
        username=name,
        password=await login.passwords.make(password, asker, invited_by or b""),
        created_at=login.ports.clock.now(),
    )


def check_new_password(login: LoginPorts, name: str, password: str) -> None:
    """Refuse a password that protects nothing; what it consists of is nobody's business.

    Raises:
        InvalidRequest: It is too short, too long, known to everybody, or the name itself.

    Source: NIST SP 800-63B-4, 3.1.1.2.
    """
    if not len(read_password(password)) >= PASSWORD_CHARACTERS_MIN:
        raise InvalidRequest(
            f"A password has at least {PASSWORD_CHARACTERS_MIN} characters.", field="password_short"
        )
    if len(password) > PASSWORD_CHARACTERS_MAX:
        raise InvalidRequest(
            f"A password has at most {PASSWORD_CHARACTERS_MAX} characters.", field="password_long"
        )
    named = name_key(name) in name_key(password) and len(password) < len(name) + _BESIDE_NAME_MIN
    if named or login.passwords.is_known(password):
        raise InvalidRequest("Everybody would try this password first.", field="password_known")

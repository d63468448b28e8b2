"""Make a link by which somebody whom a tenant knows chooses a new password: one proof, beside one more.

1. Who makes it has looked at who asks; the link alone sets nothing, for a second proof is asked for as well.
2. Who has no such proof gets no link, or a link in wrong hands would be the whole account.
3. It is good once and for a while; a newer one, or a sign-out everywhere, ends it.

Source: NIST SP 800-63B-4, 4.2: an account is recovered by a code that was issued together with one of the
person's own authenticators, never by one alone.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from dastak.core.errors import Conflict, NotFound
from dastak.core.ids import digest_of
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import PasswordLink, PeopleStore
from dastak.core.person import Person, name_key, ways
from dastak.core.ports import Once
from dastak.core.sign_in_state import SignInLine
from dastak.tenancy.console_service import CONSOLE_TENANT

LIFE_S: Final = 3600
# NIST SP 800-63B-4, 4.2.1: a code that is sent by e-mail is good for a day at most.
LIFE_S_MIN: Final = 300
LIFE_S_MAX: Final = 24 * 3600
# Who has the link in hand has typed or clicked it; nobody guesses 192 bits.
_TOKEN_OCTETS: Final = 24


class MadeLink(NamedTuple):
    """A link, and the token that opens it: shown now and never again."""

    link: PasswordLink
    token: str


def address_of(public_url: str, tenant: str, service: str, token: str) -> str:
    """Return the address that the person opens."""
    return f"{public_url}/login/{tenant}/{service}/forgotten/link/{token}"


async def make_password_link(
    people: PeopleStore,
    settings: LoginSettings | None,
    tenant: str,
    username: str,
    *,
    now: datetime,
    entropy: Callable[[int], bytes],
    life_s: int = LIFE_S,
    once: Once | None = None,
) -> MadeLink:
    """Make a link for a person of a service.

    Args:
        people: Where it is written down.
        settings: How people sign in to the service; None is that nobody does.
        tenant: The name of the service's tenant.
        username: Whose password is set.
        now: The time.
        entropy: Makes the token.
        life_s: For how long it is good, `LIFE_S_MIN` to `LIFE_S_MAX`.
        once: Makes the request idempotent.

    Raises:
        NotFound: There is no such person.
        Conflict: No password is set anew here, or the person could prove nothing beside the link.
    """
    assert LIFE_S_MIN <= life_s <= LIFE_S_MAX
    if settings is None:
        raise NotFound("Nobody signs in to this service.")
    if tenant == CONSOLE_TENANT:
        raise Conflict("Operators are removed and invited anew.")
    if settings.check_url is not None:
        raise Conflict("Passwords are set anew in your own system, which knows them.")
    person = await people.person_named(settings.service, settings.mode, name_key(username))
    if person is None:
        raise NotFound("There is no such person.")
    if person.blocked:
        raise Conflict("This person is blocked; let the person in again first.")
    if not await _proves_more(people, settings, person):
        raise Conflict(
            "This person has no phone, no authenticator and no recovery code: a link alone would open the "
            "account to whoever gets it."
        )
    token = urlsafe_b64encode(entropy(_TOKEN_OCTETS)).decode()
    link = PasswordLink(digest=digest_of(token), person=person.id, expires_at=now + timedelta(seconds=life_s))
    line = SignInLine(at=now, what="password_link_made", agent="dastak")
    return MadeLink(await people.put_password_link(link, line=line, once=once), token)


async def _proves_more(people: PeopleStore, settings: LoginSettings, person: Person) -> bool:
    return bool(ways(person, settings.factors)) or await people.recovery_codes_left(person.id) > 0

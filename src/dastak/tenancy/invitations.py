"""Invite operators: the first one, and every other, comes by a token that is good once and for a day."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from dastak.core.errors import Conflict
from dastak.core.ids import digest_of
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Invitation, PeopleStore
from dastak.core.person import check_name, name_key
from dastak.core.ports import Store
from dastak.core.tenant import Mode, Service
from dastak.tenancy.console_service import ensure_console

TOKEN_LIFE: Final = timedelta(hours=24)
_TOKEN_OCTETS: Final = 24
OPERATORS_MAX: Final = 200


class Invited(NamedTuple):
    """An invitation, and the token that opens it: shown now and never again."""

    invitation: Invitation
    token: str


async def ensure_console_login(store: Store, people: PeopleStore, *, mode: Mode) -> Service:
    """Return the service of the console, ready to be signed in to; a second factor is mandatory.

    Args:
        store: Where services are.
        people: Where its login is written down.
        mode: Where codes go; kept as it is once it is written down.
    """
    service = await ensure_console(store)
    if await people.login_of(service.n) is None:
        await people.put_login(LoginSettings(service=service.n, mode=mode, required=True, remember_days=0))
    return service


async def invite(
    store: Store,
    people: PeopleStore,
    username: str,
    *,
    mode: Mode,
    tenant: int | None,
    now: datetime,
    entropy: Callable[[int], bytes],
) -> Invited:
    """Invite an operator.

    Raises:
        InvalidRequest: The name may not be used.
        Conflict: There is an operator of that name.
    """
    service = await ensure_console_login(store, people, mode=mode)
    settings = await people.login_of(service.n)
    assert settings is not None
    name = check_name(username)
    if await people.person_named(service.n, settings.mode, name_key(name)) is not None:
        raise Conflict(f"There is an operator {name!r} already.")
    token = urlsafe_b64encode(entropy(_TOKEN_OCTETS)).decode()
    invitation = Invitation(
        digest=digest_of(token), username=name, expires_at=now + TOKEN_LIFE, tenant=tenant
    )
    await people.put_invitation(invitation)
    return Invited(invitation, token)

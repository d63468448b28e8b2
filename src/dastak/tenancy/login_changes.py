"""Open the login of a service and change it; the admin API and the command line both come here."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from dastak.core.login_settings import LoginSettings, check_login
from dastak.core.people_store import PeopleStore
from dastak.core.ports import Once, Sealer
from dastak.tenancy.password_hook import bound_to
from dastak.tenancy.signed_request import new_secret

FIELDS: Final = ("mode", "open_sign_up", "required", "factors", "remember_days", "check_url")


class Changed(NamedTuple):
    """The login as it is now.

    Attributes:
        secret: What requests to a new `check_url` are signed with: shown now and never again.
    """

    settings: LoginSettings
    secret: str | None


async def change_login(
    people: PeopleStore,
    service: int,
    changes: Mapping[str, Any],
    *,
    sealer: Sealer,
    entropy: Callable[[int], bytes],
    private: bool,
    once: Once | None = None,
) -> Changed:
    """Change how people sign in to a service; what is not named stays.

    Args:
        people: Where it is written down.
        service: The number of the service.
        changes: Any of `FIELDS`; a `check_url` of "" is to use our own directory again.
        sealer: Seals the secret.
        entropy: Makes it.
        private: Whether a check may be in our own network.
        once: Makes the request idempotent.

    Raises:
        InvalidRequest: The settings cannot be used together.
        Conflict: `once` was answered since it was last looked for.
    """
    assert set(changes) <= set(FIELDS)
    before = await people.login_of(service) or LoginSettings(service=service)
    wanted = msgspec.structs.replace(before, **changes)
    if not wanted.check_url:
        wanted = msgspec.structs.replace(wanted, check_url=None, check_secret=None)
    checked = check_login(wanted, private=private)
    shown = None
    if checked.check_url is not None and checked.check_url != before.check_url:
        secret, shown = new_secret(entropy)
        sealed = sealer.seal(secret, bound_to=bound_to(service))
        checked = msgspec.structs.replace(checked, check_secret=sealed)
    return Changed(await people.put_login(checked, once=once), shown)

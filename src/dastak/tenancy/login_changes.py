"""Open the login of a service and change it; the admin API and the command line both come here."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.login_settings import LoginSettings, check_login
from dastak.core.people_store import PeopleStore
from dastak.core.ports import Once
from dastak.core.sealer import Sealer
from dastak.core.signing_secret import OVERLAP_S, overlap_until
from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.tenancy.password_hook import bound_to
from dastak.tenancy.signed_request import new_secret

_NONE_BEFORE: Final[Mapping[str, Any]] = {"check_secret_before": None, "check_before_until": None}
FIELDS: Final = ("mode", "open_sign_up", "required", "factors", "remember_days", "check_url", "site_url")


class Changed(NamedTuple):
    """The login as it is now.

    Attributes:
        secret: What requests to a new `check_url` are signed with: shown now and never again.
    """

    settings: LoginSettings
    secret: str | None


async def change_login(
    people: PeopleStore,
    tenant: str,
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
        tenant: The name of its tenant.
        service: The number of the service.
        changes: Any of `FIELDS`; a `check_url` of "" is to use our own directory again, a `site_url`
            of "" to lead nowhere.
        sealer: Seals the secret.
        entropy: Makes it.
        private: Whether a check may be in our own network.
        once: Makes the request idempotent.

    Raises:
        InvalidRequest: The settings cannot be used together, or not for operators.
        Conflict: `once` was answered since it was last looked for.
    """
    assert set(changes) <= set(FIELDS)
    if tenant == CONSOLE_TENANT:
        _check_operators(changes)
    before = await people.login_of(service) or LoginSettings(service=service)
    wanted = msgspec.structs.replace(before, **changes)
    if not wanted.check_url:
        wanted = msgspec.structs.replace(wanted, check_url=None, check_secret=None, **_NONE_BEFORE)
    if not wanted.site_url:
        wanted = msgspec.structs.replace(wanted, site_url=None)
    checked = check_login(wanted, private=private)
    shown = None
    if checked.check_url is not None and checked.check_url != before.check_url:
        secret, shown = new_secret(entropy)
        sealed = sealer.seal(secret, bound_to=bound_to(service))
        checked = msgspec.structs.replace(checked, check_secret=sealed, **_NONE_BEFORE)
    return Changed(await people.put_login(checked, once=once), shown)


def _check_operators(changes: Mapping[str, Any]) -> None:
    """Refuse what would let an operator in by the password alone. Raises: InvalidRequest."""
    if changes.get("remember_days"):
        detail = "Operators are asked for a code each time; their `remember_days` is 0."
        raise InvalidRequest(detail, field="remember_days")
    if changes.get("required") is False:
        raise InvalidRequest("No operator is in without a second factor; it is `required`.", field="required")


async def rotate_check_secret(
    people: PeopleStore,
    service: int,
    *,
    sealer: Sealer,
    entropy: Callable[[int], bytes],
    now: datetime,
    overlap_s: int = OVERLAP_S,
    once: Once | None = None,
) -> Changed:
    """Make a new secret for the check of passwords; for a while the one before it signs as well.

    Args:
        people: Where it is written down.
        service: The number of the service.
        sealer: Seals the secret.
        entropy: Makes it.
        now: The time.
        overlap_s: For how long, up to `OVERLAP_S_MAX`; 0 where the old one is in wrong hands.
        once: Makes the request idempotent.

    Raises:
        Conflict: The service asks no system of the customer's, or `once` was answered meanwhile.
    """
    before = await people.login_of(service)
    if before is None or before.check_url is None:
        raise Conflict("Passwords are in our own directory here: there is no `check_url` and no secret.")
    secret, shown = new_secret(entropy)
    rotated = msgspec.structs.replace(
        before,
        check_secret=sealer.seal(secret, bound_to=bound_to(service)),
        check_secret_before=before.check_secret,
        check_before_until=overlap_until(now, overlap_s),
    )
    return Changed(await people.put_login(rotated, once=once), shown)

"""How strong a login has to be for a site's request, and what its ID token says that it was (`acr`).

1. What a client is registered with is the least; a request may ask for more, never for less.
2. A wish (`acr_values`) is met where it can be; what is essential is met, or the site gets an error.
3. Where people log in by phone alone, the number stays who they are when a password is asked for as well.

Source: OpenID Connect Core 1.0, sections 2, 3.1.2.1 and 5.5.1.1;
OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from dastak.core.oidc import Login, LoginWay

ACR_PHONE: Final = "urn:dastak:acr:phone"
ACR_TWO_FACTORS: Final = "urn:dastak:acr:password-and-code"

_BY_NUMBER: Final = "tel:"
_WAYS: Final = {ACR_PHONE: LoginWay.PHONE, ACR_TWO_FACTORS: LoginWay.PASSWORD_AND_CODE}
assert set(_WAYS.values()) == set(LoginWay)


class AcrWanted(msgspec.Struct, frozen=True):
    """What a request says of it.

    Attributes:
        values: Best first; none leaves it to us.
        essential: Nothing else will do.
    """

    values: tuple[str, ...] = ()
    essential: bool = False


def acr_of(amr: Sequence[str]) -> str:
    """Say how strong a login was."""
    return ACR_TWO_FACTORS if {"pwd", "otp"} <= set(amr) else ACR_PHONE


def way_for(registered: LoginWay, wanted: AcrWanted, *, has_passwords: bool) -> LoginWay | None:
    """Return how people log in for a request; None is not as the site must have it.

    Args:
        registered: The client's own way.
        wanted: What the request says.
        has_passwords: Whether its service has a login with accounts.
    """
    possible = {registered, LoginWay.PASSWORD_AND_CODE} if has_passwords else {registered}
    ways = [way for way in map(_WAYS.get, wanted.values) if way in possible]
    if not ways and wanted.values and wanted.essential:
        return None
    return ways[0] if ways and ways[0] is not None else registered


def suffices(login: Login, registered: LoginWay, way: LoginWay) -> bool:
    """Say whether a login is as strong as a way asks, and of somebody the client knows."""
    if way is LoginWay.PHONE:
        return True
    is_known = registered is way or login.who.startswith(_BY_NUMBER)
    return is_known and acr_of(login.amr) == ACR_TWO_FACTORS


def is_by_number(amr: Collection[str]) -> bool:
    """Say whether a code that was brought to the number proved a login; what is not sent needs no number."""
    return bool({"sms", "tel"} & set(amr))


def who_by_password(registered: LoginWay, account: str, number: str | None, amr: Collection[str]) -> str:
    """Return who somebody is at a client after a password, and perhaps a code.

    Where the phone alone is the person, the number is: but only if its phone was in their hands just now.
    An account whose number went to somebody else long ago would be that somebody.
    """
    by_number = registered is LoginWay.PHONE and number is not None and is_by_number(amr)
    return f"{_BY_NUMBER}{number}" if by_number else f"person:{account}"

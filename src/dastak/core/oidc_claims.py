"""What a site may know of a person, and the `claims` parameter, by which it asks for single facts.

What we do not know is passed over, as the standard wants it; only what is no such object is refused.

Source: OpenID Connect Core 1.0, sections 5.5 and 5.5.1.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dastak.core.oidc import Grant

# What the scope `phone` stands for (OpenID Connect Core 1.0, section 5.4).
PHONE_CLAIMS: Final = ("phone_number", "phone_number_verified")


class ClaimsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the parameter says, as far as we know it.

    Attributes:
        acr: How strong the login shall be, best first.
        acr_essential: Nothing else will do.
        subjects: Who it must be, one of these, by the name that the client knows; none leaves it open.
        phone: Whether the number is wanted anywhere.
        signed: What of it the ID token shall say.
    """

    acr: tuple[str, ...] = ()
    acr_essential: bool = False
    subjects: tuple[str, ...] = ()
    phone: bool = False
    signed: tuple[str, ...] = ()


class _Wish(msgspec.Struct, frozen=True):
    essential: bool = False
    value: Any = None
    values: tuple[Any, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(one for one in (self.value, *self.values) if isinstance(one, str))


_Wishes = Mapping[str, _Wish | None]


class _Parameter(msgspec.Struct, frozen=True):
    userinfo: _Wishes = {}
    id_token: _Wishes = {}


def read_claims(text: str) -> ClaimsWanted | None:
    """Read the parameter; None is no request for claims. An empty text asks for nothing."""
    if not text:
        return ClaimsWanted()
    try:
        said = msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=_Parameter)
    except (msgspec.DecodeError, RecursionError):
        return None
    acr = said.id_token.get("acr") or _Wish()
    sub = said.id_token.get("sub") or _Wish()
    signed = tuple(name for name in PHONE_CLAIMS if name in said.id_token)
    return ClaimsWanted(
        acr=acr.texts,
        acr_essential=acr.essential,
        subjects=sub.texts,
        phone=bool(signed) or any(name in said.userinfo for name in PHONE_CLAIMS),
        signed=signed,
    )


def phone_claims(grant: Grant) -> dict[str, Any]:
    """Return what the scope `phone` lets a client know."""
    number = grant.login.msisdn
    if "phone" not in grant.scopes or number is None:
        return {}
    return dict(zip(PHONE_CLAIMS, (number, True), strict=True))


def signed_claims(grant: Grant) -> dict[str, Any]:
    """Return what of it the ID token says as well."""
    return {name: value for name, value in phone_claims(grant).items() if name in grant.signed}

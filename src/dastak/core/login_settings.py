"""How people sign in to a service: who may make an account, what counts as a factor, who knows passwords."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.core.policy import Channel
from dastak.core.tenant import Mode

REMEMBER_DAYS_MAX: Final = 90
ADDRESS_CHARACTERS_MAX: Final = 500
# Standard Webhooks: 24 to 64 octets.
SECRET_OCTETS: Final = 32
# Where signed requests go; what listens elsewhere is seldom meant for the public.
PORTS: Final = (443, 8443)


class LoginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The login of one service.

    Attributes:
        service: Its number in the store.
        mode: `test` sends codes to the virtual phones, `live` to carriers.
        open_sign_up: Whether anybody may make an account.
        required: Whether nobody is in without a second factor.
        factors: What counts as one, in the order in which it is asked for.
        remember_days: For how long a browser may be remembered; 0 is never.
        check_url: The customer's own check of passwords; None is our own directory.
        check_secret: Sealed: what requests to it are signed with.
        check_secret_before: Sealed: the one before that.
        check_before_until: Until when requests are signed with that one as well.
        site_url: Where the pages lead back to; None is nowhere.
    """

    service: int
    mode: Mode = Mode.LIVE
    open_sign_up: bool = False
    required: bool = False
    factors: tuple[Channel, ...] = (
        Channel.TOTP,
        Channel.SMS,
        Channel.VOICE,
        Channel.HOTP,
        Channel.HASH_CHAIN,
    )
    remember_days: int = 30
    check_url: str | None = None
    check_secret: bytes | None = None
    check_secret_before: bytes | None = None
    check_before_until: datetime | None = None
    site_url: str | None = None


def check_login(settings: LoginSettings, *, private: bool = False) -> LoginSettings:
    """Return the settings if they may be used.

    Args:
        settings: As asked for.
        private: Whether the customer's own system may be asked by plain http.

    Raises:
        InvalidRequest: A figure is out of its range, or the address is none that we would ask.
    """
    if settings.mode is Mode.TEAM:
        raise InvalidRequest("`mode` is `test` or `live`.", field="mode")
    if not 0 <= settings.remember_days <= REMEMBER_DAYS_MAX:
        raise InvalidRequest(f"`remember_days` must be 0 to {REMEMBER_DAYS_MAX}.", field="remember_days")
    _check_factors(settings.factors)
    if settings.site_url is not None:
        check_address(settings.site_url, private=private, field="site_url")
    if settings.check_url is not None:
        check_address(settings.check_url, private=private, field="check_url")
        if settings.open_sign_up:
            raise InvalidRequest(
                "Where your own system knows the passwords, accounts are made there and not here.",
                field="open_sign_up",
            )
    return settings


def _check_factors(factors: Sequence[Channel]) -> None:
    if not factors or len(set(factors)) != len(factors):
        raise InvalidRequest("`factors` needs at least one, each once.", field="factors")


def check_address(url: str, *, private: bool, field: str) -> None:
    """Pass an address of a customer's system to which signed requests may be sent.

    Args:
        url: The address.
        private: Whether plain http and any port will do.
        field: What a refusal names.

    Raises:
        InvalidRequest: It is none.
    """
    refusal = InvalidRequest(
        f"`{field}` is an https address on port 443 or 8443, without a user name in it.", field=field
    )
    try:
        parts = urlsplit(url)
        fits = parts.port != 0 if private else parts.port in (None, *PORTS)
        plain = parts.hostname and not parts.username and not parts.fragment and fits
    except ValueError as error:
        raise refusal from error
    schemes = ("https", "http") if private else ("https",)
    if not plain or parts.scheme not in schemes or len(url) > ADDRESS_CHARACTERS_MAX or not url.isascii():
        raise refusal

"""What tenants, services and keys may be called, and what a service may hold.

A name or sender that is taken here stands in texts and addresses later, so nothing is cleaned: it fits or it
is refused.
"""

import re
from typing import Final

import msgspec
import phonenumbers

from dastak.core.call_rules import check_call_rules
from dastak.core.errors import InvalidMsisdn, InvalidRequest
from dastak.core.msisdn import Msisdn, parse
from dastak.core.policy import check_policy
from dastak.core.template import LOCALES
from dastak.core.tenant import NAME_CHARACTERS_MAX, Service
from dastak.core.text_values import check_host, check_name

# Bounds of what is kept in memory for each service; our choice.
DOMAINS_MAX: Final = 20
TEAM_NUMBERS_MAX: Final = 50

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# An alphanumeric address has eleven characters at most (3GPP TS 23.040, 9.1.2.5), a number 15 digits (E.164).
_SENDER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 .-]{0,9}[A-Za-z0-9])?|\+?[0-9]{3,15}")


def check_slug(field: str, value: str) -> str:
    """Return a name for the API.

    Raises:
        InvalidRequest: It is not 1 to 40 lower-case letters, digits and inner hyphens.
    """
    if len(value) > NAME_CHARACTERS_MAX or not _SLUG.fullmatch(value):
        raise InvalidRequest(
            f"`{field}` must be 1 to {NAME_CHARACTERS_MAX} lower-case letters, digits and inner hyphens.",
            field=field,
        )
    return value


def check_country(value: str) -> str:
    """Return an ISO 3166-1 region that has a numbering plan.

    Raises:
        InvalidRequest: There is no such region.
    """
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidRequest("A country is an ISO 3166-1 region in capitals, such as IN.", field="countries")
    return value


def check_service(service: Service) -> Service:
    """Return a service as it may be stored: its lists in order, each entry once.

    Raises:
        InvalidRequest: `field` says what may not be so.
    """
    check_slug("name", service.name)
    check_name("brand", service.brand)
    check_policy(service.policy)
    check_call_rules(service.calls)
    if not _SENDER.fullmatch(service.sender):
        raise InvalidRequest(
            "`sender` must be up to 11 letters and digits, or a number of 3 to 15 digits.", field="sender"
        )
    if service.locale not in LOCALES:
        raise InvalidRequest(f"`locale` must be one of {', '.join(LOCALES)}.", field="locale")
    _check_count("domains", len(service.domains), DOMAINS_MAX)
    _check_count("team_numbers", len(service.team_numbers), TEAM_NUMBERS_MAX)
    return msgspec.structs.replace(
        service,
        countries=tuple(sorted({check_country(country) for country in service.countries})),
        domains=tuple(sorted({check_host("domains", domain) for domain in service.domains})),
        team_numbers=tuple(sorted({_team_number(text) for text in service.team_numbers})),
    )


def _team_number(text: str) -> Msisdn:
    try:
        return parse(text).msisdn
    except InvalidMsisdn as error:
        raise InvalidMsisdn(error.detail, field="team_numbers") from error


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequest(f"`{field}` has at most {most} entries.", field=field)

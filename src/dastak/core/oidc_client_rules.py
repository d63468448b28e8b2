"""What a client of OpenID Connect may be registered with: addresses nobody else can take, and a plain name.

An address that is taken here is compared character by character ever after, so nothing is cleaned: it fits or
it is refused.

Source: RFC 6749, section 3.1.2; RFC 8252, section 7; RFC 9700, section 2.1; OpenID Connect Core, section 8.1.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.core.oidc import Client, SubjectType
from dastak.core.text_values import check_host, check_name

ADDRESSES_MAX: Final = 20
ADDRESS_CHARACTERS_MAX: Final = 500
_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")
# An app's own scheme is a host of its maker turned round, so that no two makers have the same.
_APP_SCHEME: Final = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")
# It stands in a security policy as well, so that nothing but a host and a port may be in it.
_PLACE: Final = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# Of RFC 3986 what an address may have besides letters and digits; a fragment's # is missing.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9:/?\[\]@!$&'()*+,;=._~%-]+")


def check_client(client: Client) -> Client:
    """Return a client as it may be stored.

    Raises:
        InvalidRequest: `field` says what may not be so.
    """
    check_name("name", client.name)
    if not client.redirect_uris:
        raise InvalidRequest("A client needs at least one `redirect_uris`.", field="redirect_uris")
    for field, addresses in (("redirect_uris", client.redirect_uris), ("logout_uris", client.logout_uris)):
        _check_addresses(field, addresses)
    if client.sector:
        check_host("sector", client.sector)
    return msgspec.structs.replace(client, sector=_sector(client))


def origin_of(address: str) -> str:
    """Return what a security policy calls the place of a registered address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def places_of(client: Client) -> Sequence[str]:
    """Return where a client gets its answers, as a security policy calls it."""
    return list(dict.fromkeys(map(origin_of, client.redirect_uris)))


def begins_at(client: Client, address: str) -> bool:
    """Say whether a client may begin a login there: at a place where it gets its answers as well."""
    return _ADDRESS.fullmatch(address) is not None and origin_of(address) in places_of(client)


def _check_addresses(field: str, addresses: Sequence[str]) -> None:
    if len(addresses) > ADDRESSES_MAX or len(set(addresses)) != len(addresses):
        raise InvalidRequest(f"`{field}` has at most {ADDRESSES_MAX} addresses, each once.", field=field)
    for address in addresses:
        if len(address) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(address) or not _fits(address):
            raise InvalidRequest(
                f"`{field}`: write https://shop.example/callback, without a fragment, a password or a star; "
                "http only for this machine (127.0.0.1), and an app's own scheme with a dot "
                "(com.example.app:/callback).",
                field=field,
            )


def _fits(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if "/.." in parts.path or port == 0:
        return False
    if parts.netloc and not _PLACE.fullmatch(parts.netloc):
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return (f"[{host}]" if ":" in host else host) in _LOOPBACK
    return _APP_SCHEME.fullmatch(parts.scheme) is not None and not parts.netloc


def _sector(client: Client) -> str:
    """Return what pairwise names are made for: one host, said or read from the addresses."""
    if client.sector or client.subject is SubjectType.PUBLIC:
        return client.sector
    hosts = {urlsplit(address).hostname or urlsplit(address).scheme for address in client.redirect_uris}
    if len(hosts) != 1:
        raise InvalidRequest(
            "The addresses are on several hosts; say by `sector` which one names of people are made for.",
            field="sector",
        )
    return hosts.pop()

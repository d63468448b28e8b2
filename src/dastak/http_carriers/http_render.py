"""Write the HTTP request of one message as its carrier's profile wants it.

1. A field without anything to say is left out, and so is a table or list that has nothing in it.
2. The life of the code is rounded down, so that no carrier tries longer, but for what its least life forces.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from dastak.core.errors import CarrierRejected
from dastak.core.msisdn import parse
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_auth import basic, hmac_signature, sign_v4
from dastak.http_carriers.http_profile import (
    UNIT_MS,
    Auth,
    AuthKind,
    BodyKind,
    RequestForm,
    Ttl,
    is_conditional,
)
from dastak.http_carriers.http_settings import HttpCarrier
from dastak.http_carriers.placeholders import fill, fill_json

VARIABLES_MAX: Final = 9
_FORM: Final = "application/x-www-form-urlencoded"


class HttpRequest(msgspec.Struct, frozen=True):
    """One request, as it goes out."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show no text, number or secret."""
        return f"HttpRequest({self.method} {urlsplit(self.url).hostname})"


class Surroundings(msgspec.Struct, frozen=True):
    """What a request depends on beside message and carrier.

    Attributes:
        callback_url: Where receipts shall go; empty asks for none.
        foreign: Says whether a text cannot be written in the GSM alphabet.
    """

    now: datetime
    foreign: Callable[[str], bool]
    callback_url: str = ""


def own_id(outgoing: Outgoing) -> str:
    """Return our own id of a message, the same whenever it is sent again."""
    key = outgoing.key.verification + outgoing.key.ordinal.to_bytes(4, "big")
    return hashlib.blake2b(key, digest_size=16, person=b"dastak http id").hexdigest()


def render(outgoing: Outgoing, carrier: HttpCarrier, around: Surroundings) -> HttpRequest:
    """Write the request of a message.

    Raises:
        CarrierRejected: A value of it cannot be written as the profile asks.
    """
    try:
        return _render(outgoing, carrier, around)
    except (ValueError, UnicodeError) as error:
        raise CarrierRejected(
            "The message cannot be written as the carrier's profile asks.",
            status="profile",
            outcome=Outcome.ROUTE_CONFIG,
        ) from error


def write_request(
    form: RequestForm,
    auth: Auth,
    values: Mapping[str, str],
    conditions: Collection[str],
    *,
    base_url: str,
    now: datetime,
) -> HttpRequest:
    """Write a request from its form.

    Args:
        form: How it looks.
        auth: How it proves who we are.
        values: The fields; empty ones are left out.
        conditions: What holds beside the fields that say something.
        base_url: Scheme and host in place of the form's; empty leaves them.
        now: For what is signed with the time.

    Raises:
        ValueError: A value cannot be written as the form asks.
    """
    hold = {name for name, value in values.items() if value} | set(conditions)
    query = _table(form.query, values, hold)
    headers = _table(form.headers, values, hold)
    fields = _table(form.fields, values, hold, numbers=form.body is BodyKind.JSON)
    url = fill(form.url, values, safe=for_url)
    if url is None:
        raise ValueError("the address has an empty field")
    _place(auth, values, query=query, headers=headers, fields=fields)
    body = _body(form.body, fields)
    if form.body is not BodyKind.NONE:
        headers.setdefault("content-type", _FORM if form.body is BodyKind.FORM else "application/json")
    url = _with_query(_at(url, base_url), query)
    request = HttpRequest(form.method, url, {name.lower(): value for name, value in headers.items()}, body)
    return _signed(request, auth, values, now)


def _render(outgoing: Outgoing, carrier: HttpCarrier, around: Surroundings) -> HttpRequest:
    values = _values(outgoing, carrier, around)
    conditions = {values["country"], "unicode" if around.foreign(outgoing.text) else "plain"}
    return write_request(
        carrier.profile.request,
        carrier.profile.auth,
        values,
        conditions,
        base_url=carrier.settings.base_url,
        now=around.now,
    )


def for_url(value: str) -> str:
    """Encode a value for its place in an address; a host may have a port."""
    return quote(value, safe=":")


def _values(outgoing: Outgoing, carrier: HttpCarrier, around: Surroundings) -> dict[str, str]:
    settings, dlt = carrier.settings, outgoing.dlt
    variables = [dlt.get(f"var{number}", "") for number in range(1, VARIABLES_MAX + 1)]
    return {
        **carrier.options,
        **{f"var{number}": value for number, value in enumerate(variables, 1)},
        "variables": "|".join(value for value in variables if value),
        "msisdn": outgoing.msisdn,
        "country": parse(outgoing.msisdn).country,
        "text": outgoing.text,
        "code": outgoing.code,
        "sender": settings.sender or outgoing.sender,
        "ttl": _ttl(carrier.profile.request.ttl, outgoing.validity_s),
        "own_id": own_id(outgoing),
        "callback_url": around.callback_url,
        "account": settings.account,
        "secret": settings.secret,
        **{name: dlt.get(name, "") for name in ("pe_id", "template_id", "chain", "category")},
    }


def _ttl(ttl: Ttl | None, validity_s: int) -> str:
    if ttl is None:
        return ""
    return str(min(max(validity_s * 1000 // UNIT_MS[ttl.unit], ttl.least), ttl.most))


def _table(
    template: Mapping[str, Any], values: Mapping[str, str], conditions: set[str], *, numbers: bool = False
) -> dict[str, Any]:
    filled = {}
    for key, item in template.items():
        name, value = fill(key, values), _value(item, values, conditions, numbers=numbers)
        if name is not None and value is not None:
            filled[name] = value
    return filled


def _value(item: Any, values: Mapping[str, str], conditions: set[str], *, numbers: bool) -> Any:
    if isinstance(item, str):
        return fill_json(item, values) if numbers else fill(item, values)
    if isinstance(item, list):
        filled = [_value(each, values, conditions, numbers=numbers) for each in item]
        return [each for each in filled if each is not None] or None
    if isinstance(item, dict) and is_conditional(item):
        condition = item["when"].removeprefix("not ")
        if (condition in conditions) is (condition != item["when"]):
            return None
        return _value(item["value"], values, conditions, numbers=numbers)
    if isinstance(item, dict):
        return _table(item, values, conditions, numbers=numbers) or None
    return item if numbers else str(item)


def _place(
    auth: Auth,
    values: Mapping[str, str],
    *,
    query: dict[str, Any],
    headers: dict[str, Any],
    fields: dict[str, Any],
) -> None:
    """Put what proves us where the carrier looks for it; signatures come when all the rest stands."""
    value = fill(auth.value, values) or "" if auth.kind is not AuthKind.HMAC else ""
    match auth.kind:
        case AuthKind.BASIC:
            headers["authorization"] = basic(fill(auth.user, values) or "", value)
        case AuthKind.BEARER:
            headers["authorization"] = f"Bearer {value}"
        case AuthKind.HEADER:
            headers[auth.name] = value
        case AuthKind.QUERY:
            query[auth.name] = value
        case AuthKind.FIELD:
            fields[auth.name] = value


def _signed(request: HttpRequest, auth: Auth, values: Mapping[str, str], now: datetime) -> HttpRequest:
    if auth.kind is AuthKind.SIGV4:
        added = sign_v4(
            request.method,
            request.url,
            request.headers,
            request.body,
            access_key=values["account"],
            secret_key=values["secret"],
            region=fill(auth.region, values) or "",
            service=auth.service,
            now=now,
        )
    elif auth.kind is AuthKind.HMAC:
        url = urlsplit(request.url)
        around = {
            **values,
            "method": request.method,
            "path": url.path,
            "body": request.body.decode(),
            "timestamp": str(int(now.timestamp())),
        }
        signature = hmac_signature(auth, fill(auth.text, around) or "", values["secret"])
        added = {auth.name.lower(): fill(auth.value, {**around, "signature": signature}) or ""}
    else:
        return request
    return msgspec.structs.replace(request, headers={**request.headers, **added})


def _body(kind: BodyKind, fields: Mapping[str, Any]) -> bytes:
    if kind is BodyKind.FORM:
        return urlencode(fields, doseq=True, quote_via=quote, safe="").encode("ascii")
    return msgspec.json.encode(fields) if kind is BodyKind.JSON else b""


def _at(url: str, base_url: str) -> str:
    """Take an address to another host."""
    if not base_url:
        return url
    base, parts = urlsplit(base_url), urlsplit(url)
    return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    return f"{url}?{urlencode(query, quote_via=quote, safe='')}" if query else url

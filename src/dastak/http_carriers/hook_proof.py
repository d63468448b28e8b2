"""Check that a webhook is the carrier's own, in the way each vendor signs them.

1. Every address has a secret of ours in it, whatever the vendor signs: most vendors sign nothing.
2. Signatures are compared in constant time. The address that is signed is the one we gave out, never the
   one a Host header tells.
3. Receipts are applied once however often they come, so an old signed one can do no more than the first.

Source: the vendors' pages on webhook security; `twilio.request_validator` agrees on the first.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import msgspec

from dastak.core.errors import MalformedRequest
from dastak.http_carriers.http_auth import HASHES
from dastak.http_carriers.http_profile import ProofKind

FIELDS_MAX: Final = 200
# A vendor may repeat a receipt for a day; law 3 makes more haste needless.
SIGNED_AGE_S_MAX: Final = 24 * 3600

Fields = tuple[tuple[str, str], ...]


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it came.

    Attributes:
        url: Where we told the carrier to call, without the query that came.
        query: As it came, without the question mark.
        headers: By lower-case name.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show nothing of a person."""
        return f"Hook({self.method}, {len(self.body)} octets)"

    @property
    def is_form(self) -> bool:
        """Whether its body is a form."""
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")

    def query_fields(self) -> Fields:
        """Return the parameters of its address. Raises: MalformedRequest."""
        return _fields(self.query)

    def form_fields(self) -> Fields:
        """Return the parameters of its body, if that is a form. Raises: MalformedRequest."""
        try:
            return _fields(self.body.decode()) if self.is_form else ()
        except UnicodeDecodeError as error:
            raise MalformedRequest("The form is not UTF-8.") from error


def is_proven(kind: ProofKind, hook: Hook, secret: str, *, hash_name: str, now: datetime) -> bool:
    """Say whether a webhook is signed as its vendor does.

    Args:
        kind: How.
        hook: The webhook; its secret address was checked before.
        secret: What it is signed with.
        hash_name: Which hash, where the vendor leaves the choice.
        now: For signatures that tell their time.

    Raises:
        MalformedRequest: Its parameters cannot be read.
    """
    match kind:
        case ProofKind.PATH:
            return True
        case ProofKind.TWILIO:
            return _any_url(hook, lambda url: _is_twilio(hook, secret, url))
        case ProofKind.PLIVO_V3:
            return _any_url(hook, lambda url: _is_plivo(hook, secret, url))
        case ProofKind.VONAGE:
            return _is_vonage(hook, secret, hash_name=hash_name, now=now)


def _is_twilio(hook: Hook, secret: str, url: str) -> bool:
    """Base64 of HMAC-SHA1 over the address and every parameter of the form, sorted, without marks between."""
    signed = f"{url}{_query_of(hook)}" + "".join(
        f"{name}{value}" for name, value in sorted(set(hook.form_fields()))
    )
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest()
    return _same(base64.b64encode(digest).decode(), hook.headers.get("x-twilio-signature", ""))


def _is_plivo(hook: Hook, secret: str, url: str) -> bool:
    """Base64 of HMAC-SHA256 over address, sorted parameters, a dot and the nonce; several may be given."""
    nonce = hook.headers.get("x-plivo-signature-v3-nonce", "")
    told = hook.headers.get("x-plivo-signature-v3", "")
    signed = url
    query = "&".join(f"{name}={value}" for name, value in sorted(hook.query_fields()))
    form = "".join(f"{name}{value}" for name, value in sorted(hook.form_fields()))
    if query or form:
        signed += f"?{query}"
    if query and form:
        signed += "."
    digest = hmac.new(secret.encode(), f"{signed}{form}.{nonce}".encode(), hashlib.sha256).digest()
    wanted = base64.b64encode(digest).decode()
    return bool(nonce) and any(_same(wanted, one.strip()) for one in told.split(","))


def _is_vonage(hook: Hook, secret: str, *, hash_name: str, now: datetime) -> bool:
    """Hash over the sorted parameters as `&name=value`; `&` and `=` within a value become `_`."""
    fields = dict(hook.query_fields()) | dict(hook.form_fields()) | _json_fields(hook)
    told = fields.pop("sig", "")
    signed = "".join(
        f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(fields.items())
    )
    if hash_name == "md5hash":
        # The oldest accounts: a plain hash with the secret behind. Theirs to change, not ours.
        wanted = hashlib.md5(f"{signed}{secret}".encode()).hexdigest()  # noqa: S324
    else:
        wanted = hmac.new(secret.encode(), signed.encode(), HASHES.get(hash_name, hashlib.sha256)).hexdigest()
    stamp = fields.get("timestamp", "")
    young = (
        stamp.isascii() and stamp.isdecimal() and abs(now.timestamp() - int(stamp[:12])) <= SIGNED_AGE_S_MAX
    )
    return young and _same(wanted, told.lower())


def _any_url(hook: Hook, is_signed: Callable[[str], bool]) -> bool:
    return any(is_signed(url) for url in _spellings(hook.url))


def _spellings(url: str) -> Iterator[str]:
    """Yield an address with and without its port: vendors differ in what they sign."""
    yield url
    parts = urlsplit(url)
    if parts.port is not None:
        host = parts.netloc.rpartition(":")[0]
    else:
        host = f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    yield urlunsplit(parts._replace(netloc=host))


def _query_of(hook: Hook) -> str:
    return f"?{hook.query}" if hook.query else ""


def _json_fields(hook: Hook) -> dict[str, str]:
    if hook.is_form or not hook.body:
        return {}
    try:
        read = msgspec.json.decode(hook.body, type=dict[str, str | int | float | bool | None])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("The body is not the JSON of a receipt.") from error
    return {name: "" if value is None else str(value) for name, value in read.items()}


def _fields(text: str) -> Fields:
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise MalformedRequest(f"A webhook has at most {FIELDS_MAX} fields.") from error


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())

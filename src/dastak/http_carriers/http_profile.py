"""What a profile file says of one vendor's HTTP interface, read and checked as a whole.

A profile is data: how a message becomes a request, what an answer means, how receipts come in. What it gets
wrong is said with its place and the nearest right word, before a message is ever tried.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from dastak.core.outcome import Outcome
from dastak.http_carriers.placeholders import CONTENTS, FIELDS, check_template, names_in, nearest

PROFILE_OCTETS_MAX: Final = 64 * 1024
TTL_S_MAX: Final = 7 * 24 * 3600

_UNKNOWN_KEY: Final = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?")
_SAFE_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a profile have: frozen, and no key that is not named here."""


class BodyKind(StrEnum):
    """How the fields of a request are written."""

    NONE = "none"
    FORM = "form"
    JSON = "json"


class TtlUnit(StrEnum):
    """What a carrier counts the life of a message in."""

    MS = "ms"
    S = "s"
    MIN = "min"


UNIT_MS: Final[Mapping[TtlUnit, int]] = {TtlUnit.MS: 1, TtlUnit.S: 1000, TtlUnit.MIN: 60_000}


class Ttl(_Part, frozen=True, kw_only=True):
    """How `{ttl}` is told; below the least a carrier takes it gets that, for less cannot be said.

    Attributes:
        unit: What it is counted in.
        least: The least it takes, in that unit.
        most: The most it takes.
    """

    unit: TtlUnit = TtlUnit.S
    least: Annotated[int, Meta(ge=1)] = 1
    most: Annotated[int, Meta(ge=1)]


class RequestForm(_Part, frozen=True, kw_only=True):
    """How one message becomes one request.

    A value is a text with fields, or a table of `value` and `when`: it stands only when that holds. That is
    `unicode`, `plain`, a country such as `IN`, or a field that says something; `not` turns it round.
    A value without anything to say is left out.

    Attributes:
        url: Fields in it are encoded for a URL.
        fields: The body, in its own structure where it is JSON.
    """

    method: Literal["POST", "GET", "PUT", "DELETE"] = "POST"
    url: str
    query: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    body: BodyKind = BodyKind.NONE
    fields: dict[str, Any] = {}
    ttl: Ttl | None = None


class AuthKind(StrEnum):
    """How we prove who we are."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    HEADER = "header"
    QUERY = "query"
    FIELD = "field"
    SIGV4 = "sigv4"
    HMAC = "hmac"


class Auth(_Part, frozen=True, kw_only=True):
    """How we prove who we are.

    Attributes:
        user: For `basic`.
        name: Of the header, query parameter or body field.
        value: Of it; for `hmac` with `{signature}`.
        region: For `sigv4`, and the service that signs.
        text: What `hmac` signs: {method}, {path}, {body}, {timestamp} (s) and fields.
        hash: That it signs with.
        encoding: Of the signature.
    """

    kind: AuthKind
    user: str = "{account}"
    name: str = ""
    value: str = "{secret}"
    region: str = ""
    service: str = ""
    text: str = ""
    hash: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"


class Test(_Part, frozen=True, kw_only=True):
    """A condition on the body: what stands at `path` is one of `any_of`; with `*` in it, each is."""

    path: str
    any_of: tuple[str, ...]


class AnswerForm(_Part, frozen=True, kw_only=True):
    """What an answer to a request means.

    Attributes:
        format: `text` is searched with regular expressions (their first group), for XML and plain lines.
        ok: HTTP statuses of success.
        ok_when: What the body must say as well.
        ref: Where the carrier's id of the message stands; with `*` one for each part of a long text.
        own_ref: The id we gave it is the one of its receipts.
        codes: Where the reason of a refusal stands; the first that is there counts.
        outcomes: What these reasons mean; `200-210` is a range.
        statuses: What an HTTP status means when no reason is known.
    """

    format: Literal["json", "text"] = "json"
    ok: tuple[int, ...] = (200, 201, 202)
    ok_when: Test | None = None
    ref: str = ""
    own_ref: bool = False
    codes: tuple[str, ...] = ()
    outcomes: dict[str, Outcome] = {}
    statuses: dict[str, Outcome] = {}


class ProofKind(StrEnum):
    """What proves that a receipt is the carrier's, beside the secret in its address."""

    PATH = "path"  # nothing else
    TWILIO = "twilio"
    PLIVO_V3 = "plivo_v3"
    VONAGE = "vonage"


class ReceiptForm(_Part, frozen=True, kw_only=True):
    """How receipts come in; form, query and JSON are told apart by the request itself.

    Attributes:
        proof: What proves the carrier.
        json_field: A field of a form, or of JSON, whose value is JSON written as text.
        each: Where the events stand: keys, and `*` for lists; what stands around one belongs to it.
        ref: Where the id stands, and so on below.
        code: Where the reason of a failure stands; the first that a table knows counts.
        operator: Where MCC and MNC stand, in one value or two.
        outcomes: What `status`, the code or both (`failed:30003`) mean; codes may be ranges.
        codes_of: A shared table of codes, such as `india_dlt`.
        answer: The body of our answer, where the carrier wants one.
        confirm: Where an address stands by which an operator confirms that webhooks are wanted.
        confirm_at: What it must begin with, as a regular expression.
    """

    proof: ProofKind = ProofKind.PATH
    json_field: str = ""
    each: str = ""
    ref: str
    status: str
    code: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    outcomes: dict[str, Outcome]
    codes_of: str = ""
    answer: str = ""
    confirm: str = ""
    confirm_at: str = "https://"


class Option(_Part, frozen=True, kw_only=True):
    """A setting of this vendor's own; one without a default must be given."""

    about: str
    default: str | None = None


class Profile(_Part, frozen=True, kw_only=True):
    """One vendor.

    Attributes:
        title: Its name, as it writes it.
        source: Where the facts are from.
        not_verified: What nobody tried against the real service, in plain words.
        account: What `account` is there; empty where it has none.
        secret: What `secret` is there.
        proof_secret: What signs its receipts, where that is not the secret.
        rate_per_s: How many requests it takes of one account, where it says so.
        content: Whether it takes a whole text, or fills a template of its own.
        sample: Values of the options, for the test that every profile gets.
    """

    title: str
    source: str
    not_verified: Annotated[tuple[str, ...], Meta(min_length=1)]
    account: str = ""
    secret: str = ""
    proof_secret: str = ""
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    content: Literal["text", "template"] = "text"
    options: dict[str, Option] = {}
    request: RequestForm
    auth: Auth
    answer: AnswerForm
    receipt: ReceiptForm | None = None
    sample: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse what can be seen to be wrong without a message. Raises: ValueError."""
        for name in self.options:
            if name in FIELDS or not _SAFE_NAME.fullmatch(name):
                raise ValueError(f"options: {name!r} is a field already, or no name")
        self._check_auth()
        used: set[str] = set()
        for where, template in self._templates():
            check_template(where, template, (*FIELDS, *self.options))
            used.update(names_in(template))
        self._check_used(used)
        if not self.answer.ref and not self.answer.own_ref:
            raise ValueError("answer: write where the id stands (`ref`), or `own_ref = true`")
        if self.answer.format == "text":
            wanted = () if self.answer.ok_when is None else (self.answer.ok_when.path,)
            for pattern in (self.answer.ref, *wanted, *self.answer.codes):
                _check_pattern(pattern)

    def _check_auth(self) -> None:
        kind = self.auth.kind
        if kind in {AuthKind.HEADER, AuthKind.QUERY, AuthKind.FIELD, AuthKind.HMAC} and not self.auth.name:
            raise ValueError(f"auth: kind `{kind}` needs a `name`")
        if kind is AuthKind.SIGV4 and not (self.auth.region and self.auth.service):
            raise ValueError("auth: kind `sigv4` needs `region` and `service`")
        if kind is AuthKind.HMAC:
            names = (*FIELDS, *self.options, "method", "path", "body", "timestamp")
            check_template("auth.text", self.auth.text, names)
            check_template("auth.value", self.auth.value, (*names, "signature"))

    def _templates(self) -> Iterator[tuple[str, str]]:
        """Yield every text with fields and its place."""
        yield "request.url", self.request.url
        for where in ("query", "headers", "fields"):
            yield from texts_in(f"request.{where}", getattr(self.request, where))
        yield "auth.user", self.auth.user
        yield "auth.region", self.auth.region
        if self.auth.kind is not AuthKind.HMAC:
            yield "auth.value", self.auth.value

    def _check_used(self, used: set[str]) -> None:
        if self.content == "text" and "text" not in used:
            raise ValueError(
                'request: nothing takes `{text}`; a carrier\'s own template is content = "template"'
            )
        if self.content == "template" and ("text" in used or not used.intersection(CONTENTS)):
            raise ValueError("request: a template takes `{code}` or `{var1}`, and no `{text}`")
        if "msisdn" not in used:
            raise ValueError("request: nothing takes `{msisdn}`")
        if "ttl" in used and self.request.ttl is None:
            raise ValueError("request: `{ttl}` needs a table [request.ttl] with its unit and limits")
        if self.answer.own_ref and "own_id" not in used:
            raise ValueError("answer: own_ref needs `{own_id}` in the request")


def texts_in(where: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every text with fields below a value of a profile, keys and conditions too, with its place."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts_in(f"{where}.{number}", item)
    elif isinstance(value, dict):
        if is_conditional(value):
            condition = str(value["when"]).removeprefix("not ")
            if condition not in {"unicode", "plain"} and not re.fullmatch("[A-Z]{2}", condition):
                yield f"{where}.when", f"{{{condition}}}"
            yield from texts_in(where, value["value"])
            return
        for key, item in value.items():
            yield f"{where} (key)", key
            yield from texts_in(f"{where}.{key}", item)


def is_conditional(value: Mapping[str, Any]) -> bool:
    """Say whether a table is a value with its condition."""
    return value.keys() == {"value", "when"}


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups if pattern else 1
    except re.error as error:
        raise ValueError(f"answer: {pattern!r} is no regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"answer: {pattern!r} needs one group, around what is looked for")


def read_profile(octets: bytes) -> Profile:
    """Read a profile file.

    Raises:
        ValueError: It is too long, no TOML, or says something that cannot be meant; told in words.
    """
    if len(octets) > PROFILE_OCTETS_MAX:
        raise ValueError(f"a profile has at most {PROFILE_OCTETS_MAX} octets")
    try:
        return msgspec.convert(tomllib.loads(octets.decode()), Profile)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error))) from error


def _in_words(problem: str) -> str:
    """Add to a key that is not known the nearest one that is."""
    unknown = _UNKNOWN_KEY.match(problem)
    if unknown is None:
        return problem
    place = f" in [{unknown[2]}]" if unknown[2] else ""
    return f"there is no key `{unknown[1]}`{place}.{nearest(unknown[1], _KEYS)}"


_KEYS: Final = sorted(
    {
        name
        for part in (Profile, RequestForm, Ttl, Auth, AnswerForm, Test, ReceiptForm, Option)
        for name in part.__struct_fields__
    }
)

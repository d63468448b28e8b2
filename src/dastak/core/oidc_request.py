"""Read what a site sends a browser to us with: an authorization request, checked as tables.

1. Until the client and its address are known, nothing is sent anywhere: the person reads a page of ours.
2. From then on every refusal goes to that address, in the words of the standard.
3. A parameter that stands twice is refused, whichever it is; an empty one counts as left out.

Source: RFC 6749, sections 3.1 and 4.1.2.1; OpenID Connect Core 1.0, sections 3.1.2.1 and 3.1.2.6; RFC 7636.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.core.oidc import Client
from dastak.core.oidc_acr import AcrWanted
from dastak.core.oidc_claims import read_claims

# A request that a browser follows is one line; more than these many fields or octets is none.
FIELDS_MAX: Final = 40
VALUE_CHARACTERS_MAX: Final = 1000
MAX_AGE_S_MAX: Final = 10**9

SCOPES: Final = ("openid", "phone", "offline_access")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")


class Prompt(StrEnum):
    """What a site wants a person to be asked."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    SELECT_ACCOUNT = "select_account"


class AuthorizeError(StrEnum):
    """What a site is told in `error`."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    INVALID_SCOPE = "invalid_scope"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    REGISTRATION_NOT_SUPPORTED = "registration_not_supported"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REQUIRED = "consent_required"
    # OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
    UNMET_AUTHENTICATION_REQUIREMENTS = "unmet_authentication_requirements"
    ACCESS_DENIED = "access_denied"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


class Fields(NamedTuple):
    """The parameters of a request.

    Attributes:
        values: Each that stands once and is not empty.
        twice: The names of those that stand more than once.
    """

    values: Mapping[str, str]
    twice: frozenset[str]

    def get(self, name: str) -> str:
        """Return a parameter, or nothing."""
        return self.values.get(name, "")


class Refusal(NamedTuple):
    """Why a site gets no code."""

    error: AuthorizeError
    description: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is in order.

    Attributes:
        scopes: Those that we know, in our order.
        max_age_s: How old the login may be; None leaves it to us.
        login_hint: A number to begin with, as somebody typed it.
        subjects: Who it must be, one of these names; none leaves it open.
        languages: What the person prefers to read, best first.
        acr: How strong the login shall be.
        signed: What the ID token shall say besides.
    """

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    state: str | None = None
    nonce: str | None = None
    prompts: frozenset[Prompt] = frozenset()
    max_age_s: int | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    subjects: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    acr: AcrWanted = AcrWanted()
    signed: tuple[str, ...] = ()

    @property
    def wants_fresh_login(self) -> bool:
        """Whether a login that was made before this request does not count."""
        return bool(self.prompts & {Prompt.LOGIN, Prompt.SELECT_ACCOUNT}) or self.max_age_s == 0


def fields_of(pairs: Iterable[tuple[str, str]]) -> Fields:
    """Sort what was sent by name."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    twice: set[str] = set()
    for name, value in pairs:
        if name in seen:
            twice.add(name)
            values.pop(name, None)
        elif value:
            values[name] = value
        seen.add(name)
    return Fields(values, frozenset(twice))


def recipient(fields: Fields, client: Client | None) -> str:
    """Return where the answer goes.

    Raises:
        InvalidRequest: The client is unknown or the address not one of its own, so that nothing may be sent.

    Source: RFC 6749, section 3.1.2.4; RFC 9700, section 2.1 (compared as strings).
    """
    if client is None or {"client_id", "redirect_uri"} & fields.twice:
        raise InvalidRequest("There is no such client.", field="client_id")
    redirect_uri = fields.get("redirect_uri")
    if redirect_uri not in client.redirect_uris:
        raise InvalidRequest("This address is not one of the client's.", field="redirect_uri")
    return redirect_uri


# What must hold, in the order in which it is looked at; the first that does not is told.
_CHECKS: Final[Sequence[tuple[Callable[[Fields], bool], AuthorizeError, str]]] = (
    (lambda f: not f.twice, AuthorizeError.INVALID_REQUEST, "A parameter stands twice."),
    (
        lambda f: all(len(value) <= VALUE_CHARACTERS_MAX for value in f.values.values()),
        AuthorizeError.INVALID_REQUEST,
        "A parameter is too long.",
    ),
    (
        lambda f: all(value.isprintable() for value in f.values.values()),
        AuthorizeError.INVALID_REQUEST,
        "A parameter has control characters.",
    ),
    (lambda f: not f.get("request"), AuthorizeError.REQUEST_NOT_SUPPORTED, "Send plain parameters."),
    (lambda f: not f.get("request_uri"), AuthorizeError.REQUEST_URI_NOT_SUPPORTED, "Send plain parameters."),
    (
        lambda f: not f.get("registration"),
        AuthorizeError.REGISTRATION_NOT_SUPPORTED,
        "Clients are registered by their operator.",
    ),
    (lambda f: bool(f.get("response_type")), AuthorizeError.INVALID_REQUEST, "response_type is missing."),
    (
        lambda f: f.get("response_type") == "code",
        AuthorizeError.UNSUPPORTED_RESPONSE_TYPE,
        "The response_type must be code.",
    ),
    (
        lambda f: f.get("response_mode") in ("", "query"),
        AuthorizeError.INVALID_REQUEST,
        "The response_mode must be query.",
    ),
    (
        lambda f: _SCOPE.fullmatch(f.get("scope")) is not None and "openid" in f.get("scope").split(" "),
        AuthorizeError.INVALID_SCOPE,
        "The scope must have openid.",
    ),
    (
        lambda f: bool(f.get("code_challenge")),
        AuthorizeError.INVALID_REQUEST,
        "PKCE is needed: code_challenge is missing.",
    ),
    (
        # Left out it would mean `plain` (RFC 7636, section 4.3).
        lambda f: f.get("code_challenge_method") == "S256",
        AuthorizeError.INVALID_REQUEST,
        "The code_challenge_method must be S256.",
    ),
    (
        lambda f: _CHALLENGE.fullmatch(f.get("code_challenge")) is not None,
        AuthorizeError.INVALID_REQUEST,
        "The code_challenge is not 43 characters of base64url.",
    ),
    (
        lambda f: set(f.get("prompt").split()) <= set(Prompt),
        AuthorizeError.INVALID_REQUEST,
        "The prompt is not one of none, login, consent and select_account.",
    ),
    (
        lambda f: Prompt.NONE not in f.get("prompt").split() or f.get("prompt").split() == [Prompt.NONE],
        AuthorizeError.INVALID_REQUEST,
        "The prompt none stands alone.",
    ),
    (
        lambda f: not f.get("max_age") or _seconds(f.get("max_age")) is not None,
        AuthorizeError.INVALID_REQUEST,
        "The max_age is not a number of seconds.",
    ),
    (
        lambda f: read_claims(f.get("claims")) is not None,
        AuthorizeError.INVALID_REQUEST,
        "The claims are no JSON object of the standard's shape.",
    ),
)


def check(fields: Fields, client: Client) -> Asked | Refusal:
    """Check a request whose client and address are known (`recipient`)."""
    for holds, error, description in _CHECKS:
        if not holds(fields):
            return Refusal(error, description)
    scopes, claims = fields.get("scope").split(" "), read_claims(fields.get("claims"))
    assert claims is not None  # it was checked above
    if claims.phone:
        scopes.append("phone")
    return Asked(
        client=client,
        redirect_uri=fields.get("redirect_uri"),
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        challenge=fields.get("code_challenge"),
        state=state_of(fields),
        nonce=fields.values.get("nonce"),
        prompts=frozenset(map(Prompt, fields.get("prompt").split())),
        max_age_s=_seconds(fields.get("max_age")),
        login_hint=fields.values.get("login_hint"),
        id_token_hint=fields.values.get("id_token_hint"),
        subjects=claims.subjects,
        languages=tuple(tag.partition("-")[0].lower() for tag in fields.get("ui_locales").split()),
        # The standard leaves open which of the two counts; the one that can be essential does.
        acr=AcrWanted(claims.acr or tuple(fields.get("acr_values").split()), claims.acr_essential),
        signed=claims.signed,
    )


def state_of(fields: Fields) -> str | None:
    """Return what the site wants back with every answer; nothing that is too long to be one."""
    state = fields.values.get("state")
    return state if state is not None and len(state) <= VALUE_CHARACTERS_MAX else None


def fingerprint(query: str) -> str:
    """Return a short name of a request."""
    return sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _seconds(text: str) -> int | None:
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII):
        return None
    return min(int(text), MAX_AGE_S_MAX)

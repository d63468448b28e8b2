"""Login for other sites (OpenID Connect): the sites, what a person proved, and what a site was given for it.

1. A code, an access token and a refresh token are random and kept only as digests; each code and each refresh
   token is good once.
2. All that came of one login is one grant: a code or a refresh token that comes twice ends all of it.
3. A person has another name (`sub`) at each pairwise client, and none of them tells the number.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec

from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.tenant import Mode

# OpenID Connect Core, section 2, leaves it to us; RFC 6749, section 4.1.2, allows a code ten minutes at most.
CODE_S: Final = 60
ID_TOKEN_S: Final = 600
ACCESS_S: Final = 900
GRANT_S: Final = 30 * 86_400
# NIST SP 800-63B-4, section 2.2.3: at AAL2 idle at most an hour, at most a day in all.
IDLE_S: Final = 900
SESSION_S: Final = 12 * 3600
assert CODE_S <= 60
assert IDLE_S < SESSION_S

TOKEN_OCTETS: Final = 32
GRANT_OCTETS: Final = 16
# RFC 7636, section 4.1.
VERIFIER_CHARACTERS: Final = range(43, 129)

_SUBJECT_DOMAIN: Final = b"dastak/sub/1\x00"


class LoginWay(StrEnum):
    """What a client's people do to log in."""

    PHONE = "phone"  # a number and the code that it gets
    PASSWORD_AND_CODE = "password_and_code"  # noqa: S105 - the name of a way, no password


class SubjectType(StrEnum):
    """Whether two clients of a tenant see the same person under the same name."""

    PUBLIC = "public"
    PAIRWISE = "pairwise"


class Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A site that logs people in through us.

    Attributes:
        n: Its number in the store; 0 before it is written.
        id: Its `client_id`.
        service: Under whose policy and brand codes are sent.
        mode: How far its codes reach, as with keys.
        name: What people read on the consent page.
        redirect_uris: Where answers may go, compared character by character.
        logout_uris: Where people may go after they logged out.
        secret_digest: Of its secret; None is a public client, which proves itself by PKCE alone.
        sector: What its pairwise names are made for; clients with the same one see the same names.
        ask_consent: False where the site is the tenant's own.
    """

    n: int = 0
    id: str
    tenant: int
    service: int
    mode: Mode
    name: str
    redirect_uris: tuple[str, ...]
    logout_uris: tuple[str, ...] = ()
    secret_digest: bytes | None = None
    login: LoginWay = LoginWay.PHONE
    subject: SubjectType = SubjectType.PAIRWISE
    sector: str = ""
    ask_consent: bool = True
    created_at: datetime


class Login(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person proved, and when.

    Attributes:
        who: The person in this tenant: `tel:` and the number, or `person:` and an id.
        msisdn: Proved; None if the person has none.
        amr: How it was proved, in the words of RFC 8176.
        account: The id of the account whose password was right, if one was.
    """

    who: str
    msisdn: Msisdn | None
    at: datetime
    amr: tuple[str, ...]
    account: str | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A code that a browser is asked for.

    Attributes:
        asked: Which request of a site it is for (`fingerprint`).
        verification: Its id, in hexadecimal digits.
    """

    asked: str
    verification: str
    msisdn: Msisdn


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser's cookie stands for: a login that is under way, or one that is done.

    Attributes:
        digest: Of the cookie's secret.
        service: A cookie is good for one service and mode.
        ends_at: When it is over whatever happens.
    """

    digest: bytes
    service: int
    mode: Mode
    ends_at: datetime
    seen_at: datetime
    pending: Pending | None = None
    login: Login | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client was given for one login.

    Attributes:
        client: The client's number in the store.
        subject: The person's name at this client.
        challenge: Of PKCE, by S256.
        signed: What the ID token says besides, as `claims` asked for it.
        visit: The digest of the browser's session; it ends this grant too, unless refresh tokens outlive it.
    """

    id: bytes
    client: int
    subject: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    login: Login
    created_at: datetime
    ends_at: datetime
    nonce: str | None = None
    signed: tuple[str, ...] = ()
    visit: bytes | None = None
    revoked_at: datetime | None = None


class TokenKind(StrEnum):
    """What a client may do with a token."""

    CODE = "code"
    ACCESS = "access"
    REFRESH = "refresh"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One token of a grant, without its text."""

    digest: bytes
    kind: TokenKind
    ends_at: datetime
    used_at: datetime | None = None


class HeldToken(msgspec.Struct, frozen=True):
    """What the store holds while a rule decides on a token."""

    token: Token
    grant: Grant


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a token and its grant.

    Attributes:
        refusal: Why nothing is given; None gives it.
        spend: The token is used from now on.
        revoke: The grant ends, with all its tokens.
        fresh: The tokens that are given instead.
    """

    refusal: str | None = None
    spend: bool = False
    revoke: bool = False
    fresh: tuple[Token, ...] = ()


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a token to be exchanged; the last two belong to a code."""

    client: int
    kind: TokenKind
    redirect_uri: str | None = None
    verifier: str | None = None


# RFC 8176: `otp` is a one-time code, `sms` and `tel` say which way it took.
_AMR: Final[Mapping[Channel, tuple[str, ...]]] = {
    Channel.SMS: ("otp", "sms"),
    Channel.VOICE: ("otp", "tel"),
    Channel.TOTP: ("otp",),
    Channel.HOTP: ("otp",),
    Channel.HASH_CHAIN: ("otp",),
}
assert set(_AMR) == set(Channel)


def amr_of(channel: Channel) -> tuple[str, ...]:
    """Say how somebody proved who they are by a code alone."""
    return _AMR[channel]


def subject_of(seed: bytes, client: Client, who: str) -> str:
    """Return a person's name at a client: the same for ever, and telling nothing to who has not the seed.

    Source: OpenID Connect Core 1.0, section 8.1.
    """
    sector = client.sector if client.subject is SubjectType.PAIRWISE else ""
    named = "\x00".join((str(client.tenant), client.mode, client.subject, sector, who))
    return _base64url(hmac.digest(seed, _SUBJECT_DOMAIN + named.encode(), "sha256"))


def challenge_of(verifier: str) -> str:
    """Return what a verifier was promised by. Source: RFC 7636, section 4.2 (S256)."""
    return _base64url(sha256(verifier.encode()).digest())


def exchange(held: HeldToken, said: Presented, fresh: tuple[Token, ...], *, now: datetime) -> Exchange:
    """Judge a code or a refresh token that a client wants to change for others.

    What is another client's, or does not fit, stays as it is: who saw it on its way cannot spoil it.

    Args:
        held: As the store has it.
        said: What came with it.
        fresh: What the client would get.
        now: The time.

    Source: RFC 6749, sections 4.1.2, 4.1.3 and 6; RFC 7636, section 4.6; RFC 9700, section 4.14.
    """
    token, grant = held.token, held.grant
    if token.kind is not said.kind or grant.client != said.client:
        return Exchange(refusal="It is none of this client's.")
    if token.used_at is not None:
        return Exchange(refusal="It was used before; all that came of it ends now.", revoke=True)
    if grant.revoked_at is not None or now >= min(token.ends_at, grant.ends_at):
        return Exchange(refusal="It is over.")
    if token.kind is TokenKind.CODE:
        if said.redirect_uri != grant.redirect_uri:
            return Exchange(refusal="The redirect_uri is not the one of the authorization request.")
        if not _proves(said.verifier, grant.challenge):
            return Exchange(refusal="The code_verifier does not fit the code_challenge.")
    return Exchange(spend=True, fresh=fresh)


def is_good(held: HeldToken, *, now: datetime) -> bool:
    """Say whether an access token opens anything."""
    token, grant = held.token, held.grant
    in_time = now < min(token.ends_at, grant.ends_at)
    return token.kind is TokenKind.ACCESS and grant.revoked_at is None and in_time


def is_open(visit: Visit, *, now: datetime) -> bool:
    """Say whether a browser's visit goes on."""
    return now < min(visit.ends_at, visit.seen_at + timedelta(seconds=IDLE_S))


def _proves(verifier: str | None, challenge: str) -> bool:
    if verifier is None or len(verifier) not in VERIFIER_CHARACTERS or not verifier.isascii():
        return False
    return hmac.compare_digest(challenge_of(verifier), challenge)


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()

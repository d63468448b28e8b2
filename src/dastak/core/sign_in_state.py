"""What a browser has proved to a service: nothing, the password, or all of it; and how that ends.

1. Whoever passed the password alone may only be asked for a code, and only in the browser that passed it.
2. Each gain of trust is a new session with a new secret; the one before it is gone in the same commit, also
   where somebody who is signed in signs in again. What sites were given in it stays while its person goes on:
   one that wants a fresh sign-in logs nobody out of another. The next sign-out ends it, and so does somebody
   else who signs in there; a password alone, or a second step that failed, ends none of it.
3. A session ends by leaving, by idling, by its age, by a sign-out everywhere; nothing reopens it.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.ids import VerificationId
from dastak.core.person import PersonId
from dastak.core.policy import Channel

# NIST SP 800-63B-4, 2.2.3 allows an hour and a day; a bank's page is left open on a shared computer.
IDLE: Final = timedelta(minutes=15)
LIFE: Final = timedelta(hours=12)
# As long as a code lives at most, with time to find the phone.
BETWEEN_STEPS: Final = timedelta(minutes=15)
# What changes a factor needs one that was asked for so lately.
FRESH: Final = timedelta(minutes=10)
# Each look at a page would be a commit; a minute is precise enough for a quarter of an hour.
SEEN_EVERY: Final = timedelta(minutes=1)
# Where browsers say their names; the rest of it is numbers.
AGENT_CHARACTERS_MAX: Final = 200
SIGN_INS_KEPT: Final = 100
# A browser is known for so long, be it remembered or not.
KNOWN_FOR: Final = timedelta(days=365)
DEVICES_MAX: Final = 20

# RFC 8176, section 2.
_AMR: Final = {
    Channel.SMS: ("otp", "sms"),
    Channel.VOICE: ("otp", "tel"),
    Channel.TOTP: ("otp",),
    Channel.HOTP: ("otp",),
    Channel.HASH_CHAIN: ("otp",),
}
assert set(_AMR) == set(Channel)


class Stage(StrEnum):
    """How far a browser came."""

    PASSWORD_PASSED = "password_passed"  # noqa: S105 - a state, no password
    SIGNED_IN = "signed_in"
    FORGOT = "forgot"  # somebody named an account, and nothing is proved
    PHONE_PROVED = "phone_proved"  # the code of its phone was typed, and no password

    VOUCHED = "vouched"  # it came by a link that the tenant gave to whom it knows, and no password


# What a browser has in a cookie of its own while a forgotten password is set anew; it opens nothing else.
FORGETTING: Final = (Stage.FORGOT, Stage.PHONE_PROVED, Stage.VOUCHED)


class Purpose(StrEnum):
    """What the code that a session asked for is for."""

    SIGN_IN = "sign_in"
    NUMBER = "number"  # a number, new or first, is proved by it
    AUTHENTICATOR = "authenticator"
    RESET = "reset"  # a forgotten password is set anew


class BrowserSession(msgspec.Struct, frozen=True, kw_only=True):
    """One browser at one service.

    Attributes:
        digest: SHA-256 of the secret in its cookie.
        seen_at: When it was used last, to the minute.
        second_at: When a second factor was typed in it; None is never.
        asked: The verification that asks this session for a code, and no other session.
        next_path: Where it wanted to go; a path of ours.
        remember: Its person wants to be remembered in this browser.
        fresh: A second factor is wanted even of a remembered browser.
        trusted: It is signed in by the password alone because its browser was remembered.
        before: Until it is signed in, the digest of the session that the browser had: what sites were given
            in that one still goes by it.
    """

    digest: bytes
    person: PersonId
    service: int
    stage: Stage
    created_at: datetime
    seen_at: datetime
    auth_at: datetime
    second_at: datetime | None = None
    amr: tuple[str, ...] = ("pwd",)
    asked: VerificationId | None = None
    purpose: Purpose | None = None
    next_path: str = ""
    remember: bool = False
    fresh: bool = False
    trusted: bool = False
    agent: str = ""
    before: bytes | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A browser in which a person signed in with all factors.

    Attributes:
        digest: SHA-256 of the secret in its cookie.
        trusted_until: No second factor is asked for before; None is always asked for.
        expires_at: When it is forgotten; until then its failures are counted apart from those of strangers.
    """

    digest: bytes
    person: PersonId
    created_at: datetime
    expires_at: datetime
    trusted_until: datetime | None = None
    agent: str = ""


class SignInLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a person's log.

    Attributes:
        what: Such as `signed_in`, `wrong_code`, `number_changed`.
        by: What proved it, as `amr` has it.
        network: Where it came from, without its last part.
    """

    at: datetime
    what: str
    by: tuple[str, ...] = ()
    network: str = ""
    agent: str = ""


def amr_of(channel: Channel) -> tuple[str, ...]:
    """Return what a password and a code by a channel prove, in the words of RFC 8176."""
    return ("pwd", *_AMR[channel], "mfa")


# A recovery code is typed once, as any other one-time code.
AMR_RECOVERY: Final = ("pwd", "otp", "mfa")


def is_over(session: BrowserSession, now: datetime) -> bool:
    """Say whether a session counts no more."""
    if session.stage is not Stage.SIGNED_IN:
        return now >= session.created_at + BETWEEN_STEPS
    return now >= min(session.seen_at + IDLE, session.created_at + LIFE)


def over_at(session: BrowserSession) -> datetime:
    """Return when a session's row may be deleted."""
    return session.created_at + (LIFE if session.stage is Stage.SIGNED_IN else BETWEEN_STEPS)


def is_fresh(session: BrowserSession, now: datetime) -> bool:
    """Say whether a second factor was typed so lately that another one may be changed."""
    return session.second_at is not None and now < session.second_at + FRESH


def known_from(session: BrowserSession, digest: bytes, *, trusted_until: datetime | None) -> Device:
    """Return the browser of a session as it is known from then on, by what it carries."""
    return Device(
        digest=digest,
        person=session.person,
        created_at=session.created_at,
        expires_at=session.created_at + KNOWN_FOR,
        trusted_until=trusted_until,
        agent=session.agent,
    )


def trusted_until(device: Device | None, now: datetime, *, days: int) -> datetime | None:
    """Return until when a browser is asked for no second factor; None where it is asked now.

    Args:
        device: As it was remembered.
        now: The time.
        days: For how long one may be remembered today; what was promised for longer counts no more.
    """
    until = None if device is None else device.trusted_until
    return until if until is not None and now < until <= now + timedelta(days=days) else None


def signed_in(
    passed: BrowserSession, *, digest: bytes, amr: tuple[str, ...], now: datetime, second: bool
) -> BrowserSession:
    """Return the session that comes after a passed one, under a new secret.

    Args:
        passed: Its password was right.
        digest: Of the new secret.
        amr: What was proved.
        now: The time.
        second: Whether a second factor was typed just now.
    """
    return msgspec.structs.replace(
        passed,
        digest=digest,
        stage=Stage.SIGNED_IN,
        created_at=now,
        seen_at=now,
        auth_at=now,
        second_at=now if second else None,
        amr=amr,
        asked=None,
        purpose=None,
        fresh=False,
    )


def ask(session: BrowserSession, verification: VerificationId, purpose: Purpose) -> BrowserSession:
    """Bind a code to the session that asked for it."""
    return msgspec.structs.replace(session, asked=verification, purpose=purpose)


def answered(session: BrowserSession) -> BrowserSession:
    """Note that what was asked for was answered; the same answer is good for nothing more."""
    return msgspec.structs.replace(session, asked=None, purpose=None)

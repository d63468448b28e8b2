"""What a service wants of its codes: how long, how alive, how often, by which way.

A policy is checked when it is stored; a start request may only narrow it. Figures and their sources are in
docs/explanation/policy.md.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.codes import CODE_CHARACTERS_MAX, CODE_CHARACTERS_MIN, Alphabet, entropy_bits
from dastak.core.errors import InvalidRequest

TTL_S_MIN: Final = 60
TTL_S_MAX: Final = 3600
ATTEMPTS_MAX: Final = 5
LEGACY_ATTEMPTS_MAX: Final = 3
RESENDS_MAX: Final = 10
RESEND_WAIT_S_MAX: Final = 3600
CALL_AFTER_S_MAX: Final = 300
# Where no route has learned better: a call costs more than a text, and most codes are typed by then.
CALL_AFTER_S: Final = 20

# NIST SP 800-63B counts six digits (19.93 bits) as enough; what is weaker must be asked for as `legacy`.
ENTROPY_BITS_MIN: Final = 19.9
# NIST SP 800-63B-4, 3.1.3.2: an out-of-band code is void unless used within ten minutes.
TTL_S_COMPLIANT_MAX: Final = 600


class Channel(StrEnum):
    """How a code reaches its person: on its way to a phone, or from what the person has already."""

    SMS = "sms"
    VOICE = "voice"
    TOTP = "totp"  # an authenticator by time
    HOTP = "hotp"  # an authenticator by counter
    HASH_CHAIN = "hash_chain"  # a printed list


# Codes that nothing is sent for.
FACTORS: Final = (Channel.TOTP, Channel.HOTP, Channel.HASH_CHAIN)


class ResendCode(StrEnum):
    """Which code a resend carries. `same` keeps a late first text valid; `new` voids it."""

    SAME = "same"
    NEW = "new"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules one verification lives under.

    A `msgspec.Struct`, because it is read from JSON at the edge and kept as JSON in the store.

    Attributes:
        call_after_s: How long a text is waited for before a call; 0 is until its route's learned deadline,
            or `CALL_AFTER_S` where the route has learned none or a person asks.
        match: A start that goes by a call speaks no code: the person types the number of the page.
    """

    length: int = 6
    alphabet: Alphabet = Alphabet.NUMERIC
    ttl_s: int = 300
    attempts_max: int = ATTEMPTS_MAX
    resends_max: int = 4
    resend_waits_s: tuple[int, ...] = (30, 60, 120, 240)
    resend_code: ResendCode = ResendCode.SAME
    channels: tuple[Channel, ...] = (Channel.SMS, Channel.VOICE)
    call_after_s: int = 0
    legacy: bool = False
    match: bool = False


class Narrowing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one start request may ask stricter than its service's policy."""

    length: int | None = None
    ttl_s: int | None = None
    attempts_max: int | None = None
    resends_max: int | None = None


def check_policy(policy: Policy) -> Policy:
    """Return the policy if it may be used.

    Raises:
        InvalidRequest: A figure is out of its range, or weak codes are not labelled `legacy`.
    """
    _within("length", policy.length, CODE_CHARACTERS_MIN, CODE_CHARACTERS_MAX)
    _within("ttl_s", policy.ttl_s, TTL_S_MIN, TTL_S_MAX)
    _within("attempts_max", policy.attempts_max, 1, LEGACY_ATTEMPTS_MAX if policy.legacy else ATTEMPTS_MAX)
    _within("resends_max", policy.resends_max, 0, RESENDS_MAX)
    _within("call_after_s", policy.call_after_s, 0, CALL_AFTER_S_MAX)
    _check_waits(policy.resend_waits_s)
    if not policy.channels or len(set(policy.channels)) != len(policy.channels):
        raise InvalidRequest("`channels` needs at least one channel, each once.", field="channels")
    if policy.match and Channel.VOICE not in policy.channels:
        raise InvalidRequest("`match` needs the channel `voice`.", field="match")
    bits = entropy_bits(policy.length, policy.alphabet)
    if bits < ENTROPY_BITS_MIN and not policy.legacy:
        raise InvalidRequest(
            f"{policy.length} {policy.alphabet} characters are only {bits:.1f} bits; use at least six digits "
            "or five letters and digits, or say `legacy: true` and accept its tighter limits.",
            field="length",
        )
    return policy


def narrow(policy: Policy, asked: Narrowing) -> Policy:
    """Make a policy stricter for one verification.

    Raises:
        InvalidRequest: Something asked is looser than the policy, or out of range.
    """
    longer = _stricter("length", asked.length, policy.length, at_least=True)
    return check_policy(
        msgspec.structs.replace(
            policy,
            length=longer,
            ttl_s=_stricter("ttl_s", asked.ttl_s, policy.ttl_s),
            attempts_max=_stricter("attempts_max", asked.attempts_max, policy.attempts_max),
            resends_max=_stricter("resends_max", asked.resends_max, policy.resends_max),
        )
    )


def for_own_code(policy: Policy, code: str) -> Policy:
    """Fit a policy to a code the caller brought; a weak one is `legacy` and gets its tighter limits."""
    alphabet = Alphabet.NUMERIC if code.isdecimal() else Alphabet.ALPHANUMERIC
    fitted = msgspec.structs.replace(policy, length=len(code), alphabet=alphabet)
    if entropy_bits(len(code), alphabet) >= ENTROPY_BITS_MIN:
        return fitted
    return _tightened(fitted)


def for_match(policy: Policy) -> Policy:
    """Fit a policy to a number of three digits: it has the tighter limits of what is `legacy`."""
    return _tightened(policy)


def compliance_warnings(policy: Policy) -> tuple[str, ...]:
    """Name what in a policy falls short of NIST SP 800-63B-4, in stable words for the answer."""
    warnings = []
    if entropy_bits(policy.length, policy.alphabet) < ENTROPY_BITS_MIN:
        warnings.append("legacy_short_code")
    if policy.ttl_s > TTL_S_COMPLIANT_MAX:
        warnings.append("lifetime_over_ten_minutes")
    return tuple(warnings)


def resend_wait_s(policy: Policy, sends: int) -> int:
    """Return the seconds between the `sends`-th send (1 is the first) and the next one."""
    waits = policy.resend_waits_s
    return waits[min(sends, len(waits)) - 1] if waits else 0


def _tightened(policy: Policy) -> Policy:
    return msgspec.structs.replace(
        policy, legacy=True, attempts_max=min(policy.attempts_max, LEGACY_ATTEMPTS_MAX)
    )


def _within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRequest(f"`{field}` must be {low} to {high}.", field=field)


def _check_waits(waits_s: Sequence[int]) -> None:
    if len(waits_s) > RESENDS_MAX:
        raise InvalidRequest(f"`resend_waits_s` has at most {RESENDS_MAX} waits.", field="resend_waits_s")
    for wait_s in waits_s:
        _within("resend_waits_s", wait_s, 0, RESEND_WAIT_S_MAX)


def _stricter(field: str, asked: int | None, allowed: int, *, at_least: bool = False) -> int:
    if asked is None:
        return allowed
    if asked < allowed if at_least else asked > allowed:
        word = "at least" if at_least else "at most"
        raise InvalidRequest(f"`{field}` may be {word} {allowed} under this service's policy.", field=field)
    return asked

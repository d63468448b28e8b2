"""Codes that a person's own authenticator makes: by counter (HOTP) or by time (TOTP).

1. What was accepted once is never accepted again: the counter, or the time step, only rises.
2. How far to look ahead is bounded, because every code looked at is one more that a guess may hit.
3. Nothing here keeps state: a check returns the state to store, or None if the code is wrong.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dastak.core.codes import matches
from dastak.core.errors import InvalidRequest

DIGITS_MIN: Final = 6
DIGITS_MAX: Final = 10
# RFC 4226, section 4, R6: a shared secret has at least 128 bits. HMAC gains nothing past its block.
SEED_OCTETS_MIN: Final = 16
SEED_OCTETS_MAX: Final = 128

LOOK_AHEAD: Final = 10
LOOK_AHEAD_MAX: Final = 50

# RFC 6238, section 5.2: one step of delay is as much as a network needs.
STEP_S: Final = 30
STEP_S_MAX: Final = 60
WINDOW_STEPS: Final = 1
WINDOW_STEPS_MAX: Final = 2
# A clock that is two steps off is followed; one that is further off was asked for by a resynchronisation.
DRIFT_STEPS_MAX: Final = 2
# Ten steps each way, with two codes in a row: a guess hits once in 5 * 10^10.
RESYNC_STEPS_MAX: Final = 10

RESYNC_CODES: Final = (2, 3)


class HashFunction(StrEnum):
    """The hash under the HMAC, as `otpauth:` links name it."""

    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """What an authenticator and we share.

    Attributes:
        seed: 16 to 128 octets; never shown.
        step_s: How long a code by time lasts, 30 to 60 seconds.
    """

    seed: bytes = field(repr=False)
    digits: int = DIGITS_MIN
    hash_function: HashFunction = HashFunction.SHA1
    step_s: int = STEP_S

    def __post_init__(self) -> None:
        """Refuse what no standard allows.

        Raises:
            InvalidRequest: A figure is out of its range.
        """
        _within("seed", len(self.seed), SEED_OCTETS_MIN, SEED_OCTETS_MAX)
        _within("digits", self.digits, DIGITS_MIN, DIGITS_MAX)
        _within("step_s", self.step_s, STEP_S, STEP_S_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotpState:
    """The last counter whose code was accepted; -1 before the first."""

    last_counter: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpState:
    """The last time step whose code was accepted, and how many steps the authenticator's clock is ahead."""

    last_step: int = -1
    drift_steps: int = 0


def hotp(authenticator: Authenticator, counter: int) -> str:
    """Return the code of a counter.

    Source: RFC 4226, section 5.3.
    """
    mac = hmac.digest(authenticator.seed, counter.to_bytes(8), authenticator.hash_function.value)
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**authenticator.digits:0{authenticator.digits}d}"


def totp(authenticator: Authenticator, at_s: int) -> str:
    """Return the code of an instant, in seconds since 1970.

    Source: RFC 6238, section 4.
    """
    return hotp(authenticator, at_s // authenticator.step_s)


def check_hotp(
    authenticator: Authenticator, state: HotpState, code: str, *, look_ahead: int = LOOK_AHEAD
) -> HotpState | None:
    """Accept a code of one of the next `look_ahead` counters (1 to 50).

    Raises:
        InvalidRequest: `look_ahead` is out of its range.

    Source: RFC 4226, section 7.2 and 7.4.
    """
    _within("look_ahead", look_ahead, 1, LOOK_AHEAD_MAX)
    ahead = range(state.last_counter + 1, state.last_counter + 1 + look_ahead)
    counter = _first(authenticator, ahead, (code,))
    return None if counter is None else HotpState(last_counter=counter)


def resync_hotp(authenticator: Authenticator, state: HotpState, codes: Sequence[str]) -> HotpState | None:
    """Accept two or three codes in a row that begin within the next 50 counters.

    Raises:
        InvalidRequest: There are fewer or more codes.

    Source: RFC 4226, section 7.4.
    """
    _within("codes", len(codes), *RESYNC_CODES)
    ahead = range(state.last_counter + 1, state.last_counter + 1 + LOOK_AHEAD_MAX)
    counter = _first(authenticator, ahead, codes)
    return None if counter is None else HotpState(last_counter=counter + len(codes) - 1)


def check_totp(
    authenticator: Authenticator, state: TotpState, code: str, *, at_s: int, window: int = WINDOW_STEPS
) -> TotpState | None:
    """Accept the code of the present time step, or of one up to `window` steps around it (0 to 2).

    `at_s` is our time, in seconds since 1970; the authenticator's clock may differ. How far it does is
    learned from what was accepted, up to two steps.

    Raises:
        InvalidRequest: `window` is out of its range.

    Source: RFC 6238, section 5.2 and 6.
    """
    _within("window", window, 0, WINDOW_STEPS_MAX)
    ours = at_s // authenticator.step_s
    theirs = ours + state.drift_steps
    step = _first(authenticator, _rising(state, theirs, window), (code,))
    if step is None:
        return None
    seen = step - ours
    drift = seen if abs(seen) <= DRIFT_STEPS_MAX else state.drift_steps
    return TotpState(last_step=step, drift_steps=drift)


def resync_totp(
    authenticator: Authenticator, state: TotpState, codes: Sequence[str], *, at_s: int
) -> TotpState | None:
    """Accept two or three codes in a row, the last within ten steps of our time, and follow that clock.

    Raises:
        InvalidRequest: There are fewer or more codes.

    Source: RFC 6238, section 6.
    """
    _within("codes", len(codes), *RESYNC_CODES)
    ours = at_s // authenticator.step_s
    after_first = len(codes) - 1
    step = _first(authenticator, _rising(state, ours - after_first, RESYNC_STEPS_MAX), codes)
    if step is None:
        return None
    last_step = step + after_first
    return TotpState(last_step=last_step, drift_steps=last_step - ours)


def _rising(state: TotpState, centre: int, around: int) -> range:
    """Return the steps around a centre that come after the last accepted one."""
    return range(max(centre - around, state.last_step + 1, 0), centre + around + 1)


def _first(authenticator: Authenticator, counters: Iterable[int], codes: Sequence[str]) -> int | None:
    """Return the first counter from which on the authenticator makes these codes, one after another."""
    offered = " ".join(codes)
    for counter in counters:
        made = " ".join(hotp(authenticator, counter + n) for n in range(len(codes)))
        if matches(made, offered):
            return counter
    return None


def _within(field_name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRequest(f"`{field_name}` must be {low} to {high}.", field=field_name)

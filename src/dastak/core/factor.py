"""Another proof than a text or a call: an authenticator by time or by counter, or a printed list.

1. A factor counts once its person has proved it with one code; its seed is shown once, and sealed from then.
2. What was accepted once is never accepted again: its state only moves on, in the commit of the check.
3. Its wrong attempts are its own: who locks a number's texts leaves its authenticator open, and the other
   way round.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core import hash_chain, oath
from dastak.core.codes import Alphabet, read_typed
from dastak.core.errors import InvalidRequest
from dastak.core.hash_chain import Chain
from dastak.core.ids import FactorId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.msisdn import Msisdn
from dastak.core.oath import Authenticator, HashFunction, HotpState, TotpState
from dastak.core.policy import Channel
from dastak.core.tenant import Mode

# What one number may have; who loses phones begins anew often. What nobody proved gives way.
FACTORS_PER_NUMBER_MAX: Final = 20
LABEL_CHARACTERS_MAX: Final = 64
# RFC 4226, section 4, R6 recommends 160 bits.
SEED_OCTETS: Final = 20


class FactorState(StrEnum):
    """Where a factor stands."""

    PENDING = "pending"  # shown to its person, and not yet proved
    ACTIVE = "active"
    REMOVED = "removed"


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """One factor of one number, as it stands.

    Attributes:
        kind: One of `policy.FACTORS`.
        sealed: The seed of an authenticator; a chain has none, and what is removed has none any more.
        last: The time step or the counter accepted last; -1 before the first.
        drift_steps: How many steps the clock of an authenticator by time is ahead.
        chain: What is kept of a printed list.
        tally: The wrong attempts at this factor.
    """

    id: FactorId
    tenant: int
    mode: Mode
    msisdn: Msisdn
    kind: Channel
    created_at: datetime
    state: FactorState = FactorState.PENDING
    label: str = ""
    sealed: bytes | None = None
    digits: int = oath.DIGITS_MIN
    hash_function: HashFunction = HashFunction.SHA1
    step_s: int = oath.STEP_S
    last: int = -1
    drift_steps: int = 0
    chain: Chain | None = None
    tally: Tally = CLEAN


def accept(factor: Factor, seed: bytes, typed: str, *, at_s: int) -> Factor | None:
    """Return the factor after a code that is right, or None.

    Args:
        factor: Not removed.
        seed: Of an authenticator, in clear.
        typed: As a person typed it.
        at_s: Our time, in seconds since 1970.
    """
    if factor.kind is Channel.HASH_CHAIN:
        return _accept_password(factor, typed)
    code = read_typed(typed, length=factor.digits, alphabet=Alphabet.NUMERIC)
    if code is None:
        return None
    if factor.kind is Channel.TOTP:
        return _after_time(factor, oath.check_totp(_shared(factor, seed), _time(factor), code, at_s=at_s))
    return _after_count(factor, oath.check_hotp(_shared(factor, seed), _count(factor), code))


def resync(factor: Factor, seed: bytes, typed: Sequence[str], *, at_s: int) -> Factor | None:
    """Return the factor after two or three codes in a row, further away than one code would be believed.

    Whoever has them in a row has the authenticator, so its wrong attempts are forgotten.

    Raises:
        InvalidRequest: It is a printed list, or there are fewer or more codes.
    """
    if factor.kind is Channel.HASH_CHAIN:
        raise InvalidRequest("A printed list is never out of step; make a new one.")
    read = [read_typed(one, length=factor.digits, alphabet=Alphabet.NUMERIC) or "" for one in typed]
    if factor.kind is Channel.TOTP:
        moved = _after_time(factor, oath.resync_totp(_shared(factor, seed), _time(factor), read, at_s=at_s))
    else:
        moved = _after_count(factor, oath.resync_hotp(_shared(factor, seed), _count(factor), read))
    return None if moved is None else msgspec.structs.replace(moved, tally=CLEAN)


def remove(factor: Factor) -> Factor:
    """Take a factor away for good, and its secret with it."""
    gone = None if factor.chain is None else dataclasses.replace(factor.chain, password=b"")
    return msgspec.structs.replace(factor, state=FactorState.REMOVED, sealed=None, chain=gone)


def challenge(factor: Factor) -> str | None:
    """Return what a person with a printed list is asked for: `otp-sha1 98 test`; nothing for the others.

    Raises:
        Conflict: The list is used up.
    """
    return None if factor.chain is None else hash_chain.challenge(factor.chain)


def codes_left(factor: Factor) -> int | None:
    """Return how many codes a printed list has left; None for an authenticator, which has no end."""
    return None if factor.chain is None else factor.chain.sequence


def _accept_password(factor: Factor, typed: str) -> Factor | None:
    assert factor.chain is not None
    password = hash_chain.read_password(typed)
    chain = None if password is None else hash_chain.accept(factor.chain, password)
    return None if chain is None else _proved(msgspec.structs.replace(factor, chain=chain))


def _after_time(factor: Factor, state: TotpState | None) -> Factor | None:
    if state is None:
        return None
    moved = msgspec.structs.replace(factor, last=state.last_step, drift_steps=state.drift_steps)
    return _proved(moved)


def _after_count(factor: Factor, state: HotpState | None) -> Factor | None:
    return None if state is None else _proved(msgspec.structs.replace(factor, last=state.last_counter))


def _proved(factor: Factor) -> Factor:
    return msgspec.structs.replace(factor, state=FactorState.ACTIVE)


def _shared(factor: Factor, seed: bytes) -> Authenticator:
    return Authenticator(
        seed=seed, digits=factor.digits, hash_function=factor.hash_function, step_s=factor.step_s
    )


def _time(factor: Factor) -> TotpState:
    return TotpState(last_step=factor.last, drift_steps=factor.drift_steps)


def _count(factor: Factor) -> HotpState:
    return HotpState(last_counter=factor.last)

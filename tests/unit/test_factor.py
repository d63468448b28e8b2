"""The rules of factors, where the standards' own vectors do not reach."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from dastak.core import factor as rules
from dastak.core.errors import InvalidRequest
from dastak.core.factor import Factor, FactorState
from dastak.core.hash_chain import ChainHash, begin, passwords
from dastak.core.ids import FactorId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.oath import Authenticator, hotp, totp
from dastak.core.policy import Channel
from dastak.core.tenant import Mode

SEED = b"12345678901234567890"
SHARED = Authenticator(seed=SEED)
LIST = ("a passphrase nobody types", "seed1", 12, ChainHash.SHA1)


def some_factor(kind: Channel) -> Factor:
    return Factor(
        id=FactorId(bytes(16)),
        tenant=1,
        mode=Mode.LIVE,
        msisdn="+919876543210",
        kind=kind,
        created_at=datetime(2026, 11, 28, tzinfo=UTC),
        chain=begin(*LIST) if kind is Channel.HASH_CHAIN else None,
    )


def test_first_right_code_proves_a_factor_and_a_wrong_one_does_nothing() -> None:
    factor = some_factor(Channel.HOTP)

    proved = rules.accept(factor, SEED, hotp(SHARED, 0), at_s=0)

    assert proved is not None
    assert (proved.state, proved.last) == (FactorState.ACTIVE, 0)
    assert rules.accept(proved, SEED, hotp(SHARED, 0), at_s=0) is None


@pytest.mark.parametrize("typed", ["755 224", "755-224", "७५५२२४", "Code: 755224."])
def test_code_may_be_typed_as_people_type(typed: str) -> None:
    assert rules.accept(some_factor(Channel.HOTP), SEED, typed, at_s=0) is not None


def test_clock_of_an_authenticator_is_followed_two_steps_and_no_further() -> None:
    factor = some_factor(Channel.TOTP)
    at_s = 1_800_000_000

    ahead = rules.accept(factor, SEED, totp(SHARED, at_s + 30), at_s=at_s)
    assert ahead is not None
    further = rules.accept(ahead, SEED, totp(SHARED, at_s + 3600 + 60), at_s=at_s + 3600)

    assert (ahead.drift_steps, further and further.drift_steps) == (1, 2)
    assert rules.accept(factor, SEED, totp(SHARED, at_s + 90), at_s=at_s) is None


def test_two_codes_in_a_row_bring_it_into_step_and_forget_its_wrong_attempts() -> None:
    locked = replace(some_factor(Channel.TOTP), tally=Tally(100, (1, 2, 3)))
    at_s = 1_800_000_000
    codes = [totp(SHARED, at_s + 240), totp(SHARED, at_s + 270)]

    moved = rules.resync(locked, SEED, codes, at_s=at_s)

    assert moved is not None
    assert (moved.drift_steps, moved.tally) == (9, CLEAN)
    assert rules.resync(locked, SEED, codes[::-1], at_s=at_s) is None


def test_printed_list_has_no_step_to_be_out_of() -> None:
    with pytest.raises(InvalidRequest):
        rules.resync(some_factor(Channel.HASH_CHAIN), b"", ["a", "b"], at_s=0)


def test_printed_codes_are_asked_for_in_their_order_until_the_last() -> None:
    factor: Factor | None = some_factor(Channel.HASH_CHAIN)

    for number, password in enumerate(passwords(*LIST)):
        assert factor is not None
        assert rules.challenge(factor) == f"otp-sha1 {11 - number} seed1"
        factor = rules.accept(factor, b"", password, at_s=0)

    assert factor is not None
    assert rules.codes_left(factor) == 0
    assert rules.accept(factor, b"", passwords(*LIST)[-1], at_s=0) is None

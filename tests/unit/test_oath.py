"""HOTP and TOTP give the standards' codes, and take each of them once."""

import base64
import hashlib

import pyotp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dastak.core.errors import InvalidRequest
from dastak.core.oath import (
    DRIFT_STEPS_MAX,
    LOOK_AHEAD_MAX,
    RESYNC_STEPS_MAX,
    Authenticator,
    HashFunction,
    HotpState,
    TotpState,
    check_hotp,
    check_totp,
    hotp,
    resync_hotp,
    resync_totp,
    totp,
)

DIGITS = b"1234567890"
MINE = Authenticator(seed=DIGITS * 2)
HASHES = {
    HashFunction.SHA1: hashlib.sha1,
    HashFunction.SHA256: hashlib.sha256,
    HashFunction.SHA512: hashlib.sha512,
}

# RFC 4226, appendix D.
HOTP_VECTORS = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split()  # noqa: SIM905 - a table
# RFC 6238, appendix B: an instant, then the code with SHA-1, SHA-256 and SHA-512.
TOTP_VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
SEEDS = {
    HashFunction.SHA1: DIGITS * 2,
    HashFunction.SHA256: DIGITS * 3 + DIGITS[:2],
    HashFunction.SHA512: DIGITS * 6 + DIGITS[:4],
}


def test_hotp_equals_the_vectors_of_rfc_4226() -> None:
    assert [hotp(MINE, counter) for counter in range(10)] == HOTP_VECTORS


@pytest.mark.parametrize(("at_s", "sha1", "sha256", "sha512"), TOTP_VECTORS)
def test_totp_equals_the_vectors_of_rfc_6238(at_s: int, sha1: str, sha256: str, sha512: str) -> None:
    made = [
        totp(Authenticator(seed=SEEDS[each], digits=8, hash_function=each), at_s) for each in HashFunction
    ]

    assert made == [sha1, sha256, sha512]


AUTHENTICATORS = st.builds(
    Authenticator,
    seed=st.binary(min_size=16, max_size=128),
    digits=st.integers(6, 10),
    hash_function=st.sampled_from(HashFunction),
    step_s=st.integers(30, 60),
)


@given(AUTHENTICATORS, st.integers(0, 2**40))
def test_codes_equal_those_of_another_implementation(authenticator: Authenticator, n: int) -> None:
    seed = base64.b32encode(authenticator.seed).decode()
    their_hash = HASHES[authenticator.hash_function]
    by_counter = pyotp.HOTP(seed, digits=authenticator.digits, digest=their_hash)
    by_time = pyotp.TOTP(seed, digits=authenticator.digits, digest=their_hash, interval=authenticator.step_s)

    assert hotp(authenticator, n) == by_counter.at(n)
    assert totp(authenticator, n) == by_time.generate_otp(n // authenticator.step_s)


def test_authenticator_shows_no_seed() -> None:
    assert "1234" not in repr(MINE)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": b"x" * 15},
        {"seed": b"x" * 129},
        {"digits": 5},
        {"digits": 11},
        {"step_s": 29},
        {"step_s": 61},
    ],
)
def test_authenticator_refuses_what_no_standard_allows(change: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Authenticator(**{"seed": DIGITS * 2} | change)

    assert refused.value.field in change


@pytest.mark.parametrize(("ahead", "accepted"), [(-3, False), (0, False), (1, True), (10, True), (11, False)])
def test_check_hotp_looks_ten_counters_ahead_and_never_back(ahead: int, accepted: bool) -> None:
    state = HotpState(last_counter=100)

    after = check_hotp(MINE, state, hotp(MINE, 100 + ahead))

    assert after == (HotpState(last_counter=100 + ahead) if accepted else None)


def test_check_hotp_begins_with_counter_zero() -> None:
    assert check_hotp(MINE, HotpState(), "755224") == HotpState(last_counter=0)


@pytest.mark.parametrize("look_ahead", [0, LOOK_AHEAD_MAX + 1])
def test_check_hotp_refuses_to_look_further_than_it_may(look_ahead: int) -> None:
    with pytest.raises(InvalidRequest):
        check_hotp(MINE, HotpState(), "755224", look_ahead=look_ahead)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("ahead", "accepted"), [(0, False), (1, True), (40, True), (50, True), (51, False)])
def test_resync_hotp_takes_codes_in_a_row(ahead: int, count: int, accepted: bool) -> None:
    first = 100 + ahead
    codes = [hotp(MINE, first + n) for n in range(count)]

    after = resync_hotp(MINE, HotpState(last_counter=100), codes)

    assert after == (HotpState(last_counter=first + count - 1) if accepted else None)


def test_resync_hotp_refuses_codes_that_are_not_in_a_row() -> None:
    assert resync_hotp(MINE, HotpState(), [hotp(MINE, 5), hotp(MINE, 7)]) is None
    assert resync_hotp(MINE, HotpState(), [hotp(MINE, 6), hotp(MINE, 5)]) is None


@pytest.mark.parametrize("count", [0, 1, 4])
def test_resync_needs_two_or_three_codes(count: int) -> None:
    codes = [hotp(MINE, n) for n in range(count)]

    with pytest.raises(InvalidRequest):
        resync_hotp(MINE, HotpState(), codes)
    with pytest.raises(InvalidRequest):
        resync_totp(MINE, TotpState(), codes, at_s=0)


NOW_S = 1_900_000_000
STEP = NOW_S // 30


@pytest.mark.parametrize("window", [0, 1, 2])
@pytest.mark.parametrize("off", range(-3, 4))
def test_check_totp_takes_codes_within_its_window(off: int, window: int) -> None:
    code = totp(MINE, NOW_S + 30 * off)

    after = check_totp(MINE, TotpState(), code, at_s=NOW_S, window=window)

    assert after == (TotpState(last_step=STEP + off, drift_steps=off) if abs(off) <= window else None)


@pytest.mark.parametrize("window", [-1, 3])
def test_check_totp_refuses_a_wider_window(window: int) -> None:
    with pytest.raises(InvalidRequest):
        check_totp(MINE, TotpState(), "123456", at_s=NOW_S, window=window)


def test_check_totp_takes_a_code_once_and_none_before_it() -> None:
    code = totp(MINE, NOW_S)
    after = check_totp(MINE, TotpState(), code, at_s=NOW_S)

    assert after is not None
    assert check_totp(MINE, after, code, at_s=NOW_S) is None
    assert check_totp(MINE, after, code, at_s=NOW_S + 30) is None
    assert check_totp(MINE, after, totp(MINE, NOW_S - 30), at_s=NOW_S) is None
    assert check_totp(MINE, after, totp(MINE, NOW_S + 30), at_s=NOW_S + 30) is not None


def test_check_totp_follows_a_clock_up_to_two_steps_and_no_further() -> None:
    state = TotpState()
    for round_, off in enumerate((1, 2, 3, 3)):
        at_s = NOW_S + 300 * round_
        state = check_totp(MINE, state, totp(MINE, at_s + 30 * off), at_s=at_s)
        assert state is not None

    assert state.drift_steps == DRIFT_STEPS_MAX
    assert check_totp(MINE, state, totp(MINE, NOW_S + 6000 + 30 * 4), at_s=NOW_S + 6000) is None


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("off", [-RESYNC_STEPS_MAX, -3, 0, 3, RESYNC_STEPS_MAX])
def test_resync_totp_follows_a_clock_that_is_further_off(off: int, count: int) -> None:
    last = STEP + off
    codes = [hotp(MINE, last - count + 1 + n) for n in range(count)]

    after = resync_totp(MINE, TotpState(), codes, at_s=NOW_S)

    assert after == TotpState(last_step=last, drift_steps=off)
    later = check_totp(MINE, after, hotp(MINE, last + 5), at_s=NOW_S + 150)
    assert later == TotpState(last_step=last + 5, drift_steps=off)


def test_resync_totp_refuses_what_is_too_far_off_used_or_not_in_a_row() -> None:
    def codes(last: int) -> list[str]:
        return [hotp(MINE, last - 1), hotp(MINE, last)]

    fresh, used = TotpState(), TotpState(last_step=STEP)

    assert resync_totp(MINE, fresh, codes(STEP + RESYNC_STEPS_MAX + 1), at_s=NOW_S) is None
    assert resync_totp(MINE, fresh, codes(STEP - RESYNC_STEPS_MAX - 1), at_s=NOW_S) is None
    assert resync_totp(MINE, used, codes(STEP), at_s=NOW_S) is None
    assert resync_totp(MINE, used, codes(STEP + 1), at_s=NOW_S) is None
    assert resync_totp(MINE, fresh, codes(STEP)[::-1], at_s=NOW_S) is None


def test_check_totp_at_the_beginning_of_time_looks_at_no_step_before_it() -> None:
    assert check_totp(MINE, TotpState(), totp(MINE, 0), at_s=0, window=2) == TotpState(last_step=0)


@given(st.text(max_size=12))
def test_checks_take_any_text_for_a_code(code: str) -> None:
    assume(not code.isascii())

    assert check_hotp(MINE, HotpState(), code) is None
    assert check_totp(MINE, TotpState(), code, at_s=NOW_S) is None


class CodesAreTakenOnce(RuleBasedStateMachine):
    """Whatever is tried, in whatever order and with whatever clock, no step is accepted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.hotp_state, self.hotp_taken = HotpState(), [-1]
        self.totp_state, self.totp_taken = TotpState(), [-1]

    @rule(ahead=st.integers(-5, 15))
    def type_a_code_by_counter(self, ahead: int) -> None:
        after = check_hotp(MINE, self.hotp_state, hotp(MINE, max(0, self.hotp_state.last_counter + ahead)))
        if after is not None:
            self.hotp_state = after
            self.hotp_taken.append(after.last_counter)

    @rule(at_step=st.integers(1000, 1010), off=st.integers(-4, 4), window=st.integers(0, 2))
    def type_a_code_by_time(self, at_step: int, off: int, window: int) -> None:
        code = totp(MINE, 30 * (at_step + off))
        after = check_totp(MINE, self.totp_state, code, at_s=30 * at_step, window=window)
        if after is not None:
            self.totp_state = after
            self.totp_taken.append(after.last_step)

    @rule(at_step=st.integers(1000, 1010), off=st.integers(-11, 11))
    def resynchronise(self, at_step: int, off: int) -> None:
        codes = [hotp(MINE, at_step + off), hotp(MINE, at_step + off + 1)]
        after = resync_totp(MINE, self.totp_state, codes, at_s=30 * at_step)
        if after is not None:
            self.totp_state = after
            self.totp_taken.append(after.last_step)

    @invariant()
    def what_was_accepted_only_rises(self) -> None:
        for taken in (self.hotp_taken, self.totp_taken):
            assert taken == sorted(set(taken))


TestCodesAreTakenOnce = CodesAreTakenOnce.TestCase

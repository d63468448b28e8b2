"""A chain gives the standard's passwords, takes each once and in order, and ends."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.hash_chain import (
    Chain,
    ChainHash,
    accept,
    begin,
    challenge,
    check_renewal,
    read_password,
    running_low,
    show_password,
)

PHRASE = "This is a test."

# RFC 2289, appendix C: hash, passphrase, seed, then the passwords 0, 1 and 99.
VECTORS = [
    (ChainHash.MD5, PHRASE, "TeSt", "9E876134D90499DD", "7965E05436F5029F", "50FE1962C4965880"),
    (ChainHash.MD5, "AbCdEfGhIjK", "alpha1", "87066DD9644BF206", "7CD34C1040ADD14B", "5AA37A81F212146C"),
    (ChainHash.MD5, "OTP's are good", "correct", "F205753943DE4CF9", "DDCDAC956F234937", "B203E28FA525BE47"),
    (ChainHash.SHA1, PHRASE, "TeSt", "BB9E6AE1979D8FF4", "63D936639734385B", "87FEC7768B73CCF9"),
    (ChainHash.SHA1, "AbCdEfGhIjK", "alpha1", "AD85F658EBE383C9", "D07CE229B5CF119B", "27BC71035AAF3DC6"),
    (ChainHash.SHA1, "OTP's are good", "correct", "D51F3E99BF8E6F0B", "82AEB52D943774E4", "4F296A74FE1567EC"),
]


def chain(sequence: int, *, seed: str = "test", hash_function: ChainHash = ChainHash.MD5) -> Chain:
    return begin(PHRASE, seed, sequence, hash_function)


@pytest.mark.parametrize(("hash_function", "phrase", "seed", "zeroth", "first", "last"), VECTORS)
def test_begin_equals_the_vectors_of_rfc_2289(
    hash_function: ChainHash, phrase: str, seed: str, zeroth: str, first: str, last: str
) -> None:
    made = [begin(phrase, seed, sequence, hash_function).password.hex().upper() for sequence in (0, 1, 99)]

    assert made == [zeroth, first, last]


@pytest.mark.parametrize("hash_function", ChainHash)
def test_accept_goes_down_the_chain_to_its_end(hash_function: ChainHash) -> None:
    kept = chain(20, hash_function=hash_function)

    for sequence in range(19, -1, -1):
        below = chain(sequence, hash_function=hash_function)
        after = accept(kept, below.password)
        assert after == below
        kept = after

    assert accept(kept, kept.password) is None
    with pytest.raises(Conflict):
        challenge(kept)


@pytest.mark.parametrize("sequence", [0, 1, 48, 50, 51, 99])
def test_accept_takes_only_the_password_just_below(sequence: int) -> None:
    assert accept(chain(50), chain(sequence).password) is None


def test_accept_takes_a_password_once() -> None:
    password = chain(49).password
    after = accept(chain(50), password)

    assert after is not None
    assert accept(after, password) is None


def test_accept_takes_nothing_at_sequence_zero() -> None:
    used_up = replace(chain(50), sequence=0)

    assert accept(used_up, chain(49).password) is None


@given(st.binary(max_size=20))
def test_accept_takes_no_other_octets(octets: bytes) -> None:
    assert accept(chain(50), octets) is None


def test_challenge_names_hash_number_and_seed() -> None:
    assert challenge(chain(99, seed="TeSt")) == "otp-md5 98 test"


@pytest.mark.parametrize(("sequence", "low"), [(100, False), (10, False), (9, True), (0, True)])
def test_running_low_warns_below_ten(sequence: int, low: bool) -> None:
    assert running_low(chain(sequence)) is low


def test_check_renewal_refuses_a_seed_again_however_high_the_number() -> None:
    fresh = chain(500, seed="TEST")

    with pytest.raises(Conflict):
        check_renewal(fresh, used_seeds={"test"})
    assert check_renewal(fresh, used_seeds={"test1"}) == fresh


def test_check_renewal_refuses_a_chain_that_is_already_low() -> None:
    with pytest.raises(InvalidRequest):
        check_renewal(chain(9), used_seeds=set())


@pytest.mark.parametrize(
    ("phrase", "seed", "sequence", "field"),
    [
        ("too short", "test", 99, "passphrase"),
        ("x" * 64, "test", 99, "passphrase"),
        ("This is ä test.", "test", 99, "passphrase"),
        (PHRASE, "", 99, "seed"),
        (PHRASE, "a" * 17, 99, "seed"),
        (PHRASE, "te st", 99, "seed"),
        (PHRASE, "test\n", 99, "seed"),
        (PHRASE, "तेस्त", 99, "seed"),
        (PHRASE, "\u212aey", 99, "seed"),  # the Kelvin sign, whose lower case is an ASCII k
        (PHRASE, "test", -1, "sequence"),
        (PHRASE, "test", 10_000, "sequence"),
    ],
)
def test_begin_refuses_what_no_calculator_makes(phrase: str, seed: str, sequence: int, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        begin(phrase, seed, sequence, ChainHash.SHA1)

    assert refused.value.field == field


@pytest.mark.parametrize("text", ["9E87 6134 D904 99DD", "9e876134d90499dd", " 9E876134\tD90499DD\n"])
def test_read_password_takes_hexadecimal_digits_in_any_form(text: str) -> None:
    assert read_password(text) == bytes.fromhex("9E876134D90499DD")


@pytest.mark.parametrize(
    "text", ["", "9E87", "9E87 6134 D904 99DDAA", "9E87-6134-D904-99DD", "９E876134D90499DD", "9" * 65]
)
def test_read_password_takes_nothing_else(text: str) -> None:
    assert read_password(text) is None


@given(st.binary(min_size=8, max_size=8))
def test_read_password_reads_what_show_password_writes(password: bytes) -> None:
    assert read_password(show_password(password)) == password


@given(st.text(max_size=80))
def test_read_password_raises_nothing(text: str) -> None:
    password = read_password(text)

    assert password is None or len(password) == 8

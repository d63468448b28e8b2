"""Names, passwords, factors and recovery codes of people."""

import random

import pytest
from msgspec.structs import replace

from dastak.core.codes import KeyRing
from dastak.core.errors import InvalidRequest
from dastak.core.msisdn import Msisdn
from dastak.core.person import (
    RECOVERY_CODES,
    RECOVERY_OCTETS,
    Owned,
    Person,
    PersonId,
    check_name,
    name_key,
    owned,
    read_password,
    recovery_codes,
    recovery_digests,
    ways,
    with_owned,
)
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.tenancy.known_passwords import is_known, read_breached
from tests.support.samples import NOW, RING

ASHA = Person(id=PersonId(bytes(16)), service=1, mode=Mode.LIVE, username="Asha", created_at=NOW)
ALL = (Channel.TOTP, Channel.SMS, Channel.VOICE, Channel.HASH_CHAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Asha", "asha"),
        ("Asha", "  ASHA "),
        ("Asha", "Ａｓｈａ"),
        ("straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("आशा", "आशा"),
    ],
)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize("name", ["asha", "a.b-c_d@e.in", "आशा", "x+1", "a" * 64])
def test_name_may_be_used(name: str) -> None:
    assert check_name(f" {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "ab", "a" * 65, "a b", "a\u202eb", "a<b>", "a\nb", "a'b", "as\u200bha", "a/b", "a\x00b"]
)
def test_name_may_not_be_used(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)


def test_longer_name_is_never_a_shorter_one() -> None:
    assert name_key("a" * 64) != name_key("a" * 65)


def test_password_is_the_same_from_every_keyboard() -> None:
    assert read_password("cafe\u0301") == read_password("café")
    assert read_password("Secret") != read_password("secret")


def test_number_counts_once_it_is_proved() -> None:
    typed = replace(ASHA, msisdn=Msisdn("+919876543210"))
    proved = replace(typed, proved_at=NOW)

    assert ways(ASHA, ALL) == ways(typed, ALL) == ()
    assert ways(proved, ALL) == (Channel.SMS, Channel.VOICE)
    assert ways(proved, (Channel.VOICE,)) == (Channel.VOICE,)


def test_preferred_factor_comes_first_and_the_rest_as_the_service_wants() -> None:
    person = replace(ASHA, msisdn=Msisdn("+919876543210"), proved_at=NOW)
    person = with_owned(with_owned(person, Channel.TOTP, "aa"), Channel.HASH_CHAIN, "bb")

    assert ways(person, ALL) == ALL
    preferring = replace(person, prefers=Channel.VOICE)
    assert ways(preferring, ALL) == (Channel.VOICE, Channel.TOTP, Channel.SMS, Channel.HASH_CHAIN)
    assert ways(replace(person, prefers=Channel.HOTP), ALL) == ALL


def test_person_owns_one_of_a_kind() -> None:
    person = with_owned(with_owned(ASHA, Channel.TOTP, "aa"), Channel.TOTP, "bb")

    assert person.owned == (Owned(Channel.TOTP, "bb"),)
    assert owned(person, Channel.TOTP) == "bb"
    assert owned(with_owned(person, Channel.TOTP, None), Channel.TOTP) is None


def test_recovery_codes_are_ten_different_ones() -> None:
    codes = recovery_codes(random.Random(1).randbytes(RECOVERY_OCTETS))

    assert len(set(codes)) == RECOVERY_CODES
    assert {(len(code), code[5]) for code in codes} == {(11, "-")}


def test_recovery_code_is_found_however_it_is_typed_and_after_a_new_key() -> None:
    kept = recovery_digests(RING, ASHA.id, "AB3DE-FGH23")[0]
    later = KeyRing(current=3, keys={**RING.keys, 3: bytes(range(64, 96))})

    assert kept in recovery_digests(later, ASHA.id, " ab3de fgh23 ")
    assert kept not in recovery_digests(later, PersonId(b"\x01" * 16), "AB3DE-FGH23")
    assert kept not in recovery_digests(later, ASHA.id, "AB3DE-FGH24")


@pytest.mark.parametrize(
    "password",
    [
        *("password", "Password1!", "P@ssw0rd123", "12345678", "qwertyuiop", "1q2w3e4r", "aaaaaaaa"),
        *("abababab", "letmein2024", "iloveyou!!", "adminadmin", "87654321", "zxcvbnm1", "00000000"),
    ],
)
def test_everybody_would_try_this_first(password: str) -> None:
    assert is_known(password)


@pytest.mark.parametrize(
    "password", ["a bridge of seven lemons", "Kq7#vL2p", "grün-wie-der-Mai", "आशा की किरण"]
)
def test_nobody_would_try_this_first(password: str) -> None:
    assert not is_known(password)


def test_list_of_breached_passwords_is_read_in_any_case(tmp_path) -> None:
    file = tmp_path / "breached.txt"
    file.write_text("Kq7#vL2p\n\nxyz\n")

    assert is_known("kQ7#Vl2P", read_breached(file))
    assert not is_known("kQ7#Vl2P", read_breached(None))

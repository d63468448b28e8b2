"""Names, passwords, factors and recovery codes of people."""

import logging
import random
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.codes import KeyRing
from dastak.core.errors import InvalidRequest, Refused
from dastak.core.msisdn import Msisdn
from dastak.core.person import (
    NAME_CHARACTERS_MAX,
    RECOVERY_CODES,
    RECOVERY_OCTETS,
    Owned,
    Person,
    PersonId,
    check_name,
    exact_key,
    name_key,
    owned,
    read_password,
    recovery_codes,
    recovery_digests,
    ways,
    with_number,
    with_owned,
    without_owned,
)
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from dastak.tenancy import known_passwords
from dastak.tenancy.known_passwords import is_known, read_breached
from tests.support.samples import MSISDN, NOW, RING, some_msisdn

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


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [("a" * 64, "a" * 65), ("a" * 64, "a" * 64 + "b" * 6), ("ß" * 32, "ß" * 33), ("ß" * 32, "ß" * 64)],
)
def test_longer_name_is_never_a_shorter_one(shorter: str, longer: str) -> None:
    assert name_key(shorter) != name_key(longer)
    assert len(name_key(longer)) > NAME_CHARACTERS_MAX, (
        "by that it is known that its key is no longer its own"
    )


def test_spellings_of_one_name_have_keys_of_their_own_that_no_name_has() -> None:
    spelled = ["Asha", "asha", "ASHA", "Ａｓｈａ", "café", "cafe\u0301", "a" * 65, "a" * 66]

    assert all(exact_key(one) != exact_key(other) for one, other in combinations(spelled, 2))
    assert exact_key(" Asha ") == exact_key("Asha")
    assert {exact_key(one) for one in spelled}.isdisjoint(map(name_key, map(exact_key, spelled)))


def test_key_of_a_name_has_no_nul() -> None:
    assert name_key("\0 As\0ha") == "asha"
    assert "\0" not in exact_key("As\0ha")


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
    assert owned(without_owned(person, Channel.TOTP, ALL, required=False), Channel.TOTP) is None


@pytest.mark.parametrize("kind", [Channel.SMS, Channel.VOICE])
def test_number_is_no_factor_that_is_taken_away(kind: Channel) -> None:
    with pytest.raises(Refused):
        without_owned(ASHA, kind, ALL, required=False)


@pytest.mark.parametrize(
    ("allowed", "required", "stays"),
    [
        ((Channel.TOTP,), True, True),
        ((Channel.TOTP,), False, False),
        ((Channel.TOTP, Channel.HASH_CHAIN), True, False),
        # What is taken away proves nothing to this service.
        ((Channel.HASH_CHAIN,), True, False),
    ],
)
def test_last_factor_that_is_wanted_stays(
    *, allowed: tuple[Channel, ...], required: bool, stays: bool
) -> None:
    person = with_owned(with_owned(ASHA, Channel.TOTP, "aa"), Channel.HASH_CHAIN, "bb")

    if stays:
        with pytest.raises(Refused):
            without_owned(person, Channel.TOTP, allowed, required=required)
    else:
        left = without_owned(person, Channel.TOTP, allowed, required=required)
        assert left.owned == (Owned(Channel.HASH_CHAIN, "bb"),)


@pytest.mark.parametrize(
    ("allowed", "required", "stays"),
    [
        ((Channel.TOTP, Channel.HASH_CHAIN), True, True),
        ((Channel.TOTP,), False, False),
        # The new number is a factor itself.
        ((Channel.TOTP, Channel.VOICE), True, False),
        # What is taken away proves nothing to this service.
        ((Channel.HOTP,), True, False),
    ],
)
def test_number_that_the_last_wanted_factor_is_filed_under_stays(
    *, allowed: tuple[Channel, ...], required: bool, stays: bool
) -> None:
    person = with_owned(with_owned(ASHA, Channel.TOTP, "aa"), Channel.HASH_CHAIN, "bb")
    person = replace(person, msisdn=MSISDN)
    change = partial(with_number, proved_at=NOW, allowed=allowed, required=required)

    assert change(person, MSISDN) == replace(person, proved_at=NOW)
    if stays:
        with pytest.raises(Refused):
            change(person, some_msisdn(7))
    else:
        moved = change(person, some_msisdn(7))
        assert (moved.msisdn, moved.owned) == (some_msisdn(7), ())


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


def test_list_of_breached_passwords_is_read_in_any_case(tmp_path: Path) -> None:
    file = tmp_path / "breached.txt"
    file.write_text("Kq7#vL2p\n\nxyz\n")

    assert is_known("kQ7#Vl2P", read_breached(file))
    assert not is_known("kQ7#Vl2P", read_breached(None))


@pytest.mark.parametrize(("lines", "told"), [(3, False), (4, True), (5, True)])
def test_longer_list_of_breached_passwords_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lines: int, told: bool
) -> None:
    monkeypatch.setattr(known_passwords, "LINES_MAX", 3)
    file = tmp_path / "breached.txt"
    file.write_text("".join(f"Kq7#vL2p{n}\n" for n in range(lines)))

    with caplog.at_level(logging.WARNING):
        read = read_breached(file)

    assert read == {"kq7#vl2p0", "kq7#vl2p1", "kq7#vl2p2"}
    assert [f"{file} has more than 3 lines" in one for one in caplog.messages] == [True] * told

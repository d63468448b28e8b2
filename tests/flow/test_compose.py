"""The text is made again whenever it is needed, from what is kept, and it begins with the code."""

import re

import pytest
from msgspec.structs import replace

from dastak.core.codes import Alphabet
from dastak.core.errors import Conflict, DastakError
from dastak.core.policy import Policy
from dastak.core.template import LOCALES, Purpose
from dastak.core.verification import Particulars, Verification
from dastak.flows.compose import code_of, measure_wording, text_of, wording_of
from dastak.sms.segments import measure
from tests.support.house import House
from tests.support.samples import some_id, some_verification


def particulars(locale: str, purpose: str) -> Particulars:
    if purpose != Purpose.PAYMENT:
        return Particulars(locale=locale, purpose=purpose)
    return Particulars(locale=locale, purpose=purpose, amount="1234.50", currency="INR", payee="Acme Books")


def some_in(locale: str, purpose: str) -> Verification:
    return some_verification(particulars=particulars(locale, purpose))


@pytest.mark.parametrize("purpose", Purpose)
async def test_text_of_every_language_has_the_code_before_any_other_digit(house: House, purpose: str) -> None:
    for locale in LOCALES:
        verification = some_in(locale, purpose)

        text = text_of(house.ports, verification, house.code(verification))

        assert re.search(r"\d+", text)[0] == house.code(verification), (locale, text)


async def test_text_begins_with_the_code_in_english(house: House) -> None:
    verification = some_in("en", "login")

    assert text_of(house.ports, verification, house.code(verification)).startswith(house.code(verification))


async def test_text_ends_with_the_line_that_binds_the_code_to_its_site(house: House) -> None:
    verification = some_verification(particulars=Particulars(domain="login.acme.in"))

    last = text_of(house.ports, verification, house.code(verification)).splitlines()[-1]

    assert last == f"@login.acme.in #{house.code(verification)}"


@pytest.mark.parametrize(("ttl_s", "minutes"), [(60, 1), (61, 2), (300, 5), (3600, 60)])
async def test_life_is_said_in_whole_minutes_never_too_few(house: House, ttl_s: int, minutes: int) -> None:
    verification = some_verification(policy=Policy(ttl_s=ttl_s))

    assert wording_of(verification, house.caller.service).minutes == minutes


async def test_code_is_the_same_whenever_it_is_made_again(house: House) -> None:
    verification = some_verification()

    assert len({house.code(verification) for _ in range(3)}) == 1


async def test_code_differs_by_verification_generation_and_key(house: House) -> None:
    one = some_verification(policy=Policy(length=10))
    other = replace(one, id=some_id())
    older_key = replace(one, key_id=1)

    made = {
        code_of(house.ports, one, 0),
        code_of(house.ports, one, 1),
        code_of(house.ports, other, 0),
        code_of(house.ports, older_key, 0),
    }

    assert len(made) == 4


@pytest.mark.parametrize("length", [4, 6, 10])
@pytest.mark.parametrize("alphabet", Alphabet)
async def test_code_is_as_its_policy_says(house: House, length: int, alphabet: Alphabet) -> None:
    verification = some_verification(policy=Policy(length=length, alphabet=alphabet))

    code = house.code(verification)

    assert len(code) == length
    assert code.isdecimal() or alphabet is Alphabet.ALPHANUMERIC


async def test_own_code_is_unsealed_only_for_its_own_verification(house: House) -> None:
    verification = some_verification()
    sealed = house.ports.sealer.seal(b"hunter2024", bound_to=verification.id)

    assert code_of(house.ports, replace(verification, own_code_sealed=sealed), 0) == "hunter2024"
    with pytest.raises(DastakError):
        code_of(house.ports, some_verification(own_code_sealed=sealed), 0)


async def test_own_code_that_was_erased_cannot_be_made_again(house: House) -> None:
    with pytest.raises(Conflict):
        code_of(house.ports, some_verification(own_code_digest=bytes(32)), 0)


@pytest.mark.parametrize("code", ["000000", "999999", "ABCDEF"])
async def test_all_codes_of_one_length_measure_alike(house: House, code: str) -> None:
    for locale in LOCALES:
        verification = some_in(locale, "login")
        wording = wording_of(verification, house.caller.service)
        text = text_of(house.ports, verification, house.code(verification)).replace(
            house.code(verification), code
        )

        assert measure_wording(wording, len(code)) == measure(text)

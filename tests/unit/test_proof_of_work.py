"""The sum of a landing page, against the vectors of SHA-256 and ALTCHA's own library as the judge."""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import altcha
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.web.landing.proof_of_work import (
    GOOD_FOR_S,
    NUMBER_MAX,
    Challenge,
    Judged,
    challenge,
    judge,
    written,
)

KEY, OTHER = b"k" * 32, b"o" * 32
PAGE = 7
NOW_S = 1_800_000_000


def counting(number: int) -> Callable[[int], bytes]:
    """Return chance that hides one number."""
    return number.to_bytes


def asked(number: int = 4321, now_s: int = NOW_S) -> Challenge:
    return challenge(KEY, PAGE, now_s, counting(number))


def solved(one: Challenge, number: int = 4321, **changes: Any) -> str:
    said = {name: getattr(one, name) for name in ("algorithm", "challenge", "salt", "signature")}
    return b64encode(json.dumps({**said, "number": number, **changes}).encode()).decode()


def test_challenge_is_the_digest_of_salt_and_number() -> None:
    one = asked()

    salt = "0000000000000000000010e1?expires=1800001200&page=7&of="
    assert one.salt.startswith(salt)
    assert one.salt.endswith("&")
    assert one.challenge == sha256(f"{one.salt}4321".encode()).hexdigest()
    assert (one.algorithm, one.maxnumber) == ("SHA-256", NUMBER_MAX)


def test_altchas_own_library_solves_our_challenge_and_takes_our_answer() -> None:
    one = asked(now_s=int(time.time()))
    theirs = altcha.solve_challenge_v1(one.challenge, one.salt, one.algorithm, one.maxnumber)

    assert theirs is not None
    assert theirs.number == 4321
    answer = solved(one, theirs.number, took=12)
    assert altcha.verify_solution_v1(answer, KEY) == (True, None)
    assert judge([KEY], answer, PAGE, int(time.time())) is not None
    assert altcha.verify_solution_v1(solved(one, 4322), KEY)[0] is False


def test_answer_of_altchas_own_library_is_taken() -> None:
    one = asked()
    theirs = altcha.PayloadV1(one.algorithm, one.challenge, 4321, one.salt, one.signature)

    assert judge([OTHER, KEY], theirs.to_base64(), PAGE, NOW_S) == Judged(one.salt, True, NOW_S)


def test_challenge_without_a_number_proves_only_its_time() -> None:
    one = asked()

    assert judge([KEY], written(one), PAGE, NOW_S + 60) == Judged(one.salt, False, NOW_S)


@pytest.mark.parametrize(("late_s", "good"), [(GOOD_FOR_S - 1, True), (GOOD_FOR_S, False)])
def test_answer_is_worth_nothing_when_its_time_is_over(late_s: int, good: bool) -> None:
    one = asked()

    for answer in (solved(one), written(one)):
        assert (judge([KEY], answer, PAGE, NOW_S + late_s) is not None) is good


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 4322},
        {"number": -1},
        {"number": "4321"},
        {"number": 4321.5},
        {"number": NUMBER_MAX + 1},
        {"algorithm": "SHA-1"},
        {"challenge": "0" * 64},
        {"challenge": "é"},
        {"signature": "0" * 64},
        {"signature": ""},
        {"salt": ""},
        {"salt": "é?expires=99999999999&page=7&of=é&"},
    ],
    ids=str,
)
def test_changed_answer_is_refused(changes: dict[str, Any]) -> None:
    assert judge([KEY], solved(asked(), **changes), PAGE, NOW_S) is None


def test_answer_of_another_page_or_another_key_is_refused() -> None:
    answer = solved(asked())

    assert judge([KEY], answer, PAGE + 1, NOW_S) is None
    assert judge([OTHER], answer, PAGE, NOW_S) is None


def test_digits_cannot_be_moved_from_the_number_into_the_time() -> None:
    one = asked()
    later = one.salt.replace("&page", "9&page")
    longer = f"{one.salt}4"

    assert judge([KEY], solved(one, salt=later), PAGE, NOW_S) is None
    assert judge([KEY], solved(one, 321, salt=longer), PAGE, NOW_S) is None
    # Without a number nothing but the salt's own signature holds its time.
    untried = {"algorithm": one.algorithm, "challenge": one.challenge, "signature": one.signature}
    moved = b64encode(json.dumps({**untried, "salt": later}).encode()).decode()
    assert judge([KEY], moved, PAGE, NOW_S) is None


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: b64encode(octets).decode()))
def test_whatever_comes_is_judged_without_an_error(text: str) -> None:
    assert judge([KEY], text, PAGE, NOW_S) is None


def test_what_a_form_carries_is_altchas_challenge() -> None:
    names = set(json.loads(b64decode(written(asked()))))

    assert names == {"algorithm", "challenge", "maxnumber", "salt", "signature"}

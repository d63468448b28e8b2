"""The small rules of the demo bank: rupees, numbers, passwords, and how long a session lasts."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.demo_bank import money, passwords
from dastak.demo_bank.code_desk import duration
from dastak.demo_bank.ledger import IDLE_S_MAX, SESSION_S_MAX, TRIES_MAX, TRIES_WITHIN_S, Ledger, Question
from dastak.demo_bank.people_pages import read_msisdn

ASKED = Question("pay", 1, "ver_1", payee="Ravi", amount_paise=5_000_00)


class Wall:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def ledger(tmp_path: Path, wall: Wall) -> Ledger:
    ledger = Ledger(tmp_path / "bank.db", now=wall)
    assert ledger.add_person("asha", "a hash", "+919876543210") is not None
    return ledger


@given(st.integers(1, money.PAISE_MAX))
def test_amount_is_read_back_from_either_way_it_is_written(paise: int) -> None:
    assert money.read_paise(money.exact(paise)) == paise
    assert money.read_paise(money.shown(paise)) == paise


@pytest.mark.parametrize(
    ("paise", "shown"),
    [(5, "₹0.05"), (99_999, "₹999.99"), (5_000_00, "₹5,000.00"), (1_23_45_678_90, "₹1,23,45,678.90")],
)
def test_amount_is_grouped_as_in_india(paise: int, shown: str) -> None:
    assert money.shown(paise) == shown


@pytest.mark.parametrize("text", ["", "0", "-5", "5.5", "5e3", "five", "1.000", "²5", "100000001", "1 000"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert money.read_paise(text) is None


@pytest.mark.parametrize(
    ("text", "msisdn"),
    [
        ("98765 43210", "+919876543210"),
        ("09876543210", "+919876543210"),
        ("+91 (98765) 432-10", "+919876543210"),
        ("+1 202 555 0105", "+12025550105"),
        ("12", None),
        ("", None),
        ("+0123456789", None),
        ("<script>", None),
    ],
)
def test_number_is_read_as_people_write_it(text: str, msisdn: str | None) -> None:
    assert read_msisdn(text) == msisdn


def test_password_matches_itself_alone_and_nobody_has_none() -> None:
    kept = passwords.hash_password("blue horses")

    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches(kept, "blue horses")
    assert not passwords.matches(kept, "blue horse")
    assert not passwords.matches(None, "8b5f1c9a-nobody-knows-this-one")
    assert not passwords.outdated(kept)
    assert passwords.outdated(kept.replace("t=2", "t=1"))


def test_session_ends_when_it_is_left_alone_and_after_half_a_day(ledger: Ledger, wall: Wall) -> None:
    for secret in ("idle", "busy"):
        ledger.open_session(secret, person=1, question=None)
    hours = SESSION_S_MAX // (IDLE_S_MAX - 1)
    seen = []
    for _ in range(hours):
        wall.now += IDLE_S_MAX - 1
        seen.append(ledger.session("busy") is not None)

    assert ledger.session("idle") is None
    assert seen == [True] * hours
    wall.now += IDLE_S_MAX - 1
    assert ledger.session("busy") is None


def test_question_is_acted_on_once_and_by_its_own_session_alone(ledger: Ledger) -> None:
    ledger.open_session("one", person=1, question=ASKED)
    ledger.open_session("two", person=1, question=None)

    assert not ledger.answered("two", ASKED)
    assert not ledger.answered("one", replace(ASKED, amount_paise=1))
    assert ledger.answered("one", ASKED)
    assert not ledger.answered("one", ASKED)
    assert [(paid.payee, paid.amount_paise) for paid in ledger.payments(1)] == [("Ravi", 5_000_00)]
    assert ledger.person(1).balance_paise == 20_000_00


def test_more_than_there_is_is_not_paid(ledger: Ledger) -> None:
    too_much = replace(ASKED, amount_paise=25_000_01)
    ledger.open_session("one", person=1, question=too_much)

    assert not ledger.answered("one", too_much)
    assert (ledger.person(1).balance_paise, ledger.payments(1)) == (25_000_00, [])


def test_newer_question_is_not_forgotten_with_an_older_one(ledger: Ledger) -> None:
    newer = replace(ASKED, verification="ver_2")
    ledger.open_session("one", person=1, question=ASKED)
    ledger.ask("one", newer)

    ledger.forget("one", ASKED)

    session = ledger.session("one")
    assert session is not None
    assert session.question == newer


def test_number_that_counts_is_not_changed(ledger: Ledger) -> None:
    enrol = Question("enrol", 1, "ver_1", "state", msisdn="+919876543210")
    ledger.open_session("one", person=1, question=enrol)
    ledger.answered("one", enrol)

    ledger.change_number(1, "+12025550105")

    assert (ledger.person(1).two_factor, ledger.person(1).msisdn) == (True, "+919876543210")


def test_code_of_one_number_proves_no_other_that_was_written_down_meanwhile(ledger: Ledger) -> None:
    first = Question("enrol", 1, "ver_1", "state", msisdn="+919876543210")
    second = replace(first, verification="ver_2", msisdn="+12025550105")
    ledger.open_session("one", person=1, question=first)
    ledger.open_session("two", person=1, question=second)
    ledger.change_number(1, second.msisdn)

    stale = ledger.answered("one", first)
    between = ledger.person(1).two_factor
    right = ledger.answered("two", second)

    assert (stale, between) == (False, False)
    assert (right, ledger.person(1).two_factor) == (True, True)


def test_tries_are_counted_for_name_and_address_together_and_forgotten_in_time(
    ledger: Ledger, wall: Wall
) -> None:
    first = [ledger.may_try("asha", "192.0.2.1") for _ in range(TRIES_MAX + 1)]
    elsewhere = ledger.may_try("asha", "192.0.2.2")
    wall.now += TRIES_WITHIN_S

    assert first == [True] * TRIES_MAX + [False]
    assert elsewhere
    assert ledger.may_try("asha", "192.0.2.1")


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (99, "99 seconds"), (100, "2 minutes"), (3600, "60 minutes")]
)
def test_time_to_wait_is_told_in_words(seconds: int, words: str) -> None:
    assert duration(seconds) == words

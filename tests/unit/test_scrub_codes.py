"""The codes of DLT scrubbers: every family is told, and what is told agrees with how receipts are read."""

import pytest

from dastak.core.outcome import Outcome
from dastak.dlt.scrub_codes import ASSUMED, all_meanings, families, meanings
from dastak.sms.receipt_codes import DLT_CODES, reason_outcome

TOLD = [meaning for meaning in all_meanings() if meaning.family in (ASSUMED, "words", "jio")]


@pytest.mark.parametrize("meaning", TOLD, ids=lambda meaning: meaning.code)
def test_what_is_explained_is_what_a_receipt_is_taken_for(meaning):
    assert reason_outcome(meaning.code) is meaning.outcome


def test_every_number_a_receipt_is_read_by_is_explained():
    told = {int(meaning.code) for meaning in TOLD if meaning.code.isdecimal()}

    assert told == set(DLT_CODES)


def test_no_family_has_a_code_twice_and_none_is_empty():
    pairs = [(meaning.family, meaning.code) for meaning in all_meanings()]

    assert len(pairs) == len(set(pairs))
    assert {family for family, _ in pairs} == set(families())


def test_a_number_of_two_families_has_both_meanings_the_assumed_one_first():
    found = [(meaning.family, meaning.outcome) for meaning in meanings("614")]

    assert found == [("common", Outcome.DLT_CHAIN), ("authkey", Outcome.DLT_HEADER)]


@pytest.mark.parametrize(
    "written", ["TEMPLATE NOT MATCHED", "template_not_matched", " Template-Not-Matched "]
)
def test_words_are_found_however_they_are_joined(written):
    assert [meaning.outcome for meaning in meanings(written)] == [Outcome.DLT_TEMPLATE]


@pytest.mark.parametrize(
    ("asked", "family"),
    [("023", ["kaleyra"]), ("032", ["kaleyra"]), ("033", []), ("23", []), ("111", ["aggregator"])],
)
def test_a_range_holds_its_ends_and_only_numbers_of_as_many_digits(asked, family):
    assert [meaning.family for meaning in meanings(asked)] == family


@pytest.mark.parametrize("strange", ["", "999", "6_3_3", "٦٣٣", "x" * 10_000, "111-130"])
def test_what_no_family_knows_has_no_meaning(strange):
    assert meanings(strange) == ()

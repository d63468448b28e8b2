"""One receipt for a text of several parts, in whatever order and number theirs come."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.outcome import Outcome
from dastak.core.receipt_parts import TEXTS_MAX, WAITING_MAX, PartJudgement, PartsLedger

PHONE = "919876543210"
BAD = Outcome.ABSENT_SUBSCRIBER


def submitted(ledger: PartsLedger, *refs: str, phone: str = PHONE) -> None:
    text = ledger.begin(phone, len(refs))
    for ref in refs:
        ledger.took(text, ref)
    assert ledger.end(text) == []


@given(st.integers(2, 6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_text_is_delivered_when_all_parts_are_whatever_the_order(
    total: int, copies: int, chance: Random
) -> None:
    ledger = PartsLedger()
    refs = [f"id{n}" for n in range(total)]
    submitted(ledger, *refs)
    receipts = refs * copies
    chance.shuffle(receipts)

    told = [ledger.judge([ref], Outcome.DELIVERED) for ref in receipts]

    whole = max(receipts.index(ref) for ref in refs)
    assert [j.outcome for j in told if j] == [
        Outcome.DELIVERED if n >= whole else Outcome.ENROUTE for n in range(len(receipts))
    ]
    assert {j.ref for j in told if j} == {refs[-1]}


def test_text_is_undelivered_when_one_part_is() -> None:
    ledger = PartsLedger()
    submitted(ledger, "a", "b")

    assert ledger.judge(["a"], BAD) == PartJudgement("b", BAD, 1, 2)
    assert ledger.judge(["b"], Outcome.DELIVERED) == PartJudgement("b", Outcome.ENROUTE, 2, 2)
    # It came late after all.
    assert ledger.judge(["a"], Outcome.DELIVERED) == PartJudgement("b", Outcome.DELIVERED, 1, 2)


def test_receipts_of_other_texts_are_no_business_of_the_ledger() -> None:
    ledger = PartsLedger()
    assert ledger.judge(["x"], Outcome.DELIVERED) is None
    submitted(ledger, "a", "b")

    assert ledger.judge(["x", "y"], Outcome.DELIVERED) is None
    assert ledger.judge(["x", "b"], Outcome.DELIVERED) == PartJudgement("b", Outcome.ENROUTE, 2, 2)


def test_receipt_that_comes_too_early_waits_for_the_rest() -> None:
    ledger = PartsLedger()
    text = ledger.begin(PHONE, 2)

    assert ledger.waits(["a"], PHONE, "early")
    assert not ledger.waits(["z"], "919876500000", "another phone's")
    ledger.took(text, "a")
    assert ledger.waits(["a"], "", "phone not told")
    ledger.took(text, "b")

    assert ledger.end(text) == ["early", "phone not told"]
    assert not ledger.waits(["a"], PHONE, "now it is whole")


def test_no_more_than_so_many_receipts_wait() -> None:
    ledger = PartsLedger()
    ledger.begin(PHONE, 2)

    kept = [ledger.waits(["a"], PHONE, n) for n in range(WAITING_MAX + 2)]

    assert kept == [True] * WAITING_MAX + [False] * 2


def test_text_that_was_not_submitted_whole_is_forgotten() -> None:
    ledger = PartsLedger()
    text = ledger.begin(PHONE, 2)
    ledger.took(text, "a")

    assert ledger.end(text) == []
    assert ledger.judge(["a"], Outcome.DELIVERED) is None


@pytest.mark.parametrize("total", [2, 3])
def test_parts_under_one_ref_are_counted(total: int) -> None:
    ledger = PartsLedger()
    submitted(ledger, *["a:x/y"] * total)

    told = [ledger.judge(["a:x/y"], Outcome.DELIVERED) for _ in range(total)]

    assert [j.outcome for j in told if j] == [Outcome.ENROUTE] * (total - 1) + [Outcome.DELIVERED]


def test_ledger_is_bounded() -> None:
    ledger = PartsLedger()
    for n in range(TEXTS_MAX):
        submitted(ledger, f"{n}a", f"{n}b")

    assert len(ledger) == TEXTS_MAX
    assert ledger.judge(["0a"], Outcome.DELIVERED) is None

"""What became of a text is judged by people who surely waited for it."""

from typing import Final

from dastak.core.ids import VerificationId
from dastak.delivery.conversions import ASKED_AGO_S_MAX, TYPED_WITHIN_FIRST_S, Conversions, Sent, Trial
from dastak.delivery.networks import Place

INDIA: Final = Place("IN")
LEFT_S: Final = 1_000.0
TENANT: Final = 1


def judged(*, asked_ago_s: float, typed: bool) -> list[Trial]:
    """Follow one text that is said to have arrived, until its time is over."""
    conversions, of = Conversions(), VerificationId(bytes(16))
    sent = Sent(0, "north", INDIA, TENANT, LEFT_S, LEFT_S - asked_ago_s)
    conversions.submitted(of, sent, due_s=LEFT_S + 10)
    conversions.told(of, 0, arrived=True, at_s=LEFT_S + 2)
    if typed:
        conversions.typed(of, at_s=LEFT_S + 5)
    return conversions.ripe(LEFT_S + TYPED_WITHIN_FIRST_S)


def test_text_that_left_in_time_is_judged_by_whether_its_code_was_typed() -> None:
    for typed in (False, True):
        assert judged(asked_ago_s=ASKED_AGO_S_MAX, typed=typed) == [Trial("north", INDIA, TENANT, typed)]


def test_text_that_left_late_judges_nobody_whatever_became_of_it() -> None:
    for typed in (False, True):
        assert judged(asked_ago_s=ASKED_AGO_S_MAX + 0.1, typed=typed) == []

"""The outcome table is complete, and advises nothing senseless."""

import pytest

from dastak.core.outcome import OUTCOMES, Outcome, When


def test_outcomes_has_advice_for_every_outcome() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert len(Outcome) == 29


def test_never_is_the_only_false_answer() -> None:
    assert [when for when in When if not when] == [When.NEVER]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o.startswith("dlt_") or o.startswith("cta_")])
def test_advice_never_repeats_a_scrubbed_text_on_the_same_route(outcome: Outcome) -> None:
    assert OUTCOMES[outcome].terminal
    assert not OUTCOMES[outcome].same_route


@pytest.mark.parametrize("outcome", [Outcome.ABSENT_SUBSCRIBER, Outcome.HANDSET_OFF, Outcome.UNKNOWN_NUMBER])
def test_advice_never_rings_a_phone_that_cannot_ring(outcome: Outcome) -> None:
    assert not OUTCOMES[outcome].voice

"""Whatever a carrier says, there are words for it and something to do."""

import pytest

from dastak.carriers.link_remedies import ELSE, LINK_REMEDIES, link_remedy
from dastak.core.outcome import OUTCOMES, Outcome, When
from dastak.core.remedies import CALL_REMEDIES, REMEDIES, Who, remedy_of
from dastak.sms.smpp_codes import CREDENTIAL_STATUSES, Status


def test_every_outcome_has_words_and_all_but_delivered_an_action() -> None:
    assert set(REMEDIES) == set(Outcome)
    assert all(remedy.means for remedy in REMEDIES.values())
    assert [outcome for outcome, remedy in REMEDIES.items() if not remedy.action] == [Outcome.DELIVERED]
    waiting = {outcome for outcome, remedy in REMEDIES.items() if remedy.who is Who.NOBODY}
    assert waiting == {Outcome.DELIVERED, Outcome.ACCEPTED, Outcome.ENROUTE}


@pytest.mark.parametrize(("fragment", "action"), LINK_REMEDIES)
def test_every_reason_leads_to_its_own_action(fragment: str, action: str) -> None:
    assert link_remedy(f"cannot connect: {fragment}.", "north") == action.format(name="north")


def test_statuses_named_are_of_the_standard_and_all_for_credentials_are_there() -> None:
    named = {fragment for fragment, _ in LINK_REMEDIES if fragment.startswith("ESME_")}

    assert named <= set(Status.__members__)
    assert {status.name for status in CREDENTIAL_STATUSES} <= named


def test_unknown_reason_leads_to_the_settings() -> None:
    assert link_remedy("0x00000412", "north") == ELSE.format(name="north")


# What can come of a call, with when another one may follow it and whether another trunk is tried.
OF_CALLS = {
    Outcome.BUSY: (When.IF_ASKED, When.NEVER),
    Outcome.DECLINED: (When.NEVER, When.NEVER),
    Outcome.NOT_ANSWERED: (When.IF_ASKED, When.NEVER),
    Outcome.ABSENT_SUBSCRIBER: (When.NEVER, When.NEVER),
    Outcome.UNKNOWN_NUMBER: (When.NEVER, When.NEVER),
    Outcome.CONGESTION: (When.IF_ASKED, When.NOW),
    Outcome.NO_HUMAN: (When.IF_ASKED, When.NEVER),
    Outcome.WRONG_KEY: (When.IF_ASKED, When.NEVER),
    Outcome.HUNG_UP: (When.IF_ASKED, When.NEVER),
    Outcome.REPORTED: (When.NEVER, When.NEVER),
}


@pytest.mark.parametrize(("outcome", "rule"), OF_CALLS.items())
def test_outcome_of_a_call_has_its_rule_words_and_action(outcome: Outcome, rule: tuple[When, When]) -> None:
    advice, remedy = OUTCOMES[outcome], remedy_of(outcome, call=True)

    assert (advice.voice, advice.other_route) == rule
    assert remedy.means
    assert remedy.action


@pytest.mark.parametrize("outcome", Outcome)
def test_words_of_a_call_do_not_speak_of_a_text(outcome: Outcome) -> None:
    text_alone = outcome.startswith(("dlt_", "cta_", "spam_")) or outcome is Outcome.HANDSET_BUSY_OR_MEMORY
    means = remedy_of(outcome, call=True).means

    assert text_alone or "text" not in means
    assert set(CALL_REMEDIES) <= set(REMEDIES)

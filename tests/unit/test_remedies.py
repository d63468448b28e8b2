"""Whatever a carrier says, there are words for it and something to do."""

import pytest

from dastak.carriers.link_remedies import ELSE, LINK_REMEDIES, link_remedy
from dastak.core.outcome import Outcome
from dastak.core.remedies import REMEDIES, Who
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

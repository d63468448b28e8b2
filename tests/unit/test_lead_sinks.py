"""The checker of webhooks: sound ones pass, and each kind of fraud in them is found."""

import pytest

from chaos.lead_sinks import LeadBooks, LeadTold

MINE, THEIRS = "+919000000001", "+919000000002"
SOUND = (LeadTold("one", "one", "msg_1", MINE, True), LeadTold("two", "two", "msg_2", THEIRS, True))


def books(*told: LeadTold) -> LeadBooks:
    books = LeadBooks()
    books.left["one"].add(MINE)
    books.left["two"].add(THEIRS)
    books.told += told
    return books


def test_sound_webhooks_pass_also_when_one_comes_again() -> None:
    assert list(books(*SOUND, SOUND[0]).breaches()) == []


@pytest.mark.parametrize(
    ("told", "promise"),
    [
        (SOUND[:1], "I8"),
        ((SOUND[0], SOUND[1]._replace(is_signed=False)), "I8"),
        ((SOUND[0], SOUND[1]._replace(message_id="msg_1")), "I8"),
        ((*SOUND, SOUND[0]._replace(message_id="msg_3")), "I8"),
        ((*SOUND, SOUND[1]._replace(sink="one")), "I13"),
        ((*SOUND, SOUND[1]._replace(sink="one", page="one")), "I13"),
    ],
    ids=[
        "untold",
        "unsigned",
        "one id for two",
        "two ids for one",
        "other page's lead",
        "other page's number",
    ],
)
def test_fraud_is_found(told: tuple[LeadTold, ...], promise: str) -> None:
    assert {breach for breach, _ in books(*told).breaches()} == {promise}

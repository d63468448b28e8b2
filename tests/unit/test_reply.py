"""Replies as the rules know them: senders that are the same, and nothing of a person in what is shown."""

import pytest

from dastak.core.reply import Reply, ReplyKind, sender_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACMEOT", "acmeot"),
        ("ACMEOT", "VM-ACMEOT"),
        ("ACMEOT", "JD-ACMEOT-S"),
        ("+919876543210", "919876543210"),
        (" 56161 ", "56161"),
    ],
)
def test_sender_is_the_same_however_carriers_write_it(one: str, other: str) -> None:
    assert sender_key(one) == sender_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("ACMEOT", "ACMEO"), ("ACME-OTP", "ACME-TP"), ("VM-A", "A"), ("56161", "56162")]
)
def test_other_sender_stays_another_one(one: str, other: str) -> None:
    assert sender_key(one) != sender_key(other)


def test_reply_shows_nothing_of_a_person() -> None:
    reply = Reply(
        route="north", msisdn="+919876543210", to="ACMEOT", kind=ReplyKind.OTHER, text_masked="call me"
    )

    assert repr(reply) == "Reply('north', other, 7 characters)"

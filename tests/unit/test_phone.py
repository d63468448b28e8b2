"""The virtual phones: what is kept, what is given out once, who is told, and which word is the code."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidMsisdn, Overloaded
from dastak.core.msisdn import Msisdn
from dastak.simulator.phone import (
    FOLLOWERS_MAX,
    PHONES_MAX,
    TEXTS_PER_PHONE_MAX,
    UPDATES_PENDING_MAX,
    Cleared,
    Phones,
    Text,
    read_number,
)
from tests.support.phone_server import until

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANITA, RAVI = Msisdn("+919876543210"), Msisdn("+12025550100")


def text(said: str = "482913 is your code.", msisdn: Msisdn = ANITA, **fields: Any) -> Text:
    made = {"sender": "VM-ACMEOT", "route": "box", "submitted_at": NOON, "received_at": NOON, **fields}
    return Text(msisdn=msisdn, text=said, **made)


async def taken(phones: Phones, msisdn: Msisdn = ANITA, **wanted: Any) -> str | None:
    found = await phones.next(msisdn, timeout_s=wanted.pop("timeout_s", 0), **wanted)
    return found and found.text


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("482913 is your Acme login code.", "482913"),
        ("K7QX2M: your code", "K7QX2M"),
        ("KQXMWZ is your Acme code.", "KQXMWZ"),
        ("482913 आपका Acme लॉगिन कोड है।", "482913"),
        ("482913 آپ کا Acme لاگ اِن کوڈ ہے۔", "482913"),
        ("<#> 482913 is your code\nFA+9qCX9VSu", "482913"),
        ("ACME: your code is here\n@login.acme.in #482913", "482913"),
        ("Your code is below.\n\n@login.acme.in #k7qx2m @frame.example", "k7qx2m"),
        ("@login.acme.in #482913", "482913"),
        ("482913", "482913"),
        ("123 is short", None),
        ("12345678901 is long", None),
        ("482913rd place", None),
        ("Hello 482913", None),
        ("@login.acme.in #482913\nmore", None),
        ("", None),
    ],
)
def test_code_is_the_first_word_or_the_one_for_autofill(said: str, code: str | None) -> None:
    assert text(said).code == code


@given(st.text())
def test_any_text_has_a_code_of_its_own_words_or_none(said: str) -> None:
    code = text(said).code

    assert code is None or (code in said and 4 <= len(code) <= 10)


@pytest.mark.parametrize("spelling", ["+919876543210", "919876543210"])
def test_number_is_read_with_its_plus_sign_or_without(spelling: str) -> None:
    assert read_number(spelling) == ANITA


@pytest.mark.parametrize(
    "spelling", ["", "+", "12345", "1234567890123456", "0919876543210", "९१९८७६५४३२१०", "+91 98"]
)
def test_what_is_no_number_is_refused(spelling: str) -> None:
    with pytest.raises(InvalidMsisdn):
        read_number(spelling)


def test_latency_is_what_the_carrier_took() -> None:
    assert text(received_at=NOON + timedelta(milliseconds=138)).latency_ms == 138


def test_texts_are_kept_per_phone_in_order_with_rising_ids() -> None:
    phones = Phones()

    added = [phones.add(text("a")), phones.add(text("b", RAVI)), phones.add(text("c"))]

    assert [one.id for one in added] == [1, 2, 3]
    assert phones.messages(ANITA) == [added[0], added[2]]
    assert phones.newest() == [(added[2], 2), (added[1], 1)]


def test_oldest_texts_and_phones_are_dropped_past_their_bounds() -> None:
    phones = Phones()
    for n in range(TEXTS_PER_PHONE_MAX + 1):
        phones.add(text(str(n)))
    for n in range(PHONES_MAX - 1):
        phones.add(text(msisdn=Msisdn(f"+1202{n:07}")))
    full = [one.text for one in phones.messages(ANITA)]
    phones.add(text(msisdn=RAVI))

    assert full == [str(n) for n in range(1, TEXTS_PER_PHONE_MAX + 1)]
    assert phones.messages(ANITA) == []
    assert len(phones.newest()) == PHONES_MAX


async def test_text_that_came_before_anybody_asked_is_given_out_once() -> None:
    phones = Phones()
    phones.add(text("first"))
    phones.add(text("second"))

    given_out = [await taken(phones) for _ in range(3)]

    assert given_out == ["first", "second", None]


async def test_waiting_call_gets_the_text_that_arrives() -> None:
    phones = Phones()
    waiting = asyncio.create_task(taken(phones, timeout_s=5))
    await until(lambda: phones._waiting == 1)
    phones.add(text("other phone", RAVI))
    phones.add(text("here"))

    assert await waiting == "here"


async def test_twenty_waiting_calls_never_get_the_same_text() -> None:
    phones = Phones()
    waiting = [asyncio.create_task(taken(phones, timeout_s=5)) for _ in range(20)]
    await until(lambda: phones._waiting == 20)
    for n in range(20):
        phones.add(text(str(n)))

    assert sorted(await asyncio.gather(*waiting), key=int) == [str(n) for n in range(20)]


async def test_call_that_stopped_waiting_takes_nothing() -> None:
    phones = Phones()
    waiting = asyncio.create_task(taken(phones, timeout_s=5))
    await until(lambda: phones._waiting == 1)
    waiting.cancel()
    phones.add(text("still there"))

    assert await taken(phones) == "still there"


async def test_caller_with_after_keeps_count_itself() -> None:
    phones = Phones()
    first = phones.add(text("first"))
    phones.add(text("second"))

    again = [await taken(phones, after=first.id) for _ in range(2)]

    assert again == ["second", "second"]
    assert await taken(phones) == "first"


async def test_follower_is_told_of_one_phone_or_of_all_in_order() -> None:
    phones = Phones()
    everything, one = phones.follow(), phones.follow(RAVI)
    here, there = phones.add(text()), phones.add(text(msisdn=RAVI))
    phones.clear(ANITA)

    assert [await everything.update() for _ in range(3)] == [here, there, Cleared(ANITA)]
    assert await one.update() == there


async def test_follower_that_does_not_keep_up_is_cut_off_and_others_are_not() -> None:
    phones = Phones()
    slow, keen = phones.follow(), phones.follow()
    for n in range(UPDATES_PENDING_MAX + 1):
        phones.add(text(str(n)))
        await keen.update()

    assert await slow.update() is None
    assert len(phones.messages(ANITA)) == TEXTS_PER_PHONE_MAX


def test_followers_are_bounded_and_a_place_is_free_when_one_lets_go() -> None:
    phones = Phones()
    followers = [phones.follow() for _ in range(FOLLOWERS_MAX)]
    with pytest.raises(Overloaded):
        phones.follow()
    del followers[0]

    assert phones.follow()


async def test_closing_lets_everybody_go() -> None:
    phones = Phones()
    waiting = asyncio.create_task(taken(phones, timeout_s=60))
    following = asyncio.create_task(phones.follow().update())
    await until(lambda: phones._waiting == 1)
    phones.close()
    phones.close()

    assert await asyncio.gather(waiting, following) == [None, None]
    assert await phones.follow().update() is None
    assert await taken(phones, timeout_s=60) is None

"""Texts from phones: read in any alphabet and any number of parts, sorted, masked."""

import itertools
from importlib.resources import files

import msgspec.toml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.reply import Reply, ReplyKind
from dastak.sms import replies
from dastak.sms.coded_text import Concatenation, DefaultAlphabet, TextOptions, write_text
from dastak.sms.pdu_bodies import Sm
from dastak.sms.replies import (
    UNFINISHED_MAX,
    ReplyParts,
    classify,
    mask_digits,
    phone_of,
    read_reply,
)
from dastak.sms.shift_tables import Language
from dastak.sms.tlv import encode_tlvs

PHONE = "919876543210"


def coded(text: str, options: TextOptions = TextOptions(), reference: int = 7) -> list[Sm]:  # noqa: B008 - frozen
    """Write what a carrier brings for a text."""
    written = write_text(text, options, reference=reference)
    return [
        Sm(
            source_addr=PHONE,
            source_addr_ton=1,
            destination_addr="56161",
            short_message=part.octets,
            esm_class=part.esm_class,
            data_coding=written.data_coding,
            tlv_octets=encode_tlvs(part.tlvs),
        )
        for part in written.parts
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("STOP", ReplyKind.STOP),
        (" stop. ", ReplyKind.STOP),
        ('"Stop"!', ReplyKind.STOP),
        ("ＳＴＯＰ", ReplyKind.STOP),
        ("Stop please", ReplyKind.STOP),
        ("STOP ACMEOT", ReplyKind.STOP),
        ("Please STOP sending me messages", ReplyKind.STOP),
        ("Don’t send", ReplyKind.STOP),
        ("🛑 stop 🛑", ReplyKind.STOP),
        ("बंद करो", ReplyKind.STOP),
        ("कृपया बंद करें।", ReplyKind.STOP),
        ("বন্ধ করুন", ReplyKind.STOP),
        ("ఆపండి", ReplyKind.STOP),
        ("थांबवा", ReplyKind.STOP),
        ("நிறுத்து", ReplyKind.STOP),
        ("بند کریں", ReplyKind.STOP),
        ("બંધ કરો", ReplyKind.STOP),
        ("ನಿಲ್ಲಿಸಿ", ReplyKind.STOP),
        ("നിർത്തുക", ReplyKind.STOP),
        ("നിര്‍ത്തുക", ReplyKind.STOP),  # the older way to write the same letter
        ("ਬੰਦ ਕਰੋ", ReplyKind.STOP),
        ("ବନ୍ଦ କରନ୍ତୁ", ReplyKind.STOP),
        ("বন্ধ কৰক", ReplyKind.STOP),
        ("START", ReplyKind.START),
        ("शुरू करें", ReplyKind.START),
        ("help", ReplyKind.HELP),
        ("मदद", ReplyKind.HELP),
        ("", ReplyKind.OTHER),
        ("...", ReplyKind.OTHER),
        ("123456", ReplyKind.OTHER),
        ("Don't stop", ReplyKind.OTHER),
        ("cancel my order", ReplyKind.OTHER),
        ("I did not ask for this code, who sends it", ReplyKind.OTHER),
        ("stop " * 20, ReplyKind.OTHER),
    ],
)
def test_reply_is_sorted(text: str, kind: ReplyKind) -> None:
    assert classify(text, to="ACMEOT") is kind


def test_no_phrase_asks_for_two_things_and_each_language_has_all_three() -> None:
    octets = (files("dastak.sms") / "data" / "reply_words.toml").read_bytes()
    words = msgspec.toml.decode(octets, type=replies._Words)
    listed = {
        kind: {" ".join(replies._words(p)) for phrases in by_language.values() for p in phrases}
        for kind, by_language in (("stop", words.stop), ("start", words.start), ("help", words.help))
    }

    for one, other in itertools.combinations(listed, 2):
        assert listed[one] & listed[other] == set()
    assert words.stop.keys() == words.start.keys() == words.help.keys()
    languages = msgspec.toml.decode((files("dastak.core") / "texts" / "sms_texts.toml").read_bytes())
    assert words.stop.keys() == languages.keys()
    noise = {word for written in words.noise for word in replies._words(written)}
    assert noise & set().union(*listed.values()) == set()


@pytest.mark.parametrize("kind", ["stop", "start", "help"])
def test_every_phrase_of_the_data_is_found(kind: str) -> None:
    phrases, _ = replies._phrases()

    assert {found for phrase, found in phrases.items() if classify(phrase.upper()) is not found} == set()
    assert ReplyKind(kind) in phrases.values()


@pytest.mark.parametrize(
    "options",
    [
        TextOptions(),
        TextOptions(concatenation=Concatenation.UDH16),
        TextOptions(concatenation=Concatenation.SAR),
        TextOptions(concatenation=Concatenation.PAYLOAD),
        TextOptions(DefaultAlphabet.LATIN1, 3),
        TextOptions(languages=tuple(Language)),
    ],
)
@pytest.mark.parametrize("text", ["stop", "é" * 200, "बंद करो", "बंद करो " * 40])
def test_reply_is_joined_and_read_as_it_was_written(options: TextOptions, text: str) -> None:
    parts = ReplyParts()
    sms = coded(text, options)

    results = [parts.add(sm, number) for number, sm in reversed(list(enumerate(sms)))]

    assert [whole for whole, _ in results[:-1]] == [None] * (len(sms) - 1)
    whole, given_up = results[-1]
    assert whole is not None
    assert whole.text == text
    assert sorted(whole.handles) == list(range(len(sms)))
    assert given_up == ()


def test_part_that_comes_twice_is_acknowledged_twice() -> None:
    first, second = coded("x" * 200)
    parts = ReplyParts()
    parts.add(first, "a")
    parts.add(first, "again")

    whole, _ = parts.add(second, "b")

    assert whole == ("x" * 200, ("a", "again", "b"))


def test_oldest_unfinished_reply_is_given_up_for_room() -> None:
    parts = ReplyParts()
    for reference in range(UNFINISHED_MAX):
        assert parts.add(coded("x" * 200, reference=reference)[0], reference) == (None, ())

    wide = TextOptions(concatenation=Concatenation.UDH16)
    assert parts.add(coded("x" * 200, wide, reference=0x1000)[0], "one more") == (None, (0,))


@pytest.mark.parametrize(
    ("address", "ton", "country_code", "msisdn"),
    [
        ("919876543210", 1, "", "+919876543210"),
        ("+919876543210", 0, "91", "+919876543210"),
        ("9876543210", 2, "91", "+919876543210"),
        ("09876543210", 0, "91", "+919876543210"),
        ("919876543210", 0, "91", "+919876543210"),
        ("9123456789", 0, "91", "+919123456789"),
        ("ACME", 5, "", None),
        ("56161", 1, "", None),
        ("", 0, "91", None),
        ("12345678901234567890", 1, "", None),
    ],
)
def test_address_is_read_as_a_number(address: str, ton: int, country_code: str, msisdn: str | None) -> None:
    assert phone_of(address, ton, country_code=country_code) == msisdn


def test_reply_hides_digits_of_every_script() -> None:
    reply = read_reply("airtel", coded("x")[0], "my code is 123456 or १२३ or A1B2")

    assert reply == Reply(
        route="airtel",
        msisdn="+919876543210",
        to="56161",
        kind=ReplyKind.OTHER,
        text_masked="my code is •••••• or ••• or A•B•",
    )
    assert "code" not in repr(reply)


@given(st.text(max_size=300))
def test_any_text_is_sorted_and_masked(text: str) -> None:
    assert classify(text) in ReplyKind
    assert not any(char.isdigit() for char in mask_digits(text))


@given(st.binary(max_size=200), st.integers(0, 255), st.sampled_from([0, 0x40, 0x43]))
def test_any_octets_are_taken(octets: bytes, data_coding: int, esm_class: int) -> None:
    sm = Sm(source_addr=PHONE, short_message=octets, data_coding=data_coding, esm_class=esm_class)

    whole, given_up = ReplyParts().add(sm, "handle")

    assert given_up == ()
    if whole is not None:
        assert read_reply("r", sm, whole.text) is not None

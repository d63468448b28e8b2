"""What a text becomes on a route: nothing too large for the air, nothing cut in two, read back as written."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dastak.core.errors import CarrierRejected
from dastak.simulator.handset import Handset
from dastak.sms import gsm7
from dastak.sms.coded_text import (
    CodedText,
    Concatenation,
    DefaultAlphabet,
    TextOptions,
    measure_for,
    write_text,
)
from dastak.sms.pdu_bodies import Sm
from dastak.sms.segments import MESSAGE_OCTETS, Alphabet, Measure, measure, split
from dastak.sms.shift_tables import Language
from dastak.sms.tlv import encode_tlvs

INDIC = (Language.HINDI, Language.TAMIL, Language.URDU)
HINDI = TextOptions(languages=(Language.HINDI,))
AT = datetime(2026, 11, 24, tzinfo=UTC)

texts = st.text(
    st.sampled_from("abcXYZ 0123@#[€]ç—\n") | st.sampled_from("कोडहैआपका।़ा") | st.sampled_from("😀👍🏽‍👩"),
    max_size=500,
)
options = st.builds(
    TextOptions,
    alphabet=st.sampled_from(DefaultAlphabet),
    languages=st.sampled_from([(), INDIC, tuple(Language)]),
    concatenation=st.sampled_from(Concatenation),
)


def shown(coded: CodedText) -> str:
    """Return what a phone shows of a text."""
    handset = Handset()
    text = None
    for part in coded.parts:
        text = handset.receive(
            Sm(
                source_addr="ACME",
                destination_addr="919876543210",
                short_message=part.octets,
                esm_class=part.esm_class,
                data_coding=coded.data_coding,
                tlv_octets=encode_tlvs(part.tlvs),
            ),
            route="r",
            submitted_at=AT,
            received_at=AT,
        )
    assert text is not None
    return text.text


def air_octets(octets: bytes, esm_class: int, bits: int) -> int:
    """Count what a part takes over the air; septets begin at a multiple of seven bits behind the header."""
    header = 1 + octets[0] if esm_class & 0x40 else 0
    units = len(octets) - header
    if bits == 7:
        fill = -header * 8 % 7
        return header + (fill + 7 * units + 7) // 8
    return header + units


@given(texts, options, st.integers(0, 0xFFFF))
@example("x" * 152 + "€" + "x" * 152, TextOptions(), 0)
@example("क" * 66 + "😀" + "क" * 66, TextOptions(), 0)
def test_text_comes_back_and_no_part_is_too_large(text: str, wanted: TextOptions, reference: int) -> None:
    coded = write_text(text, wanted, reference=reference)

    if wanted.alphabet is DefaultAlphabet.GSM7 or coded.data_coding == 8:
        assert shown(coded) == text
    bits = 16 if coded.data_coding == 8 else 7
    reserve = 7 if wanted.concatenation is Concatenation.SAR and len(coded.parts) > 1 else 0
    for part in coded.parts:
        if part.octets:  # the carrier cuts a payload
            taken = air_octets(part.octets, part.esm_class, bits if bits == 7 else 8)
            assert taken + (reserve if not part.esm_class else reserve and 6) <= MESSAGE_OCTETS
            assert not part.octets.endswith(b"\x1b") or bits == 16
    expected = 1 if wanted.concatenation is Concatenation.PAYLOAD else measure_for(text, wanted).segments
    assert len(coded.parts) == expected


@given(texts)
def test_usual_options_count_as_everybody_counts(text: str) -> None:
    assert measure_for(text, TextOptions()) == measure(text)
    wide = TextOptions(concatenation=Concatenation.UDH16)
    assert len(write_text(text, wide, reference=1).parts) == len(split(text, wide=True))


@pytest.mark.parametrize(
    ("alphabet", "text", "data_coding", "octets"),
    [
        (DefaultAlphabet.GSM7, "@_$£[é", 0, bytes.fromhex("00 11 02 01 1b3c 05")),
        (DefaultAlphabet.LATIN1, "@_$£[é", 0, b"@_$\xa3[\xe9"),
        (DefaultAlphabet.ASCII, "@_$[", 0, b"@_$["),
        (DefaultAlphabet.ASCII, "£", 8, b"\x00\xa3"),
        (DefaultAlphabet.LATIN1, "€", 8, b"\x20\xac"),
        (DefaultAlphabet.LATIN1, "ç", 8, b"\x00\xe7"),  # not over the air
        (DefaultAlphabet.ASCII, "`", 8, b"\x00`"),
        (DefaultAlphabet.UCS2_ONLY, "abc", 8, b"\0a\0b\0c"),
    ],
)
def test_default_alphabet_is_an_option(
    alphabet: DefaultAlphabet, text: str, data_coding: int, octets: bytes
) -> None:
    coded = write_text(text, TextOptions(alphabet), reference=0)

    assert (coded.data_coding, coded.parts[0].octets) == (data_coding, octets)


def test_latin1_is_counted_as_it_goes_over_the_air() -> None:
    latin1 = TextOptions(DefaultAlphabet.LATIN1, plain_data_coding=3)

    assert measure_for("[" * 81, latin1) == Measure(Alphabet.GSM7, 162, 2)
    assert write_text("é", latin1, reference=0).data_coding == 3


@pytest.mark.parametrize(
    ("characters", "shifted", "alone"),
    [(70, False, True), (71, True, True), (155, True, True), (156, True, False)],
)
def test_shift_tables_are_used_where_they_save_a_part(characters: int, shifted: bool, alone: bool) -> None:
    coded = write_text("क" * characters, HINDI, reference=0)

    assert (coded.data_coding == 0) is shifted
    assert (len(coded.parts) == 1) is alone
    if shifted and alone:
        assert coded.parts[0].octets[:4] == bytes.fromhex("03250106")
        assert coded.parts[0].esm_class == 0x40


@pytest.mark.parametrize(
    ("text", "concatenation", "units"),
    [
        ("क" * 400, Concatenation.UDH8, 149),
        ("क#" * 400, Concatenation.UDH8, 146),
        ("क#" * 400, Concatenation.UDH16, 145),
    ],
)
def test_shifted_parts_hold_what_the_standard_leaves(
    text: str, concatenation: Concatenation, units: int
) -> None:
    coded = write_text(
        text, TextOptions(languages=(Language.HINDI,), concatenation=concatenation), reference=9
    )

    first = coded.parts[0].octets
    assert units - 1 <= len(first) - 1 - first[0] <= units  # an escaped character may not fit the last place


def test_hindi_text_with_an_autofill_line_stays_one_part() -> None:
    text = "123456 आपका ACME लॉगिन कोड है। 5 मिनट मान्य। किसी को न बताएं।\n@login.acme.in #123456"

    assert measure(text).segments == 2
    assert measure_for(text, HINDI).segments == 1
    assert shown(write_text(text, HINDI, reference=0)) == text


def test_text_of_the_default_alphabet_never_needs_tables() -> None:
    assert write_text("a" * 400, HINDI, reference=0) == write_text("a" * 400, TextOptions(), reference=0)


def test_parts_are_marked_as_the_route_wants() -> None:
    text = "a" * 200
    coded = {
        wanted: write_text(text, TextOptions(concatenation=wanted), reference=0x1234).parts
        for wanted in Concatenation
    }

    assert coded[Concatenation.UDH8][1].octets[:6] == bytes.fromhex("050003340202")
    assert coded[Concatenation.UDH16][1].octets[:7] == bytes.fromhex("06080412340202")
    assert coded[Concatenation.SAR][1].tlvs == ((0x020C, b"\x12\x34"), (0x020E, b"\2"), (0x020F, b"\2"))
    assert coded[Concatenation.SAR][1].esm_class == 0
    assert coded[Concatenation.PAYLOAD] == ((b"", 0, ((0x0424, gsm7.encode(text)),)),)


def test_text_of_more_parts_than_can_be_numbered_is_refused() -> None:
    with pytest.raises(CarrierRejected, match="256 parts"):
        write_text("a" * (255 * 153 + 1), TextOptions(), reference=0)

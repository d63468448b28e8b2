"""How many parts a text takes, against the limits, smpplib, and figures checked with other programs."""

import json
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts
from smpplib import gsm as oracle

from dastak.sms import gsm7
from dastak.sms.segments import CAPACITY, Alphabet, Measure, measure, split
from tests.support.needed import PEERS, installed_peer

_COUNT_PARTS = """
const {SegmentedMessage} = require("sms-segments-calculator");
const texts = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(texts.map((text) => new SegmentedMessage(text).segmentsCount)));
"""
_HINDI = "123456 आपका ACME लॉगिन कोड है। 5 मिनट मान्य।"
_ENGLISH = "123456 is your ACME login code. Valid 5 min."

ascii_texts = st.text(st.sampled_from("aZ09 .,@_$\n"), max_size=700)
# Letters without marks: the peer cuts anywhere.
plain_texts = st.text(st.sampled_from("aफкé\n"), max_size=300)
any_texts = st.text(
    st.one_of(
        st.sampled_from("a€[\r\n क्षितமி😀🏽🇮🇳\u200d\u0301"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=400,
)


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("", (Alphabet.GSM7, 0, 1)),
        ("a" * 160, (Alphabet.GSM7, 160, 1)),
        ("a" * 161, (Alphabet.GSM7, 161, 2)),
        ("a" * 306, (Alphabet.GSM7, 306, 2)),
        ("a" * 307, (Alphabet.GSM7, 307, 3)),
        ("€" * 80, (Alphabet.GSM7, 160, 1)),
        ("€" * 81, (Alphabet.GSM7, 162, 2)),
        ("क" * 70, (Alphabet.UCS2, 70, 1)),
        ("क" * 71, (Alphabet.UCS2, 71, 2)),
        ("क" * 134, (Alphabet.UCS2, 134, 2)),
        ("क" * 135, (Alphabet.UCS2, 135, 3)),
        ("😀" * 35, (Alphabet.UCS2, 70, 1)),
        ("😀" * 36, (Alphabet.UCS2, 72, 2)),
        ("a" * 152 + "€" + "a" * 152, (Alphabet.GSM7, 306, 3)),
        ("क" * 66 + "😀" + "क" * 66, (Alphabet.UCS2, 134, 3)),
        (f"{_ENGLISH}\nFA+9qCX9VSu\n@login.acme.in #123456", (Alphabet.GSM7, 79, 1)),
        (f"{_HINDI}\n@login.acme.in #123456", (Alphabet.UCS2, 67, 1)),
        ("a" * 159 + "₹", (Alphabet.UCS2, 160, 3)),
    ],
)
def test_measure_gives_the_checked_figures(text, measured):
    assert measure(text) == Measure(*measured)


@given(ascii_texts)
def test_measure_agrees_with_smpplib_for_plain_gsm7_texts(text):
    parts, _, _ = oracle.make_parts(text)

    assert measure(text).segments == len(parts)


@given(plain_texts)
def test_measure_agrees_with_smpplib_for_ucs2_texts_without_marks(text):
    text += "अ"
    parts, _, _ = oracle.make_parts(text, consts.SMPP_ENCODING_ISO10646)

    assert measure(text).segments == len(parts)


def test_measure_agrees_with_the_npm_calculator():
    node = installed_peer("sms-segments-calculator")
    chance = random.Random(7)
    pools = ("abc 123", "ab€[]^", "abé\n", "कखग ", "क्षित्रीा ", "தமிழ்", "😀👍a", "фё e\u0301x", "a😀क")
    sizes = (10, 70, 71, 134, 135, 152, 160, 161, 306, 307)
    texts = ["".join(chance.choices(pool, k=size)) for pool in pools for size in sizes for _ in range(5)]
    # A character of two units at every place of a part, and at its end.
    for filler, wide in (("a", "€"), ("क", "😀"), ("क", "कि")):
        texts += [filler * before + wide + filler * (170 - before) for before in range(171)]
        texts += [filler * before + wide for before in range(0, 340, 3)]
    # Each letter of these scripts alone says which alphabet a text takes.
    texts += [
        f"code {chr(point)}" for point in (*range(0x20, 0x250), *range(0x370, 0x400), *range(0x900, 0x980))
    ]

    counted = subprocess.check_output(
        [node, "-e", _COUNT_PARTS], cwd=PEERS, input=json.dumps(texts), text=True
    )

    assert [measure(text).segments for text in texts] == json.loads(counted)


@given(any_texts, st.booleans())
def test_split_loses_nothing_and_overfills_nothing(text, wide):
    alphabet = measure(text).alphabet
    parts = split(text, wide=wide)

    assert "".join(parts) == text
    capacity = CAPACITY[alphabet]
    room = capacity.alone if len(parts) == 1 else capacity.wide_part if wide else capacity.part
    assert all(_units(part, alphabet) <= room for part in parts)


@given(any_texts)
def test_measure_counts_the_parts_of_split(text):
    assert measure(text).segments == len(split(text))


@given(st.text(st.sampled_from("a€"), max_size=500) | st.text(st.sampled_from("क😀"), max_size=300))
def test_split_fills_each_part_but_for_half_a_character(text):
    alphabet = measure(text).alphabet

    *full_parts, _ = split(text)

    assert all(_units(part, alphabet) >= CAPACITY[alphabet].part - 1 for part in full_parts)


@pytest.mark.parametrize(
    "cluster",
    ["€", "😀", "कि", "e\u0301", "👍🏽", "👩\u200d👧", "🇮🇳", "தீ"],
    ids=["escape", "surrogates", "matra", "accent", "skin tone", "family", "flag", "tamil"],
)
def test_split_keeps_together_what_is_one_character_to_a_reader(cluster):
    filler, room = ("a", 153) if cluster == "€" else ("क", 67)
    text = filler * (room - 1) + cluster + filler * room

    first, second, rest = split(text)

    assert first == filler * (room - 1)
    assert second == cluster + filler * (room - _units_of(cluster))
    assert rest == filler * _units_of(cluster)


def test_split_cuts_between_two_flags():
    assert split("क" * 63 + "🇮🇳🇧🇩" + "क" * 10) == ("क" * 63 + "🇮🇳", "🇧🇩" + "क" * 10)


def test_split_cuts_a_cluster_that_is_larger_than_a_part():
    text = "क" + "\u0301" * 200

    assert [len(part) for part in split(text)] == [67, 67, 67]


def test_split_leaves_room_for_a_wide_reference_when_asked():
    assert [len(part) for part in split("a" * 305, wide=True)] == [152, 152, 1]
    assert [len(part) for part in split("क" * 133, wide=True)] == [66, 66, 1]


def test_measure_refuses_half_a_surrogate_pair():
    with pytest.raises(UnicodeEncodeError):
        measure("a\ud83d")


def _units(text, alphabet):
    return len(gsm7.encode(text)) if alphabet is Alphabet.GSM7 else len(text.encode("utf-16-be")) // 2


def _units_of(cluster):
    return _units(cluster, measure(cluster).alphabet)

"""G.711: against the standard library's C, and what must hold of any companding."""

import struct
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.g711 import (
    ALAW_SILENCE,
    FRAME_OCTETS,
    SILENT_FRAME,
    ULAW_SILENCE,
    alaw_to_ulaw,
    pcm_to_ulaw,
    ulaw_to_alaw,
    ulaw_to_pcm,
)
from tests.support.needed import missing

EVERY_OCTET = bytes(range(256))
EVERY_SAMPLE = struct.pack("<65536h", *range(-32_768, 32_768))

with warnings.catch_warnings():
    # It leaves with Python 3.13; as long as it is here it is a second author's G.711.
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        import audioop
    except ImportError:
        audioop = None


def second_author():
    return audioop or missing("needs the standard library's audioop, which left it with Python 3.13")


def test_ulaw_samples_are_those_of_audioop_for_every_octet() -> None:
    assert ulaw_to_pcm(EVERY_OCTET) == second_author().ulaw2lin(EVERY_OCTET, 2)


def test_ulaw_octets_are_those_of_audioop_for_every_sample() -> None:
    assert pcm_to_ulaw(EVERY_SAMPLE) == second_author().lin2ulaw(EVERY_SAMPLE, 2)


def test_alaw_octets_are_those_of_audioop_for_every_ulaw_octet() -> None:
    other = second_author()

    assert ulaw_to_alaw(EVERY_OCTET) == other.lin2alaw(other.ulaw2lin(EVERY_OCTET, 2), 2)


def test_ulaw_octets_are_those_of_audioop_for_every_alaw_octet() -> None:
    other = second_author()

    assert alaw_to_ulaw(EVERY_OCTET) == other.lin2ulaw(other.alaw2lin(EVERY_OCTET, 2), 2)


def test_ulaw_comes_back_from_samples_but_for_the_two_zeros() -> None:
    back = pcm_to_ulaw(ulaw_to_pcm(EVERY_OCTET))

    assert back == EVERY_OCTET.replace(b"\x7f", b"\xff")


def test_silence_is_silent_in_all_three() -> None:
    assert ulaw_to_pcm(bytes([ULAW_SILENCE])) == b"\x00\x00"
    assert ulaw_to_alaw(bytes([ULAW_SILENCE])) == bytes([ALAW_SILENCE])
    assert len(SILENT_FRAME) == FRAME_OCTETS
    assert set(SILENT_FRAME) == {ULAW_SILENCE}


def test_louder_samples_never_become_softer() -> None:
    samples = struct.unpack("<65536h", ulaw_to_pcm(pcm_to_ulaw(EVERY_SAMPLE)))

    assert list(samples) == sorted(samples)


@given(st.binary(max_size=400))
def test_ulaw_survives_one_turn_through_alaw_nearly(octets: bytes) -> None:
    once = alaw_to_ulaw(ulaw_to_alaw(octets))

    # A second turn changes nothing more, so a chain of exchanges does not wear the sound away.
    assert alaw_to_ulaw(ulaw_to_alaw(once)) == once


@given(st.binary(max_size=400).filter(lambda octets: len(octets) % 2))
def test_half_a_sample_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="16-bit samples"):
        pcm_to_ulaw(octets)

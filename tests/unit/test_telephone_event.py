"""Keys pressed during a call: each is counted once, whichever way and however often it comes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.telephone_event import (
    BOTH_WAYS_S,
    DURATION_MAX,
    KEYS,
    KeyPresses,
    MalformedEvent,
    TelephoneEvent,
    read_event,
    read_info,
    write_event,
)

EVENTS = st.builds(
    TelephoneEvent,
    event=st.integers(0, 255),
    end=st.booleans(),
    volume=st.integers(0, 63),
    duration=st.integers(0, DURATION_MAX),
)


def press(presses: KeyPresses, key: str, timestamp: int, *, packets: int = 6, at_s: float = 0.0) -> list[str]:
    """Send one press as a phone does: the same timestamp, a growing duration, the end three times."""
    heard = []
    for place in range(packets):
        event = TelephoneEvent(
            event=KEYS.index(key), end=place >= packets - 3, volume=10, duration=160 * (place + 1)
        )
        heard.append(presses.hear_rtp(event, timestamp=timestamp, at_s=at_s + place / 50))
    return [key for key in heard if key is not None]


def test_golden_octets_are_read() -> None:
    # Key 5, over, -10 dBm0, 800 samples: laid out by hand from RFC 4733, figure 1.
    assert read_event(bytes.fromhex("058a0320")) == TelephoneEvent(event=5, end=True, volume=10, duration=800)


@given(EVENTS, st.binary(max_size=8))
def test_event_comes_back_as_it_was(event: TelephoneEvent, more: bytes) -> None:
    assert read_event(write_event(event) + more) == event


@given(st.binary(max_size=8))
def test_rubbish_is_read_or_refused_by_its_own_error(payload: bytes) -> None:
    with suppress(MalformedEvent):
        assert write_event(read_event(payload))[2:] == payload[2:4]


@pytest.mark.parametrize("key", KEYS)
def test_press_of_many_packets_counts_once(key: str) -> None:
    assert press(KeyPresses(), key, 8_000) == [key]


def test_press_counts_when_only_its_last_packet_comes() -> None:
    presses = KeyPresses()
    event = TelephoneEvent(event=7, end=True, volume=10, duration=800)

    assert presses.hear_rtp(event, timestamp=1, at_s=0.0) == "7"


def test_same_key_pressed_again_counts_again() -> None:
    presses = KeyPresses()

    assert press(presses, "1", 0) + press(presses, "1", 2_000) == ["1", "1"]


def test_late_packet_of_the_press_before_does_not_count() -> None:
    presses = KeyPresses()
    press(presses, "1", 0)
    press(presses, "2", 2_000)

    assert press(presses, "1", 0, packets=3) == []


def test_key_held_beyond_one_event_counts_once() -> None:
    presses = KeyPresses()
    longest = TelephoneEvent(event=1, end=False, volume=10, duration=DURATION_MAX)
    start = 2**32 - 10

    heard = [presses.hear_rtp(longest, timestamp=start, at_s=0.0)]
    heard += press(presses, "1", (start + DURATION_MAX) % 2**32, at_s=8.2)

    assert heard == ["1"]


@pytest.mark.parametrize("event", [12, 15, 16, 32, 255])
def test_flash_letters_and_tones_are_no_keys(event: int) -> None:
    sent = TelephoneEvent(event=event, end=False, volume=10, duration=160)

    assert KeyPresses().hear_rtp(sent, timestamp=0, at_s=0.0) is None


def test_press_that_comes_both_ways_counts_once() -> None:
    presses = KeyPresses()

    assert press(presses, "4", 0) == ["4"]
    assert presses.hear_info("4", at_s=BOTH_WAYS_S) is None

    assert presses.hear_info("9", at_s=10.0) == "9"
    assert press(presses, "9", 9_000, at_s=10.1) == []


def test_two_presses_that_come_both_ways_count_twice() -> None:
    presses = KeyPresses()

    heard = press(presses, "1", 0, at_s=0.0) + press(presses, "1", 2_000, at_s=0.5)

    assert heard == ["1", "1"]
    assert [presses.hear_info("1", at_s=at_s) for at_s in (0.7, 0.8)] == [None, None]
    assert presses.hear_info("1", at_s=0.9) == "1"


def test_press_by_the_other_way_counts_when_it_comes_too_late_or_is_another_key() -> None:
    presses = KeyPresses()
    press(presses, "4", 0)

    assert presses.hear_info("5", at_s=0.1) == "5"
    assert presses.hear_info("4", at_s=BOTH_WAYS_S + 0.1) == "4"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"Signal=5\r\nDuration=160\r\n", "5"),
        (b"Signal= *\r\n", "*"),
        (b"signal=#", "#"),
        (b"Signal=10\nDuration=100", "*"),
        (b"Duration=100\r\nSignal=11\r\n", "#"),
        (b"7", "7"),
        (b" 7\r\n", "7"),
        (b"", None),
        (b"Signal=A", None),
        (b"Signal=12", None),
        (b"Duration=5", None),
        (b"77", None),
        (b"\xc2\xb2", None),
        (b"1" + b" " * 300, None),
    ],
)
def test_info_names_a_key_or_none(body: bytes, key: str | None) -> None:
    assert read_info(body) == key


@given(st.binary(max_size=300))
def test_any_body_of_info_names_a_key_or_none(body: bytes) -> None:
    assert read_info(body) in {None, *KEYS}


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 6)), max_size=12), st.booleans())
def test_what_is_pressed_is_what_is_heard(pressed: list[tuple[str, int]], both_ways: bool) -> None:
    presses = KeyPresses()
    heard: list[str | None] = []
    for place, (key, packets) in enumerate(pressed):
        heard += press(presses, key, place * 4_000, packets=packets, at_s=place * 0.5)
        if both_ways:
            heard.append(presses.hear_info(key, at_s=place * 0.5 + 0.2))

    assert [key for key in heard if key] == [key for key, _ in pressed]

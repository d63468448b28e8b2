"""Whom the sound of a call follows: a description first, then a stream that keeps counting, never a third."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.latch import STREAM_PACKETS, STREAMS_MAX, Latch
from dastak.voice.sound.rtp import RtpPacket

DESCRIBED, NAT, THIEF = ("198.51.100.7", 4000), ("203.0.113.9", 62_000), ("203.0.113.66", 1)


def packet(sequence: int, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(payload_type=0, sequence=sequence, timestamp=0, ssrc=ssrc, marker=False, payload=b"")


def latch(*, symmetric: bool = True) -> Latch:
    one = Latch(symmetric=symmetric)
    one.describe(*DESCRIBED)
    return one


def hears(
    one: Latch, source: tuple[str, int], *sequences: int, ssrc: int = 7, keyed: bool = False
) -> list[bool]:
    return [one.hears(packet(sequence, ssrc), source, keyed=keyed) for sequence in sequences]


def test_described_peer_is_heard_at_once() -> None:
    one = latch()

    assert hears(one, DESCRIBED, 5) == [True]
    assert one.remote == DESCRIBED


def test_stream_from_elsewhere_is_followed_once_it_kept_counting_over_the_end_of_the_numbers() -> None:
    one = latch()

    assert hears(one, NAT, 65_534, 65_535, 0, 1) == [False, False, True, True]
    assert one.remote == NAT


@pytest.mark.parametrize("sequences", [(1, 3, 5, 7), (9, 9, 9, 9), (4, 3, 2, 1)])
def test_packets_that_do_not_follow_each_other_are_no_stream(sequences: tuple[int, ...]) -> None:
    one = latch()

    assert not any(hears(one, THIEF, *sequences))
    assert one.remote == DESCRIBED


def test_streams_of_several_senders_do_not_add_up() -> None:
    one = latch()

    heard = [hears(one, ("203.0.113.66", port), 10 + port)[0] for port in range(1, 9)]

    assert not any(heard)


def test_followed_stream_is_moved_by_nobody_but_who_was_described() -> None:
    one = latch()
    hears(one, NAT, 1, 2, 3)

    assert not any(hears(one, THIEF, *range(50), ssrc=7))
    assert not any(hears(one, THIEF, *range(50), keyed=True))
    assert one.remote == NAT
    assert hears(one, DESCRIBED, 1) == [True]
    assert hears(one, NAT, 4, 5, 6, 7) == [False] * 4
    assert one.remote == DESCRIBED


def test_followed_peer_may_begin_another_stream() -> None:
    one = latch()
    hears(one, NAT, 1, 2, 3)

    assert hears(one, NAT, 900, ssrc=8) == [True]


def test_packet_with_the_key_is_followed_at_once() -> None:
    one = latch()

    assert hears(one, NAT, 1, keyed=True) == [True]
    assert one.remote == NAT


def test_nobody_is_followed_where_it_is_off_and_the_described_host_alone_is_heard() -> None:
    one = latch(symmetric=False)

    assert not any(hears(one, THIEF, *range(9)))
    assert hears(one, (DESCRIBED[0], 9), 1) == [True]
    assert one.remote == DESCRIBED


def test_new_description_frees_and_the_same_one_does_not() -> None:
    one = latch()
    hears(one, NAT, 1, 2, 3)

    assert one.describe(*DESCRIBED) is False
    assert one.remote == NAT
    assert one.describe("198.51.100.8", 4) is True
    assert hears(one, NAT, 4, 5, 6) == [False, False, True]


def test_flood_of_senders_keeps_a_bounded_store_and_shuts_nobody_out() -> None:
    one = latch()

    for port in range(1, 2_000):
        hears(one, ("203.0.113.66", port), port)

    assert len(one._streams) == STREAMS_MAX
    assert hears(one, NAT, 1, 2, 3)[-1] is True


@given(st.lists(st.tuples(st.sampled_from([NAT, THIEF, DESCRIBED]), st.integers(0, 9), st.integers(1, 2))))
def test_sound_is_where_a_peer_was_heard_and_a_third_never_is(
    packets: list[tuple[tuple[str, int], int, int]],
) -> None:
    one, followed = latch(), set()
    for source, sequence, ssrc in packets:
        if hears(one, source, sequence, ssrc=ssrc)[0]:
            followed.add(source)
            assert one.remote == source

    assert len(followed - {DESCRIBED}) <= 1
    assert STREAM_PACKETS > 1

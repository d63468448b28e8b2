"""What is counted of a stream that we hear: loss, order, roll-over, a new beginning, jitter."""

from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sound.reception import Reception

FRAME = 160


def heard(sequences: list[int], *, late: dict[int, int] | None = None) -> Reception:
    """Hear packets; `late` says by how many samples some of them, by their place, came after their time."""
    reception = Reception(7, sequences[0])
    for place, sequence in enumerate(sequences):
        reception.hear(sequence, sequence * FRAME, sequence * FRAME + (late or {}).get(place, 0))
    return reception


def test_every_packet_in_order_means_no_loss() -> None:
    reception = heard(list(range(100, 150)))

    assert (reception.received, reception.lost, reception.jitter, reception.highest) == (50, 0, 0, 149)


def test_missing_packets_are_lost_and_late_ones_are_not() -> None:
    reception = heard([1, 2, 5, 4, 9])

    assert (reception.received, reception.lost) == (5, 4)


def test_twins_make_the_loss_negative() -> None:
    assert heard([1, 2, 2, 2, 3]).lost == -2


def test_numbers_roll_over_and_are_counted_on() -> None:
    reception = heard([65_534, 65_535, 0, 1])

    assert (reception.highest, reception.lost) == (65_537, 0)


def test_a_stray_number_changes_nothing_and_two_in_a_row_begin_anew() -> None:
    reception = heard([1, 2, 30_000, 3])
    assert (reception.received, reception.highest) == (3, 3)

    begun = heard([1, 2, 4, 30_000, 30_001, 30_002])
    assert (begun.received, begun.lost, begun.highest) == (5, 1, 30_002)


def test_fraction_is_of_the_interval_alone() -> None:
    reception = heard([1, 2, 3, 4])
    assert reception.interval_fraction() == 0

    for sequence in (6, 8):
        reception.hear(sequence, 0, 0)

    assert reception.interval_fraction() == 128
    assert reception.interval_fraction() == 0


def test_jitter_is_that_of_the_formula() -> None:
    # RFC 3550, 6.4.1: J += (|D| - J) / 16, with D = 160 twice: there and back.
    reception = heard([1, 2, 3], late={1: 160})

    assert reception.jitter == int(160 / 16 + (160 - 160 / 16) / 16)


@given(st.sets(st.integers(1, 2_000), min_size=1), st.integers(0, 65_535))
def test_loss_is_what_did_not_come_between_first_and_last(came: set[int], start: int) -> None:
    order = sorted(came)
    reception = Reception(7, (start + order[0]) % 65_536)
    for number in order:
        reception.hear((start + number) % 65_536, 0, 0)

    assert reception.received == len(came)
    assert reception.lost == order[-1] - order[0] + 1 - len(came)
    assert 0 <= reception.interval_fraction() <= 255


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))))
def test_anything_can_be_heard(packets: list[tuple[int, int, int]]) -> None:
    reception = Reception(7, 0)
    for packet in packets:
        reception.hear(*packet)

    assert reception.received <= len(packets)
    assert 0 <= reception.interval_fraction() <= 255
    assert reception.jitter >= 0

"""The order of a trunk's places: by priority, in proportion to weight, the silent ones last."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip.sip_targets import SHUNNED_S, SrvRecord, Targets, in_order

RECORDS = st.lists(
    st.builds(
        SrvRecord, st.integers(0, 3), st.integers(0, 65_535), st.integers(1, 65_535), st.sampled_from("abcd")
    ),
    max_size=12,
)
ONE, TWO, THREE = ("192.0.2.1", 5060), ("192.0.2.2", 5060), ("192.0.2.3", 5060)


@given(RECORDS, st.randoms(use_true_random=False))
def test_order_is_a_rearrangement_by_priority(records: list[SrvRecord], dice: random.Random) -> None:
    ordered = in_order(records, dice.random)

    assert sorted(ordered) == sorted(records)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)


def test_first_place_is_drawn_in_proportion_to_weight() -> None:
    records = [SrvRecord(1, weight, 5060, str(weight)) for weight in (60, 30, 10, 0)]
    dice = random.Random(2782)

    firsts = Counter(in_order(records, dice.random)[0].weight for _ in range(10_000))

    assert abs(firsts[60] - 6_000) < 250
    assert abs(firsts[30] - 3_000) < 250
    assert firsts[0] == 0


def test_records_without_weight_are_all_tried() -> None:
    records = [SrvRecord(1, 0, 5060, name) for name in "ab"]

    assert sorted(in_order(records, lambda: 0.99)) == records


def known() -> Targets:
    targets = Targets()
    targets.replace([ONE, TWO, THREE, ONE])
    return targets


def test_silent_places_come_last_the_newest_silence_at_the_very_end() -> None:
    targets = known()
    targets.shun(ONE, 1.0)
    targets.shun(TWO, 2.0)

    assert targets.by_hope(3.0) == [THREE, ONE, TWO]
    assert targets.by_hope(3.0, but=[THREE]) == [ONE, TWO]
    assert targets.hosts == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}


def test_silence_is_forgotten_in_time_and_by_an_answer() -> None:
    targets = known()
    targets.shun(ONE, 0.0)
    targets.shun(TWO, 0.0)
    targets.trust(TWO)

    assert targets.by_hope(1.0) == [TWO, THREE, ONE]
    assert targets.by_hope(SHUNNED_S) == [ONE, TWO, THREE]


def test_silence_of_a_place_that_stays_is_kept_and_that_of_strangers_is_not_noted() -> None:
    targets = known()
    targets.shun(ONE, 0.0)
    targets.shun(("192.0.2.9", 1), 0.0)
    targets.replace([ONE, THREE])

    assert targets.by_hope(1.0) == [THREE, ONE]
    assert targets._shunned.keys() == {ONE}

"""The statistic of the timing tests finds a delay as often as it says, and none where there is none."""

from random import Random

from bench.two_kinds import compare

EACH, ROUNDS = 300, 400


def answers_s(chance: Random) -> list[float]:
    """Return times as a server has them: most near one another, some far above."""
    return [0.001 + chance.lognormvariate(-7.0, 0.8) for _ in range(EACH)]


def test_delay_as_small_as_promised_is_found_in_nineteen_of_twenty_measurements() -> None:
    chance = Random(7)
    found = 0
    for _ in range(ROUNDS):
        these, those = answers_s(chance), answers_s(chance)
        planted_s = compare(these, those).seen_s
        found += compare([one + planted_s for one in these], those).differs

    assert ROUNDS * 92 // 100 <= found <= ROUNDS * 98 // 100


def test_nothing_is_found_where_both_kinds_are_one() -> None:
    chance = Random(11)

    found = [compare(answers_s(chance), answers_s(chance)).differs for _ in range(ROUNDS)]

    assert not any(found)


def test_sixteen_times_as_many_requests_see_a_quarter_of_the_delay() -> None:
    chance = Random(13)
    few, more = answers_s(chance), [one for _ in range(16) for one in answers_s(chance)]

    ratio = compare(few, few).seen_s / compare(more, more).seen_s

    assert 3 < ratio < 5

from itertools import pairwise

from dastak.entropy import PAGE_OCTETS, Entropy


def test_octets_are_as_many_as_asked_for_and_never_the_same_twice() -> None:
    entropy = Entropy()
    sizes = [16, 1, PAGE_OCTETS, 16, PAGE_OCTETS + 1, 0, *[16] * 2_000]
    given = [entropy(octets) for octets in sizes]

    assert [len(octets) for octets in given] == sizes
    ids = [octets for octets in given if len(octets) == 16]
    assert len(set(ids)) == len(ids)


def test_neighbours_share_no_octets() -> None:
    entropy = Entropy()
    given = [entropy(100) for _ in range(200)]

    # Where pages meet as well: a piece of one is nowhere in the next.
    assert not any(earlier[n : n + 8] in later for earlier, later in pairwise(given) for n in range(93))

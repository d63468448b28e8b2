"""The check that answers can have been given one after the other: it finds those that cannot."""

from itertools import permutations

import pytest

from chaos.asked_calls import NO_ANSWER, Call
from chaos.attempt_register import in_some_order


def call(kind: str, begins_s: float, ends_s: float, status: int = 200, **more) -> Call:
    return Call(kind, "+919000000001", begins_s, ends_s, status, **more)


def approval(begins_s: float = 0, ends_s: float = 1) -> Call:
    return call("check", begins_s, ends_s, approved=True)


SOUND = {
    "two at once, one is approved": ([approval(), call("check", 0, 1, 409)], "approved"),
    "a miss, then the right code": ([call("wrong", 0, 1), approval(2, 3)], "approved"),
    "five misses": ([call("wrong", n, n + 0.5) for n in range(5)], "exhausted"),
    "five misses at once and one too many": (
        [*(call("wrong", 0, 1) for _ in range(5)), call("wrong", 0, 1, 409)],
        "exhausted",
    ),
    "a read beside the approval sees either": (
        [approval(0, 5), call("read", 1, 2, state="pending"), call("read", 3, 4, state="approved")],
        "approved",
    ),
    "an approval whose answer was lost": (
        [call("check", 0, 1, NO_ANSWER), call("check", 2, 3, 409)],
        "approved",
    ),
    "a check that was lost and never came": ([call("check", 0, 1, 503)], "pending"),
    "a refusal after it was over": ([call("check", 0, 1, 409)], "expired"),
}
IMPOSSIBLE = {
    "approved twice": ([approval(), approval()], "approved"),
    "an approval that is forgotten": ([approval()], "pending"),
    "a read behind the approval that does not see it": (
        [approval(0, 1), call("read", 2, 3, state="pending")],
        "approved",
    ),
    "reads that go back": (
        [approval(0, 9), call("read", 1, 2, state="approved"), call("read", 3, 4, state="pending")],
        "approved",
    ),
    "six misses judged": ([call("wrong", 0, 1) for _ in range(6)], "exhausted"),
    "approved after the last attempt": (
        [*(call("wrong", n, n + 0.5) for n in range(5)), approval(6, 7)],
        "approved",
    ),
    "refused as used before anybody used it": ([call("check", 0, 1, 409), approval(2, 3)], "approved"),
    "the right code is judged wrong": ([call("check", 0, 1)], "pending"),
    "a wrong code is approved": ([call("wrong", 0, 1, approved=True)], "approved"),
    "an approval that nobody asked for": ([call("wrong", 0, 1)], "approved"),
}


@pytest.mark.parametrize("name", SOUND)
def test_history_that_some_order_explains_is_sound(name: str) -> None:
    calls, state = SOUND[name]

    assert in_some_order(calls, state)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_history_that_no_order_explains_is_found(name: str) -> None:
    calls, state = IMPOSSIBLE[name]

    assert not in_some_order(calls, state)


def test_order_in_which_answers_were_written_down_says_nothing() -> None:
    calls = [
        call("wrong", 0, 1),
        approval(0, 3),
        call("check", 0, 3, 409),
        call("read", 0, 3, state="pending"),
    ]

    assert {in_some_order(one, "approved") for one in permutations(calls)} == {True}
    assert {in_some_order(one, "pending") for one in permutations(calls)} == {False}


def test_thirty_answers_at_once_are_judged() -> None:
    losers = [call("check", 0, 1, 409) for _ in range(28)]

    assert in_some_order([*losers, approval()], "approved")
    assert not in_some_order([*losers, approval(), approval()], "approved")

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.http_voice.call_script import (
    BRAND,
    CODE,
    OUTCOMES,
    STRAY_MAX,
    TURNS_MAX,
    CallScript,
    Then,
    Turn,
)
from dastak.voice.ivr import AGAIN_MAX, Ended, Step
from dastak.voice.prompt_words import CLIPS

GATE = "7"


class Caller:
    """Fetches turns, and keeps what was said."""

    def __init__(self, *, typed: int = 0) -> None:
        self.steps: list[tuple[Step, str]] = []
        self.script = CallScript(
            gate=GATE, typed=typed, tell=lambda step, told: self.steps.append((step, told))
        )
        self.said: list[str] = []
        self.turns = 0

    def fetch(self, keys: str = "") -> Turn:
        turn = self.script.next(keys)
        self.turns += 1
        self.said += [*turn.says, *turn.asked]
        return turn

    def dialogue(self, *keys: str) -> Turn:
        """Fetch the first turn, then one for each answer; the last one."""
        turn = self.fetch()
        for pressed in keys:
            turn = self.fetch(pressed)
        return turn

    @property
    def named(self) -> list[Step]:
        return [step for step, _ in self.steps]


def test_first_turn_greets_and_asks_for_the_digit_and_nothing_interrupts_it() -> None:
    turn = Caller().dialogue()

    assert turn == Turn(says=("greeting", BRAND, "gate_7"), then=Then.KEYS, keys=1, wait_s=turn.wait_s)


def test_code_is_said_twice_after_the_right_digit_and_its_end_is_proven_by_the_next_fetch() -> None:
    caller = Caller()

    first = caller.dialogue("7")
    told_then = caller.named
    second = caller.fetch()
    last = caller.fetch()

    assert first == Turn(says=("code_is", CODE), then=Then.GO_ON)
    assert told_then == [Step.RIGHT_KEY]
    assert (second.says, second.asked, second.then) == (("once_more", CODE), ("menu",), Then.KEYS)
    assert last == Turn(says=("goodbye",))
    assert caller.named == [Step.RIGHT_KEY, Step.SPOKEN, Step.SPOKEN]
    assert (caller.script.ended, caller.script.over) == (Ended.COMPLETED, True)


@pytest.mark.parametrize("key", ["3", "1", "9", "#", "*", "77"])
def test_wrong_key_ends_the_call_without_the_code(key: str) -> None:
    caller = Caller()

    turn = caller.dialogue(key)

    assert turn == Turn(says=("wrong_key", "goodbye"))
    assert (caller.script.ended, caller.named) == (Ended.WRONG_KEY, [Step.WRONG_KEY])
    assert CODE not in caller.said


def test_silence_is_asked_once_more_and_then_the_call_ends_without_the_code() -> None:
    caller = Caller()

    again = caller.dialogue("")
    turn = caller.fetch("")

    assert again.says == ("gate_7",)
    assert turn == Turn(says=("goodbye",))
    assert (caller.script.ended, caller.named) == (Ended.NO_HUMAN, [Step.NO_KEY])
    assert CODE not in caller.said


def test_right_digit_counts_in_the_second_round_too() -> None:
    assert Caller().dialogue("", "7").says == ("code_is", CODE)


def test_code_is_said_again_as_often_as_is_allowed() -> None:
    caller = Caller()

    turn = caller.dialogue("7", "", *["1"] * (AGAIN_MAX + 1))

    assert caller.said.count(CODE) == 2 + AGAIN_MAX
    assert caller.named.count(Step.SPOKEN) == 2 + AGAIN_MAX
    assert turn == Turn(says=("goodbye",))


def test_who_did_not_ask_is_thanked_and_the_call_ends() -> None:
    caller = Caller()

    turn = caller.dialogue("7", "", "9")

    assert turn == Turn(says=("reported", "goodbye"))
    assert caller.script.ended is Ended.REPORTED


def test_key_that_means_nothing_has_the_menu_said_again_and_not_for_ever() -> None:
    caller = Caller()

    turn = caller.dialogue("7", "", *["5"] * STRAY_MAX)
    last = caller.fetch("5")

    assert (turn.says, turn.asked) == ((), ("menu",))
    assert last == Turn(says=("goodbye",))
    assert caller.named.count(Step.SPOKEN) == 2


def test_who_hangs_up_within_the_first_reading_has_not_heard_the_code() -> None:
    caller = Caller()
    caller.dialogue("7")
    within = caller.script.ended
    caller.fetch()

    assert (within, caller.script.ended) == (Ended.HUNG_UP, Ended.COMPLETED)


@pytest.mark.parametrize(
    ("typed", "ended"), [("42", Ended.TYPED), ("4", Ended.NO_HUMAN), ("", Ended.NO_HUMAN)]
)
def test_number_of_the_page_is_taken_and_no_code_is_spoken(typed: str, ended: Ended) -> None:
    caller = Caller(typed=2)

    turn = caller.dialogue()
    last = caller.fetch(typed)
    if ended is Ended.NO_HUMAN:
        assert (last.says, last.asked) == ((), ("match", "unasked"))
        last = caller.fetch(typed)

    assert (turn.says, turn.asked, turn.keys) == (("greeting", BRAND), ("match", "unasked"), 2)
    assert last == Turn(says=("goodbye",))
    assert caller.script.ended is ended
    assert caller.steps == [(Step.TYPED, "42") if ended is Ended.TYPED else (Step.NO_KEY, "")]
    assert CODE not in caller.said


def test_nine_comes_first_only_from_who_did_not_ask() -> None:
    caller = Caller(typed=2)

    turn = caller.dialogue("9")

    assert turn == Turn(says=("reported", "goodbye"))
    assert (caller.script.ended, caller.steps) == (Ended.REPORTED, [(Step.REPORTED, "")])


@given(keys=st.lists(st.sampled_from(["", *"0123456789*#", "17", "7 "]), max_size=30))
def test_any_keys_end_in_time_and_nothing_secret_is_said_before_the_right_digit(keys: list[str]) -> None:
    caller = Caller()
    asked = iter([*keys, *[""] * TURNS_MAX])
    pressed: list[str] = []

    turn = caller.fetch()
    while turn.then is not Then.HANG_UP:
        assert CODE not in caller.said or GATE in pressed[:2]
        pressed.append(next(asked) if turn.then is Then.KEYS else "")
        turn = caller.fetch(pressed[-1])

    assert caller.turns <= TURNS_MAX
    assert caller.script.next("7") == Turn(says=())
    assert caller.script.ended in OUTCOMES
    assert {*caller.said} - {CODE, BRAND} <= set(CLIPS)
    assert (CODE in caller.said) == (Step.RIGHT_KEY in caller.named)

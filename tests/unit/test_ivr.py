from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.ivr import (
    AGAIN_MAX,
    FRAME_OCTETS,
    FRAMES_PER_S,
    GATE_ROUND_S,
    GATE_ROUNDS,
    MATCH_ROUNDS,
    READINGS,
    SILENCE,
    Ended,
    Ivr,
    Step,
)
from dastak.voice.prompt_words import all_words
from dastak.voice.prompts import pack

CODE = "4711"
CALL_S_MAX = 90


class Words:
    """A language whose recordings are their own names, one frame a word."""

    asked = language = "en"

    def brand(self, name: str) -> bytes:
        return self.clip(f"brand_{name}") if name == "Acme" else b""

    def clip(self, name: str) -> bytes:
        return name.encode().ljust(FRAME_OCTETS, b".")

    def code(self, text: str) -> Iterator[bytes]:
        return (self.clip(f"char_{character}") for character in text)


class Person:
    """Listens to a call, and writes down what is heard."""

    def __init__(
        self, *, code: str = CODE, typed: int = 0, gate: str = "7", brand: str = "", asked: str = "en"
    ) -> None:
        self.steps: list[tuple[Step, str]] = []
        words = Words()
        words.asked = asked
        self.ivr = Ivr(words, gate=gate, code=code, typed=typed, brand=brand, tell=self.on_step)
        self.heard: list[str] = []
        self.frames = 0

    def on_step(self, step: Step, typed: str) -> None:
        self.steps.append((step, typed))

    def times(self, word: str) -> int:
        return self.heard.count(word)

    @property
    def heard_code(self) -> str:
        return "".join(word[5:] for word in self.heard if word.startswith("char_"))


def after_gate(person: Person, key: str, then: str = "", *, hangs_up_at: str = "") -> Ended:
    """Press a key in the silence after the gate's prompt, and others after the menu."""
    gate_seen = False
    keys = list(then)
    while (frame := person.ivr.frame()) is not None:
        person.frames += 1
        if frame == SILENCE:
            if gate_seen and key:
                person.ivr.key(key)
                key = ""
            continue
        word = frame.decode().rstrip(".")
        person.heard.append(word)
        if word == hangs_up_at:
            break
        gate_seen = gate_seen or word.startswith("gate_")
        if word == "menu" and keys:
            person.ivr.key(keys.pop(0))
    return person.ivr.ended


def test_right_key_hears_the_code_twice() -> None:
    person = Person()

    assert after_gate(person, "7") is Ended.COMPLETED
    assert person.heard_code == CODE * READINGS
    assert person.heard[:2] == ["greeting", "gate_7"]
    assert person.heard[-1] == "goodbye"
    assert [step for step, _ in person.steps] == [Step.RIGHT_KEY, Step.SPOKEN, Step.SPOKEN]


@pytest.mark.parametrize("key", [*"012345689", "*", "#"])
def test_wrong_key_hears_nothing_secret(key: str) -> None:
    person = Person()

    assert after_gate(person, key) is Ended.WRONG_KEY
    assert person.heard_code == ""
    assert person.heard[-2:] == ["wrong_key", "goodbye"]


def test_nobody_is_asked_twice_and_hears_nothing_secret() -> None:
    person = Person()

    assert after_gate(person, "") is Ended.NO_HUMAN
    assert person.times("gate_7") == GATE_ROUNDS
    assert person.heard_code == ""
    assert GATE_ROUNDS * GATE_ROUND_S <= person.frames / FRAMES_PER_S < GATE_ROUNDS * GATE_ROUND_S + 2


def test_voicemail_whose_greeting_plays_all_keys_while_we_speak_hears_nothing() -> None:
    """Its tones come before the digit is named, and of those after it only the first counts."""
    person = Person()
    for key in "1234567890":
        person.ivr.key(key)
    frame = person.ivr.frame()
    seen = 0
    while frame is not None:
        if frame != SILENCE:
            person.heard.append(frame.decode().rstrip("."))
        elif "gate_7" in person.heard and seen < 10:
            person.ivr.key("1234567890"[seen])
            seen += 1
        frame = person.ivr.frame()

    assert person.ivr.ended is Ended.WRONG_KEY
    assert person.heard_code == ""


def test_one_says_it_again_as_often_as_allowed() -> None:
    person = Person()

    assert after_gate(person, "7", "1" * 10) is Ended.COMPLETED
    assert person.heard_code == CODE * (READINGS + AGAIN_MAX)
    assert person.frames / FRAMES_PER_S < CALL_S_MAX


@pytest.mark.parametrize("language", sorted(all_words()))
@pytest.mark.parametrize("code", ["482913", "7KQ4M", "7KQ4MX92AB"])
def test_slowest_person_is_never_cut_off_in_any_language(language: str, code: str) -> None:
    """Press at the end of the second round, and ask for it again as often as may be."""
    told: list[Step] = []
    ivr = Ivr(pack(language), gate="7", code=code, tell=lambda step, _: told.append(step))
    gate_s = 2 * GATE_ROUND_S - 0.5 + len(pack(language).clip("greeting")) / FRAME_OCTETS / FRAMES_PER_S
    frames = 0
    while ivr.frame() is not None:
        frames += 1
        if Step.RIGHT_KEY not in told and frames > gate_s * FRAMES_PER_S:
            ivr.key("7")
        elif Step.RIGHT_KEY in told and frames % FRAMES_PER_S == 0:
            ivr.key("1")

    assert told.count(Step.SPOKEN) >= 1
    assert frames / FRAMES_PER_S <= CALL_S_MAX


def test_nine_reports_that_nobody_asked() -> None:
    person = Person()

    assert after_gate(person, "7", "9") is Ended.REPORTED
    assert person.heard[-2:] == ["reported", "goodbye"]
    assert (Step.REPORTED, "") in person.steps


def test_other_keys_in_the_menu_change_nothing() -> None:
    person = Person()

    assert after_gate(person, "7", "5") is Ended.COMPLETED
    assert person.heard_code == CODE * READINGS


@pytest.mark.parametrize(
    ("at", "ended"),
    [
        ("greeting", Ended.HUNG_UP),
        ("gate_7", Ended.HUNG_UP),
        ("char_7", Ended.HUNG_UP),
        ("once_more", Ended.COMPLETED),
        ("goodbye", Ended.COMPLETED),
    ],
)
def test_who_hangs_up_after_a_whole_reading_has_heard_the_code(at: str, ended: Ended) -> None:
    assert after_gate(Person(), "7", hangs_up_at=at) is ended


def types(person: Person, keys: str, *, at: str = "match") -> Ended:
    """Press all keys as soon as a prompt sounds, the first time."""
    left = keys
    while (frame := person.ivr.frame()) is not None:
        person.frames += 1
        if frame == SILENCE:
            continue
        word = frame.decode("latin-1").rstrip(".")
        person.heard.append(word)
        if word == at:
            for key in left:
                person.ivr.key(key)
            left = ""
    return person.ivr.ended


@pytest.mark.parametrize("keys", ["830", "830555", "*8#30"])
@pytest.mark.parametrize("at", ["match", "unasked"])
def test_digits_of_the_page_are_taken_and_no_code_is_spoken(keys: str, at: str) -> None:
    person = Person(code="", typed=3)

    assert types(person, keys, at=at) is Ended.TYPED
    assert person.steps == [(Step.TYPED, "830")]
    assert person.heard_code == ""
    assert person.heard[-1] == "goodbye"


def test_too_few_digits_of_the_page_are_nobody() -> None:
    person = Person(code="", typed=3)

    assert types(person, "83") is Ended.NO_HUMAN
    assert person.steps == [(Step.NO_KEY, "")]


def test_keys_before_the_question_are_no_number() -> None:
    person = Person(code="", typed=3)

    assert types(person, "123", at="greeting") is Ended.NO_HUMAN
    assert person.heard.count("match") == MATCH_ROUNDS
    assert person.frames / FRAMES_PER_S < CALL_S_MAX


def test_nine_instead_of_the_number_reports_that_nobody_asked() -> None:
    person = Person(code="", typed=3)

    assert types(person, "9") is Ended.REPORTED
    assert person.steps == [(Step.REPORTED, "")]
    assert person.heard[-2:] == ["reported", "goodbye"]


def test_number_may_have_a_nine_in_it() -> None:
    person = Person(code="", typed=3)

    assert types(person, "199") is Ended.TYPED
    assert person.steps == [(Step.TYPED, "199")]


@given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from("0123456789*#")), max_size=12))
def test_whatever_is_typed_a_call_of_numbers_says_no_character_and_ends(
    pressed: list[tuple[int, str]],
) -> None:
    person = Person(code="", typed=3)
    keys = sorted(pressed)
    at = 0
    while (frame := person.ivr.frame()) is not None:
        if frame != SILENCE:
            person.heard.append(frame.decode().rstrip("."))
        while keys and keys[0][0] <= at:
            person.ivr.key(keys.pop(0)[1])
        at += 1

    typed = [text for step, text in person.steps if step is Step.TYPED]
    assert person.heard_code == ""
    assert all(len(text) == 3 and text.isdecimal() and text[0] != "9" for text in typed)
    assert len(person.steps) == 1
    assert (person.ivr.ended is Ended.TYPED) == bool(typed)
    assert at / FRAMES_PER_S < CALL_S_MAX


@pytest.mark.parametrize(("brand", "heard"), [("Acme", ["brand_Acme"]), ("Nobody's", []), ("", [])])
def test_brand_comes_before_the_greeting_where_it_can_be_spoken(brand: str, heard: list[str]) -> None:
    person = Person(brand=brand)
    after_gate(person, "7")

    assert person.heard[: len(heard) + 1] == [*heard, "greeting"]


def test_person_is_told_first_when_another_language_is_spoken() -> None:
    person = Person(asked="as", brand="Acme")
    after_gate(person, "7")

    assert person.heard[:3] == ["instead", "brand_Acme", "greeting"]
    assert person.steps[0] == (Step.OTHER_LANGUAGE, "en")


def test_call_speaks_a_code_or_takes_digits() -> None:
    with pytest.raises(ValueError, match="and not both"):
        Ivr(Words(), gate="1", code="1234", typed=2)
    with pytest.raises(ValueError, match="and not both"):
        Ivr(Words(), gate="1")


@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from("0123456789*#")), max_size=30))
def test_without_the_right_first_key_after_the_prompt_no_keys_ever_hear_the_code(
    pressed: list[tuple[int, str]],
) -> None:
    person = Person()
    named_at: list[int] = []
    first: str | None = None
    at = 0
    keys = sorted(pressed)
    while (frame := person.ivr.frame()) is not None:
        if frame != SILENCE:
            word = frame.decode().rstrip(".")
            person.heard.append(word)
            if word.startswith("gate_"):
                named_at.append(at)
        while keys and keys[0][0] <= at:
            key = keys.pop(0)[1]
            # From the end of a prompt on the first key decides.
            if named_at and at >= named_at[-1] and first is None:
                first = key
            person.ivr.key(key)
        at += 1

    assert (person.heard_code != "") == (first == "7")
    assert at / FRAMES_PER_S < CALL_S_MAX

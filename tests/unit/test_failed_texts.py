"""The judge of calls that follow texts sees a call too many, one too few, and one to the wrong phone."""

from pathlib import Path

import pytest

from chaos.failed_texts import CalledPhones, judge_calls
from chaos.stage import QUICK, House, Stage
from chaos.victim import Victim

FAILED, ARRIVED = "+919000000001", "+919000000009"


@pytest.fixture
def phones() -> CalledPhones:
    phones = CalledPhones()
    phones.failed_s[FAILED] = 100.0
    return phones


def judge(phones: CalledPhones, directory: Path) -> list[str]:
    house = House(Stage(directory, scale=QUICK, seed=1), Victim(directory), phones)
    judge_calls(house, phones)
    return house.broken.get("F16", [])


def test_one_call_to_who_got_no_text_is_well(phones: CalledPhones, tmp_path: Path) -> None:
    phones.ring(FAILED, "a")
    phones.ring(FAILED, "a")  # an INVITE that came again

    assert judge(phones, tmp_path) == []


def test_second_call_is_seen(phones: CalledPhones, tmp_path: Path) -> None:
    phones.ring(FAILED, "a")
    phones.ring(FAILED, "b")

    assert judge(phones, tmp_path) == ["1 were called twice"]


def test_call_that_never_came_is_seen(phones: CalledPhones, tmp_path: Path) -> None:
    assert judge(phones, tmp_path) == ["1 got no text and no call"]


def test_call_to_who_had_the_text_is_seen(phones: CalledPhones, tmp_path: Path) -> None:
    phones.ring(FAILED, "a")
    phones.ring(ARRIVED, "b")

    assert judge(phones, tmp_path) == ["1 had their text and were called"]

"""Every fault of the list is either played or named with the reason why not."""

import re
from pathlib import Path

from chaos.catalogue import SCENES
from chaos.fault_list import FAULTS


def test_list_is_whole() -> None:
    assert list(FAULTS) == [f"F{n}" for n in range(1, 36)]


def test_fault_is_played_or_has_a_reason() -> None:
    assert {fault for fault, listed in FAULTS.items() if not listed.not_here} == set(SCENES)


def test_played_fault_says_what_must_hold() -> None:
    assert [fault for fault in SCENES if not FAULTS[fault].holds] == []


def test_each_scene_has_its_short_form_in_the_suite() -> None:
    suites = (Path(__file__).resolve().parents[1] / "e2e").glob("test_chaos_*.py")

    named = {fault for suite in suites for fault in re.findall(r'"(F\d+)"', suite.read_text())}

    assert named == set(SCENES)

"""`dastak carrier test` of a SIP trunk: what OPTIONS brought, a call that speaks, what helps if not."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from dastak.cli import Exit
from tests.support.calling_house import TO, CallingHouse, calling_house, code_heard, phone_in, press_gate
from tests.support.sipp import Sipp, answer, expect


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


def steps_of(report: Any) -> list[tuple[str, bool, str]]:
    return [(step["name"], step["ok"], step["words"]) for step in report["steps"]]


def test_trial_without_a_phone_tells_what_options_brought(house: CallingHouse, tmp_path: Path) -> None:
    with phone_in(tmp_path) as phone:
        house.add(phone.port)
        report = house.installation.command("carrier", "test", "trunk")

    [(name, ok, words)] = steps_of(report)
    assert (name, ok) == ("connect", True)
    # It asked for nobody whom the phone knows, and heard that the phone is there.
    assert re.fullmatch(r"OPTIONS was answered with SIP 404 in [0-9]+ ms", words)


def test_trial_of_a_silent_trunk_tells_what_helps(house: CallingHouse) -> None:
    house.add(free_port(), silence_s=1)
    report = house.installation.command("carrier", "test", "trunk", expect=Exit.UNREACHABLE)

    assert steps_of(report) == [("connect", False, "OPTIONS was not answered within 1 s")]
    assert "dastak carrier set trunk --set probe_s=0" in report["steps"][0]["next"]


def test_trial_rings_and_speaks_six_zeros(house: CallingHouse, tmp_path: Path) -> None:
    with phone_in(tmp_path) as phone, ThreadPoolExecutor(1) as beside:
        house.add(phone.port)
        trial = beside.submit(house.installation.command, "carrier", "test", "trunk", "--to", TO, within_s=90)
        press_gate(phone)
        report = trial.result()
        code = code_heard(phone)

    steps = steps_of(report)
    assert [(name, ok) for name, ok, _ in steps] == [
        ("connect", True), ("submit", True), ("answer", True), ("receipt", True),
    ]  # fmt: skip
    assert steps[1][2] == ("a call to +9198******10: press the digit that it asks for, and it speaks 000000")
    assert steps[2][2].startswith("it rings, as ")
    assert report["delivered"] is True
    assert code == "0" * 12


def test_trial_that_is_refused_tells_the_trunk_s_word(house: CallingHouse, tmp_path: Path) -> None:
    trunk = Sipp([expect("INVITE"), answer(403), expect("ACK")], tmp_path, transport="UDP", contact_port=0)
    try:
        house.add(trunk.port, probe_s=0)
        report = house.installation.command("carrier", "test", "trunk", "--to", TO, expect=Exit.NO)
    finally:
        trunk.stop()

    steps = steps_of(report)
    assert steps[0] == ("connect", True, "the trunk is not asked whether it is there")
    assert steps[2][:2] == ("answer", False)
    assert "403 Forbidden" in steps[2][2]
    assert report["outcome"] == "route_config"

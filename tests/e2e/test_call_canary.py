"""A call that says its code again and again, with all that the program can write: no file has the code."""

import random
import string
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.calling_house import TO, calling_house, code_heard, phone_in, press_gate
from tests.support.child_processes import command_line, voice_processes
from tests.support.needles import needles
from tests.support.patience import until
from tests.support.quick_voice import quick_voice
from tests.support.tapped_path import tapped_path

SERVICES = "/v1/admin/tenants/default/services"
# So long that no id, time or digest holds it by chance.
POLICY = {"length": 10}
LOUD = {"DASTAK__LOG__LEVEL": "debug", "DASTAK__LOG__FORMAT": "json"}


class Said(NamedTuple):
    """What a call said, and what else there is of it: by the name of its file, or of what it is."""

    code: str
    heard: str
    steps: list[str]
    level: str
    left: dict[str, bytes]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Said]:
    directory = tmp_path_factory.mktemp("loud")
    voice = quick_voice(directory / "voice")
    code = "7" + "".join(random.choices(string.digits, k=9))
    with (
        calling_house(directory, DASTAK__VOICE__RECORDINGS=str(directory / "voice"), **LOUD) as house,
        phone_in(directory) as phone,
        tapped_path(phone.port) as path,
    ):
        made = house.operator.post(SERVICES, {"name": "canary", "countries": ["IN"], "policy": POLICY})
        assert made.status == 201, made
        house.add(path.port)
        house.until_available()
        started = until(lambda: _started(house.api.start(TO, service="canary", channel="voice", code=code)))
        press_gate(phone, voice)
        house.told_of(started, step="right_key")
        phone.press("1")
        house.told_of(started, step="again")
        phone.press("1")
        house.told_of(started, type="delivered")
        [speaks] = voice_processes(house.installation.program.pid)
        level = command_line(speaks)[5]
        assert house.api.check(started, code).body["approved"] is True
        files = [file for file in house.installation.directory.rglob("*") if file.is_file()]
        left = {file.name: file.read_bytes() for file in files}
        left |= {
            "signalling": b"\n".join(path.signalling()),
            "timeline": str(house.api.timeline(started)).encode(),
        }
        yield Said(code, code_heard(phone, voice), house.steps(started), level, left)


def _started(answer: object) -> str:
    """Return the verification; empty as long as the service is not known everywhere."""
    return str(answer.body["id"]) if answer.status == 201 else ""  # type: ignore[attr-defined]


def test_one_says_the_code_again_each_time_it_is_pressed(said: Said) -> None:
    assert said.heard == said.code * 4
    assert [step for step in said.steps if step != "ringing"] == [
        *("dialled", "answered", "right_key", "spoken", "spoken"),
        *("again", "spoken", "again", "spoken", "hung_up"),
    ]


def test_no_code_and_no_number_is_left_of_a_call_though_both_processes_write_all_they_can(said: Said) -> None:
    log = said.left["log"]

    assert said.level == "debug"
    assert b'"level": "info"' in log
    assert {"dastak.db", "log", "signalling"} <= set(said.left)
    assert b"INVITE sip:" in said.left["signalling"]
    found = {name for name, octets in said.left.items() if any(one in octets for one in needles(said.code))}
    assert found == set()
    assert TO[1:].encode() not in log

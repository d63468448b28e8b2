"""The call over a SIP trunk to a softphone that nobody here wrote, which records what it hears."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import free_port
from dastak.voice.prompts import pack
from dastak.voice.recordings import telephone
from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import TO, CallingHouse, calling_house, code_heard, phone_in, press_gate
from tests.support.patience import until
from tests.support.virtual_caller import CODES, digits_in, gate_in
from tests.unit.test_recordings import tone, wav


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[BaresipPhone]:
    with phone_in(tmp_path) as answering:
        yield answering


def test_softphone_hears_the_code_after_the_digit_bit_for_bit(
    house: CallingHouse, phone: BaresipPhone
) -> None:
    house.add(phone.port)
    house.until_available()
    of = house.call()
    press_gate(phone)
    house.told_of(of, type="delivered")
    code = code_heard(phone)

    assert CODES.fullmatch(code), code
    assert house.api.check(of, code[:6]).body["approved"] is True
    steps = house.steps(of)
    assert steps[:1] + steps[-5:] == ["dialled", "answered", "right_key", "spoken", "spoken", "hung_up"]
    assert code[:6] not in house.installation.program.log()


def test_number_of_the_page_that_is_typed_on_a_softphone_approves(
    house: CallingHouse, phone: BaresipPhone
) -> None:
    house.add(phone.port)
    house.until_available()
    started = house.api.start(TO, match=True)
    assert started.status == 201, started
    of, number = started.body["id"], started.body["match_number"]
    until(lambda: pack("en").clip("match") in pcm_to_ulaw(phone.heard()), within_s=20)
    for key in number:
        phone.press(key)
    house.told_of(of, type="approved")
    house.told_of(of, type="delivered")

    assert house.api.get(f"/v1/verifications/{of}").body["state"] == "approved"
    assert house.steps(of)[-3:] == ["answered", "typed", "hung_up"]
    assert code_heard(phone) == ""
    # Its three digits stand in many an instant and port as well.
    said = re.sub(r'"at": "[^"]*"', "", house.installation.program.log())
    assert not re.search(rf"(?<!\d){number}(?!\d)", said)


def test_softphone_hears_recordings_that_were_added_while_the_program_runs_and_the_brand(
    tmp_path: Path, phone: BaresipPhone
) -> None:
    own = tmp_path / "own"
    (own / "en").mkdir(parents=True)
    (own / "brands").mkdir()
    with calling_house(tmp_path, DASTAK__VOICE__RECORDINGS=str(own)) as house:
        house.add(phone.port)
        house.until_available()
        (own / "en" / "7.wav").write_bytes(b"a file that is no recording")
        until(lambda: house.installation.program.log().count("a recording is not used") >= 2, within_s=10)
        # Both processes read the folder every two seconds, all of it or nothing.
        (own / "en" / "7.wav").unlink()
        (own / "en" / "greeting.wav").write_bytes(wav(tone(700, 44100, seconds=0.4), 44100))
        (own / "brands" / "Dastak.wav").write_bytes(wav(tone(900, 8000)))
        (own / "en" / "8.wav").write_bytes(b"another one")
        until(lambda: house.installation.program.log().count("8.wav") >= 2, within_s=10)
        house.call()
        until(lambda: gate_in(pcm_to_ulaw(phone.heard())), within_s=20)
        heard = pcm_to_ulaw(phone.heard())

    greeting = telephone(wav(tone(700, 44100, seconds=0.4), 44100))
    brand = telephone(wav(tone(900, 8000)))
    assert -1 < heard.find(brand) < heard.find(greeting)
    assert pack("en").clip("greeting") not in heard


def test_softphone_hears_what_the_tenant_uploaded_while_the_program_runs(
    house: CallingHouse, phone: BaresipPhone, tmp_path: Path
) -> None:
    (tmp_path / "theirs" / "en").mkdir(parents=True)
    (tmp_path / "theirs" / "en" / "greeting.wav").write_bytes(wav(tone(700, 8000)))
    house.add(phone.port)
    house.until_available()
    command = house.installation.command
    taken = command("voice", "upload", str(tmp_path / "theirs"))
    assert taken == {"taken": {"en": ["greeting"]}, "faults": []}
    assert command("voice", "own") == {"en": ["greeting"]}
    # The one process lays it out within two seconds, and the other one finds it within two more.
    log = house.installation.program.log
    until(lambda: log().count("recordings of tenants are spoken") >= 2, within_s=15)
    house.call()
    until(lambda: gate_in(pcm_to_ulaw(phone.heard())), within_s=20)
    heard = pcm_to_ulaw(phone.heard())

    assert telephone(wav(tone(700, 8000))) in heard
    assert pack("en").clip("greeting") not in heard
    assert command("voice", "forget", "--language", "en") == {"forgotten": 1}
    assert command("voice", "own") == {}


def test_softphone_that_nobody_touches_hears_no_digit_of_the_code(
    house: CallingHouse, phone: BaresipPhone
) -> None:
    house.add(phone.port)
    house.until_available()
    lost = house.told_of(house.call(), type="undelivered")

    assert lost["outcome"] == "no_human"
    assert digits_in(pcm_to_ulaw(phone.heard())) == ""


def test_person_who_hangs_up_early_is_told_so(house: CallingHouse, phone: BaresipPhone) -> None:
    house.add(phone.port)
    house.until_available()
    of = house.call()
    house.told_of(of, step="answered")
    phone.hang_up()

    assert house.told_of(of, type="undelivered")["outcome"] == "hung_up"


def test_trunk_that_is_not_there_is_told_and_settings_that_are_wrong_are_refused(
    house: CallingHouse,
) -> None:
    refused = house.offer(free_port(), rtp_ports=[20000, 20001])
    house.add(free_port(), probe_s=0, silence_s=1)
    house.until_available()
    told = house.told_of(house.call(), type="refused")

    assert refused.status == 422
    assert "too few ports" in refused.body["detail"]
    assert (told["route"], told["outcome"]) == ("trunk", "network_temporary")

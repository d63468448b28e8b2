"""The call over a SIP trunk to a softphone that nobody here wrote, which records what it hears."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, code_heard, phone_in, press_gate
from tests.support.serve_installation import free_port
from tests.support.virtual_caller import CODES, digits_in


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

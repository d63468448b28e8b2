"""The call with its sound encrypted: offered, required, and refused, over Kamailio's TLS to softphones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.authority import Authority
from tests.support.baresip_phone import BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, code_heard, phone_in, press_gate
from tests.support.kamailio import Kamailio
from tests.support.patience import until
from tests.support.sipp import Sipp, answer, expect
from tests.support.virtual_caller import CODES, gate_in

MANDATORY = ";mediaenc=srtp-mand"
WHERE_OFFERED = ";mediaenc=srtp"
# Of baresip, once a changed offer was answered.
UPDATED = "stream: update 'audio'"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallingHouse]:
    with calling_house(tmp_path) as running:
        yield running


@contextmanager
def phone_behind_tls(
    directory: Path, house: CallingHouse, *, options: str, srtp: str
) -> Iterator[BaresipPhone]:
    """Run a phone behind Kamailio, and call it by TLS alone."""
    authority = Authority.make(directory / "authority")
    authority.issue("trunk")
    with phone_in(directory, options=options) as phone:
        trunk = Kamailio(
            directory / "trunk",
            phone_port=phone.port,
            key=authority.path("trunk.key"),
            certificate=authority.path("trunk.pem"),
        )
        try:
            house.add_kamailio(trunk, "tls", ca_file=authority.path("ca.pem"), srtp=srtp)
            house.until_available()
            yield phone
        finally:
            trunk.daemon.stop()


@pytest.mark.parametrize(
    ("srtp", "options", "encrypted"),
    [
        ("required", MANDATORY, True),
        ("offered", WHERE_OFFERED, True),
        ("offered", "", False),
        ("off", WHERE_OFFERED, False),
    ],
)
def test_phone_hears_the_code_and_its_key_is_heard(
    house: CallingHouse, tmp_path: Path, srtp: str, options: str, encrypted: bool
) -> None:
    with phone_behind_tls(tmp_path, house, options=options, srtp=srtp) as phone:
        of = house.call()
        press_gate(phone)
        house.told_of(of, type="delivered")

        code = code_heard(phone)
        assert CODES.fullmatch(code), code
        assert phone.said("SRTP is Enabled") is encrypted


@pytest.mark.parametrize(("srtp", "options"), [("required", MANDATORY), ("offered", WHERE_OFFERED)])
def test_call_that_was_held_is_encrypted_still_and_its_key_heard(
    house: CallingHouse, tmp_path: Path, srtp: str, options: str
) -> None:
    with phone_behind_tls(tmp_path, house, options=options, srtp=srtp) as phone:
        of = house.call()
        gate = until(lambda: gate_in(pcm_to_ulaw(phone.heard())), within_s=20)
        for act in (phone.hold, phone.resume):
            updated = phone.times_said(UPDATED)
            act()
            # What is pressed before both have agreed is sent to nobody.
            until(lambda updated=updated: phone.times_said(UPDATED) > updated)
        phone.press(gate)

        house.told_of(of, step="right_key")
        house.told_of(of, type="delivered")


def test_phone_that_cannot_encrypt_is_not_spoken_to_where_it_is_required(
    house: CallingHouse, tmp_path: Path
) -> None:
    with phone_behind_tls(tmp_path, house, options="", srtp="required"):
        refused = house.told_of(house.call(), type="refused")

        assert (refused["route"], refused["outcome"]) == ("trunk", "route_config")


def test_plain_answer_to_an_encrypted_offer_is_hung_up_and_told(house: CallingHouse, tmp_path: Path) -> None:
    steps = (expect("INVITE"), answer(200, sdp=True, repeat=True), expect("ACK"), expect("BYE"))
    trunk = Sipp([*steps, answer(200, tag="")], tmp_path, transport="UDP", contact_port=0)
    try:
        house.add(trunk.port, srtp="required", srtp_in_clear=True, probe_s=0)
        house.until_available()
        refused = house.told_of(house.call(), type="refused")
    finally:
        trunk.stop()

    assert (refused["outcome"], refused["status"]) == (
        "route_config",
        "the trunk's answer: no line of encrypted sound",
    )


def test_keys_are_not_sent_in_clear_unless_it_is_said(house: CallingHouse) -> None:
    refused = house.offer(5060, srtp="offered")

    assert refused.status == 422
    assert "over udp everybody on the way can read them" in refused.body["detail"]

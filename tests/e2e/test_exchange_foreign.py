"""The exchange stand-alone, called by programs that nobody here wrote: baresip and SIPp."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.baresip_phone import baresip
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.rtp_phone import RtpPhone
from tests.support.sipp_caller import ask, expect, expect_request, invite, pause, sipp_calls

ANSWERS: Final = "+919876543211"
HANGS_UP: Final = "+919876543212"
BUSY: Final = "+919876543213"
FORKS: Final = "+919876543214"
LOSES_ACK: Final = "+919876543215"
CROSSES: Final = "+919876543216"
EARLY: Final = "+919876543217"
RINGS: Final = "+919876543218"
FAULTS: Final = """
[[faults]]
number = "*11"
call = { does = "answer" }
[[faults]]
number = "*12"
call = { does = "answer", keys = "753", hang_up_s = 4.0 }
[[faults]]
number = "*13"
call = "busy"
[[faults]]
number = "*14"
call = { does = "answer", forks = 2 }
[[faults]]
number = "*15"
call = { does = "answer", lost_acks = 1 }
[[faults]]
number = "*16"
call = { late_answer = true }
[[faults]]
number = "*17"
call = { early_media = true }
"""


@pytest.fixture(scope="module")
def carrier(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CarrierProcess]:
    folder = tmp_path_factory.mktemp("exchange")
    password = getattr(request, "param", "")
    options = ["--recordings", str(folder), "--sip-password", password]
    carrier = CarrierProcess(folder, faults=FAULTS, options=options)
    with carrier:
        carrier.password = password  # type: ignore[attr-defined]
        carrier.folder = folder  # type: ignore[attr-defined]
        yield carrier


def shown(carrier: CarrierProcess, number: str, state: str) -> dict[str, Any]:
    """Wait until the newest call to a number is told to stand so."""

    def look() -> dict[str, Any] | None:
        calls = [told for told in carrier.texts if told["msisdn"] == number]
        return calls[-1] if calls and calls[-1]["state"] == state else None

    return until(look)


@pytest.mark.parametrize("carrier", ["", "secret"], ids=["open", "digest"], indirect=True)
@pytest.mark.parametrize("over", ["", ";transport=tcp"])
def test_baresip_calls_hears_keys_presses_keys_and_is_recorded(
    carrier: CarrierProcess, tmp_path: Path, over: str
) -> None:
    with baresip(tmp_path, number="+912222222222", options=";auth_user=sim;auth_pass=secret") as phone:
        phone.dial(f"sip:{HANGS_UP}@127.0.0.1:{carrier.sip_port}{over}")
        shown(carrier, HANGS_UP, "answered")
        phone.press("4")
        until(lambda: shown(carrier, HANGS_UP, "answered")["keys_heard"] == "4")
        phone.press("2")
        ended = shown(carrier, HANGS_UP, "ended")
        said = (tmp_path / "baresip.log").read_text()

    assert (ended["caller"], ended["keys"], ended["keys_heard"], ended["why"]) == (
        "+912222222222",
        "753",
        "42",
        "BYE",
    )
    assert [said.count(f"received event: '{key}' (end=1)") for key in "753"] == [1, 1, 1]
    recording = (carrier.folder / f"call-{ended['id']}.wav").read_bytes()  # type: ignore[attr-defined]
    assert len(recording) > 58 + 2 * 8000
    assert len(set(recording[58:])) > 4, "the noise of baresip's own file is no silence"


RANG = (expect(100, optional=True), expect(180))


async def calls(carrier: CarrierProcess, directory: Path, *steps: str, **how: Any) -> str:
    return await sipp_calls(*steps, port=carrier.sip_port, directory=directory, **how)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_sipp_is_answered_and_sound_and_keys_go_both_ways(
    carrier: CarrierProcess, tmp_path: Path, transport: str
) -> None:
    async with RtpPhone() as sound:
        await calls(
            carrier,
            tmp_path,
            invite(HANGS_UP, rtp_port=sound.port),
            *RANG,
            expect(200),
            ask("ACK", HANGS_UP),
            expect_request("BYE"),
            transport=transport,
        )
        packets = sound.packets

    spoken = [packet for packet in packets if packet.payload_type == 8]
    keys = [packet for packet in packets if packet.payload_type == 97]
    events = {packet.timestamp: packet.payload[0] for packet in keys}
    ends = [packet for packet in keys if packet.payload[1] & 0x80]
    assert list(events.values()) == [7, 5, 3]
    assert len(ends) == 3 * 3
    assert {packet.payload for packet in spoken} == {bytes([0xD5]) * 160}, (
        "silence in A-law, as it was offered first"
    )
    assert [packet.sequence for packet in packets] == list(
        range(packets[0].sequence, packets[0].sequence + len(packets))
    )
    assert 3.5 * 50 < len(packets) < 4.6 * 50


async def test_sipp_presses_a_key_and_speaks_in_alaw(carrier: CarrierProcess, tmp_path: Path) -> None:
    info = "Signal=5\nDuration=160"
    kind = ("Content-Type: application/dtmf-relay",)
    await calls(
        carrier,
        tmp_path,
        invite(ANSWERS, rtp_port=40_000),
        *RANG,
        expect(200),
        ask("ACK", ANSWERS),
        ask("INFO", ANSWERS, cseq=2, headers=kind, body=info),
        expect(200),
        ask("OPTIONS", ANSWERS, cseq=3),
        expect(200),
        ask("BYE", ANSWERS, cseq=4),
        expect(200),
    )

    assert shown(carrier, ANSWERS, "ended")["keys_heard"] == "5"


async def test_sipp_that_offers_nothing_is_made_an_offer(carrier: CarrierProcess, tmp_path: Path) -> None:
    answer = "v=0\no=shop 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n"
    async with RtpPhone() as sound:
        await calls(
            carrier,
            tmp_path,
            invite(ANSWERS),
            *RANG,
            expect(200),
            ask("ACK", ANSWERS, body=answer.format(sound.port)),
            pause(500),
            ask("BYE", ANSWERS, cseq=2),
            expect(200),
        )
        assert len(sound.packets) > 10


async def test_sipp_hears_early_media_before_any_answer_and_cancels(
    carrier: CarrierProcess, tmp_path: Path
) -> None:
    async with RtpPhone() as sound:
        await calls(
            carrier,
            tmp_path,
            invite(EARLY, rtp_port=sound.port),
            expect(100, optional=True),
            expect(183),
            expect(180),
            pause(500),
            ask("CANCEL", EARLY),
            expect(200, way=False),
            expect(487),
            ask("ACK-refused", EARLY),
        )
        tone = {packet.payload for packet in sound.packets}

    assert len(tone) > 1
    assert shown(carrier, EARLY, "ended")["why"] == "CANCEL"


async def test_sipp_meets_a_busy_phone_until_its_ack(carrier: CarrierProcess, tmp_path: Path) -> None:
    said = await calls(
        carrier,
        tmp_path,
        invite(BUSY, rtp_port=40_000),
        expect(100, optional=True),
        expect(486),
        pause(800),
        ask("ACK-refused", BUSY),
        pause(1500),
    )

    assert said.count("SIP/2.0 486 Busy Here") == 2, "once more after half a second, and not after the ACK"
    assert "Reason: Q.850;cause=17" in said


async def test_sipp_whose_ack_is_lost_is_answered_again(carrier: CarrierProcess, tmp_path: Path) -> None:
    said = await calls(
        carrier,
        tmp_path,
        invite(LOSES_ACK, rtp_port=40_000),
        *RANG,
        expect(200),
        ask("ACK", LOSES_ACK),
        pause(2000),
        ask("BYE", LOSES_ACK, cseq=2),
        expect(200),
    )

    assert said.count("ACK sip:") == 2, "the second is to the answer that was said again"


async def test_sipp_whose_cancel_crosses_the_answer_has_a_call_to_hang_up(
    carrier: CarrierProcess, tmp_path: Path
) -> None:
    await calls(
        carrier,
        tmp_path,
        invite(CROSSES, rtp_port=40_000),
        *RANG,
        ask("CANCEL", CROSSES),
        expect(200, way=False),
        expect(200),
        ask("ACK", CROSSES),
        ask("BYE", CROSSES, cseq=2),
        expect(200),
    )

    assert shown(carrier, CROSSES, "ended")["why"] == "BYE"


@pytest.mark.parametrize("carrier", ["secret"], indirect=True)
async def test_sipp_proves_the_password(carrier: CarrierProcess, tmp_path: Path) -> None:
    await sipp_calls(
        invite(ANSWERS, rtp_port=40_000),
        expect(407, auth=True),
        ask("ACK-refused", ANSWERS),
        invite(ANSWERS, rtp_port=40_000, cseq=2, headers=["[authentication username=sim password=secret]"]),
        *RANG,
        expect(200),
        ask("ACK", ANSWERS, cseq=2),
        ask("BYE", ANSWERS, cseq=3),
        expect(200),
        port=carrier.sip_port,
        directory=tmp_path,
    )

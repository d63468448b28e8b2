"""From a text that does not arrive to the code that is typed; carrier, trunk and phone are other authors'."""

import asyncio
from pathlib import Path

from tests.e2e.test_voice_process import IS_CANCELED
from tests.support.authority import Authority
from tests.support.calling_house import calling_house, code_heard, phone_in, press_gate
from tests.support.kamailio import BY_THE_BOOK, Kamailio
from tests.support.npm_peer import NpmSmsc, npm_smsc
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.quick_voice import quick_voice
from tests.support.sipp import Sipp, answer, expect, sipp
from tests.support.virtual_caller import CODES

# The carrier brings the receipt of these when the test says so.
WAITS = "+919876543220"
# And that of these at once; a deadline is learned from twenty.
ARRIVE = tuple(f"+9198765{n:03}21" for n in range(20))


async def test_code_of_a_text_that_failed_is_heard_on_a_phone_that_registered_behind_kamailio(
    tmp_path: Path,
) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    files = {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}
    voice = quick_voice(tmp_path / "voice")
    loop = asyncio.get_running_loop()

    def scene(carrier: NpmSmsc) -> None:
        trunk = Kamailio(tmp_path / "trunk", leads=BY_THE_BOOK, **files)
        try:
            with (
                phone_in(tmp_path, number=WAITS, registrar=trunk.port) as phone,
                calling_house(tmp_path, DASTAK__VOICE__RECORDINGS=str(tmp_path / "voice")) as house,
            ):
                until(lambda: trunk.said(f"registered sip:{WAITS}@127.0.0.1:{trunk.port} until <null>"))
                house.add_texts(carrier.port)
                house.add_kamailio(trunk, "tls", ca_file=authority.path("ca.pem"))
                house.until_available()
                of = house.text(WAITS)
                house.told_of(of, type="submitted")
                loop.call_soon_threadsafe(carrier.reports, "UNDELIV", "650")
                press_gate(phone, voice)
                house.told_of(of, type="delivered")
                code = code_heard(phone, voice)
                until(lambda: trunk.said("answered 200 to BYE"))

                assert CODES.fullmatch(code), code
                assert house.api.check(of, code[:6]).body["approved"] is True
                told = house.api.timeline(of)
                assert [one["type"] for one in told if one["type"] != "call"] == [
                    "started", "queued", "submitted", "undelivered", "fallback", "queued", "submitted",
                    "delivered", "approved",
                ]  # fmt: skip
                # The trunk's workers may bring the 200 before the 180.
                assert [step for step in house.steps(of) if step != "ringing"] == [
                    "dialled", "answered", "right_key", "spoken", "spoken", "hung_up",
                ]  # fmt: skip
                assert [one["at"] for one in told] == sorted(one["at"] for one in told)
                assert trunk.said("led on from tls") == 1
        finally:
            trunk.daemon.stop()

    async with npm_smsc() as carrier:
        await asyncio.to_thread(scene, carrier)


async def test_call_begins_at_the_learned_deadline_and_a_late_receipt_calls_it_off_before_it_rings(
    tmp_path: Path,
) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    searches = (expect("INVITE"), answer(100, tag=""), *IS_CANCELED)
    loop = asyncio.get_running_loop()

    def scene(carrier: NpmSmsc, trunk: Sipp) -> None:
        with calling_house(tmp_path, **PLENTY) as house:
            house.add_texts(carrier.port)
            house.add(trunk.port, probe_s=0)
            house.until_available()
            for arrived in [house.text(number) for number in ARRIVE]:
                house.told_of(arrived, type="delivered")
            of = house.text(WAITS)
            until(lambda: any("SIP/2.0 100" in message for message in trunk.messages()), within_s=20)
            loop.call_soon_threadsafe(carrier.reports, "DELIVRD")
            house.told_of(of, step="hung_up")
            asyncio.run_coroutine_threadsafe(trunk.saw_everything(), loop).result()
            told = house.told(of)
            overdue, due = (house.told_of(of, type=kind) for kind in ("overdue", "fallback"))

            assert (due["at"], due["channel"], due["cause"]) == (overdue["at"], "voice", "no_receipt")
            assert "delivered" in told
            assert not {"ringing", "answered", "priced"} & set(told)
            assert told.count("dialled") == 1
            assert house.told_of(of, step="hung_up")["detail"] == "the text arrived"

    async with npm_smsc() as carrier, sipp(*searches, directory=peer) as trunk:
        await asyncio.to_thread(scene, carrier, trunk)

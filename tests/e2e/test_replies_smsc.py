"""Replies over a real bind: confirmed once they are durable, and kept once if a lost link repeats them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dastak.core.errors import NumberStopped
from dastak.core.events import MessageUndelivered, PhoneReturned
from dastak.core.reply import HeardReply, ReplyKind
from dastak.core.tenant import Mode
from dastak.flows.call_steps import CallSteps
from dastak.flows.hear import Hearing
from dastak.flows.inward import Inward
from dastak.flows.phone_back import Returns
from dastak.simulator.faults import Fault
from dastak.simulator.smsc import WINDOW_MAX, Smsc
from dastak.sms.coded_text import TextOptions, write_text
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.tlv import encode_tlvs
from tests.support.house import House, open_house
from tests.support.samples import MSISDN
from tests.support.smpp_pair import Ends, smsc, soon


class SlowDisk:
    """A store whose replies are durable only when it is let go; it counts how often it was asked."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.asked = asyncio.Semaphore(0)
        self.kept = asyncio.Semaphore(0)
        self.free = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def keep_reply(self, heard: HeardReply, **told: Any) -> bool:
        self.asked.release()
        await self.free.wait()
        new: bool = await self._store.keep_reply(heard, **told)
        self.kept.release()
        return new


@asynccontextmanager
async def wired(folder: Path, *faults: Fault) -> AsyncIterator[tuple[House, SlowDisk, Smsc, SmppRoute]]:
    """Run a house whose only route is bound to a carrier over TCP."""
    async with open_house(folder) as house, smsc(Ends(), *faults) as carrier:
        disk = SlowDisk(house.store)
        inward = Inward(house.settlement, Hearing(lambda _: None), Returns(), CallSteps())
        ears = inward.ears()
        settings = SmppSettings(host="127.0.0.1", port=carrier.port, system_id="sim_1", password="secret")
        route = SmppRoute(
            "north",
            settings,
            ears.take_receipt,
            take_reply=ears.take_reply,
            on_alert=lambda msisdn: ears.on_alert("north", msisdn),
        )
        async with route:
            await soon(route.wait_bound())
            house.use(route)  # type: ignore[arg-type]
            inward.begin(house.ports, disk, lambda _: ())
            yield house, disk, carrier, route


def bring(carrier: Smsc, text: str) -> None:
    """Have the carrier bring a reply, in as many parts as it needs."""
    written = write_text(text, TextOptions(), reference=7)
    for part in written.parts:
        sm = Sm(
            source_addr=MSISDN.removeprefix("+"),
            source_addr_ton=1,
            destination_addr="56161",
            short_message=part.octets,
            esm_class=part.esm_class,
            data_coding=written.data_coding,
            tlv_octets=encode_tlvs(part.tlvs),
        )
        carrier.send_text("sim_1", sm)


def unconfirmed(carrier: Smsc) -> int:
    """Return how many deliver_sm the carrier has sent and got no answer for."""
    return sum(WINDOW_MAX - link.session.room for link in carrier._served["sim_1"].out.links)


@pytest.mark.parametrize("word", ["STOP", "ನಿಲ್ಲಿಸಿ"])
async def test_stop_is_obeyed_before_the_carrier_hears_that_it_was_taken(tmp_path: Path, word: str) -> None:
    async with wired(tmp_path) as (house, disk, carrier, _):
        await house.start()
        await house.deliver()

        bring(carrier, word)
        await soon(disk.asked.acquire())
        waiting = unconfirmed(carrier)
        disk.free.set()
        await soon(disk.kept.acquire())

        assert waiting == 1
        assert await house.store.is_stopped(1, Mode.LIVE, MSISDN)
        with pytest.raises(NumberStopped):
            await house.start()


async def test_reply_whose_answer_was_lost_comes_again_and_is_kept_once(tmp_path: Path) -> None:
    async with wired(tmp_path) as (house, disk, carrier, route):
        await house.start()
        await house.deliver()

        bring(carrier, "STOP")
        await soon(disk.asked.acquire())
        carrier.drop_links()
        await soon(disk.asked.acquire())  # over the new bind
        disk.free.set()
        for _ in range(2):
            await soon(disk.kept.acquire())

        assert route.available
        kept = (await house.store.replies(1)).replies
        assert [one.reply.kind for one in kept] == [ReplyKind.STOP]


async def test_phone_that_is_back_gets_its_text_over_the_same_bind(tmp_path: Path) -> None:
    away = Fault(stat="UNDELIV", err="027")
    async with wired(tmp_path, away) as (house, _, carrier, _):
        verification = await house.start()
        await house.deliver()
        await house.sees(MessageUndelivered)
        carrier.send_alert("sim_1", MSISDN)
        (returned,) = await house.sees(PhoneReturned)
        await house.deliver()

        assert (returned.route, returned.followed_by) == ("north", 1)
        assert (await house.message(verification, 1)).carrier is not None

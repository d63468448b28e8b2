"""A route to a GSM network nobody of us wrote (OsmoMSC), down to the phones that get the texts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from dastak.core.errors import CarrierRejected
from dastak.core.outcome import Outcome
from dastak.sms.esme import BindState
from dastak.sms.replies import ReplyKind
from tests.support.bound_route import BoundRoute, bound_route
from tests.support.osmo_msc import SGS_PORT, SMPP_PORT, OsmoMsc, osmo_msc
from tests.support.sgs_phone import SgsPhone
from tests.support.smpp_pair import Ends, esme, soon

# Each test has its own phones: what one leaves waiting in the network shall not reach another.
SUBSCRIBERS = {f"00101000000000{n}": f"91987650000{n}" for n in range(1, 9)}
NOBODY = "919876599999"
MEMORY_FULL = 22


@pytest.fixture(scope="module")
def msc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OsmoMsc]:
    with osmo_msc(tmp_path_factory.mktemp("osmo"), SUBSCRIBERS) as running:
        yield running


def bound(msc: OsmoMsc, **settings: Any) -> AbstractAsyncContextManager[BoundRoute]:
    """Bind a route with these settings."""
    wanted = {"host": msc.address, "port": SMPP_PORT, "system_id": "otp", "password": "otppass"}
    return bound_route(**(wanted | settings))


@asynccontextmanager
async def phones(msc: OsmoMsc, *numbers: int, refuses: int | None = None) -> AsyncIterator[list[SgsPhone]]:
    """Attach these phones; their numbers end in these digits."""
    async with AsyncExitStack() as stack:
        attached = []
        for n in numbers:
            phone = SgsPhone(f"00101000000000{n}", refuses=refuses)
            await phone.attach(msc.address, SGS_PORT)
            stack.push_async_callback(phone.close)
            attached.append(phone)
        yield attached


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"password": "wrong"}, "ESME_RINVPASWD"), ({"system_id": "who"}, "ESME_RINVSYSID")],
)
async def test_wrong_credentials_are_refused(msc: OsmoMsc, changes: dict[str, str], reason: str) -> None:
    ends = Ends()
    wanted = {"host": msc.address, "system_id": "otp", "password": "otppass"}
    async with esme(ends, SMPP_PORT, **(wanted | changes)):
        assert await ends.until_state(BindState.REFUSED) == reason


async def test_texts_reach_the_phones_and_each_receipt_finds_its_message(msc: OsmoMsc) -> None:
    async with phones(msc, 1, 2) as (first, second), bound(msc) as carrier:
        refs = [
            await carrier.submit("919876500001", "Your code is 424242", n=1),
            await carrier.submit("919876500002", "आपका कोड 424242", n=2),
        ]
        texts = [await first.text(), await second.text()]
        receipts = [await carrier.receipt() for _ in refs]
        # The network has one text for a phone under way at a time.
        refs.append(await carrier.submit("919876500001", "Your code is 515151", n=3))
        texts.append(await first.text())
        receipts.append(await carrier.receipt())

    assert texts == [
        ("DASTAK", "Your code is 424242"),
        ("DASTAK", "आपका कोड 424242"),
        ("DASTAK", "Your code is 515151"),
    ]
    # Its ids say nothing, and two messages to one phone are told apart all the same.
    assert len(set(refs)) == 3
    assert {receipt.carrier for receipt in receipts[:2]} == set(refs[:2])
    assert receipts[2].carrier == refs[2]
    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}
    assert [receipt.alternatives for receipt in receipts] == [()] * 3


async def test_text_waits_for_a_phone_that_comes_back(msc: OsmoMsc) -> None:
    async with bound(msc) as carrier:
        ref = await carrier.submit("919876500003")
        async with phones(msc, 3) as (phone,):
            text = await phone.text()
            alert = await soon(carrier.alerts.get())
            receipt = await carrier.receipt()

    assert (text, alert) == (("DASTAK", "123456"), "+919876500003")
    assert (receipt.carrier, receipt.outcome) == (ref, Outcome.DELIVERED)


async def test_unknown_number_is_stored_or_refused_as_the_mode_says(msc: OsmoMsc) -> None:
    async with bound(msc) as storing, bound(msc, esm_mode="forward") as forwarding:
        stored = await storing.submit(NOBODY)
        with pytest.raises(CarrierRejected) as refused:
            await forwarding.submit(NOBODY)

    assert stored.route == "r"
    assert refused.value.status == "ESME_RINVDSTADR"


async def test_answer_in_forward_mode_tells_what_the_phone_said(msc: OsmoMsc) -> None:
    async with (
        phones(msc, 4) as (phone,),
        phones(msc, 5, refuses=MEMORY_FULL),
        bound(msc, esm_mode="forward", answer_delivers=True, response_timeout_s=5) as carrier,
    ):
        ref = await carrier.submit("919876500004")
        text = await phone.text()
        receipt = await carrier.receipt()
        with pytest.raises(CarrierRejected) as refused:
            await carrier.submit("919876500005")

    assert text == ("DASTAK", "123456")
    assert (receipt.carrier, receipt.outcome) == (ref, Outcome.DELIVERED)
    assert refused.value.status == "ESME_RDELIVERYFAILURE"


@pytest.mark.parametrize(
    ("validity", "life"), [("relative", timedelta(seconds=299)), ("none", timedelta(days=7))]
)
async def test_validity_is_kept_in_the_database_of_the_network(
    msc: OsmoMsc, validity: str, life: timedelta
) -> None:
    async with bound(msc, validity=validity) as carrier:
        await carrier.submit("919876500006")

    created, valid_until = (datetime.fromisoformat(at) for at in msc.stored("created, valid_until")[-1])
    # It keeps whole minutes, and no life longer than it was told.
    assert timedelta(seconds=-1) <= life - (valid_until - created) <= timedelta(minutes=1)


async def test_alphabet_that_the_network_does_not_know_is_refused(msc: OsmoMsc) -> None:
    async with bound(msc, alphabet="latin1", plain_data_coding=3) as carrier:
        with pytest.raises(CarrierRejected) as refused:
            await carrier.submit("919876500007")

    assert refused.value.status == "ESME_RUNKNOWNERR"


async def test_reply_of_a_phone_is_understood(msc: OsmoMsc) -> None:
    async with phones(msc, 8) as (phone,), bound(msc) as carrier:
        phone.write("56161", "STOP")
        reply = await soon(carrier.replies.get())

    assert (reply.msisdn, reply.to, reply.kind) == ("+919876500008", "56161", ReplyKind.STOP)

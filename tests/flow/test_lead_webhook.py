"""Leads that a customer's server is told: signed, again after failures and restarts, none behind another."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from dastak.core.errors import Overloaded
from dastak.core.ids import VerificationId
from dastak.core.landing import LandingPage, LeadFilter
from dastak.core.lead_hook import TRIES_MAX, Delivery, HookState, LeadHookStore
from dastak.flows.lead_hooks import AT_ONCE_EACH_MAX, LeadHooks
from dastak.web.browser_session import form_token
from dastak.web.landing.console_room import FORM, HOME
from tests.contract.test_landing_store import won
from tests.support.house import House
from tests.support.landing_visitors import Landing, open_landing
from tests.support.lead_receiver import LeadReceiver, receiving

DAY = timedelta(days=1)


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[LeadReceiver]:
    async with receiving() as running:
        yield running


def hooks_of(landing: Landing, **how: Any) -> LeadHooks:
    house = landing.house
    return LeadHooks(house.ports, house.store.lead_hooks, **{"private": True, **how})


async def press(landing: Landing, page: LandingPage, do: str, url: str = "") -> Any:
    form = {"form": form_token("s" * 43, FORM), "do": do, "url": url}
    return await landing.visitor().post(f"{HOME}/{page.n}/webhook", form)


async def connect(landing: Landing, page: LandingPage, receiver: LeadReceiver) -> None:
    """Set the webhook in the editor, and copy its secret from the page that shows it."""
    shown = await press(landing, page, "set", receiver.url)
    found = re.search(r"whsec_[\w+/=]+", shown.text)
    assert found is not None, shown.text
    receiver.secret = found[0]


async def look(landing: Landing, hooks: LeadHooks, after: timedelta = timedelta()) -> None:
    landing.house.clock.advance(after.total_seconds())
    await hooks.look()
    await hooks.settled()


async def state(landing: Landing, page: LandingPage) -> Any:
    [lead] = await landing.store.leads(LeadFilter(page=page.n))
    return (await landing.house.store.lead_hooks.deliveries([lead.verification]))[lead.verification]


async def test_proved_number_is_told_with_a_signature_and_without_its_code(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page, visitor = await landing.published(), landing.visitor()
    await connect(landing, page, receiver)
    asked = await visitor.asked()
    code = await landing.code()
    await visitor.type(asked, code)
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)
        await look(landing, hooks)

    [told] = receiver.taken
    [lead] = await landing.leads(page)
    assert receiver.refused == 0
    assert told.said["type"] == "lead.verified"
    assert told.said["data"]["msisdn"] == lead.msisdn
    assert told.said["data"]["values"] == {**lead.values}
    assert f'"{code}"' not in told.body.decode()
    assert (await state(landing, page)).state is HookState.SENT


async def test_failures_are_tried_again_with_the_same_id_and_shown_beside_the_lead(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses = [500, 302]
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)
        await look(landing, hooks)
        failed = await landing.visitor().get(f"{HOME}/{page.n}/leads")
        await look(landing, hooks, timedelta(seconds=6))
        await look(landing, hooks, timedelta(seconds=346))
    sent = await landing.visitor().get(f"{HOME}/{page.n}/leads")

    assert len(receiver.taken) == 3
    assert len({told.message_id for told in receiver.taken}) == 1
    assert len({told.timestamp for told in receiver.taken}) == 3
    assert "It answered 500." in failed.text
    assert "<td>Sent</td>" in sent.text


async def test_tries_end_and_begin_again_by_a_button(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses = [500] * TRIES_MAX
    async with hooks_of(landing) as hooks:
        for _ in range(TRIES_MAX + 2):
            await look(landing, hooks, 2 * DAY)
        given_up = await state(landing, page)
        shown = await landing.visitor().get(f"{HOME}/{page.n}/leads")
        await press(landing, page, "again")
        await look(landing, hooks)

    assert (given_up.state, given_up.tries) == (HookState.FAILED, TRIES_MAX)
    assert "Send again" in shown.text
    assert len(receiver.taken) == TRIES_MAX + 1
    assert (await state(landing, page)).state is HookState.SENT


async def test_one_that_hangs_delays_no_other(landing: Landing, receiver: LeadReceiver) -> None:
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(receiving())
        slow, fast = await landing.published(), await landing.published(slug="holi")
        await connect(landing, slow, hanging)
        await connect(landing, fast, receiver)
        hanging.statuses = [None] * 9
        for n in range(1, 9):
            await won(landing.store, slow, n)
        await won(landing.store, fast, 9)
        hooks = await stack.enter_async_context(hooks_of(landing))
        await hooks.look()
        begun = hooks.in_flight
        await receiver.came.wait()
        await hooks.look()

        assert begun == AT_ONCE_EACH_MAX + 1
        assert hooks.in_flight <= begun
        assert len(receiver.taken) == 1


async def test_endpoint_that_never_answers_is_cut(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses = [None]
    async with hooks_of(landing, within_s=0.2) as hooks:
        await look(landing, hooks)

    assert (await state(landing, page)).error == "No answer within 0.2 s."


async def test_what_was_under_way_at_a_stop_is_told_after_the_start(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses = [None]
    async with hooks_of(landing) as hooks:
        await hooks.look()
        await receiver.came.wait()
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)

    assert len(receiver.taken) == 2
    assert len({told.message_id for told in receiver.taken}) == 1
    assert (await state(landing, page)).state is HookState.SENT


async def test_address_that_is_gone_is_left_alone_until_it_is_saved_again(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses = [410]
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)
        await look(landing, hooks, DAY)
        off = await landing.visitor().get(f"{HOME}/{page.n}/publish")
        tries = len(receiver.taken)
        await connect(landing, page, receiver)
        await look(landing, hooks)

    assert tries == 1
    assert "(410)" in off.text
    assert len(receiver.taken) == 2


async def test_busy_server_says_when_to_come_again(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    receiver.statuses, receiver.headers = [429], "retry-after: 60\r\n"
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)
        await look(landing, hooks, timedelta(seconds=59))
        early = len(receiver.taken)
        await look(landing, hooks, timedelta(seconds=1))

    assert (early, len(receiver.taken)) == (1, 2)


class Forgetful:
    """A store of webhooks that can be read, and for a while not written."""

    def __init__(self, store: LeadHookStore) -> None:
        self._store, self.writes = store, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def note(self, verification: VerificationId, delivery: Delivery) -> None:
        if not self.writes:
            raise Overloaded("The database cannot write now.")
        await self._store.note(verification, delivery)


async def test_lead_is_told_once_while_nothing_can_be_written_down(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page, store = await landing.published(), Forgetful(landing.house.store.lead_hooks)
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    async with LeadHooks(landing.house.ports, store, private=True) as hooks:
        for _ in range(5):
            await look(landing, hooks)
        before = len(receiver.taken)
        await won(landing.store, page, 2)
        store.writes = True
        await look(landing, hooks)
        await look(landing, hooks)

    assert before == 1
    assert len(receiver.taken) == 2


async def test_inner_address_is_never_connected_to(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    async with hooks_of(landing, private=False) as hooks:
        await look(landing, hooks)

    assert not receiver.came.is_set()
    assert (await state(landing, page)).error == "It could not be reached."


async def test_forgotten_lead_is_told_to_nobody(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    lead = await won(landing.store, page, 1)
    await landing.store.delete_lead(page.n, lead.n)
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)

    assert not receiver.came.is_set()
    assert await landing.house.store.lead_hooks.deliveries([lead.verification]) == {}


async def test_secret_is_sealed_and_shown_once(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    hook = await landing.house.store.lead_hooks.hook(page.n)
    later = await landing.visitor().get(f"{HOME}/{page.n}/publish")

    assert receiver.url in later.text
    assert "whsec_" not in later.text
    assert receiver.secret.encode() not in hook.secret


async def test_new_secret_signs_beside_the_old_one_for_a_day(
    landing: Landing, receiver: LeadReceiver
) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    old = receiver.secret
    shown = await press(landing, page, "rotate")
    new = re.findall(r"whsec_[\w+/=]+", shown.text)
    taken = []
    async with hooks_of(landing) as hooks:
        for n, (after, secret) in enumerate(
            ((timedelta(), old), (timedelta(), new[0]), (timedelta(days=1), old), (timedelta(), new[0]))
        ):
            receiver.secret, before = secret, len(receiver.taken)
            await won(landing.store, page, n + 1)
            await look(landing, hooks, after)
            taken.append(len(receiver.taken) - before)

    assert len(new) == 1
    assert new[0] != old
    assert "as well" in shown.text
    assert taken == [1, 1, 0, 1], "both are good for a day, then the new one alone"


async def test_page_without_a_webhook_has_no_secret_to_rotate(landing: Landing) -> None:
    page = await landing.published()

    refused = await press(landing, page, "rotate")

    assert refused.status_code == 404


@pytest.mark.parametrize("url", ["gopher://x/", "http://a@127.0.0.1/", "", "http://x:99999/", "http://[/"])
async def test_address_that_is_none_is_refused(landing: Landing, url: str) -> None:
    page = await landing.published()

    refused = await press(landing, page, "set", url)
    typed = re.search(r'name="url" type="url" maxlength="1000" value="([^"]*)"', refused.text)

    assert refused.status_code == 422
    assert typed is not None
    assert typed[1] == url
    assert await landing.house.store.lead_hooks.hook(page.n) is None


async def test_webhook_that_was_taken_away_is_told_nothing(landing: Landing, receiver: LeadReceiver) -> None:
    page = await landing.published()
    await connect(landing, page, receiver)
    await won(landing.store, page, 1)
    await press(landing, page, "remove")
    async with hooks_of(landing) as hooks:
        await look(landing, hooks)

    assert not receiver.came.is_set()
    assert (await state(landing, page)).error == "The webhook was taken away."

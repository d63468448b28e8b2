"""A webhook set by the keyboard, told of a lead by the real program, also after it was killed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tests.support.axe import axe_violations
from tests.support.browser import chromium, opened
from tests.support.dastak_process import DastakProcess
from tests.support.landing_makers import (
    become_operator,
    begin_page,
    go,
    office,
    prove,
    publish,
    some_visitor,
    write,
)
from tests.support.lead_receiver import LeadReceiver, receiving
from tests.support.login_client import BEHIND_PROXY

# The browser and the server that takes leads live on one loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[LeadReceiver]:
    async with receiving() as running:
        yield running


async def test_lead_is_told_once_the_server_answers_also_after_the_program_was_killed(
    receiver: LeadReceiver, tmp_path: Path
) -> None:
    environment = {**BEHIND_PROXY, "DASTAK__LOGIN__PRIVATE_CHECKS": "true"}
    dastak = DastakProcess(tmp_path / "data", environment=environment)
    number, receiver.statuses = some_visitor(), [None]
    with dastak:
        async with chromium() as browser:
            profile = await office(browser, become_operator(dastak), bypass_csp=True)
            page = await profile.new_page()
            await begin_page(page, dastak.url, "diwali")
            here = page.url.partition("?")[0]
            await publish(page, "First version")
            await write(page, "#webhook-url", receiver.url)
            unset = await axe_violations(page)
            await go(page, "#webhook-url")
            receiver.secret = await page.locator("main pre").inner_text()
            shown_once = await axe_violations(page)
            async with opened(browser, f"{dastak.url}/f/diwali?lang=en") as (visitor, _):
                await prove(visitor, dastak, number)
            await receiver.came.wait()
            await page.goto(f"{here}/leads")
            listed = await axe_violations(page)

            receiver.came.clear()
            dastak.kill()
            dastak.start()
            await receiver.came.wait()

    assert [told.said["data"]["msisdn"] for told in receiver.taken] == [number] * 2
    assert len({told.message_id for told in receiver.taken}) == 1
    assert receiver.refused == 0
    for told in receiver.taken:
        # The judge of the standard looks at the time as well.
        assert Webhook(receiver.secret).verify(told.body, told.headers) == told.said
    assert [*unset, *shown_once, *listed] == []
    assert number not in dastak.log()

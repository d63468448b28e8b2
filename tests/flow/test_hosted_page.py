"""The page at an address of its own, on a clock that can be moved: late codes, and pages that are over."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from dastak.core import oath
from dastak.core.code_page import CodePage, way_back
from dastak.core.ids import digest_of
from dastak.core.policy import Channel, Policy
from dastak.core.verification import Particulars, State, Verification
from dastak.flows import factors
from dastak.tenancy.directory import Directory
from dastak.web.hosted.hosted_page import hosted_routes
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates
from tests.flow.test_fall_back import with_calls
from tests.support.house import House, open_house
from tests.support.led_on import led_to
from tests.support.samples import MSISDN, NOW, some_msisdn

URL = "http://otp.example.in/v/token"
_HIDDEN = re.compile(r'type="hidden" name="([a-z]+)" value="([^"]*)"')


@asynccontextmanager
async def visiting(
    house: House, verification: Verification, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Make the page of a verification, and give a browser that has not opened it."""
    tenant = await house.store.put_tenant(replace(house.caller.tenant, n=0))
    await house.store.put_service(replace(house.caller.service, n=0, tenant=tenant.n))
    directory = Directory(lambda: NOW)
    await directory.refresh(house.store)
    page = CodePage(
        token_digest=digest_of("token"),
        tenant=verification.tenant,
        service=verification.service,
        mode=verification.mode,
        made_for=verification.id,
        asks_for=verification.id,
        return_url="https://login.acme.in/done",
        expires_at=verification.expires_at + timedelta(minutes=15),
    )
    await house.store.code_pages.put_page(replace(page, **changes))
    pages = PageHouse(
        ports=house.ports,
        directory=directory,
        templates=PageTemplates(PageFiles()),
        public_url="http://otp.example.in",
    )
    app = Starlette(routes=hosted_routes(pages, house.store.code_pages))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as browser:
        yield browser


async def sent(browser: httpx.AsyncClient, shown: httpx.Response, **fields: str) -> httpx.Response:
    return await browser.post(URL, data={**dict(_HIDDEN.findall(shown.text)), **fields})


async def typed(browser: httpx.AsyncClient, shown: httpx.Response, code: str) -> httpx.Response:
    return await sent(browser, shown, do="check", code=code)


async def test_code_that_is_too_old_is_followed_by_a_new_one_on_the_same_page(house: House) -> None:
    verification = await house.start()
    async with visiting(house, verification) as browser:
        shown = await browser.get(URL)
        house.clock.advance(301)

        late = await typed(browser, shown, house.code(verification))
        again = await typed(browser, shown, house.code(verification))

        page = await house.store.code_pages.page_for(1, verification.id)
        newest = (await house.all())[0]
        assert (late.status_code, again.status_code) == (422, 200)
        assert "That code is too old. We have sent a new one." in late.text
        assert (page.asks_for, page.made_for) == (newest.id, verification.id)
        assert len(await house.all()) == 2

        older = await typed(browser, late, house.code(verification))
        back = await typed(browser, late, house.code(newest))

        assert "That is the code from an earlier message. Use the newest one." in older.text
        assert (back.status_code, led_to(back.text)) == (200, way_back(page))
        assert (await house.found(newest)).state is State.APPROVED


async def test_page_whose_time_is_over_does_not_exist_even_for_its_browser(house: House) -> None:
    verification = await house.start()
    async with visiting(house, verification) as browser:
        shown = await browser.get(URL)
        house.clock.advance(300 + 15 * 60)

        answers = [await browser.get(URL), await typed(browser, shown, house.code(verification))]

        assert [one.status_code for one in answers] == [404, 404]
        assert len(await house.all()) == 1


@pytest.mark.parametrize(
    ("to", "query", "accepted", "language"),
    [
        ("+8801812345678", "", "fr", "bn"),
        ("+8801812345678", "", "fr, hi;q=0.5", "hi"),
        ("+8801812345678", "?lang=ta", "hi", "ta"),
        ("+919876543210", "", "fr", "en"),
    ],
)
async def test_language_is_that_of_the_numbers_country_where_neither_person_nor_browser_says_one(
    house: House, to: str, query: str, accepted: str, language: str
) -> None:
    open_service = replace(house.caller.service, countries=("IN", "BD"))
    caller = replace(house.caller, service=open_service)
    verification = await house.start(to, caller=caller)
    async with visiting(house, verification) as browser:
        shown = await browser.get(URL + query, headers={"accept-language": accepted})

        assert f'<html lang="{language}"' in shown.text


@pytest.mark.parametrize(
    ("do", "status"), [("resend", 422), ("call", 422), ("number", 404), ("new_number", 404)]
)
async def test_no_form_has_anything_sent_where_an_authenticator_is_asked_for(
    house: House, do: str, status: int
) -> None:
    with_calls(house)
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    verification = await house.start(factor=made.factor.id)
    shared = oath.Authenticator(seed=made.seed or b"")
    async with visiting(house, verification, may_change_number=True) as browser:
        shown = await browser.get(URL)
        refused = await sent(browser, shown, do=do, to=some_msisdn(7))

        assert refused.status_code == status
        assert "<button" in shown.text
        assert f'value="{do}"' not in shown.text
        assert (house.handed, list(await house.all())) == ([], [verification])

        back = await typed(browser, shown, oath.totp(shared, at_s=int(NOW.timestamp())))

        assert back.status_code == 200
        assert led_to(back.text).startswith("https://login.acme.in/done?")


async def test_number_with_an_authenticator_that_was_hit_at_sign_up_can_be_corrected(tmp_path: Path) -> None:
    policy = Policy(channels=(Channel.TOTP, Channel.SMS))
    async with open_house(tmp_path, policy=policy) as house:
        await an_authenticator(house)
        hit = await house.start(particulars=Particulars(purpose="signup"))
        async with visiting(house, hit, may_change_number=True) as browser:
            shown = await browser.get(URL)
            form = await sent(browser, shown, do="number")
            changed = await sent(browser, form, do="new_number", to=some_msisdn(7))
            mine = (await house.all())[0]
            back = await typed(browser, await browser.get(URL), house.code(mine))

        assert hit.particulars.channel is Channel.TOTP
        assert 'value="number"' in shown.text
        assert (form.status_code, changed.status_code, back.status_code) == (200, 303, 200)
        assert led_to(back.text).startswith("https://login.acme.in/done?")
        assert (mine.msisdn, mine.particulars.channel) == (some_msisdn(7), Channel.SMS)
        assert (await house.found(hit)).state is State.CANCELED


async def test_no_text_comes_in_the_place_of_the_authenticator_of_a_number_typed_again(
    tmp_path: Path,
) -> None:
    policy = Policy(channels=(Channel.TOTP, Channel.SMS))
    async with open_house(tmp_path, policy=policy) as house:
        await an_authenticator(house)
        hit = await house.start(particulars=Particulars(purpose="signup"))
        asked = []
        async with visiting(house, hit, may_change_number=True) as browser:
            shown = await browser.get(URL)
            refused = [(await sent(browser, shown, do=do)).status_code for do in ("resend", "call")]
            for to in (MSISDN, some_msisdn(7), MSISDN):
                await sent(browser, await browser.get(URL), do="new_number", to=to)
                asked.append((await house.all())[0].particulars.channel)

        assert refused == [422, 422]
        assert asked == [Channel.TOTP, Channel.SMS, Channel.TOTP]
        assert [one.msisdn for one, _ in house.handed] == [some_msisdn(7)]


async def an_authenticator(house: House) -> None:
    """Give the number of the samples an authenticator, proved."""
    made = await factors.enrol(house.ports, house.caller, factors.Enrolment(to=MSISDN, kind=Channel.TOTP))
    proving = await house.start(factor=made.factor.id)
    shared = oath.Authenticator(seed=made.seed or b"")
    judged = await house.check(proving, oath.totp(shared, at_s=int(NOW.timestamp())))
    assert judged.approved


@pytest.mark.parametrize(
    ("channels", "purpose", "named"),
    [
        ((Channel.TOTP, Channel.SMS), "login", None),
        ((Channel.SMS, Channel.TOTP), "signup", Channel.TOTP),
    ],
)
async def test_number_is_not_changed_where_the_authenticator_is_what_the_caller_asks_for(
    tmp_path: Path, channels: tuple[Channel, ...], purpose: str, named: Channel | None
) -> None:
    async with open_house(tmp_path, policy=Policy(channels=channels)) as house:
        await an_authenticator(house)
        hit = await house.start(channel=named, particulars=Particulars(purpose=purpose))
        async with visiting(house, hit, may_change_number=True) as browser:
            shown = await browser.get(URL)
            refused = await sent(browser, shown, do="new_number", to=some_msisdn(7))

        assert hit.particulars.channel is Channel.TOTP
        assert refused.status_code == 404
        assert 'value="number"' not in shown.text
        assert house.handed == []


async def test_cookie_of_a_page_goes_with_the_page_and_soon_after_its_code_was_right(house: House) -> None:
    verification = await house.start()
    async with visiting(house, verification) as browser:
        shown = await browser.get(URL)
        again = await browser.get(URL)
        back = await typed(browser, shown, house.code(verification))
        over = await browser.get(URL)

    life_s = int((verification.expires_at - NOW).total_seconds()) + 15 * 60
    assert f"; Max-Age={life_s};" in shown.headers["set-cookie"]
    assert "set-cookie" not in again.headers
    name, _, rest = shown.headers["set-cookie"].partition(";")
    assert back.headers["set-cookie"] == f"{name};{rest.replace(str(life_s), '120')}"
    assert "That code was already used." in over.text

"""A visit of a landing page from the first look to the lead, and all the ways it may go wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from dastak.core.errors import NotFound
from dastak.core.ids import digest_of
from dastak.core.landing import PageState, Step, Variant
from dastak.core.verification import State
from dastak.web.landing.design import Experiment, Field, FieldKind, Fields, Hero
from dastak.web.landing.starter import begin
from tests.support.house import House
from tests.support.landing_visitors import ANSWERS, Landing, field, leading_to, open_landing
from tests.support.led_on import led_to


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def counts(landing: Landing, page: int) -> dict[Step, int]:
    return {one.step: one.visits for one in await landing.store.funnel(page)}


async def test_number_that_is_proved_becomes_a_lead_with_its_consent(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()
    asking = await visitor.asked("/f/diwali?lang=hi&utm_source=poster", utm_source="poster")

    done = await visitor.type(asking, await landing.code())

    assert (asking.status_code, done.status_code) == (200, 303)
    thanks = await visitor.get(done.headers["location"])
    assert "धन्यवाद" in thanks.text
    (lead,) = await landing.leads(page)
    assert (lead.msisdn, lead.language, lead.version, lead.variant) == ("+919876543210", "hi", 1, Variant.A)
    assert lead.values == {"name": "Ravi", "agree": "yes", "utm_source": "poster"}
    (consent,) = lead.consents
    assert consent.text.startswith("मैं सहमत हूँ कि Acme")
    assert (consent.language, consent.page_version) == ("hi", 1)
    assert len(consent.ip_digest) == 32
    assert "203.0.113" not in consent.ip_digest
    assert await counts(landing, page.n) == {
        Step.SEEN: 1,
        Step.GIVEN: 1,
        Step.SENT: 1,
        Step.DELIVERED: 1,
        Step.ENTERED: 1,
        Step.APPROVED: 1,
    }


async def test_looking_sends_nothing_and_counts_a_browser_once(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()

    for _ in range(3):
        shown = await visitor.get("/f/diwali")
    await landing.visitor().get("/f/diwali")

    assert shown.status_code == 200
    assert await counts(landing, page.n) == {Step.SEEN: 2}
    assert await landing.house.all() == ()


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"name": ""}, "Fill this in: Your name"),
        ({"number": "12"}, "Write a whole mobile number: Mobile number"),
        ({"number": ""}, "Fill this in: Mobile number"),
        ({"agree": ""}, "Tick this to go on: I agree that Acme"),
        ({"agree": "no"}, "Tick this to go on: I agree that Acme"),
    ],
)
async def test_what_is_missing_is_named_and_what_was_typed_is_kept(
    landing: Landing, answers: dict[str, str], sentence: str
) -> None:
    await landing.published()

    shown = await landing.visitor().send_in(**answers)

    assert shown.status_code == 422
    assert sentence in shown.text
    assert f'value="{answers.get("name", "Ravi")}"' in shown.text
    assert await landing.house.all() == ()


async def test_form_that_comes_twice_is_one_visit_and_one_message(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()
    form = {"form": field(await visitor.get("/f/diwali")), **ANSWERS}

    first = await visitor.post("/f/diwali", form)
    again = await visitor.post("/f/diwali", form)

    assert first.headers["location"] == again.headers["location"]
    assert len(await landing.house.all()) == 1
    assert (await counts(landing, page.n))[Step.GIVEN] == 1


async def test_form_that_comes_again_with_other_answers_is_believed_as_it_came_last(
    landing: Landing,
) -> None:
    plain = begin("Acme", ("en",), theme="rose")
    news = Field(name="news", kind=FieldKind.CONSENT, label={"en": "Send me news"}, required=False)
    blocks = tuple(
        replace(block, fields=(*block.fields, news)) if isinstance(block, Fields) else block
        for block in plain.blocks
    )
    page, visitor = await landing.published(replace(plain, blocks=blocks)), landing.visitor()
    form = {"form": field(await visitor.get("/f/diwali")), **ANSWERS}

    await visitor.post("/f/diwali", {**form, "news": "yes"})
    again = await visitor.post("/f/diwali", {**form, "name": "Ravi Kumar"})
    asking = await visitor.get(again.headers["location"])
    await visitor.type(asking, await landing.code())
    await visitor.post("/f/diwali", {**form, "name": "Too late"})

    assert len(await landing.house.all()) == 1
    (lead,) = await landing.leads(page)
    assert lead.values["name"] == "Ravi Kumar"
    assert [one.field for one in lead.consents] == ["agree"]


async def test_campaign_is_kept_by_who_chooses_another_language_or_begins_again(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()
    shown = await visitor.get("/f/diwali?lang=en&utm_source=a%26b+c&other=x")
    links = [unescape(one) for one in re.findall(r'<a href="(/f/diwali[^"]*)"', shown.text)]
    hindi = next(link for link in links if "lang=hi" in link)
    said = unescape(field(await visitor.get(hindi), "utm_source"))
    asking = over = await visitor.asked(hindi, utm_source=said)
    (verification,) = await landing.house.all()
    for _ in range(verification.policy.attempts_max):
        over = await visitor.type(over, landing.house.wrong(verification))

    assert hindi == "/f/diwali?lang=hi&utm_source=a%26b%20c"
    assert said == "a&b c"
    assert asking.status_code == 200
    assert '<a class="button" href="/f/diwali?lang=hi&amp;utm_source=a%26b%20c">' in over.text
    assert page.slug == "diwali"


async def test_number_can_be_corrected_and_the_rest_stays(landing: Landing) -> None:
    await landing.published()
    visitor = landing.visitor()
    asking = await visitor.asked()
    form = await visitor.type(asking, "", do="number")

    again = await visitor.post("/f/diwali", {"form": field(form), **ANSWERS, "number": "9876500000"})

    assert 'value="Ravi"' in form.text
    assert again.status_code == 303
    assert [one.msisdn for one in await landing.house.all()] == ["+919876500000", "+919876543210"]


@pytest.mark.parametrize("language", ["hi", "en"])
async def test_choice_that_was_made_is_still_made_when_the_number_is_corrected(
    landing: Landing, language: str
) -> None:
    plain = begin("Acme", ("hi", "en"), theme="rose")
    options = ({"hi": "दिल्ली", "en": "Delhi"}, {"hi": "मुंबई", "en": "Mumbai"})
    city = Field(name="city", kind=FieldKind.SELECT, label={"hi": "शहर", "en": "City"}, options=options)
    blocks = tuple(
        replace(block, fields=(city, *block.fields)) if isinstance(block, Fields) else block
        for block in plain.blocks
    )
    page, visitor = await landing.published(replace(plain, blocks=blocks)), landing.visitor()
    asking = await visitor.asked(f"/f/diwali?lang={language}", city="2")

    form = await visitor.type(asking, "", do="number")
    chosen = re.findall(r'<option value="(\d*)" selected>', form.text)
    answers = {"form": field(form), **ANSWERS, "number": "9876500000", "city": chosen[0]}
    sent = await visitor.post(f"/f/diwali?lang={language}", answers)
    again = await visitor.get(sent.headers["location"])
    await visitor.type(again, await landing.code())

    assert chosen == ["2"]
    (lead,) = await landing.leads(page)
    assert (lead.msisdn, lead.values["city"]) == ("+919876500000", "मुंबई")


async def test_wrong_code_is_said_and_no_lead(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()
    asking = await visitor.asked()
    (verification,) = await landing.house.all()

    wrong = await visitor.type(asking, landing.house.wrong(verification))

    assert wrong.status_code == 422
    assert "not correct" in wrong.text
    assert await landing.leads(page) == []


async def test_right_code_sent_many_times_at_once_is_one_lead(landing: Landing) -> None:
    page, visitor = await landing.published(), landing.visitor()
    asking, code = await visitor.asked(), await landing.code()

    answers = await asyncio.gather(*(visitor.type(asking, code) for _ in range(10)))

    assert {answer.status_code for answer in answers} <= {200, 303, 422}
    assert len(await landing.leads(page)) == 1


async def test_lead_that_a_crash_held_up_is_written_at_the_next_look(
    landing: Landing,
) -> None:
    page, visitor = await landing.published(), landing.visitor()
    asking = await visitor.asked()
    (verification,) = await landing.house.all()
    await landing.house.check(verification, await landing.code())
    assert (await landing.house.found(verification)).state is State.APPROVED
    assert await landing.leads(page) == []

    thanks = await visitor.get(str(asking.request.url))

    assert "Thank you" in thanks.text
    assert [lead.msisdn for lead in await landing.leads(page)] == [verification.msisdn]


async def test_visit_opens_only_in_the_browser_that_began_it(landing: Landing) -> None:
    await landing.published()
    asking = await landing.visitor().asked()
    other = landing.visitor()
    await other.get("/f/diwali")

    looked = await other.get(str(asking.request.url))
    typed = await other.type(asking, await landing.code())
    watched = await other.get(str(asking.request.url.copy_with(query=None)) + "/watch")

    assert [looked.status_code, typed.status_code, watched.status_code] == [404, 404, 404]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"website": "http://spam.example"}, 400),
        ({"form": ""}, 403),
        ({"form": "2.1.1.a.0.AAAA.AAAA"}, 403),
    ],
    ids=["trap", "no ticket", "forged ticket"],
)
async def test_what_no_visitor_sends_is_refused_and_sends_nothing(
    landing: Landing, changes: dict[str, str], status: int
) -> None:
    await landing.published()

    refused = await landing.visitor().send_in(**changes)

    assert refused.status_code == status
    assert await landing.house.all() == ()
    # What fills in a form for a person may have found the field that nobody sees; what was typed is not lost.
    assert ('value="Ravi"' in refused.text) == (status == 400)


async def test_form_of_another_page_and_of_another_site_is_refused(landing: Landing) -> None:
    await landing.published()
    await landing.published(slug="holi")
    visitor = landing.visitor()
    ticket = field(await visitor.get("/f/holi"))

    other_page = await visitor.post("/f/diwali", {"form": ticket, **ANSWERS})
    other_site = await visitor.post(
        "/f/holi",
        {"form": ticket, **ANSWERS},
        origin="https://evil.example",
        **{"sec-fetch-site": "cross-site"},
    )

    assert [other_page.status_code, other_site.status_code] == [403, 403]
    assert await landing.house.all() == ()


async def test_form_that_is_too_old_is_refused(landing: Landing) -> None:
    await landing.published()
    visitor = landing.visitor()
    ticket = field(await visitor.get("/f/diwali"))
    landing.house.clock.advance(13 * 3600)

    stale = await visitor.post("/f/diwali", {"form": ticket, **ANSWERS})

    assert stale.status_code == 403


async def test_draft_is_not_there_and_closed_page_says_so(landing: Landing) -> None:
    page = await landing.published()
    await landing.store.put_page(replace(page, state=PageState.CLOSED))
    draft = begin("Acme", ("en",), theme="rose")

    closed = await landing.visitor().get("/f/diwali?lang=hi")
    other = await landing.published(draft, slug="holi")
    await landing.store.put_page(replace(other, state=PageState.DRAFT))
    hidden = await landing.visitor().get("/f/holi")

    assert (closed.status_code, hidden.status_code) == (410, 404)
    assert "यह पेज बंद है" in closed.text
    assert "<form" not in closed.text


async def test_visitor_is_sent_on_with_a_token_that_a_server_exchanges_once(landing: Landing) -> None:
    page = await landing.published(leading_to("https://login.acme.in/welcome?from=page#top"))
    visitor = landing.visitor()
    asking = await visitor.asked()

    done = await visitor.type(asking, await landing.code())

    assert done.status_code == 200
    to = urlsplit(led_to(done.text))
    assert (to.scheme, to.netloc, to.path, to.fragment) == ("https", "login.acme.in", "/welcome", "top")
    assert "Thank you" in done.text
    # Where the site sends its visitors next is in no policy of ours: no form's answer leads out of the house.
    for shown in (asking, done):
        assert "form-action 'self';" in shown.headers["content-security-policy"]
    (token,) = parse_qs(to.query)["dastak_token"]
    now = landing.house.clock.now()
    _, lead = await landing.store.exchange(1, digest_of(token), now=now)
    assert lead.msisdn == "+919876543210"
    with pytest.raises(NotFound):
        await landing.store.exchange(1, digest_of(token), now=now)
    assert len(await landing.leads(page)) == 1


async def test_visitor_who_can_go_no_further_begins_again(landing: Landing) -> None:
    await landing.published()
    visitor = landing.visitor()
    asking = over = await visitor.asked()
    (verification,) = await landing.house.all()
    for _ in range(verification.policy.attempts_max):
        over = await visitor.type(over, landing.house.wrong(verification))

    again = await visitor.get("/f/diwali?lang=en")

    assert "another way" not in asking.text
    assert '<a class="button" href="/f/diwali?lang=en">Back to Acme</a>' in over.text
    assert 'name="code"' not in over.text
    assert 'name="number"' in again.text


async def test_button_that_is_pressed_twice_leads_on_with_the_token_that_counts(landing: Landing) -> None:
    page = await landing.published(leading_to("https://login.acme.in/welcome"))
    visitor = landing.visitor()
    asking, code = await visitor.asked(), await landing.code()

    pressed = await asyncio.gather(*(visitor.type(asking, code) for _ in range(4)))
    later = await visitor.type(asking, code)

    (leads_to,) = {led_to(answer.text) for answer in (*pressed, later)}
    token = leads_to.partition("dastak_token=")[2]
    _, lead = await landing.store.exchange(1, digest_of(token), now=landing.house.clock.now())
    assert lead.msisdn == "+919876543210"
    assert len(await landing.leads(page)) == 1


async def test_visitor_whose_lead_was_lost_in_a_crash_is_led_on_at_the_next_look(landing: Landing) -> None:
    page = await landing.published(leading_to("https://login.acme.in/welcome"))
    visitor = landing.visitor()
    asking = await visitor.asked()
    (verification,) = await landing.house.all()
    # The program dies between the two commits.
    await landing.house.check(verification, await landing.code())
    assert await landing.leads(page) == []

    looked = await visitor.get(str(asking.request.url))
    again = await visitor.get(str(asking.request.url))

    token = led_to(looked.text).partition("dastak_token=")[2]
    _, lead = await landing.store.exchange(1, digest_of(token), now=landing.house.clock.now())
    assert lead.values["name"] == "Ravi"
    assert "Thank you" in again.text


async def test_nobody_is_sent_to_a_host_that_is_not_registered_any_more(landing: Landing) -> None:
    await landing.published(leading_to("https://gone.example/x"))
    visitor = landing.visitor()
    asking = await visitor.asked()

    done = await visitor.type(asking, await landing.code())

    assert done.headers["location"].startswith("/f/diwali/")


async def test_page_in_a_foreign_frame_needs_no_cookie_and_only_there(landing: Landing) -> None:
    framed = replace(begin("Acme", ("en",), theme="slate"), framed_by=("https://shop.example",))
    page = await landing.published(framed)
    await landing.published(slug="holi")
    visitor = landing.visitor()

    async def without_cookies(slug: str) -> int:
        shown = await visitor.get(f"/f/{slug}")
        visitor.browser.cookies.clear()
        sent = await visitor.post(f"/f/{slug}", {"form": field(shown), **ANSWERS})
        return sent.status_code

    shown = await visitor.get("/f/diwali")
    plain = await visitor.get("/f/holi")
    asking = await visitor.asked()
    visitor.browser.cookies.clear()
    statuses = [await without_cookies("diwali"), await without_cookies("holi")]

    assert "frame-ancestors https://shop.example;" in shown.headers["content-security-policy"]
    assert "frame-ancestors 'none';" in plain.headers["content-security-policy"]
    assert 'data-framers="https://shop.example"' in shown.text
    assert "<script" not in plain.text
    assert statuses == [303, 403]
    assert asking.status_code == 200
    assert page.n == 1


async def test_browser_sees_the_same_variant_again_and_both_are_seen(landing: Landing) -> None:
    plain = begin("Acme", ("en",), theme="plum")
    other = Experiment(hero=Hero(title={"en": "Half price today"}), button={"en": "Get it"}, planned=100)
    page = await landing.published(replace(plain, experiment=other))
    seen = []
    for _ in range(40):
        visitor = landing.visitor()
        titles = {"Half price today" in (await visitor.get("/f/diwali")).text for _ in range(2)}
        assert len(titles) == 1
        seen += titles

    tally = {one.variant: one.visits for one in await landing.store.funnel(page.n)}
    assert set(seen) == {True, False}
    assert tally == {Variant.A: seen.count(False), Variant.B: seen.count(True)}


async def test_style_sheet_is_kept_for_ever_and_made_of_colours_alone(landing: Landing) -> None:
    await landing.published()
    visitor = landing.visitor()
    page = (await visitor.get("/f/diwali")).text
    address = page.partition('<link rel="stylesheet" href="')[2].partition('"')[0]

    sheet = await visitor.get(address)
    forged = await visitor.get(address.replace("ffffff", "ff}ff{"))

    assert "immutable" in sheet.headers["cache-control"]
    assert "--accent:#0b5cad" in sheet.text
    assert "http" not in sheet.text
    assert "@import" not in sheet.text
    assert forged.status_code == 404

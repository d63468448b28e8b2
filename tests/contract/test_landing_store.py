"""What every store keeps of landing pages: versions for ever, visits for hours, leads for their time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import Conflict, NotFound
from dastak.core.landing import (
    IMAGE_UNSAVED_KEPT,
    IMAGES_PER_PAGE_MAX,
    LEADS_EXPORTED_MAX,
    Consent,
    LandingPage,
    Lead,
    LeadFilter,
    PageImage,
    PageState,
    PageVersion,
    Step,
    Variant,
    Visit,
)
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.ports import Change
from dastak.core.tenant import Mode
from dastak.store import landing_tables, rows
from dastak.store.landing_rows import lead_of
from dastak.store.landing_tables import LandingTables
from tests.support.samples import (
    MSISDN,
    NOW,
    settling,
    some_message,
    some_msisdn,
    some_opening,
    some_service,
    some_verification,
    submitting,
)

Reopen = Callable[[], AbstractAsyncContextManager[Any]]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# When a picture was uploaded that nobody waits for any more.
LONG_AGO = NOW - IMAGE_UNSAVED_KEPT - timedelta(milliseconds=1)
TOKEN = b"t" * 32
TICKED = Consent(
    field="agree",
    text="Call me.",
    text_version="0123456789abcdef",
    language="en",
    at=NOW,
    ip_digest="ab" * 16,
    page_version=1,
)


def some_page(slug: str = "diwali", **changes: Any) -> LandingPage:
    plain = LandingPage(
        n=0,
        tenant=1,
        service=1,
        mode=Mode.TEST,
        slug=slug,
        host=None,
        state=PageState.DRAFT,
        live=0,
        draft=b'{"first":1}',
        created_at=NOW,
    )
    return replace(plain, **changes)


def published(page: LandingPage, body: bytes, reason: str = "first") -> PageVersion:
    return PageVersion(page=page.n, version=0, at=NOW, author="Asha", reason=reason, body=body)


def some_visit(page: LandingPage, token: bytes = TOKEN, **changes: Any) -> Visit:
    plain = Visit(
        token_digest=token,
        page=page.n,
        version=1,
        variant=Variant.A,
        language="hi",
        at=NOW,
        browser=b"b" * 32,
        verification=None,
        values={"name": "Ravi"},
        consents=(TICKED,),
    )
    return replace(plain, **changes)


def some_lead(visit: Visit, **changes: Any) -> Lead:
    verification = visit.verification
    assert verification is not None
    plain = Lead(
        page=visit.page,
        version=visit.version,
        variant=visit.variant,
        language=visit.language,
        msisdn=MSISDN,
        at=NOW,
        gone_at=NOW + 90 * DAY,
        verification=verification,
        values=visit.values,
        consents=visit.consents,
    )
    return replace(plain, **changes)


async def won(store: Any, page: LandingPage, n: int, **changes: Any) -> Lead:
    """Bring one visit to a lead, and return it as the store lists it."""
    verification = some_verification(msisdn=some_msisdn(n))
    token = bytes([n]) * 32
    visit = some_visit(page, token, verification=verification.id)
    await store.put_visit(visit)
    lead = some_lead(visit, msisdn=some_msisdn(n), **changes)
    number = await store.win(token, lead, exchange=None, until=NOW)
    return replace(lead, n=number)


@pytest.fixture
def landing(store: Any) -> Any:
    return store.landing


async def test_page_is_found_as_it_was_written(landing: Any) -> None:
    put = await landing.put_page(some_page(host="offers.example.in", keep_days=30))
    other = await landing.put_page(some_page("holi", tenant=2))

    assert put.n > 0
    assert await landing.page(put.n) == await landing.page_named("diwali") == put
    assert await landing.page_at("offers.example.in") == put
    assert await landing.page_at("other.example.in") is None
    assert await landing.pages(1) == [put]
    assert await landing.pages(None) == [other, put]


@pytest.mark.parametrize("taken", [{"slug": "diwali"}, {"slug": "holi", "host": "offers.example.in"}])
async def test_an_address_is_one_pages_only(landing: Any, taken: dict[str, Any]) -> None:
    await landing.put_page(some_page(host="offers.example.in"))

    with pytest.raises(Conflict):
        await landing.put_page(some_page(**taken, tenant=2))


async def test_host_goes_to_the_page_whose_service_has_it_from_one_whose_service_has_not(
    store: Any, landing: Any
) -> None:
    host = "offers.example.in"
    owner = await store.put_service(some_service(1, domains=(host,)))
    rival = await store.put_service(some_service(2))
    squatted = await landing.put_page(some_page("cheap", tenant=2, service=rival.n, host=host))
    page = await landing.put_page(some_page(service=owner.n))

    moved = await landing.put_page(replace(page, host=host))
    for late in (squatted, replace(await landing.page(squatted.n), host=host)):
        with pytest.raises(Conflict):
            await landing.put_page(late)

    assert await landing.page_at(host) == moved
    assert (await landing.page(squatted.n)).host is None


@pytest.mark.parametrize(("one", "other"), [(True, True), (False, False), (False, True)])
async def test_host_stays_with_its_page_where_its_service_has_it_or_the_other_one_has_not(
    store: Any, landing: Any, one: bool, other: bool
) -> None:
    host = "offers.example.in"
    late = await store.put_service(some_service(1, domains=(host,) if one else ()))
    first = await store.put_service(some_service(2, domains=(host,) if other else ()))
    held = await landing.put_page(some_page("cheap", tenant=2, service=first.n, host=host))

    with pytest.raises(Conflict):
        await landing.put_page(some_page(service=late.n, host=host))

    assert await landing.page_at(host) == held


async def test_who_saves_last_does_not_undo_the_other_unseen(landing: Any) -> None:
    put = await landing.put_page(some_page())
    first = await landing.put_page(replace(put, draft=b"one"))

    with pytest.raises(Conflict):
        await landing.put_page(replace(put, draft=b"two"))

    assert await landing.page(put.n) == first


async def test_version_never_changes_and_going_back_restores_its_octets(landing: Any) -> None:
    page = await landing.put_page(some_page())
    await landing.publish(published(page, b"one"))
    await landing.publish(published(page, b"two", "second"))
    former = await landing.version(page.n, 1)

    back = await landing.publish(published(page, former.body, "back to 1"))

    assert (back.live, back.state, back.draft) == (3, PageState.LIVE, b"one")
    kept = await landing.versions(page.n)
    assert [(one.version, one.body, one.reason) for one in kept] == [
        (3, b"one", "back to 1"),
        (2, b"two", "second"),
        (1, b"one", "first"),
    ]
    assert (await landing.version(page.n, 2)).author == "Asha"


async def test_going_back_leaves_a_draft_that_is_not_published_as_it_is(landing: Any) -> None:
    page = await landing.put_page(some_page())
    await landing.publish(published(page, b"one"))
    live = await landing.publish(published(page, b"two", "second"))
    await landing.put_page(replace(live, draft=b"half a sentence"))

    back = await landing.publish(published(page, b"one", "back to 1"), back=True)

    assert (back.live, back.draft) == (3, b"half a sentence")
    assert (await landing.version(page.n, 3)).body == b"one"
    assert await landing.page(page.n) == back


async def test_going_back_takes_a_draft_along_that_is_published_and_opens_no_closed_page(
    landing: Any,
) -> None:
    page = await landing.put_page(some_page())
    await landing.publish(published(page, b"one"))
    live = await landing.publish(published(page, b"two", "second"))
    await landing.put_page(replace(live, state=PageState.CLOSED))

    back = await landing.publish(published(page, b"one", "back to 1"), back=True)
    again = await landing.publish(published(page, b"one", "open"))

    assert (back.live, back.state, back.draft) == (3, PageState.CLOSED, b"one")
    assert again.state is PageState.LIVE


async def test_draft_that_was_saved_since_is_not_published(landing: Any) -> None:
    page = await landing.put_page(some_page())
    saved = await landing.put_page(replace(page, draft=b"half a sentence"))

    with pytest.raises(Conflict):
        await landing.publish(published(page, page.draft), edition=page.draft_edition)
    unpublished = await landing.page(page.n), await landing.versions(page.n)
    live = await landing.publish(published(saved, saved.draft), edition=saved.draft_edition)

    assert unpublished == (saved, [])
    assert (live.live, live.draft) == (1, b"half a sentence")


async def test_versions_published_at_once_have_numbers_of_their_own(landing: Any) -> None:
    page = await landing.put_page(some_page())

    await asyncio.gather(*(landing.publish(published(page, b"%d" % n)) for n in range(20)))

    assert sorted(one.version for one in await landing.versions(page.n)) == list(range(1, 21))


def some_pictures(page: LandingPage, count: int = IMAGES_PER_PAGE_MAX) -> list[PageImage]:
    return [
        PageImage(page=page.n, name=f"{n:032x}", kind="image/png", width=2, height=1, octets=bytes([n]))
        for n in range(count)
    ]


def naming(*pictures: PageImage) -> bytes:
    """Return what a page is that shows pictures."""
    return b'{"shown":["%b"]}' % b'","'.join(picture.name.encode() for picture in pictures)


async def test_pictures_are_kept_and_few(landing: Any) -> None:
    page = await landing.put_page(some_page())
    pictures = some_pictures(page)
    await landing.put_page(replace(page, draft=naming(*pictures)))
    for picture in pictures:
        await landing.put_image(picture, now=LONG_AGO)
    await landing.put_image(pictures[0], now=NOW)

    with pytest.raises(Conflict):
        await landing.put_image(replace(pictures[0], name="f" * 32), now=NOW)

    assert await landing.image(page.n, pictures[3].name) == pictures[3]
    with pytest.raises(NotFound):
        await landing.image(page.n + 1, pictures[3].name)


async def test_picture_goes_when_there_are_too_many_and_neither_draft_nor_version_names_it(
    landing: Any,
) -> None:
    page = await landing.put_page(some_page())
    other = await landing.put_page(some_page("holi"))
    *pictures, late, beside, last = some_pictures(page, IMAGES_PER_PAGE_MAX + 3)
    await landing.put_image(replace(pictures[2], page=other.n), now=LONG_AGO)
    for picture in pictures:
        await landing.put_image(picture, now=LONG_AGO)
    await landing.publish(published(page, naming(pictures[0])))
    live = await landing.publish(published(page, naming(pictures[0])))
    await landing.put_page(replace(live, draft=naming(pictures[1])))

    async def kept(*asked: PageImage) -> list[bool]:
        return [await there(landing, picture) for picture in asked]

    await landing.put_image(late, now=NOW)
    before = await kept(*pictures)
    used = [*pictures[:2], late, beside, last]
    again = [replace(one, name=f"{n:031x}f") for n, one in enumerate(pictures[: IMAGES_PER_PAGE_MAX - 3])]
    for picture in again:
        await landing.put_image(picture, now=LONG_AGO)
    await landing.put_image(beside, now=NOW, beside=[late.name])
    await landing.put_image(last, now=NOW, beside=[late.name, beside.name])

    assert before == [True, True] + [False] * (IMAGES_PER_PAGE_MAX - 2)
    assert await kept(*used) == [True] * 5
    assert not any(await kept(*again))
    assert await there(landing, replace(pictures[2], page=other.n))


async def test_picture_that_an_editor_has_not_saved_yet_makes_no_room_for_a_while(landing: Any) -> None:
    page = await landing.put_page(some_page())
    *pictures, late, last = some_pictures(page, IMAGES_PER_PAGE_MAX + 2)
    for picture in pictures:
        await landing.put_image(picture, now=NOW)
    soon = NOW + IMAGE_UNSAVED_KEPT

    with pytest.raises(Conflict, match="those of the last hour that are not saved"):
        await landing.put_image(late, now=soon)
    waited = [await there(landing, picture) for picture in (*pictures, late)]
    await landing.put_image(pictures[0], now=soon)
    await landing.put_image(late, now=soon + timedelta(milliseconds=1))
    after = [await there(landing, picture) for picture in (*pictures, late)]
    await landing.put_image(last, now=soon + timedelta(milliseconds=1))

    assert waited == [True] * IMAGES_PER_PAGE_MAX + [False]
    assert after == [True] + [False] * (IMAGES_PER_PAGE_MAX - 1) + [True]
    assert [await there(landing, picture) for picture in (pictures[0], late, last)] == [True] * 3


async def test_picture_that_was_saved_makes_room_at_once_when_it_is_used_no_more(landing: Any) -> None:
    page = await landing.put_page(some_page())
    *pictures, last = some_pictures(page, IMAGES_PER_PAGE_MAX + 1)
    for picture in pictures:
        await landing.put_image(picture, now=NOW)
        page = await landing.put_page(replace(page, draft=naming(picture)))

    await landing.put_image(last, now=NOW)

    assert [await there(landing, picture) for picture in (*pictures, last)] == [
        *[False] * (IMAGES_PER_PAGE_MAX - 1),
        True,
        True,
    ]


async def there(landing: Any, picture: PageImage) -> bool:
    try:
        return bool(await landing.image(picture.page, picture.name) == picture)
    except NotFound:
        return False


async def test_visit_is_found_as_it_was_written_and_gets_its_verification(landing: Any) -> None:
    page = await landing.put_page(some_page())
    visit = some_visit(page)
    await landing.put_visit(visit)
    assert await landing.find_visit(TOKEN) == visit

    asked = replace(visit, verification=some_verification().id)
    await landing.put_visit(asked)
    await landing.put_visit(visit)

    assert await landing.find_visit(TOKEN) == asked
    with pytest.raises(NotFound):
        await landing.find_visit(b"x" * 32)


async def test_lead_is_written_once_however_often_it_is_won(landing: Any) -> None:
    page = await landing.put_page(some_page())
    visit = some_visit(page, verification=some_verification().id)
    await landing.put_visit(visit)
    lead = some_lead(visit)

    numbers = await asyncio.gather(*(landing.win(TOKEN, lead, exchange=None, until=NOW) for _ in range(20)))

    assert len(set(numbers)) == 1
    assert await landing.leads(LeadFilter(page=page.n)) == [replace(lead, n=numbers[0])]
    assert await landing.lead_of(lead.verification) == replace(lead, n=numbers[0])
    assert (await landing.find_visit(TOKEN)).lead == numbers[0]


async def test_token_is_exchanged_once_in_time_by_its_own_tenant(landing: Any) -> None:
    page = await landing.put_page(some_page())
    visit = some_visit(page, verification=some_verification().id)
    await landing.put_visit(visit)
    await landing.win(TOKEN, some_lead(visit), exchange=b"e" * 32, until=NOW + HOUR)

    for tenant, now in ((2, NOW), (1, NOW + HOUR)):
        with pytest.raises(NotFound):
            await landing.exchange(tenant, b"e" * 32, now=now)
    tried = await asyncio.gather(
        *(landing.exchange(1, b"e" * 32, now=NOW) for _ in range(10)), return_exceptions=True
    )

    got = [one for one in tried if not isinstance(one, NotFound)]
    assert [(found.n, lead.msisdn) for found, lead in got] == [(page.n, MSISDN)]


async def test_leads_are_filtered_and_come_in_pages_newest_first(
    landing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = await landing.put_page(some_page()), await landing.put_page(some_page("holi"))
    leads = [
        await won(landing, page, 1, at=NOW, values={"name": "Ravi"}),
        await won(landing, page, 2, at=NOW + DAY, language="en", values={"name": "Meera"}),
        await won(landing, page, 3, at=NOW + 2 * DAY, variant=Variant.B, values={"name": "रवि"}),
    ]
    await won(landing, other, 4)
    one, two, three = leads

    async def listed(**wanted: Any) -> list[Lead]:
        return list(await landing.leads(LeadFilter(page=page.n, **wanted)))

    assert await listed() == [three, two, one]
    assert await listed(limit=2) == [three, two]
    assert await listed(before=two.n) == [one]
    assert await listed(language="en") == [two]
    assert await listed(variant=Variant.B) == [three]
    assert await listed(since=NOW + DAY, until=NOW + 2 * DAY) == [two]
    assert await listed(contains="meera") == [two]
    assert await listed(contains="रवि") == [three]
    assert await listed(contains=some_msisdn(1)) == [one]
    # With blanks as people write it; and no lead by what stands in its record and nobody typed.
    number = some_msisdn(1)
    assert await listed(contains=f"{number[:3]} {number[3:8]}-{number[8:]}") == [one]
    assert [await listed(contains=name) for name in ("values", "version", "agree", "name")] == [[]] * 4
    monkeypatch.setattr(landing_tables, "LEADS_AT_ONCE", 1)
    assert await listed(contains="e", limit=1) == [two]
    assert await landing.lead_count(page.n) == 3


async def test_search_of_leads_finds_what_was_typed_letter_for_letter(landing: Any) -> None:
    page = await landing.put_page(some_page())
    quoted = await won(landing, page, 1, values={"name": 'Ravi "R\\K" Nair', "city": "Pune"})
    # A text of the page may hold what no column of PostgreSQL does; the record has it in other letters.
    odd = await won(landing, page, 2, values={"name": "Meera"}, consents=(replace(TICKED, text="a\0b Pune"),))

    async def found(contains: str) -> list[Lead]:
        return list(await landing.leads(LeadFilter(page=page.n, contains=contains)))

    assert await found('"R\\K"') == [quoted]
    assert await found("pune") == [quoted]
    assert await found("meera") == [odd]
    assert [await found(text) for text in ('","', "\\u0000", "%", "_")] == [[]] * 4


async def test_search_of_leads_takes_no_record_apart_for_what_nobody_typed(store: Any, landing: Any) -> None:
    page = await landing.put_page(some_page())
    # Nobody can read the rest of it.
    torn = f'{{"version":1,"values":{{"name":"Ravi","city":"Pune"}},"consents":[{rows.text(TICKED)[:-1]}'
    at_ms = rows.to_ms(NOW)
    row = (page.n, at_ms, at_ms, "a", "en", int(some_msisdn(1)), b"v" * 16, torn, None, at_ms)
    await store._desk.write(lambda execute: execute("insert_lead", row).rowcount)

    for word in ("Call me.", "agree", "text_version", "name", "City", "values", "version", "consents"):
        assert await landing.leads(LeadFilter(page=page.n, contains=word)) == [], word


async def test_search_of_leads_goes_on_behind_what_looks_like_the_end_of_what_was_typed(landing: Any) -> None:
    page = await landing.put_page(some_page())
    mark = ',"consents":['
    values = {"name": f'Ravi{mark} "city":', "consents": mark, "city": f"Pune{mark}"}
    lead = await won(landing, page, 1, values=values)

    async def found(contains: str) -> list[Lead]:
        return list(await landing.leads(LeadFilter(page=page.n, contains=contains)))

    for text in ("ravi", "pune", mark, '"city":', ' "', "pune,", f"i{mark}"):
        assert await found(text) == [lead], text


@pytest.mark.parametrize("word", ["values", "name", "agree", "Call me.", "nothing of this"])
async def test_search_of_leads_asks_once_and_reads_no_more_than_it_lists(
    store: Any, landing: Any, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_tables, "LEADS_AT_ONCE", 2)
    page = await landing.put_page(some_page())
    first, *_ = [await won(landing, page, n, values={"name": f"Ravi {n}"}) for n in range(1, 6)]
    read: list[int] = []

    def noted(row: Any) -> Lead:
        read.append(row[0])
        return lead_of(row)

    monkeypatch.setattr(landing_tables, "lead_of", noted)
    desk = NotingDesk(store._desk)
    tables = LandingTables(desk)  # type: ignore[arg-type]

    nobody = await tables.leads(LeadFilter(page=page.n, contains=word, limit=2))
    one = await tables.leads(LeadFilter(page=page.n, contains="ravi 1", limit=2))

    assert (nobody, one) == ([], [first])
    assert [[statement for statement, _ in asked] for asked in desk.asked] == [["leads"]] * 2
    assert read == [first.n]


async def test_lead_is_forgotten_when_its_time_is_up_or_its_person_asks(store: Any, landing: Any) -> None:
    page = await landing.put_page(some_page())
    soon = await won(landing, page, 1, gone_at=NOW + DAY)
    later = await won(landing, page, 2)

    await store.sweep(NOW + DAY, keep_after=NOW - DAY, limit=100)
    assert await landing.leads(LeadFilter(page=page.n)) == [later]
    assert not await landing.delete_lead(page.n + 1, later.n)
    assert await landing.delete_lead(page.n, later.n)

    assert await landing.leads(LeadFilter(page=page.n)) == []
    assert await landing.lead_of(soon.verification) is None


@pytest.mark.parametrize("at_once", [2, 1000])
async def test_leads_that_are_there_go_sooner_when_their_page_keeps_them_for_less_time(
    store: Any, landing: Any, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_tables, "LEADS_AT_ONCE", at_once)
    leads = 5
    page, other = await landing.put_page(some_page()), await landing.put_page(some_page("holi"))
    await won(landing, other, 200)
    for n in range(1, leads + 1):
        verification = some_verification(msisdn=some_msisdn(n))
        visit = some_visit(page, n.to_bytes(32), verification=verification.id)
        await landing.put_visit(visit)
        stays = NOW + 10 * DAY if n == 1 else NOW + 90 * DAY
        await landing.win(visit.token_digest, some_lead(visit, gone_at=stays), exchange=None, until=NOW)

    async def ends(of: LandingPage) -> Counter[int]:
        listed = await landing.leads(LeadFilter(page=of.n, limit=LEADS_EXPORTED_MAX))
        return Counter((one.gone_at - one.at).days for one in listed)

    await landing.keep_leads(page.n, 100)
    as_before = await ends(page)
    await landing.keep_leads(page.n, 30)
    shortened, elsewhere = await ends(page), await ends(other)
    await store.sweep(NOW + 30 * DAY, keep_after=NOW - DAY, limit=100)

    assert as_before == {90: leads - 1, 10: 1}
    assert shortened == {30: leads - 1, 10: 1}
    assert elsewhere == {90: 1}
    assert await landing.lead_count(page.n) == 0


async def test_lead_that_is_won_stays_for_no_longer_than_its_page_says_then(landing: Any) -> None:
    page = await landing.put_page(some_page())
    await landing.put_page(replace(page, keep_days=3))

    await won(landing, page, 1, at=NOW)
    await won(landing, page, 2, at=NOW, gone_at=NOW + DAY)

    listed = await landing.leads(LeadFilter(page=page.n))
    assert [one.gone_at - one.at for one in listed] == [DAY, 3 * DAY]


class NotingDesk:
    """A desk that notes what each transaction and each list asks for."""

    def __init__(self, desk: Any) -> None:
        self._desk, self.asked = desk, list[list[tuple[str, Any]]]()

    def write(self, work: Callable[[Any], Any]) -> Any:
        return self._desk.write(self._noted(work))

    def list(self, work: Callable[[Any], Any]) -> Any:
        return self._desk.list(self._noted(work))

    def _noted(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noted(execute: Any) -> Any:
            asked: Any = []
            self.asked.append(asked)

            def noting(statement: str, row: Any = ()) -> Any:
                asked.append((statement, tuple(row)))
                return execute(statement, row)

            return work(noting)

        return noted


async def test_leads_that_go_soon_enough_are_looked_at_a_few_in_each_transaction_and_once(
    store: Any, landing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_tables, "LEADS_AT_ONCE", 2)
    page, other = await landing.put_page(some_page()), await landing.put_page(some_page("holi"))
    of = (page, other, page, page, other, page, page)
    leads = [await won(landing, one, n) for n, one in enumerate(of)]
    numbers = [0, *(lead.n for lead in leads if lead.page == page.n)]
    desk = NotingDesk(store._desk)

    await LandingTables(desk).keep_leads(page.n, 90)  # type: ignore[arg-type]

    kept_ms = 90 * 24 * 3600 * 1000
    walked = [
        [("leads_after", (page.n, after, 2)), ("keep_leads", (page.n, kept_ms, after, 2))]
        for after in numbers[:5:2]
    ]
    assert desk.asked == [*walked, [("leads_after", (page.n, numbers[5], 2))]]


async def test_funnel_says_how_far_visits_came_and_stays_when_they_are_over(store: Any, landing: Any) -> None:
    page = await landing.put_page(some_page())
    for _ in range(4):
        await landing.count_seen(page.n, Variant.A, "hi")
    sent, delivered, approved = (some_verification(msisdn=some_msisdn(n)) for n in (1, 2, 3))
    for n, verification in enumerate((sent, delivered, approved)):
        await store.open(some_opening(verification))
        carrier = CarrierRef("north", verification.id.hex())
        await store.decide(MessageKey(verification.id, 0), submitting(carrier, NOW))
        await landing.put_visit(some_visit(page, bytes([n]) * 32, verification=verification.id))
    arrived = CarrierRef("north", delivered.id.hex())
    await store.decide(arrived, settling(arrived, Outcome.DELIVERED))
    await landing.note_entered(bytes([1]) * 32)
    ready = some_visit(page, bytes([2]) * 32, verification=approved.id)
    await landing.win(bytes([2]) * 32, some_lead(ready), exchange=None, until=NOW)
    wanted = [
        (Step.APPROVED, 1),
        (Step.DELIVERED, 2),
        (Step.ENTERED, 2),
        (Step.GIVEN, 3),
        (Step.SEEN, 4),
        (Step.SENT, 3),
    ]

    before = [(one.step, one.visits) for one in await landing.funnel(page.n)]
    await store.sweep(NOW + 3 * HOUR, keep_after=NOW - DAY, limit=100)
    after = [(one.step, one.visits) for one in await landing.funnel(page.n)]

    assert before == after == wanted
    with pytest.raises(NotFound):
        await landing.find_visit(bytes([1]) * 32)
    assert await landing.lead_count(page.n) == 1


async def test_funnel_of_an_experiment_has_its_own_visits_alone_and_stays_when_they_are_over(
    store: Any, landing: Any
) -> None:
    page, other = await landing.put_page(some_page()), await landing.put_page(some_page("holi"))
    await landing.count_seen(page.n, Variant.A, "hi")
    for experiment in ("first", "second"):
        await landing.count_seen(page.n, Variant.B, "hi", experiment=experiment)
    for n, experiment in enumerate(("", "first", "second", "second")):
        verification = some_verification(msisdn=some_msisdn(n))
        visit = some_visit(page, bytes([n]) * 32, verification=None, variant=Variant.B, experiment=experiment)
        await landing.put_visit(visit)
        assert await landing.find_visit(visit.token_digest) == visit
        await landing.put_visit(replace(visit, verification=verification.id))
    ready = await landing.find_visit(bytes([3]) * 32)
    await landing.win(ready.token_digest, some_lead(ready), exchange=None, until=NOW)

    async def counted() -> list[dict[str, int]]:
        asked = [(of.n, name) for of in (page, other) for name in ("", "first", "second")]
        funnels = [await landing.funnel(*one) for one in asked]
        return [{f"{one.variant}{one.step}": one.visits for one in funnel} for funnel in funnels]

    before = await counted()
    await store.sweep(NOW + 3 * HOUR, keep_after=NOW - DAY, limit=100)
    after = await counted()

    proved = {"bsent": 1, "bdelivered": 1, "bentered": 1, "bapproved": 1}
    assert before == after
    assert before == [
        {"aseen": 1, "bgiven": 4, **proved},
        {"bseen": 1, "bgiven": 1},
        {"bseen": 1, "bgiven": 2, **proved},
        *({}, {}, {}),
    ]


async def test_funnel_by_route_says_where_codes_are_lost_and_stays_when_visits_are_over(
    store: Any, landing: Any
) -> None:
    page, other = await landing.put_page(some_page()), await landing.put_page(some_page("holi"))

    async def visited(n: int, *routes: str, of: LandingPage = page) -> list[CarrierRef]:
        """Bring a visit as far as that each of these routes took its code, one after the other."""
        verification = some_verification(msisdn=some_msisdn(n))
        await store.open(some_opening(verification))
        taken = [CarrierRef(route, f"{n}-{at}") for at, route in enumerate(routes)]
        for at, carrier in enumerate(taken):
            if at:
                again = some_message(verification, at)
                await store.decide(verification.id, lambda _, again=again: Change(answer=None, message=again))
            await store.decide(MessageKey(verification.id, at), submitting(carrier, NOW))
        token = bytes([n]) * 32
        await landing.put_visit(some_visit(of, token, verification=verification.id))
        return taken

    async def proved(n: int) -> None:
        held = await landing.find_visit(bytes([n]) * 32)
        await landing.win(held.token_digest, some_lead(held), exchange=None, until=NOW)

    async def counted(of: LandingPage) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for one in await landing.funnel_by_route(of.n):
            found.setdefault(one.route, {})[one.step.value] = one.visits
        return found

    await visited(1, "north")
    (arrived,) = await visited(2, "north")
    await store.decide(arrived, settling(arrived, Outcome.DELIVERED))
    lost, _ = await visited(3, "north", "south")
    await store.decide(lost, settling(lost, Outcome.ABSENT_SUBSCRIBER))
    await proved(3)
    await visited(4, "south", "south")
    await proved(4)
    await visited(5)
    await visited(6, "east", of=other)
    wanted = {
        "north": {"sent": 3, "delivered": 1},
        "south": {"sent": 2, "delivered": 2, "approved": 2},
    }

    before = await counted(page)
    await store.sweep(NOW + 3 * HOUR, keep_after=NOW - DAY, limit=100)
    after = await counted(page)
    await store.sweep(NOW + 4 * HOUR, keep_after=NOW - DAY, limit=100)

    assert before == after == await counted(page) == wanted
    assert await counted(other) == {"east": {"sent": 1}}


async def test_everything_outlives_a_restart(reopen: Reopen) -> None:
    async with reopen() as store:
        page = await store.landing.put_page(some_page())
        await store.landing.publish(published(page, b"one"))
        lead = await won(store.landing, page, 1)

    async with reopen() as store:
        assert (await store.landing.page_named("diwali")).live == 1
        assert await store.landing.leads(LeadFilter(page=page.n)) == [lead]

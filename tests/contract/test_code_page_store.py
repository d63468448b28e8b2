"""What every store keeps of pages that ask for a code: one browser, one verification at a time."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.code_page import CodePage, CodePageStore
from dastak.core.errors import NotFound
from dastak.core.ids import digest_of
from dastak.core.tenant import Mode
from dastak.store.code_page_tables import KEPT, CodePageTables
from tests.support.samples import NOW, some_id


def some_page(token: str = "token", **changes: Any) -> CodePage:
    asked = some_id()
    plain = CodePage(
        token_digest=digest_of(token),
        tenant=1,
        service=1,
        mode=Mode.TEST,
        made_for=asked,
        asks_for=asked,
        return_url="https://login.acme.in/done",
        expires_at=NOW,
        state="s t=&",
        may_change_number=True,
        language="ur",
    )
    return replace(plain, **changes)


def _fits(pages: CodePageTables) -> CodePageStore:
    """Let the type checker hold the implementation against the port."""
    return pages


async def test_page_is_read_back_as_it_was_written(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())

    assert await store.code_pages.find_page(page.token_digest) == page
    assert await store.code_pages.page_for(1, page.made_for) == page


async def test_page_is_found_by_its_owner_and_its_address_alone(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())

    with pytest.raises(NotFound):
        await store.code_pages.page_for(2, page.made_for)
    with pytest.raises(NotFound):
        await store.code_pages.find_page(digest_of("another"))


async def test_page_that_is_made_again_has_no_earlier_address(store: Any) -> None:
    first = await store.code_pages.put_page(some_page("first"))

    again = await store.code_pages.put_page(replace(first, token_digest=digest_of("again")))

    assert await store.code_pages.page_for(1, first.made_for) == again
    with pytest.raises(NotFound):
        await store.code_pages.find_page(first.token_digest)


async def test_of_many_browsers_at_once_one_gets_the_page(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())
    browsers = [bytes([n]) * 32 for n in range(30)]

    got = await asyncio.gather(
        *(store.code_pages.claim_page(page.token_digest, browser) for browser in browsers)
    )

    assert got.count(True) == 1
    kept = await store.code_pages.find_page(page.token_digest)
    assert kept.browser == browsers[got.index(True)]


async def test_page_turns_from_what_it_asks_for_and_from_nothing_else(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())
    second, third = some_id(), some_id()

    turned = [
        await store.code_pages.turn_page(page.token_digest, asks=page.asks_for, now_asks=second),
        await store.code_pages.turn_page(page.token_digest, asks=page.asks_for, now_asks=third),
    ]

    assert turned == [True, False]
    kept = await store.code_pages.page_for(1, page.made_for)
    assert (kept.made_for, kept.asks_for) == (page.made_for, second)


async def test_changes_at_once_are_as_many_as_allowed(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())

    counted = await asyncio.gather(
        *(store.code_pages.count_change(page.token_digest, most=3) for _ in range(10))
    )

    assert counted.count(True) == 3
    assert (await store.code_pages.find_page(page.token_digest)).number_changes == 3


async def test_page_is_finished_at_its_first_end(store: Any) -> None:
    page = await store.code_pages.put_page(some_page())

    await store.code_pages.finish_page(page.token_digest, NOW)
    await store.code_pages.finish_page(page.token_digest, NOW + timedelta(hours=1))

    assert (await store.code_pages.find_page(page.token_digest)).finished_at == NOW


async def test_pages_long_over_are_deleted_by_new_ones(store: Any) -> None:
    old = await store.code_pages.put_page(some_page("old"))

    await store.code_pages.put_page(some_page("new", expires_at=NOW + KEPT + timedelta(seconds=1)))

    with pytest.raises(NotFound):
        await store.code_pages.find_page(old.token_digest)

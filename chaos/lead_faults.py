"""Webhooks of leads find their server down: F21."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import count
from typing import Final

import httpx

from chaos.lead_sinks import LeadBooks, LeadSink, sink_of
from chaos.outcome_table import Outcome
from chaos.stage import House, Stage
from chaos.victim import STRANGER
from chaos.watched_carrier import until
from dastak.config_read import load
from dastak.config_secrets import read_keys
from dastak.core.landing import LandingPage, PageState, PageVersion
from dastak.core.lead_hook import LeadHook
from dastak.core.tenant import Mode
from dastak.flows.lead_hooks import bound_to
from dastak.store.open_database import open_database
from dastak.store.seal import AesGcmSealer
from dastak.tenancy.signed_request import new_secret
from dastak.web.landing.design import encode
from dastak.web.landing.starter import begin

# The page of each tenant, by its name in the address.
PAGES: Final[Mapping[str, str]] = {"ours": "default", "theirs": STRANGER}
SETTINGS: Final = {"DASTAK__LOGIN__PRIVATE_CHECKS": "true", "DASTAK__LOGIN__TRUSTED_PROXIES": "1"}
# On each page.
VISITORS_AT_ONCE: Final = 2
DRAINED_S_MAX: Final = 120.0
ANSWER_S_MAX: Final = 10.0
FIRST: Final = 918_100_000_000
NETWORKS: Final = IPv4Address("11.0.0.1")
_HIDDEN: Final = re.compile(r'name="(form|at)" value="([^"]*)"')


async def sink_down(stage: Stage) -> Outcome:
    """F21: the servers that take leads are down; once they are up and set again, all is told."""
    books = LeadBooks()
    async with AsyncExitStack() as stack:
        sinks = [await stack.enter_async_context(sink_of(page, books)) for page in PAGES]
        house = await stack.enter_async_context(stage.house("f21", environment=SETTINGS))
        await _publish(house, sinks)
        async with house.load(), _visitors(house, books):
            await until(lambda: len(books.told) >= len(PAGES), within_s=30, what="leads are told")
            house.fault_begins()
            for sink in sinks:
                sink.is_up = False
            await asyncio.sleep(stage.scale.settle_s)
            await house.until_asked(stage.scale.requests_min)
            for sink in sinks:
                sink.is_up = True
            house.fault_ended_s = time.monotonic()
            waiting = len(books.untold())
            await _save_again(house, sinks)
        await until(lambda: not books.untold(), within_s=DRAINED_S_MAX, what="all leads are told")
        house.recoveries.append(time.monotonic() - house.fault_ended_s)
        findings = await house.close()
        for promise, sentence in books.breaches():
            house.breach(promise, sentence)
        refused = sum(sink.refused for sink in sinks)
        house.expect("F21", refused > 0, "no lead met a server that was down, so nothing was tried")
        figures = {"leads": len(set().union(*books.left.values())), "waited": waiting, "refused": refused}
        return stage.outcome("F21", "servers of webhooks down", house, findings, **figures)


async def _publish(house: House, sinks: Sequence[LeadSink]) -> None:
    """Have a page for each tenant, whose leads go to its sink."""
    loaded = load(house.victim.directory / "dastak.toml", {})
    sealer = AesGcmSealer(read_keys(loaded.settings))
    now = datetime.now(UTC)
    body = encode(begin("Acme", ("en",), theme="ocean"))
    async with open_database(house.victim.database_url) as store:
        tenancy = await store.tenancy()
        tenants = {tenant.name: tenant.n for tenant in tenancy.tenants}
        services = {service.tenant: service.n for service in tenancy.services}
        for sink in sinks:
            tenant = tenants[PAGES[sink.page]]
            page = LandingPage(
                n=0,
                tenant=tenant,
                service=services[tenant],
                mode=Mode.LIVE,
                slug=sink.page,
                host=None,
                state=PageState.DRAFT,
                live=0,
                draft=body,
                created_at=now,
            )
            n = (await store.landing.put_page(page)).n
            version = PageVersion(page=n, version=0, at=now, author="chaos", reason="first", body=body)
            await store.landing.publish(version)
            secret, sink.secret = new_secret(os.urandom)
            hook = LeadHook(page=n, url=sink.url, secret=sealer.seal(secret, bound_to=bound_to(n)))
            await store.lead_hooks.put_hook(hook, now=now)


async def _save_again(house: House, sinks: Sequence[LeadSink]) -> None:
    """Save each webhook as it is: what would wait for minutes is due now."""
    async with open_database(house.victim.database_url) as store:
        for sink in sinks:
            hook = await store.lead_hooks.hook((await store.landing.page_named(sink.page)).n)
            assert hook is not None
            await store.lead_hooks.put_hook(hook, now=datetime.now(UTC))


@asynccontextmanager
async def _visitors(house: House, books: LeadBooks) -> AsyncIterator[None]:
    """Let visitors leave their numbers on all pages while the context lasts."""
    numbers = count(FIRST)
    over = False

    async def come(page: str) -> None:
        while not over:
            number = f"+{next(numbers)}"
            house.books.others.add(number)
            if await _visit(house, page, number):
                books.left[page].add(number)

    async with asyncio.TaskGroup() as group:
        for page in list(PAGES) * VISITORS_AT_ONCE:
            group.create_task(come(page))
        try:
            yield
        finally:
            over = True


async def _visit(house: House, page: str, number: str) -> bool:
    """Fill a page's form in and type the code that comes; say whether it was taken."""
    origin = f"http://127.0.0.1:{house.victim.port}"
    # Each visitor has a network of their own, or the limits of one would stop them.
    address = str(NETWORKS + (int(number) - FIRST << 8))
    headers = {"origin": origin, "sec-fetch-site": "same-origin", "x-forwarded-for": address}
    async with httpx.AsyncClient(base_url=origin, headers=headers, timeout=ANSWER_S_MAX) as browser:
        path = f"/f/{page}?lang=en"
        shown = dict(_HIDDEN.findall((await browser.get(path)).text))
        answers = {"form": shown["form"], "name": "Ravi", "number": number, "agree": "yes"}
        asked = await browser.get((await browser.post(path, data=answers)).headers["location"])
        code = await house.phones.code(number, within_s=house.crowd.habits.text_s)
        typed = {**dict(_HIDDEN.findall(asked.text)), "do": "check", "code": code or ""}
        taken = await browser.post(str(asked.request.url), data=typed)
        return taken.status_code == 303

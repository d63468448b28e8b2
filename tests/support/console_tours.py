"""Every page of the console and of the page builder in every state, in the order in which one meets them.

The tables are read as those of `page_tours.py`; what came last (`newest`) is the number of the page in work.
"""

from typing import Final
from urllib.parse import urlsplit

from tests.support.landing_makers import CONSOLE
from tests.support.oidc_site import command
from tests.support.page_tours import PLAIN, Step, Tour, Traveller, opens, sends

SITES: Final = "/console/clients"
SAVE, PUBLISH = "button[value=save]", "button[value=publish]"
# Nobody reads text of this colour on white.
FAINT: Final = "#f7f7f7"


async def _invited(who: Traveller) -> None:
    # The command line does not know at which port `dastak dev` answers.
    await who.open(urlsplit(command(who.dastak, "operators", "invite", f"{who.name}.office")["link"]).path)


async def _upload_nothing(who: Traveller) -> None:
    await who.open("/console/voice")
    await who.page.locator("#recordings").evaluate("field => field.required = false")
    await who.send("main form:last-of-type button")


async def _open_names(who: Traveller) -> None:
    await who.page.locator("details", has_text="All names").locator("summary").click()


def _under(path: str) -> Step:
    """Open a part of the page that is being built."""

    async def step(who: Traveller) -> None:
        await who.open(f"{CONSOLE}/{who.newest}{path}")

    return step


async def _begin(who: Traveller) -> None:
    await who.send("main form button", brand="Sundar Sweets", slug=who.name.replace(".", "-"))
    who.newest = who.page.url.rpartition("/")[2]


async def _mend_colours(who: Traveller) -> None:
    await _under("")(who)
    while await (offer := who.page.locator("button[value^='offer:']")).count():
        async with who.page.expect_navigation():
            await offer.first.click()


async def _save_late(who: Traveller) -> None:
    """Save a form that is older than the draft."""
    await _under("")(who)
    await who.page.locator("#editor [name=edition]").evaluate("field => { field.value = '0' }")
    await who.send(SAVE)
    assert await who.page.locator("button[value^='over:']").count() == 1


async def _set_bad_webhook(who: Traveller) -> None:
    await _under("/publish")(who)
    await who.page.locator("#webhook-url").evaluate("field => field.type = 'text'")
    await who.send("button[value=set]", **{"webhook-url": "ftp://shop.example"})


async def _come_and_prove(who: Traveller) -> None:
    """Be a visitor, and look at the leads afterwards."""
    await who.open(f"/f/{who.name.replace('.', '-')}")
    await who.page.check("#f-agree")
    await who.send("main form button", **{"f-name": "Ravi", "f-number": who.number})
    page = who.newest
    await who.type_code()
    who.newest = page
    await _under("/leads")(who)


CONSOLE_PAGES: Final[Tour] = {
    "invitation": _invited,
    "invitation, bad password": sends(PLAIN, password="password"),
    "console": opens("/console"),
    "sites": opens(SITES),
    "sites, refused": sends("button[value=add]", name="Shop", redirect_uris="http://shop.example/"),
    "sites, one more": sends("button[value=add]", name="Shop", redirect_uris="https://shop.example/back"),
    "recordings": opens("/console/voice"),
    "recordings, all names": _open_names,
    "recordings, none chosen": _upload_nothing,
}

BUILDER: Final[Tour] = {
    "pages": opens(CONSOLE),
    "new page": opens(f"{CONSOLE}/new"),
    "new page, refused": sends("main form button", brand="Sundar Sweets", slug="-"),
    "editor": _begin,
    "editor, saved": sends(SAVE),
    "editor, faint colours": sends(SAVE, **{"look-ink": FAINT}),
    "publish, refused": _under("/publish"),
    "editor, colours mended": _mend_colours,
    "publish": sends(PUBLISH),
    "published": sends(PUBLISH, reason="First"),
    "editor, somebody else saved": _save_late,
    "leads, none": _under("/leads"),
    "leads": _come_and_prove,
    "results": _under("/results"),
    "webhook, refused": _set_bad_webhook,
    "webhook": sends("button[value=set]", **{"webhook-url": "https://shop.example/leads"}),
    "nothing there": opens(f"{CONSOLE}/999999"),
}

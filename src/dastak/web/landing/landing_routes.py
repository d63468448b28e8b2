"""All routes of landing pages: what visitors see, and what their makers do."""

from starlette.routing import Route

from dastak.core.landing_store import LandingStore
from dastak.core.people_store import PeopleStore
from dastak.web.landing.console_room import ConsoleRoom, SignIn, Who
from dastak.web.landing.lead_webhook import LeadWebhook
from dastak.web.landing.page_editor import PageEditor
from dastak.web.landing.page_login import PageLogins
from dastak.web.landing.page_release import PageRelease
from dastak.web.landing.page_results import PageResults
from dastak.web.landing.page_webhook import PageWebhook
from dastak.web.landing.visitor_pages import VisitorPages
from dastak.web.page_house import PageHouse


def landing_routes(
    house: PageHouse,
    store: LandingStore,
    webhook: LeadWebhook,
    people: PeopleStore,
    logins: PageLogins,
    *,
    who: Who,
    sign_in: SignIn,
    proxies: int = 0,
) -> list[Route]:
    """Return every route.

    Args:
        house: What all pages share.
        store: Where pages, visits and leads are.
        webhook: Where leads are told to.
        people: Counts what pages send, as it counts attempts to sign in.
        logins: Logs visitors in at other sites.
        who: Says who is signed in to make pages.
        sign_in: Returns where one signs in to come back to a path.
        proxies: How many proxies of ours stand before us and name the address of who asks.
    """
    room = ConsoleRoom(house=house, store=store, webhook=webhook, logins=logins, who=who, sign_in=sign_in)
    return [
        *VisitorPages(house, store, people, logins, proxies).routes(),
        *PageEditor(room).routes(),
        *PageRelease(room).routes(),
        *PageResults(room).routes(),
        *PageWebhook(room).routes(),
    ]

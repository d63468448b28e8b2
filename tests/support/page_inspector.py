"""What holds for every page of ours in every state, looked at from inside a browser, in one answer."""

from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Page, Request, Response

from tests.support.axe import axe_violations
from tests.support.browser import shortcomings, watch

REQUESTS_MAX: Final = 3
# Of pages that operators use, and of pages for people: WCAG 2.2, 2.5.8 and 2.5.5.
TARGET_PX_MIN, FINGER_PX_MIN = 24, 44
_ALWAYS: Final = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
# What an open page asks again and again is no part of its first view.
_LATER: Final = ("fetch", "xhr")


class Inspector:
    """One tab, and all that it asked for since the page that it shows was asked for.

    Args:
        page: Not opened yet.
        home: Where the program answers; nobody else may be asked for anything.
        target_px_min: How high and wide a button is at least.
        requests_max: For a page with all that it loads.
        elsewhere: Sites that a walk ends at.
    """

    def __init__(
        self,
        page: Page,
        home: str,
        *,
        target_px_min: int,
        requests_max: int = REQUESTS_MAX,
        elsewhere: tuple[str, ...] = (),
    ) -> None:
        self._page, self._home, self._elsewhere = page, home, elsewhere
        self._target_px_min, self._requests_max = target_px_min, requests_max
        self._asked: list[Request] = []
        self._answers: list[Response] = []
        self._strangers: list[str] = []
        self._faults: list[str] = []
        page.on("request", self._note)
        page.on("response", self._hear)

    async def begin(self) -> None:
        """Listen; nothing is taken from the browser's cache, as on a first visit."""
        self._faults = await watch(self._page)
        line = await self._page.context.new_cdp_session(self._page)
        await line.send("Network.enable")
        await line.send("Network.setCacheDisabled", {"cacheDisabled": True})

    async def faults(self, language: str, octets_max: int) -> list[str]:
        """Return what is wrong with the page as it now is, and what went wrong on the way to it.

        Args:
            language: That it is in.
            octets_max: Of the page with all that it loads, as it comes over the wire.
        """
        await self._page.wait_for_load_state("load")
        found = [
            *self._answer_faults(),
            *await self._weight_faults(octets_max),
            *(f"somebody else is asked: {url}" for url in self._strangers),
            *(one for one in self._faults if "status of 4" not in one),
            *await shortcomings(self._page, target_px_min=self._target_px_min),
            *await axe_violations(self._page),
        ]
        told = await self._page.get_attribute("html", "lang")
        self._strangers.clear()
        self._faults.clear()
        return found + ([] if told == language else [f"is in {told}"])

    def _note(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame == self._page.main_frame:
            self._asked.clear()
        self._asked.append(request)
        if not request.url.startswith((f"{self._home}/", "data:", *self._elsewhere)):
            self._strangers.append(request.url)

    def _hear(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.frame == self._page.main_frame:
            self._answers.append(response)

    def _answer_faults(self) -> list[str]:
        """Judge the headers of every answer since the last look: pages and redirects alike."""
        answers, self._answers = self._answers, []
        ours = [one for one in answers if one.url.startswith(f"{self._home}/")]
        return [f"{urlsplit(one.url).path}: {fault}" for one in ours for fault in header_faults(one.headers)]

    async def _weight_faults(self, octets_max: int) -> list[str]:
        first = [
            one for one in self._asked if one.resource_type not in _LATER and not one.url.startswith("data:")
        ]
        sizes = {one.url: (await one.sizes())["responseBodySize"] for one in first}
        return [
            *([f"makes {len(first)} requests"] if len(first) > self._requests_max else []),
            *([f"has {sum(sizes.values())} octets"] if sum(sizes.values()) > octets_max else []),
        ]


def header_faults(headers: dict[str, str]) -> list[str]:
    """Return what is missing in the headers of a page, or of a redirect to one."""
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers.get("content-security-policy", "").split(";")
    )
    wanted = {
        "default-src": "'none'",
        "script-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
    }
    return [
        *(f"{name} is {headers.get(name)}" for name, value in _ALWAYS.items() if headers.get(name) != value),
        *(f"{name} is {policy.get(name)}" for name, value in wanted.items() if policy.get(name) != value),
        *([] if policy.get("form-action", "").startswith("'self'") else ["form-action is open"]),
        *([] if policy.get("style-src", "").startswith("'self'") else ["style-src is open"]),
        *(["unsafe words in the policy"] if "unsafe" in str(policy) or "*" in str(policy) else []),
    ]

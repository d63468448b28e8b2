"""What a landing page asks for at each of its stages: requests and octets, as a first visit has them.

ADR 0022 names the figures.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

import httpx
import pytest
from msgspec.structs import replace

from dastak.core.landing import PageImage
from dastak.web.landing.design import Design
from dastak.web.landing.starter import begin
from tests.support.house import House
from tests.support.landing_visitors import Landing, Visitor, open_landing
from tests.support.page_work import solve
from tests.support.samples import NOW

LOGO: Final = "c" * 32
LOGO_OCTETS: Final = 5000
# What comes at once (RFC 6928, section 2), of a page as one begins with it; a maker's texts come on top.
OCTETS_MAX: Final = 10 * 1460
SITE: Final = "https://shop.example"
PLAIN: Final = begin("Acme", ("ta", "en"), theme="meadow")
# By its logo and by whether another site may frame it: the requests of the form, the code, the thanks, and of
# the form with a sum to do.
BUDGETS: Final[Mapping[tuple[bool, bool], tuple[int, int, int, int]]] = {
    (False, False): (2, 3, 2, 3),
    (True, False): (3, 4, 3, 4),
    (False, True): (3, 4, 3, 4),
    (True, True): (4, 5, 4, 5),
}
_PARTS: Final = re.compile(r'<(?:link rel="(?:stylesheet|icon)" href|script src|img [^>]*?src)="([^"]+)"')


class Weight(NamedTuple):
    """A page with all that it loads; `octets` are those of pictures apart."""

    requests: int
    octets: int
    pictures: int


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def weigh(visitor: Visitor, shown: httpx.Response) -> Weight:
    """Fetch what a page names, as a browser does that has nothing of it yet."""
    parts = [one for one in _PARTS.findall(shown.text) if not one.startswith("data:")]
    assert (
        shown.text.count("<script") + shown.text.count("<link") + shown.text.count("<img") == len(parts) + 1
    )
    answers = [await visitor.get(one) for one in parts]
    assert {one.status_code for one in answers} <= {200}
    pictures = sum(len(one.content) for one in answers if "image/png" in one.headers["content-type"])
    whole = sum(len(one.content) for one in (shown, *answers))
    return Weight(1 + len(parts), whole - pictures, pictures)


async def look(landing: Landing, design: Design) -> tuple[Weight, ...]:
    """Go through a page, and once more when its network has to do a sum."""
    page = await landing.published(design)
    picture = PageImage(
        page=page.n, name=LOGO, kind="image/png", width=1, height=1, octets=b"x" * LOGO_OCTETS
    )
    await landing.store.put_image(picture, now=NOW)
    visitor = landing.visitor()
    form = await visitor.get("/f/diwali?lang=ta")
    code = await visitor.asked("/f/diwali?lang=ta")
    typed = await visitor.type(code, await landing.code())
    done = await visitor.get(typed.headers["location"])
    work = await visitor.send_in("/f/diwali?lang=ta", number="9876500000")
    for n in range(1, 20):
        if "altcha" in work.text:
            break
        work = await landing.visitor().send_in("/f/diwali?lang=ta", number=f"98765000{n:02}")
    assert solve(re.findall(r'name="altcha" value="([^"]+)"', work.text)[0])
    return tuple([await weigh(visitor, shown) for shown in (form, code, done, work)])


@pytest.mark.parametrize("kind", BUDGETS, ids=["plain", "logo", "framed", "logo and framed"])
async def test_requests_and_octets_of_each_stage_are_those_of_the_budget(
    landing: Landing, kind: tuple[bool, bool]
) -> None:
    logo, framed = kind
    design = replace(PLAIN, logo=LOGO if logo else None, framed_by=(SITE,) if framed else ())

    stages = await look(landing, design)

    assert tuple(one.requests for one in stages) == BUDGETS[kind]
    assert {one.pictures for one in stages} == {LOGO_OCTETS if logo else 0}
    assert max(one.octets for one in stages) <= OCTETS_MAX

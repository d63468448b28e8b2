"""Every page for people in every state, in the order in which somebody meets them.

A tour is a table: the name of a state, and what leads there from the state before it. Another state of a page
is another line.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import pyotp
from playwright.async_api import Page, Route

from tests.support.api_client import ApiClient
from tests.support.code_visitor import made_page
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, LOGIN, PASSWORD, some_name, some_number
from tests.support.oidc_site import Site
from tests.support.patience import until

SERVICE: Final = "/v1/admin/tenants/default/services/default"
CHECK: Final = "button[value=check]"
PLAIN: Final = "button:not([name])"
FOB_STEP: Final = "button[value=step-hotp]"
NEW_PASSWORD: Final = "another bridge of limes"
# A phone that is off: docs/how-to/try-the-call.md.
OFF = "+12025550101"


class Traveller:
    """Somebody in front of one tab.

    Attributes:
        page: The tab.
        dastak: The program, for what is done at its command line.
        api: What the caller's own server does meanwhile.
        site: A site that has people logged in by us.
        language: What the browser prefers.
        name: The account.
        number: The phone.
        kept: Recovery codes, which are shown once and typed later.
        newest: The code that came last.
        fob: The key fob, once there is one.
    """

    def __init__(self, page: Page, dastak: DastakProcess, site: Site, back: str, language: str) -> None:
        self.page, self.site, self.back, self.language = page, site, back, language
        self.dastak = dastak
        self.url = dastak.url
        self.api = ApiClient(dastak.url, dastak.api_key)
        self.name, self.number = some_name(), some_number()
        self.kept: list[str] = []
        self.newest = ""
        self.fob: pyotp.HOTP | None = None

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.url + path)

    async def send(self, button: str, **fields: str) -> None:
        """Fill in fields by their ids, and press a button."""
        for field, text in fields.items():
            await self.page.fill(f"#{field}", text)
        async with self.page.expect_navigation():
            await self.page.locator(button).first.click()

    async def code(self) -> str:
        text: dict[str, Any] = await asyncio.to_thread(self.api.next_text, self.number)
        self.newest = str(text["code"])
        return self.newest

    async def type_code(self) -> None:
        await self.send(CHECK, code=await self.code())

    async def hosted(self, to: str | None = None, *, page: dict[str, Any] | None = None, **asked: Any) -> str:
        """Open the page of a verification of a caller's; return its id."""
        wanted = {"return_url": self.back, "language": self.language, **(page or {})}
        of, url = made_page(self.api, to or some_number(), page=wanted, locale=self.language, **asked)
        await self.open(url)
        return of


Step = Callable[[Traveller], Awaitable[object]]
Tour = Mapping[str, Step]


def opens(path: str) -> Step:
    return lambda who: who.open(path)


def sends(button: str, **fields: str) -> Step:
    return lambda who: who.send(button, **fields)


async def _sign_up(who: Traveller) -> None:
    await who.send(PLAIN, username=who.name, password=PASSWORD)


async def _prove_number(who: Traveller) -> None:
    await who.type_code()
    await _keep_codes(who)


async def _new_codes(who: Traveller) -> None:
    await who.send("button[value=codes]")
    await _keep_codes(who)


async def _keep_codes(who: Traveller) -> None:
    who.kept = await who.page.locator(".printed li").all_inner_texts()


def _sets_up(kind: str) -> Step:
    async def step(who: Traveller) -> None:
        await who.open(ACCOUNT)
        await who.send(f"button[value=add-{kind}]")

    return step


async def _prove_fob(who: Traveller) -> None:
    secret = (await who.page.locator(".secret").inner_text()).replace(" ", "")
    who.fob = pyotp.HOTP(secret)
    await who.send(CHECK, code=who.fob.at(0))


async def _prove_list(who: Traveller) -> None:
    """Type the code beside the number that is asked for, as somebody with the paper in hand does."""
    asked = re.search(r"otp-sha1 ([0-9]+) ", await who.page.locator("#hint").inner_text())
    assert asked is not None
    await who.send(CHECK, code=(await _numbered(who.page))[asked[1]])


async def _numbered(page: Page) -> Mapping[str, str]:
    """Return the codes of a list by the numbers that the browser shows beside them."""
    line = await page.context.new_cdp_session(page)
    tree = await line.send("Accessibility.getFullAXTree")
    said = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree["nodes"]]
    return {name.strip(" ."): text for (role, name), (_, text) in pairwise(said) if role == "ListMarker"}


async def _put_text_first(who: Traveller) -> None:
    await who.open(ACCOUNT)
    await who.send("button[value=prefer-sms]")


async def _pass_password(who: Traveller) -> None:
    await who.send(PLAIN, username=who.name, password=PASSWORD)


async def _wrong_code(who: Traveller) -> None:
    right = await who.code()
    await who.send(CHECK, code=f"{(int(right) + 1) % 1_000_000:06}")


async def _wrong_recovery_code(who: Traveller) -> None:
    await who.page.locator("details:has(#recovery) summary").click()
    await who.send("button[value=recover]", recovery="AAAAA-AAAAA")


async def _open_two_codes(who: Traveller) -> None:
    await who.page.locator("details:has(#first) summary").click()


async def _open_two_codes_of_fob(who: Traveller) -> None:
    await who.page.locator("details:has(#first-hotp) summary").click()


async def _bring_in_step(who: Traveller) -> None:
    assert who.fob is not None
    await who.send(FOB_STEP, **{"first-hotp": who.fob.at(25), "second-hotp": who.fob.at(26)})


async def _on_the_way(who: Traveller) -> None:
    """Be sent on after a sign-in, by a page that is held still for longer than anybody looks."""
    await who.page.route("**/on?next=**", _hold_still)
    await who.open(f"{LOGIN}/on?next=/authorize")


async def _hold_still(route: Route) -> None:
    answer = await route.fetch()
    held = (await answer.text()).replace('content="0;', 'content="86400;')
    await route.fulfill(response=answer, body=held)


async def _link(who: Traveller) -> None:
    made = who.api.post(f"{SERVICE}/login/password-links", {"username": who.name})
    await who.open(made.body["link"])


async def _sign_in_after_stop(who: Traveller) -> None:
    """Sign in when no way to a code is left: the number has texted STOP."""
    who.name, who.number = some_name(), some_number()
    await who.page.context.clear_cookies()
    await who.open(f"{LOGIN}/sign-up")
    await _sign_up(who)
    await who.send("button[value=number]", msisdn=who.number)
    await who.type_code()
    await who.open(ACCOUNT)
    await who.send("button[value=out]")
    assert who.api.post(f"/sim/phones/{who.number}/messages", {"text": "STOP"}).status < 300
    until(lambda: who.number in str(who.api.get("/v1/stops?limit=200").body))
    await _pass_password(who)


ACCOUNTS: Final[Tour] = {
    "sign-up": opens(f"{LOGIN}/sign-up"),
    "sign-up, refused": lambda who: who.send(PLAIN, username=who.name, password="password"),
    "account, invited": _sign_up,
    "account, bad number": sends("button[value=number]", msisdn="12"),
    "account, code": lambda who: who.send("button[value=number]", msisdn=who.number),
    "account, bad code": sends(CHECK, code="12"),
    "recovery codes": _prove_number,
    "authenticator": _sets_up("totp"),
    "authenticator, bad code": sends(CHECK, code="12"),
    "key fob": _sets_up("hotp"),
    "account with a key fob": _prove_fob,
    "account, two codes of the fob": _open_two_codes_of_fob,
    "account, fob not in step": sends(FOB_STEP, **{"first-hotp": "123456", "second-hotp": "123456"}),
    "account, fob in step": _bring_in_step,
    "printed list": _sets_up("hash_chain"),
    "account with a list": _prove_list,
    "account, wrong password": sends("button[value=password]", old="x", new=NEW_PASSWORD),
    "account, recovery codes anew": _new_codes,
    "on the way to a site": _on_the_way,
    "account, another factor first": _put_text_first,
    "login": sends("button[value=out]"),
    "login, refused": lambda who: who.send(PLAIN, username=who.name, password="a wrong but long one"),
    "code": _pass_password,
    "code, wrong": _wrong_code,
    "code, wrong recovery code": _wrong_recovery_code,
    "code of a key fob": sends("button[value=use-hotp]"),
    "code of a key fob, two in a row": _open_two_codes,
    "code of a key fob, not two in a row": sends("button[value=resync]", first="123456", second="123456"),
    "code of a list": sends("button[value=use-hash_chain]"),
    "code of a list, bad": sends(CHECK, code="AAAA AAAA"),
    "code of a list, wrong": sends(CHECK, code="AAAA AAAA AAAA AAAA"),
    "forgotten": opens(f"{LOGIN}/forgotten"),
    "forgotten, code": lambda who: who.send(PLAIN, username=who.name),
    "forgotten, bad code": sends(CHECK, code="12"),
    "forgotten, new password": lambda who: who.type_code(),
    "forgotten, wrong recovery code": sends(PLAIN, recovery="AAAAA-AAAAA", new=NEW_PASSWORD),
    "forgotten, done": lambda who: who.send(PLAIN, recovery=who.kept[0], new=NEW_PASSWORD),
    "link": _link,
    "link, new password": sends(PLAIN),
    "nothing there": opens("/login/default/nobody"),
    "code, where none can be sent": _sign_in_after_stop,
}


def _asks(**more: str) -> Step:
    return lambda who: who.open(f"/authorize?{who.site.query(redirect_uri=who.back, **more)}")


async def _ask_to_leave(who: Traveller) -> None:
    await who.send("button[value=allow]")
    # A page of ours comes between, and goes on by itself.
    await who.page.wait_for_url(f"{who.back}*")
    await who.open(f"/logout?client_id={who.site.id}")


OIDC: Final[Tour] = {
    "number": _asks(),
    "number, bad": sends("button[value=begin]", number="12"),
    "code": lambda who: who.send("button[value=begin]", number=who.number),
    "code, bad": sends(CHECK, code="12"),
    "code, wrong": _wrong_code,
    "consent": lambda who: who.send(CHECK, code=who.newest),
    "logout, asked": _ask_to_leave,
    "logged out": sends(PLAIN),
    "nobody's": opens("/authorize?client_id=nobody"),
    "password": _asks(acr_values="urn:dastak:acr:password-and-code", prompt="login"),
    "password, wrong": sends(PLAIN, username="nobody", password="a wrong but long one"),
}


async def _factor(who: Traveller, kind: str) -> None:
    made = who.api.post("/v1/factors", {"to": who.number, "kind": kind})
    assert made.status == 201, made
    who.newest = made.body["id"]
    await who.hosted(who.number, factor=made.body["id"])


async def _until_way(who: Traveller, to: str, way: str) -> None:
    """Open a page and wait until it says so of its message."""
    of = await who.hosted(to)
    until(lambda: any(one["type"] == "undelivered" for one in who.api.timeline(of)))
    await who.page.reload()
    await who.page.locator(f"#way[data-way={way}]").wait_for()


async def _failed(who: Traveller) -> None:
    # Told only when the page is made, for there is none of what has failed.
    unknown = {"number": some_number(), "stat": "UNDELIV", "err": "001", "receipt": 2.0}
    assert who.api.put("/sim/faults", [unknown]).status == 200
    of = await who.hosted(str(unknown["number"]))
    until(lambda: who.api.get(f"/v1/verifications/{of}").body["state"] == "failed")
    await who.page.reload()


async def _locked(who: Traveller) -> None:
    who.number = some_number()
    for _ in range(2):
        spent = who.api.start(who.number).body["id"]
        wrong = f"{(int(await who.code()) + 1) % 1_000_000:06}"
        for _ in range(5):
            who.api.check(spent, wrong)
    await who.hosted(who.number)
    await who.type_code()


async def _canceled(who: Traveller) -> None:
    of = await who.hosted()
    who.api.post(f"/v1/verifications/{of}/cancel")
    await who.page.reload()


async def _another_number(who: Traveller) -> None:
    await who.hosted(page={"may_change_number": True}, purpose="signup")
    await who.send("button[value=number]")
    await who.send("button[value=new_number]", to="12")


CODE_PAGES: Final[Tour] = {
    "code": lambda who: who.hosted(who.number),
    "code, bad": sends(CHECK, code="12"),
    "code, wrong": _wrong_code,
    "payment": lambda who: who.hosted(purpose="payment", amount="5000.00", payee="Ravi Traders"),
    "authenticator": lambda who: _factor(who, "totp"),
    "authenticator, bad code": sends(CHECK, code="12"),
    "list": lambda who: _factor(who, "hash_chain"),
    "phone is off": lambda who: _until_way(who, OFF, "off"),
    "nobody's number": _failed,
    "number to match": lambda who: who.hosted(match=True, channel="voice"),
    "number to match, not heard": sends(CHECK),
    "other number": _another_number,
    "locked": _locked,
    "canceled": _canceled,
    "nothing there": opens("/v/AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
}


async def _fill_in(who: Traveller) -> None:
    who.number = some_number()
    await who.page.check("#f-agree")
    await who.send("main form button", **{"f-name": "Ravi", "f-number": who.number})


LANDING: Final[Tour] = {
    "form": opens("/f/seen"),
    "form, refused": sends("main form button"),
    "code": _fill_in,
    "code, bad": sends(CHECK, code="12"),
    "code, wrong": _wrong_code,
    "thanks": lambda who: who.send(CHECK, code=who.newest),
    "closed": opens("/f/gone"),
    "nothing there": opens("/f/nothing"),
}

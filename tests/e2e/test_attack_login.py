"""What somebody without the password, without the phone, or with another site may try against the login."""

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from statistics import median
from typing import Any

import httpx
import pyotp
import pytest

from bench.two_kinds import compare
from dastak.core.lockout import WRONG_PER_HOUR_MAX
from dastak.core.policy import ATTEMPTS_MAX as TRIES
from dastak.core.sign_in_limits import ADDRESS, FROM_THERE, STRANGERS
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    LOGIN,
    PASSWORD,
    LoginClient,
    hidden_fields,
    some_address,
    some_name,
    some_number,
    waste_a_code,
    with_number,
)
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import Site, answer_of
from tests.support.plain_browser import PlainBrowser, Sheet

WRONG = "a wrong but long password"
# So much of what a browser that nobody knows says of itself is shown.
AGENT_SHOWN = 24
# What leads to another site in one browser or another.
ELSEWHERE = (
    *("//evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example", "/\\evil.example"),
    *(
        "javascript:alert(1)",
        "/\t/evil.example",
        "///evil.example",
        "//evil.example@localhost",
        "evil.example",
    ),
)
TIMED_EACH = 120
# On a noisy machine it takes more of them to see a hash; the noise alone decides on how many.
TIMED_ROUNDS_MAX = 5
# A hash takes 25 ms and varies by more than this.
DIFFERENCE_S_MAX = 1e-3


dastak = behind_proxy


class Seen(HTMLParser):
    """A page as a browser reads it: its tags with the names of their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = self.username = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        said = dict(attrs)
        if said.get("id") == "username":
            self.username = said.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.text += data


def masked(answer: httpx.Response, name: str) -> tuple[int, str, tuple[str, ...]]:
    """Return an answer without what is new in each: its token, its name, its date."""
    text = re.sub(r'name="form" value="\w+"', 'name="form"', answer.text).replace(name, "NAME")
    return answer.status_code, text, tuple(sorted(set(answer.headers) - {"set-cookie"}))


def test_secret_is_new_at_each_gain_of_trust_and_the_old_one_is_worth_nothing(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as thief:
        browser.get(LOGIN)
        planted = browser.cookie("dastak-login")
        browser.pass_password(person["name"])
        passed = browser.cookie("dastak-login")
        browser.type_code(api.next_text(person["number"])["code"])
        inside = browser.cookie("dastak-login")
        stolen = []
        for secret in (planted, passed, inside):
            thief.http.cookies.clear()
            thief.http.cookies.set("dastak-login-1", secret or "")
            stolen.append(thief.is_in())
        browser.send(ACCOUNT, {"do": "out"})
        thief.http.cookies.clear()
        thief.http.cookies.set("dastak-login-1", inside or "")

        assert len({planted, passed, inside}) == 3
        assert stolen == [False, False, True], "the cookie of now is the session"
        assert not thief.is_in(), "a session is over for everybody who signs out of it"


def test_cookie_stolen_before_another_sign_in_is_worth_nothing_after_it(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as thief:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        thief.http.cookies.set("dastak-login-1", browser.cookie("dastak-login") or "")
        stolen = thief.is_in()
        browser.pass_password(person["name"], path=f"{LOGIN}?fresh=1")
        between = thief.is_in()
        browser.type_code(api.next_text(person["number"])["code"])

        assert browser.is_in()
        assert (stolen, between, thief.is_in()) == (True, False, False)


def test_form_of_another_site_changes_nothing(dastak: DastakProcess, person: dict[str, Any]) -> None:
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as other:
        name = some_name()
        browser.sign_up(name)
        token = hidden_fields(browser.get(ACCOUNT).text)["form"]
        other.sign_up(some_name())
        foreign = hidden_fields(other.get(ACCOUNT).text)["form"]
        attempts = [
            browser.http.post(ACCOUNT, data={"do": "out", "form": token}, headers=headers)
            for headers in (
                {"origin": "https://evil.example"},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site", "origin": "null"},
            )
        ]
        attempts += [
            browser.http.post(ACCOUNT, data={"do": "out", "form": wrong}) for wrong in ("", foreign, "x" * 32)
        ]
        attempts.append(browser.http.post(ACCOUNT, data={"do": "out"}))
        attempts.append(browser.http.post(f"{LOGIN}", data={"username": name, "password": PASSWORD}))
        read = [
            browser.get(f"{ACCOUNT}?do=out&form={token}"),
            browser.get(f"{LOGIN}?username={name}&password={PASSWORD}"),
        ]

        assert {one.status_code for one in attempts} == {403}
        assert {one.status_code for one in read} == {200, 303}
        assert browser.is_in()


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_nobody_is_sent_to_another_site(dastak: DastakProcess, wanted: str) -> None:
    name = some_name()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(name)
        between = browser.http.get(f"{LOGIN}/on", params={"next": wanted})
        already = browser.http.get(LOGIN, params={"next": wanted})
        browser.send(ACCOUNT, {"do": "out"})
        shown = browser.http.get(LOGIN, params={"next": wanted})
        entered = browser.send(LOGIN, {"username": name, "password": PASSWORD, "next": wanted})

    assert 'content="0;url=/account/default/default"' in between.text
    assert already.headers["location"] == ACCOUNT
    assert "evil" not in shown.text
    assert "alert" not in shown.text
    assert entered.headers["location"] == ACCOUNT


def test_unknown_name_wrong_password_and_lock_get_one_answer(
    dastak: DastakProcess, person: dict[str, Any]
) -> None:
    plain, unknown = some_name(), some_name()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(plain)
    address = some_address()
    answers = {}
    for kind, name, password in (
        ("unknown", unknown, WRONG),
        ("wrong", plain, WRONG),
        ("wrong, two factors", person["name"], WRONG),
        ("no password", person["name"], ""),
    ):
        with LoginClient(dastak.url, address=address) as browser:
            answers[kind] = masked(browser.pass_password(name, password), name)
    for _ in range(FROM_THERE.attempts):
        with LoginClient(dastak.url, address=address) as browser:
            browser.pass_password(plain, WRONG)
    with LoginClient(dastak.url, address=address) as browser:
        answers["locked, right password"] = masked(browser.pass_password(plain), plain)

    assert {status for status, _, _ in answers.values()} == {422}
    assert len(set(answers.values())) == 1, answers.keys()


def test_what_is_wrong_after_the_right_password_is_not_said_but_that_a_number_is_locked(
    dastak: DastakProcess, api: ApiClient
) -> None:
    """See docs/decisions/0020-a-closed-number-has-other-ways-in.md."""
    name, number, answers = some_name(), some_number(), {}

    def asked(browser: LoginClient) -> dict[str, str]:
        """Pass the password, and return the form of the page that is open, with the right code in it."""
        browser.pass_password(name)
        hidden = hidden_fields(browser.get(f"{LOGIN}/code").text)
        return {**hidden, "do": "check", "code": api.next_text(number)["code"]}

    def answered(browser: LoginClient, form: dict[str, str]) -> tuple[Any, ...]:
        told = browser.http.post(f"{LOGIN}/code", data=form)
        there = told.headers.get("location", "")
        return told.status_code, there, masked(browser.get(there), name), browser.is_in()

    with (
        LoginClient(dastak.url) as own,
        LoginClient(dastak.url) as ended,
        LoginClient(dastak.url) as exhausted,
        LoginClient(dastak.url) as locked,
    ):
        own.sign_up(name)
        own.add_number(api, number)
        form = asked(ended)
        own.send(ACCOUNT, {"do": "out-everywhere"})
        answers["ended session"] = answered(ended, form)
        form = asked(exhausted)
        for _ in range(TRIES):
            exhausted.type_code(f"{(int(form['code']) + 1) % 1_000_000:06}")
        answers["exhausted code"] = answered(exhausted, form)
        waste_a_code(api, number)
        passed = locked.pass_password(name)
        shown = locked.get(f"{LOGIN}/code").text

    assert len(set(answers.values())) == 1, answers
    status, there, page, is_in = answers["exhausted code"]
    assert (status, there, is_in) == (303, f"{LOGIN}?again=1", False)
    assert "That did not work, or its time is over." in page[1]
    assert passed.headers["location"] == f"{LOGIN}/code"
    assert re.search(r"Too many tries\. Wait [56]\d min,", shown)
    assert 'name="code"' not in shown, "nothing was sent that could be typed"


def refusals_s(url: str, known: list[str]) -> tuple[list[float], list[float]]:
    """Wrong passwords in random order: the times of those for a known name, and for one that nobody has."""
    kinds = [True, False] * TIMED_EACH
    random.shuffle(kinds)
    times_s: dict[bool, list[float]] = {True: [], False: []}
    for kind in kinds:
        name = random.choice(known) if kind else some_name()
        with LoginClient(url) as browser:
            hidden = hidden_fields(browser.get(LOGIN).text)
            fields = {**hidden, "username": name, "password": WRONG}
            began_s = time.perf_counter()
            answer = browser.http.post(LOGIN, data=fields)
            times_s[kind].append(time.perf_counter() - began_s)
            assert answer.status_code == 422
    return times_s[True], times_s[False]


def test_time_tells_nothing_of_who_has_an_account(dastak: DastakProcess) -> None:
    known = [some_name(), some_name()]
    for name in known:
        with LoginClient(dastak.url) as browser:
            browser.sign_up(name)

    there: list[float] = []
    nobody: list[float] = []
    for _ in range(TIMED_ROUNDS_MAX):
        of_known, of_nobody = refusals_s(dastak.url, known)
        there, nobody = there + of_known, nobody + of_nobody
        # A refusal is a hash and little else: one that only an account would cost has to be found.
        hash_s = median(nobody)
        with_hash = compare([one + hash_s for one in nobody], nobody)
        if with_hash.differs:
            break

    beside, difference_s = compare(there, nobody), median(there) - median(nobody)
    print(f"n={len(there)} each, t={beside.t:.2f}, {beside.seen_s * 1e3:.1f} ms of {hash_s * 1e3:.1f} seen")
    assert not beside.differs or abs(difference_s) < DIFFERENCE_S_MAX
    assert with_hash.differs, f"only {with_hash.seen_s} s would be seen"


def test_code_of_one_session_opens_no_other(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    attacker = with_number(dastak.url, api)
    with LoginClient(dastak.url) as victim, LoginClient(dastak.url) as thief:
        victim.pass_password(person["name"])
        thief.pass_password(person["name"])
        first = api.next_text(person["number"])["code"]
        second = api.next_text(person["number"])["code"]
        thief.http.cookies.clear()
        thief.pass_password(attacker["name"])
        own = api.next_text(attacker["number"])["code"]
        answers = [thief.type_code(code).status_code for code in (first, second)]
        crossed = victim.type_code(own).status_code

        assert {*answers, crossed} == {422}
        assert not victim.is_in()
        assert not thief.is_in()


def test_right_code_typed_many_times_at_once_lets_one_in(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        fields = {**hidden_fields(browser.get(f"{LOGIN}/code").text), "do": "check"}
        fields["code"] = api.next_text(person["number"])["code"]
        carried = {"dastak-login-1": browser.cookie("dastak-login") or ""}

        def type_it(_n: int) -> httpx.Response:
            return httpx.post(
                f"{dastak.url}{LOGIN}/code", data=fields, cookies=carried, timeout=30, trust_env=False
            )

        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(type_it, range(20)))

    entered = [one for one in answers if one.headers.get("location") == ACCOUNT]
    assert len(entered) == 1
    assert {one.status_code for one in answers} <= {303, 422, 429}


def test_guesses_at_once_are_counted_before_they_are_looked_at(dastak: DastakProcess) -> None:
    name, address = some_name(), some_address()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(name)

    def guess(_n: int) -> int:
        with LoginClient(dastak.url, address=address) as browser:
            return browser.pass_password(name, WRONG).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(guess, range(2 * FROM_THERE.attempts)))
    with LoginClient(dastak.url, address=address) as guesser, LoginClient(dastak.url) as owner:
        locked_out = guesser.pass_password(name).status_code
        let_in = owner.pass_password(name).headers.get("location")

    assert statuses == {422}
    assert locked_out == 422
    assert let_in == ACCOUNT, "who guesses locks out the own network"


def test_one_password_tried_on_many_names_is_stopped(dastak: DastakProcess) -> None:
    address = some_address()
    statuses = []
    for _ in range(ADDRESS.attempts + 5):
        with LoginClient(dastak.url, address=address) as browser:
            statuses.append(browser.pass_password(some_name(), WRONG).status_code)

    assert statuses == [422] * ADDRESS.attempts + [429] * 5


def test_nobody_is_locked_out_of_a_browser_that_signed_in_before(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as fresh:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "out"})
        for n in range(STRANGERS.attempts):
            if n % FROM_THERE.attempts == 0:
                address = some_address()
            with LoginClient(dastak.url, address=address) as guesser:
                guesser.pass_password(person["name"], WRONG)
        stranger = fresh.pass_password(person["name"])
        known = browser.pass_password(person["name"])

    assert stranger.status_code == 422, "so many guesses from so many networks close the account to strangers"
    assert known.headers["location"] == f"{LOGIN}/code"


@pytest.mark.parametrize("path", ["/code", "/code/watch", "/on"])
def test_later_step_is_not_reached_without_the_first(dastak: DastakProcess, path: str) -> None:
    with LoginClient(dastak.url) as browser:
        browser.get(LOGIN)
        got = browser.get(LOGIN + path)
        posted = browser.http.post(f"{LOGIN}{path}", data={"do": "check", "code": "000000"})
        planted = browser.http.post(
            f"{LOGIN}{path}", data={"do": "check"}, headers={"cookie": "dastak-login-1=" + "A" * 43}
        )

        assert got.status_code in (200, 303)
        assert "code" not in got.text
        assert {posted.status_code, planted.status_code} <= {303, 404}
        assert not browser.is_in()


def test_stranger_sees_no_number_and_the_person_two_digits_of_it(
    dastak: DastakProcess, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser:
        pages = [browser.get(LOGIN).text, browser.pass_password(person["name"], WRONG).text]
        browser.pass_password(person["name"])
        asked = browser.get(f"{LOGIN}/code").text

    # A style sheet stands in each page, and its measures are numbers as well.
    asked = re.sub(r"(?s)<style>.*?</style>", "", asked)
    pages = [re.sub(r"(?s)<style>.*?</style>", "", page) for page in pages]
    digits = person["number"][1:]
    assert not any(digits[-4:] in page for page in pages)
    assert f"ends in {digits[-2:]}" in asked
    assert digits[-3:] not in asked
    assert person["name"] not in asked


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "' OR 1=1--"]
)
def test_what_is_typed_is_shown_as_text(dastak: DastakProcess, text: str) -> None:
    def pages_with(typed: str) -> list[Seen]:
        with LoginClient(dastak.url) as browser:
            browser.http.headers["user-agent"] = typed
            browser.sign_up(some_name())
            shown = [
                browser.pass_password(typed, typed, path=f"{LOGIN}?fresh=1").text,
                browser.http.get(LOGIN, params={"hint": typed, "fresh": "1", "lang": typed}).text,
                browser.get(ACCOUNT).text,
            ]
        return [Seen(page) for page in shown]

    plain, hostile = pages_with("harmless"), pages_with(text)

    assert [page.tags for page in hostile] == [page.tags for page in plain], "no tag and no attribute more"
    assert [page.username for page in hostile[:2]] == [text] * 2
    assert text[:AGENT_SHOWN] in hostile[2].text, "what the browser says of itself is shown, as text"


def test_number_is_changed_by_nobody_who_did_not_just_prove_the_old_one(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"], remember="1")
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(person["name"])
        acts = ("number", "add-totp", "codes", "drop-totp")
        sent = [browser.send(ACCOUNT, {"do": act, "msisdn": some_number()}) for act in acts]

    assert {one.headers["location"].partition("?")[0] for one in sent} == {LOGIN}


def test_stranger_who_closes_a_number_leaves_its_person_two_ways_in(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    """See docs/decisions/0020-a-closed-number-has-other-ways-in.md."""
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "add-totp"})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        shared = pyotp.TOTP(secret)
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": shared.now()})
    wrong = 0
    while wrong < WRONG_PER_HOUR_MAX:
        with PlainBrowser(dastak.url) as stranger:
            sheet = stranger.send(Site(dastak, stranger).ask(), number=person["number"], do="begin")
            right = api.next_text(person["number"])["code"]
            for _ in range(TRIES):
                sheet = stranger.send(sheet, code=f"{(int(right) + 1) % 1_000_000:06}", do="check")
                wrong += 1
    entered = {}
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, login="password_and_code")
        with LoginClient(dastak.url) as inside:
            inside.pass_password(person["name"])
            entered["authenticator"] = inside.type_code(shared.at(int(time.time()) + 30)).headers["location"]
            asked = f"/authorize?{site.query(scope='openid offline_access')}"
            sent_on = answer_of(Sheet(inside.get(asked).headers["location"], None))
        given = site.exchange(sent_on["code"]).json()
        refreshed = site.refresh(given["refresh_token"])
        second_step = browser.send(site.ask(), username=person["name"], password=PASSWORD)
        back = answer_of(browser.send(second_step, do="recover", recovery=person["codes"][1]))
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.send(f"{LOGIN}/code", {"do": "use-sms"})
        offered = browser.get(f"{LOGIN}/code").text
        texted = api.get(f"/sim/phones/{person['number'].lstrip('+')}/messages/next?timeout_s=0")
        outside = not browser.is_in()
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        recovered = browser.send(f"{LOGIN}/code", {"do": "recover", "recovery": person["codes"][0]})
        entered["recovery code"] = recovered.headers["location"]

    assert texted.status == 204, "nothing is sent that would open nothing"
    assert "use-sms" not in offered
    assert outside
    assert entered == {"authenticator": ACCOUNT, "recovery code": ACCOUNT}
    assert refreshed.status_code == 200, "nor does it end what the authenticator opened at a site"
    assert "code" in back, back

"""The code page without a browser: who may open it, what its forms do, and where it leads."""

import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from markupsafe import escape

from dastak.core.ids import digest_of
from tests.support.api_client import ApiClient
from tests.support.code_visitor import RETURN_URL, Shown, Visitor, made_page
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.led_on import led_to
from tests.support.patience import until

# Each test has numbers of its own.
TOKEN_CHARACTERS = 27


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


def code_of(api: ApiClient, to: str) -> str:
    return str(api.next_text(to)["code"])


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def test_right_code_leads_back_with_the_state_and_the_caller_reads_the_rest(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)
    before = api.get(f"/v1/verifications/{of}/page").body

    back = browser.do(shown, url, "check", code=code_of(api, to))

    assert (shown.status, back.status) == (200, 200)
    assert led_to(back.html).startswith(RETURN_URL + "?")
    assert parse_qs(urlsplit(led_to(back.html)).query) == {"verification": [of], "state": ["a b&c"]}
    assert (before["opened"], before["state"], before["finished_at"]) == (True, "pending", None)
    after = api.get(f"/v1/verifications/{of}/page").body
    assert (after["verification"], after["state"], after["to_changed"]) == (of, "approved", False)
    assert after["finished_at"] is not None
    assert [event["type"] for event in api.timeline(of)].count("page_opened") == 1


def test_page_that_is_over_leads_back_and_reloading_is_harmless(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)
    code = code_of(api, to)
    browser.do(shown, url, "check", code=code)

    again = [browser.open(url), browser.do(shown, url, "check", code=code)]

    for page in again:
        assert "That code was already used. Go back to Dastak." in page.text
        assert f'href="{RETURN_URL}?verification={of}' in page.html
    assert [page.status for page in again] == [200, 422]


def test_address_is_long_random_and_kept_nowhere(api: ApiClient, dastak: DastakProcess, to: str) -> None:
    of, url = made_page(api, to)
    token = url.rpartition("/")[2]

    made_again = api.post(
        f"/v1/verifications/{of}/page", {"return_url": RETURN_URL}, **{"Idempotency-Key": of}
    )
    replayed = api.post(f"/v1/verifications/{of}/page", {"return_url": RETURN_URL}, **{"Idempotency-Key": of})

    assert len(token) == TOKEN_CHARACTERS
    assert made_again.body["url"] != url
    assert (replayed.status, replayed.body["url"]) == (201, None)
    assert Visitor().open(url).status == 404
    assert Visitor().open(made_again.body["url"]).status == 200
    kept = b"".join(path.read_bytes() for path in dastak.data_dir.iterdir() if path.is_file())
    assert token.encode() not in kept
    assert made_again.body["url"].rpartition("/")[2].encode() not in kept


def test_another_browser_gets_the_page_of_no_page_whatever_the_state(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    owner, stranger = Visitor(), Visitor()
    seen = []

    def look() -> None:
        seen.append(stranger.open(url))
        seen.append(stranger.ask("HEAD", url)._replace(html=seen[0].html))
        seen.append(stranger.ask("POST", url, {"do": "check", "code": "123456", "form": "x"}))
        seen.append(stranger.open(f"{url}/state"))

    shown = owner.open(url)
    look()
    code = code_of(api, to)
    owner.do(shown, url, "check", code=wrong(code))
    look()
    owner.do(owner.open(url), url, "check", code=code)
    look()
    nothing = Visitor().open(url[:-4] + "AAAA")

    assert {(one.status, one.html) for one in seen} == {(404, nothing.html)}
    assert {tuple(sorted(one.headers.items())) for one in seen} == {tuple(sorted(nothing.headers.items()))}
    assert stranger.cookies == {}
    assert of not in nothing.html


def test_of_many_browsers_at_once_one_gets_the_page(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)
    browsers = [Visitor() for _ in range(16)]

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda browser: browser.open(url).status, browsers))

    assert sorted(statuses) == [200, *[404] * 15]
    owner = browsers[statuses.index(200)]
    assert owner.open(url).status == 200


def test_browser_that_only_looks_ahead_does_not_take_the_page(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)

    ahead = [
        Visitor().ask("GET", url, **{"sec-purpose": "prefetch;anonymous-client-ip"}),
        Visitor().ask("GET", url, purpose="prefetch"),
        Visitor().ask("HEAD", url),
    ]

    assert {one.status for one in ahead} == {404}
    assert Visitor().open(url).status == 200


def test_crowd_of_forms_writes_to_three_numbers_at_most(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to, page={"may_change_number": True}, purpose="signup")
    browser = Visitor()
    shown = browser.open(url)
    numbers = [f"+91{next(FRESH)}" for _ in range(12)]

    with ThreadPoolExecutor(12) as pool:
        statuses = list(
            pool.map(lambda other: browser.do(shown, url, "new_number", to=other).status, numbers)
        )

    started = [
        one
        for other in numbers
        for one in api.get(f"/v1/verifications?to=%2B{other[1:]}").body["verifications"]
    ]
    assert statuses.count(303) == len(started) == 3
    pending = [one["id"] for one in started if one["state"] == "pending"]
    assert pending == [api.get(f"/v1/verifications/{of}/page").body["verification"]]


def test_cookie_that_was_planted_before_is_worth_nothing(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)
    name = f"dastak-page-{digest_of(url.rpartition('/')[2]).hex()[:8]}"
    victim, planted = Visitor(), "A" * 43
    victim.cookies = {name: planted}

    shown = victim.open(url)

    assert shown.status == 200
    assert victim.cookies[name] != planted
    cookie = shown.headers["set-cookie"].lower()
    assert re.search("; httponly; max-age=1[0-9]{3}; path=/; samesite=lax$", cookie), cookie


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"form": ""}, {}),
        ({"form": "0" * 32}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"sec-fetch-site": "cross-site"}),
    ],
)
def test_form_of_another_site_judges_nothing(
    api: ApiClient, to: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    form = browser.open(url).fields | {"do": "check", "code": code_of(api, to)} | fields

    refused = browser.ask("POST", url, form, **headers)

    assert refused.status == 403
    assert api.get(f"/v1/verifications/{of}").body["state"] == "pending"


def test_form_of_one_page_is_worth_nothing_on_another(api: ApiClient, to: str) -> None:
    _, first = made_page(api, to)
    other = f"+91{next(FRESH)}"
    _, second = made_page(api, other)
    browser = Visitor()
    shown, _ = browser.open(first), browser.open(second)

    refused = browser.do(shown, second, "check", code=code_of(api, other))

    assert refused.status == 403


def test_looking_sends_nothing_and_an_early_resend_neither(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    for _ in range(5):
        shown = browser.open(url)

    early = browser.do(shown, url, "resend", code="48")

    assert (early.status, 'value="48"' in early.html) == (429, True)
    assert re.search(r"Wait [0-9]+ s, then ask again\.", early.text)
    assert api.get(f"/v1/verifications/{of}").body["sends"] == 1


def test_reloaded_wrong_answer_costs_no_second_attempt(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)
    bad = wrong(code_of(api, to))

    first, second = (browser.do(shown, url, "check", code=bad) for _ in range(2))

    assert (first.status, second.status) == (422, 200)
    assert "Tries left: 4." in first.text
    assert api.get(f"/v1/verifications/{of}").body["attempts_remaining"] == 4


def test_parallel_right_codes_lead_back_once(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)
    code = code_of(api, to)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: browser.do(shown, url, "check", code=code), range(10)))

    assert [led_to(one.html)[: len(RETURN_URL)] for one in answers if one.status != 422] == [RETURN_URL]


def test_number_is_changed_at_sign_up_alone_and_three_times_at_most(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to, page={"may_change_number": True}, purpose="signup")
    browser = Visitor()
    shown = browser.open(url)
    assert f"ends in {to[-2:]}." in shown.text
    statuses, newest = [], ""
    for _ in range(4):
        newest = f"+91{next(FRESH)}"
        statuses.append(browser.do(shown, url, "new_number", to=newest).status)

    third = f"+91{int(newest[3:]) - 1}"
    code = code_of(api, third)
    back = browser.do(browser.open(url), url, "check", code=code)

    assert statuses == [303, 303, 303, 404]
    assert back.status == 200
    assert led_to(back.html).startswith(RETURN_URL + "?")
    page = api.get(f"/v1/verifications/{of}/page").body
    assert (page["to_changed"], page["state"], page["to_masked"][-2:]) == (True, "approved", third[-2:])
    assert page["verification"] != of
    assert api.get(f"/v1/verifications/{of}").body["state"] == "canceled"


def test_mistyped_number_is_said_back_and_costs_no_change(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to, page={"may_change_number": True}, purpose="signup")
    browser = Visitor()
    shown = browser.open(url)

    asked, said = browser.do(shown, url, "number"), browser.do(shown, url, "new_number", to="12ab")

    assert (asked.status, said.status) == (200, 422)
    assert "Mobile number with country code" in asked.text
    assert "This is not a number of a phone." in said.text


def test_sign_in_shows_no_digit_and_changes_no_number(api: ApiClient, to: str) -> None:
    of, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)

    changed = browser.do(shown, url, "new_number", to=f"+91{next(FRESH)}")
    refused = api.post(f"/v1/verifications/{of}/page", {"return_url": RETURN_URL, "may_change_number": True})

    assert changed.status == 404
    assert f"ends in {to[-2:]}" not in shown.text
    assert (refused.status, refused.body["field"]) == (422, "may_change_number")


@pytest.mark.parametrize("address", ["https://evil.example/", "http://10.0.0.1/", "//evil.example", "/done"])
def test_return_address_of_another_host_is_refused(api: ApiClient, to: str, address: str) -> None:
    started = api.start(to).body["id"]

    refused = api.post(f"/v1/verifications/{started}/page", {"return_url": address})

    assert (refused.status, refused.body["field"]) == (422, "return_url")


def test_page_of_what_is_over_or_unknown_is_not_made(api: ApiClient, to: str) -> None:
    of = api.start(to).body["id"]
    api.check(of, code_of(api, to))

    over = api.post(f"/v1/verifications/{of}/page", {"return_url": RETURN_URL})
    unknown = api.post(f"/v1/verifications/ver_{'0' * 32}/page", {"return_url": RETURN_URL})

    assert (over.status, unknown.status) == (409, 404)
    assert api.get(f"/v1/verifications/{of}/page").status == 404


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [(None, "hi-IN,hi;q=0.9", "hi"), ("ta", "hi", "ta"), (None, "fr", "en"), (None, "", "en")],
)
def test_language_is_the_makers_then_the_browsers(
    api: ApiClient, to: str, chosen: str | None, accepted: str, language: str
) -> None:
    _, url = made_page(api, to, page={"language": chosen} if chosen else None)
    browser = Visitor()

    shown = browser.ask("GET", url, **{"accept-language": accepted})
    switched = browser.ask("GET", f"{url}?lang=ur", **{"accept-language": accepted})

    assert f'<html lang="{language}"' in shown.html
    assert '<html lang="ur" dir="rtl">' in switched.html


def test_page_says_how_far_the_message_is_without_any_script(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)
    browser = Visitor()

    def delivered() -> bool:
        return "The message is on your phone." in browser.open(url).text

    assert until(delivered)
    assert browser.open(f"{url}/state").headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "typed",
    [
        '"><script>alert(1)</script>',
        "' autofocus onfocus=alert(1) x='",
        "{{7*7}}{% raw %}",
        "<img src=x onerror=alert(1)>",
        "\u202e\u2066</title>",
    ],
)
def test_what_was_typed_comes_back_as_text(api: ApiClient, to: str, typed: str) -> None:
    _, url = made_page(api, to, page={"may_change_number": True, "state": typed}, purpose="signup")
    browser = Visitor()
    shown = browser.open(url)

    answers = [
        shown,
        browser.do(shown, url, "check", code=typed),
        browser.do(shown, url, "resend", code=typed),
        browser.do(shown, url, "new_number", to=typed),
    ]

    for answer in answers:
        tags = re.findall(r"<(?!!)/?([a-z0-9]+)[^>]*>", answer.html)
        assert set(tags) <= _TAGS
        assert tags.count("script") in (0, 2)
        assert tags.count("style") == 2
        bare = [re.sub(r'="[^"]*"', "", tag) for tag in re.findall(r"<[^>]+>", answer.html)]
        assert [tag for tag in bare if re.search(r"\son|=", tag)] == []
    assert all(f'value="{escape(typed)}"' in answer.html for answer in answers[1:])


_TAGS = {
    *("html", "head", "meta", "title", "link", "body", "main", "h1", "h2", "p", "form", "input", "label"),
    *("button", "a", "nav", "ul", "li", "script", "style", "div", "strong"),
}


def sheet_of(answer: Shown) -> str:
    """Return what the policy allows of style: files of ours, and the one sheet that stands in the page."""
    sheet = answer.html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return f"'self' 'sha256-{digest}'" if sheet else "'self'"


def test_every_answer_is_uncached_and_under_the_policy(api: ApiClient, to: str) -> None:
    _, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)

    answers = [
        shown,
        browser.do(shown, url, "check", code="1"),
        browser.open(f"{url}/state"),
        Visitor().open(url),
        browser.do(shown, url, "check", code=code_of(api, to)),
    ]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(f"default-src 'none'; script-src 'self'; style-src {sheet_of(answer)}; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        # Of no other site: where that leads next is not ours to know, and browsers hold what follows a form.
        assert "form-action 'self';" in policy


def test_locked_number_gets_one_page_for_right_and_wrong(api: ApiClient, to: str) -> None:
    for _ in range(2):
        of = api.start(to).body["id"]
        code = code_of(api, to)
        for _ in range(5):
            api.check(of, wrong(code))
    _, url = made_page(api, to)
    browser = Visitor()
    shown = browser.open(url)
    code = code_of(api, to)

    right, missed = (browser.do(shown, url, "check", code=typed) for typed in (code, wrong(code)))

    def plain(html: str) -> str:
        return re.sub(r"in [0-9]+ s\.|data-wait=\"[0-9]+\"", "", html)

    assert (right.status, missed.status) == (429, 429)
    assert plain(right.html) == plain(missed.html)
    assert "Too many tries." in right.text

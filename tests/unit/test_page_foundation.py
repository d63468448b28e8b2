"""What all pages stand on: languages, forms, cookies and the headers of every answer."""

from pathlib import Path

import phonenumbers
import pytest
from starlette.requests import Request

from dastak.core.errors import Forbidden, InvalidRequest
from dastak.core.ids import digest_of
from dastak.core.msisdn import Msisdn
from dastak.web import page_files
from dastak.web.browser_session import BrowserSessions, check_form, form_token
from dastak.web.page_answers import FORM_OCTETS_MAX, headers, read_form, refuse_foreign
from dastak.web.page_files import PageFiles
from dastak.web.page_templates import PageTemplates
from dastak.web.page_words import HOME_LANGUAGES, LANGUAGES, choose_language, home_language, words_of

ORIGIN = "https://otp.example.in"


def asking(headers: dict[str, str], body: bytes = b"") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "POST", "headers": raw, "path": "/", "query_string": b""}, receive
    )


def test_scripts_are_served_without_what_only_their_readers_need() -> None:
    folder = Path(page_files.__file__).with_name("assets")
    served = PageFiles()
    for script in folder.glob("*.js"):
        written = script.read_text(encoding="utf-8")
        lines = served.octets(script.name).decode().splitlines()

        assert [line for line in lines if line.strip() != line or line.startswith("//") or not line] == []
        assert len("".join(lines)) < len(written)
        # A text over several lines would lose what they begin with.
        assert [line for line in written.splitlines() if line.count("`") % 2] == [], script.name
        assert "/*" not in written, script.name


def test_sheets_are_served_in_one_line() -> None:
    folder = Path(page_files.__file__).with_name("assets")
    served = PageFiles()
    for sheet in folder.glob("*.css"):
        written = sheet.read_text(encoding="utf-8")

        assert served.octets(sheet.name).decode() == "".join(written.splitlines())
        # Two lines that end elsewhere would be one word in the middle.
        assert [line for line in written.splitlines() if not line.endswith(("{", "}"))] == [], sheet.name


@pytest.mark.parametrize(
    ("asked", "accepted", "chosen"),
    [
        (None, None, "mr"),
        (None, "", "mr"),
        ("ur", "hi", "ur"),
        ("xx", "hi", "hi"),
        (None, "fr-FR,fr;q=0.9", "mr"),
        (None, "fr, ta-IN;q=0.5, hi;q=0.8", "hi"),
        (None, "en-IN", "en"),
        (None, "hi;q=0", "mr"),
        (None, "hi;q=nonsense, bn;q=0.1", "bn"),
        (None, ",;q=1,,;;,hi" * 400, "hi"),
    ],
)
def test_language_is_the_one_asked_for_then_the_browsers_then_the_pages(
    asked: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose_language(asked, accepted, fallback="mr") == chosen


@pytest.mark.parametrize(
    ("msisdn", "language"),
    [
        ("+8801812345678", "bn"),
        ("+923012345678", "ur"),
        ("+447400123456", "en"),
        ("+12015550123", "en"),
        ("+919876543210", "mr"),  # no language is read by nine of ten there
        ("+33612345678", "mr"),  # not one of ours
    ],
)
def test_language_of_a_number_is_what_its_country_reads(msisdn: str, language: str) -> None:
    assert home_language(Msisdn(msisdn), fallback="mr") == language


def test_countries_and_languages_of_the_table_exist() -> None:
    assert set(HOME_LANGUAGES) <= set(phonenumbers.SUPPORTED_REGIONS) | {"DG", "GS", "PN", "UM"}
    assert set(HOME_LANGUAGES.values()) <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    template = PageTemplates(PageFiles())

    html = template.render("sorry.html", words_of(language), {"sentence": "sorry_busy"})

    assert f'<html lang="{language}" dir="{"rtl" if language == "ur" else "ltr"}">' in html


@pytest.mark.parametrize(
    ("sent", "allowed"),
    [
        ({"origin": ORIGIN, "sec-fetch-site": "same-origin"}, True),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": ORIGIN}, True),
        ({}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": f"{ORIGIN}.evil.example"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "null", "sec-fetch-site": "same-site"}, False),
    ],
)
def test_forms_of_other_sites_are_refused(sent: dict[str, str], allowed: bool) -> None:
    if allowed:
        refuse_foreign(asking(sent), ORIGIN)
        return

    with pytest.raises(Forbidden):
        refuse_foreign(asking(sent), ORIGIN)


@pytest.mark.parametrize(
    ("token", "allowed"),
    [
        (form_token("s" * 43, "login"), True),
        (form_token("t" * 43, "login"), False),
        ("", False),
        (None, False),
        ("ü", False),
    ],
)
def test_a_form_needs_the_field_of_this_session(token: str | None, allowed: bool) -> None:
    if allowed:
        check_form("s" * 43, "login", token)
        return

    with pytest.raises(Forbidden):
        check_form("s" * 43, "login", token)


async def test_form_is_read_with_all_its_letters() -> None:
    sent = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}

    form = await read_form(asking(sent, b"code=%E0%A5%AA%E0%A5%AE&empty=&a+b=c%2Bd"))

    assert form == {"code": "४८", "empty": "", "a b": "c+d"}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=%ff",
        "a=ü".encode(),
        b"&".join(b"f%d=1" % n for n in range(61)),
        b"a=" + b"x" * FORM_OCTETS_MAX,
    ],
    ids=["twice", "no utf-8", "raw octets", "too many fields", "too large"],
)
async def test_what_no_browser_sends_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read_form(asking({"content-type": "application/x-www-form-urlencoded"}, body))


def test_cookie_over_https_is_bound_to_this_host() -> None:
    strict = BrowserSessions("login", public_url=ORIGIN, entropy=bytes)
    plain = BrowserSessions("login", public_url="http://127.0.0.1:8080", entropy=bytes)

    assert (strict.cookie, plain.cookie) == ("__Host-dastak-login", "dastak-login")
    assert len(strict.new()) == 43
    assert digest_of(strict.new()) != strict.new().encode()


def test_policy_names_who_may_frame_it_and_keeps_forms_with_us() -> None:
    policy = headers(framed_by=["https://shop.example"])["content-security-policy"]

    assert "form-action 'self';" in policy
    assert "frame-ancestors https://shop.example;" in policy
    assert "unsafe" not in policy

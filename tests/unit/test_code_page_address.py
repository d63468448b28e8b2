"""Where a code page may lead back to, and with what."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.code_page import ADDRESS_CHARACTERS_MAX, check_return_url, way_back
from dastak.core.errors import InvalidRequest
from dastak.core.ids import show
from tests.contract.test_code_page_store import some_page

DOMAINS = ("login.acme.in", "acme.in")


@pytest.mark.parametrize(
    "address",
    [
        "https://login.acme.in",
        "https://acme.in/",
        "https://acme.in:8443/a/b?next=%2F&x=1",
        "https://acme.in?x",
    ],
)
def test_own_hosts_by_https_are_gone_back_to(address: str) -> None:
    assert check_return_url(address, domains=DOMAINS, tried_out=False) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/done",
        "//acme.in/done",
        "http://acme.in/done",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://evil.example/",
        "https://acme.in.evil.example/",
        "https://evil-acme.in/",
        "https://sub.acme.in/",
        "https://acme.in@evil.example/",
        "https://user:pw@acme.in/",
        "https://evil.example\\@acme.in/",
        "https:\\\\evil.example/",
        "https://acme.in\\.evil.example/",
        "https://acme.in/#fragment",
        "https://acme.in/a b",
        "https://acme.in/\r\nset-cookie:x",
        "https://acme.in\t/",
        "https://acme.in:99999/",
        "https://аcme.in/",
        "https://[::1]/",
        "http://127.0.0.1:8000/",
        "https://acme.in/?verification=ver_0",
        "https://acme.in/?a=1&state=mine",
        "https://acme.in/" + "a" * ADDRESS_CHARACTERS_MAX,
    ],
)
def test_everything_else_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_return_url(address, domains=DOMAINS, tried_out=False)
    assert refused.value.field == "return_url"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://127.0.0.1:8000/done", True),
        ("http://localhost/done", True),
        ("https://acme.in/done", True),
        ("http://acme.in/done", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://10.0.0.1/", False),
        ("https://evil.example/", False),
    ],
)
def test_test_keys_go_back_to_this_machine_as_well(address: str, allowed: bool) -> None:
    if allowed:
        assert check_return_url(address, domains=DOMAINS, tried_out=True) == address
    else:
        with pytest.raises(InvalidRequest):
            check_return_url(address, domains=DOMAINS, tried_out=True)


@given(st.text(max_size=80) | st.from_regex(r"https?://[a-z.@\\:/#?]{0,40}acme\.in[a-z.@\\:/#?]{0,40}"))
def test_whatever_passes_is_an_address_of_ours(address: str) -> None:
    try:
        passed = check_return_url(address, domains=DOMAINS, tried_out=False)
    except InvalidRequest:
        return
    parts = urlsplit(passed)
    assert (parts.scheme, parts.hostname in DOMAINS, parts.username) == ("https", True, None)


def test_way_back_has_the_callers_query_its_state_and_the_verification() -> None:
    page = some_page(return_url="https://acme.in:8443/done?next=%2Fhome")

    back = urlsplit(way_back(page))

    assert f"{back.scheme}://{back.netloc}{back.path}" == "https://acme.in:8443/done"
    assert parse_qsl(back.query) == [
        ("next", "/home"), ("verification", show(page.made_for)), ("state", "s t=&"),
    ]  # fmt: skip

"""Reading an authorization request: anything may come, and only what was registered is let through."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import DastakError, InvalidRequest
from dastak.core.oidc_client_rules import check_client, origin_of
from dastak.core.oidc_request import Asked, Prompt, Refusal, check, fields_of, recipient
from dastak.web.oidc.way_in import read_query
from tests.support.oidc_samples import CALLBACK, some_client

CLIENT = some_client()
GOOD = {
    "client_id": CLIENT.id,
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid phone",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}
NAMES = (*GOOD, "state", "nonce", "prompt", "max_age", "login_hint", "request", "ui_locales", "x")
VALUES = st.one_of(
    st.sampled_from(
        (*GOOD.values(), "none", "login", "0", "", " ", "openid", "plain", "\x00", "%", "&", "+")
    ),
    st.text(max_size=60),
)


def read(**changes: str | None) -> Asked | Refusal:
    said = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return check(read_query(urlencode(said)), CLIENT)


def test_good_request_is_read_whole() -> None:
    asked = read(
        state="st",
        nonce="no",
        prompt="login consent",
        max_age="60",
        login_hint="+919876543210",
        ui_locales="hi-IN en",
        scope="phone openid email",
    )

    assert asked == Asked(
        client=CLIENT,
        redirect_uri=CALLBACK,
        scopes=("openid", "phone"),
        challenge="c" * 43,
        state="st",
        nonce="no",
        prompts=frozenset({Prompt.LOGIN, Prompt.CONSENT}),
        max_age_s=60,
        login_hint="+919876543210",
        languages=("hi", "en"),
    )


@pytest.mark.parametrize(
    ("said", "fresh"), [({}, False), ({"max_age": "1"}, False), ({"max_age": "0"}, True)]
)
def test_fresh_login_is_wanted_where_it_is_said(said: dict[str, str], fresh: bool) -> None:
    asked = read(**said)

    assert isinstance(asked, Asked)
    assert asked.wants_fresh_login is fresh


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=20))
def test_any_parameters_end_in_a_request_a_refusal_or_nothing_sent(pairs: list[tuple[str, str]]) -> None:
    fields = fields_of(pairs)
    try:
        where = recipient(fields, CLIENT)
    except InvalidRequest:
        return

    asked = check(fields, CLIENT)

    assert where in CLIENT.redirect_uris
    if isinstance(asked, Asked):
        assert asked.redirect_uri == where
        assert "openid" in asked.scopes
        assert dict(pairs)["code_challenge_method"] == "S256"
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))


@given(st.binary(max_size=300).map(lambda octets: octets.decode("latin-1")))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        fields = read_query(query)
    except DastakError:
        return

    pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    assert set(fields.values) | fields.twice <= {name for name, _ in pairs}


# What a client may be registered with.


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/callback",
        "https://shop.example:8443/callback?x=1",
        "https://xn--bcher-kva.example/",
        "http://127.0.0.1:8000/callback",
        "http://localhost/callback",
        "http://[::1]:9000/",
        "com.example.app:/callback",
    ],
)
def test_address_that_is_one_sites_alone_is_taken(address: str) -> None:
    assert check_client(some_client(redirect_uris=(address,), sector="shop.example")).redirect_uris == (
        address,
    )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "shop.example/callback",
        "http://shop.example/callback",
        "http://127.0.0.1.evil.example/",
        "https://",
        "https://*.shop.example/callback",
        "https://shop.example/callback#f",
        "https://user:pw@shop.example/",
        "https://SHOP.example/",
        "https://shop.example;evil/",
        "https://shop.example,evil/",
        "https://shop.example'/",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://shop.example/a/../b",
        "https://shop.example/ b",
        "https://shop.example/\u0430",
        "https://shop.example\\evil/",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/callback",
        "file:///etc/passwd",
        "https://shop.example/" + "a" * 500,
    ],
)
def test_address_that_somebody_else_could_take_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest):
        check_client(some_client(redirect_uris=(address,)))
    with pytest.raises(InvalidRequest):
        check_client(some_client(logout_uris=(address,)))


@given(st.text(max_size=80))
def test_address_that_is_taken_cannot_break_out_of_a_policy(text: str) -> None:
    try:
        client = check_client(some_client(redirect_uris=(f"https://{text}",), sector="shop.example"))
    except InvalidRequest:
        return

    assert not set(origin_of(client.redirect_uris[0])) & set(" ;,'\"\\@*\t\r\n")


def test_names_are_made_for_one_host_that_is_said_or_plain() -> None:
    two = (CALLBACK, "https://other.example/callback")

    assert check_client(some_client()).sector == "shop.example"
    assert check_client(some_client(redirect_uris=two, sector="shop.example")).sector == "shop.example"
    with pytest.raises(InvalidRequest):
        check_client(some_client(redirect_uris=two))


@pytest.mark.parametrize("name", ["", "a\u202eb", "P\u0430ytm", "see https://evil.example", "a\nb", "x" * 41])
def test_name_that_would_deceive_a_person_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_client(some_client(name=name))


@pytest.mark.parametrize("addresses", [(), (CALLBACK, CALLBACK), tuple(f"{CALLBACK}{n}" for n in range(21))])
def test_addresses_are_some_each_once_and_not_too_many(addresses: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        check_client(some_client(redirect_uris=addresses))

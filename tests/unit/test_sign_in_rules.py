"""Budgets of wrong passwords, the life of a session, where a browser may go, and whose address counts."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from starlette.requests import Request

from dastak.core.errors import InvalidRequest
from dastak.core.login_settings import LoginSettings, check_login
from dastak.core.person import PersonId
from dastak.core.policy import Channel
from dastak.core.sign_in_limits import (
    BUDGETS,
    FROM_THERE,
    KNOWN_BROWSER,
    STRANGERS,
    claims_of_account,
    claims_of_source,
    give_back,
    key_of,
    network_of,
    spend,
)
from dastak.core.sign_in_state import (
    BETWEEN_STEPS,
    FRESH,
    IDLE,
    LIFE,
    BrowserSession,
    Stage,
    amr_of,
    is_fresh,
    is_over,
    signed_in,
)
from dastak.core.tenant import Mode
from dastak.web.login.browser_name import browser_name
from dastak.web.login.login_house import client_address
from dastak.web.login.next_path import next_path
from tests.support.samples import NOW, RING

PASSED = BrowserSession(
    digest=b"one",
    person=PersonId(bytes(16)),
    service=1,
    stage=Stage.PASSWORD_PASSED,
    created_at=NOW,
    seen_at=NOW,
    auth_at=NOW,
)
ACCOUNT = (b"1", b"asha")


@given(st.lists(st.integers(0, 5000), max_size=300).map(sorted), st.sampled_from(BUDGETS))
def test_no_window_ever_holds_more_than_its_budget(tries_s: list[int], budget: Any) -> None:
    tally, allowed = (), []
    for at_s in tries_s:
        spent = spend(tally, budget, at_s)
        if spent is not None:
            tally = spent
            allowed.append(at_s)

    for at_s in allowed:
        assert sum(at_s - budget.window_s < other <= at_s for other in allowed) <= budget.attempts
    assert len(tally) <= budget.attempts


def test_right_attempt_costs_nothing() -> None:
    tally = spend((1, 2), FROM_THERE, 3)
    assert tally is not None

    assert give_back(tally) == (1, 2)


def test_stranger_and_known_browser_spend_nothing_of_each_other() -> None:
    strangers = claims_of_account(RING, ACCOUNT, "192.0.2.7", None)
    known = claims_of_account(RING, ACCOUNT, "192.0.2.7", b"device")

    assert [claim.budget for claim in strangers] == [FROM_THERE, STRANGERS]
    assert [claim.budget for claim in known] == [KNOWN_BROWSER]
    assert not {claim.key for claim in strangers} & {claim.key for claim in known}


def test_guesser_locks_out_the_own_network_before_all_strangers() -> None:
    here, next_door, far = (
        claims_of_account(RING, ACCOUNT, address, None)[0].key
        for address in ("192.0.2.7", "192.0.2.9", "198.51.100.7")
    )

    assert here == next_door
    assert here != far
    assert FROM_THERE.attempts * 10 <= STRANGERS.attempts


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_tallies_of_different_things_have_different_keys() -> None:
    keys = {
        key_of(RING, FROM_THERE, b"a", b"bc"),
        key_of(RING, FROM_THERE, b"ab", b"c"),
        key_of(RING, STRANGERS, b"a", b"bc"),
        *(claim.key for claim in claims_of_source(RING, "192.0.2.7")),
    }

    assert len(keys) == 5


def test_session_ends_by_idling_by_age_and_between_the_steps() -> None:
    second = timedelta(seconds=1)
    inside = signed_in(PASSED, digest=b"two", amr=amr_of(Channel.SMS), now=NOW, second=True)
    busy = replace(inside, seen_at=NOW + LIFE)

    assert not is_over(PASSED, NOW + BETWEEN_STEPS - second)
    assert is_over(PASSED, NOW + BETWEEN_STEPS)
    assert not is_over(inside, NOW + IDLE - second)
    assert is_over(inside, NOW + IDLE)
    assert not is_over(busy, NOW + LIFE - second)
    assert is_over(busy, NOW + LIFE)


def test_trust_is_gained_under_a_new_secret_and_asks_for_nothing_more() -> None:
    asked = replace(PASSED, asked=bytes(16), remember=True, next_path="/x")

    inside = signed_in(asked, digest=b"two", amr=amr_of(Channel.VOICE), now=NOW, second=True)

    assert inside.digest != asked.digest
    assert (inside.asked, inside.purpose, inside.stage) == (None, None, Stage.SIGNED_IN)
    assert inside.amr == ("pwd", "otp", "tel", "mfa")
    assert inside.next_path == "/x"
    assert is_fresh(inside, NOW + FRESH - timedelta(seconds=1))
    assert not is_fresh(inside, NOW + FRESH)
    assert not is_fresh(replace(inside, second_at=None), NOW)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/account/a/b",
        "/authorize?client_id=a&redirect_uri=https%3A%2F%2Fbank.example%2Fcb&scope=openid+phone",
    ],
)
def test_path_of_ours_is_kept(path: str) -> None:
    assert next_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("//evil", "///evil", "\\\\evil", "/\\evil", "\\/evil", "https:evil", "https://evil/", "evil"),
        *("javascript:alert(1)", "/\t/evil", "/\n/evil", " //evil", "/ /evil", "/%0a\n/evil", ""),
        *("http:/evil", "/x\r\nset-cookie: a=b", "/a//evil", "/<script>", '/"x', "/\u2028", "/" * 5000),
        *("?next=//evil", "#//evil", "/．．", "//evil@ours", "/x#fragment"),
    ],
)
def test_other_place_is_not_gone_to(path: str) -> None:
    assert next_path(path) == ""


def test_doubly_encoded_path_stays_a_path_of_ours() -> None:
    """A browser does not decode it before it follows it."""
    assert next_path("/%2f%2fevil") == "/%2f%2fevil"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ((), 0, "127.0.0.1"),
        (("1.2.3.4",), 0, "127.0.0.1"),
        (("1.2.3.4",), 1, "1.2.3.4"),
        (("6.6.6.6, 1.2.3.4",), 1, "1.2.3.4"),
        (("6.6.6.6", "1.2.3.4"), 1, "1.2.3.4"),
        (("6.6.6.6, 1.2.3.4, 10.0.0.1",), 2, "1.2.3.4"),
        (("1.2.3.4",), 2, "127.0.0.1"),
        (("6," * 5000 + " 1.2.3.4",), 1, "1.2.3.4"),
    ],
)
def test_address_is_what_our_own_proxy_saw(forwarded: tuple[str, ...], proxies: int, address: str) -> None:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    request = Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 1)})

    assert client_address(request, proxies) == address


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": Mode.TEAM},
        {"remember_days": -1},
        {"remember_days": 91},
        {"factors": ()},
        {"factors": (Channel.SMS, Channel.SMS)},
        {"check_url": "http://bank.example/check"},
        {"check_url": "https://user@bank.example/"},
        {"check_url": "https://bank.example/#x"},
        {"check_url": "https:///x"},
        {"check_url": "https://bank.example:22/"},
        {"check_url": "https://bänk.example/"},
        {"check_url": "https://bank.example/check", "open_sign_up": True},
    ],
)
def test_settings_of_a_login_that_cannot_be_used_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check_login(LoginSettings(service=1, **changes))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0",
            "Chrome, Android",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge, Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1",
            "Safari, iPhone",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox, Linux"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "?"),
        ("x" * 500, "x" * 24),
    ],
)
def test_browser_has_a_name_that_its_person_knows(agent: str, name: str) -> None:
    assert browser_name(agent) == name

"""Passwords that a customer's own system knows: asked for with a signature, at public addresses alone."""

from collections.abc import Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, BEHIND_PROXY, LOGIN, LoginClient, some_number
from tests.support.password_system import PasswordSystem, answering

HOUSE = "/v1/admin/tenants/default/services/default/login"
PASSWORD = "known elsewhere"
AGAIN = f"{LOGIN}?fresh=1"


@pytest.fixture(scope="module")
def inner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """A server whose operator lets checks be in the own network."""
    environment = {**BEHIND_PROXY, "DASTAK__LOGIN__PRIVATE_CHECKS": "true"}
    with DastakProcess(tmp_path_factory.mktemp("inner") / "data", environment=environment) as process:
        yield process


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("public") / "data", environment=BEHIND_PROXY) as process:
        yield process


@pytest.fixture
def system() -> Iterator[PasswordSystem]:
    with answering({"Asha": PASSWORD}) as running:
        yield running


def told(dastak: DastakProcess, url: str) -> dict:
    api = ApiClient(dastak.url, dastak.api_key)
    changed = api.patch(HOUSE, {"open_sign_up": False, "check_url": url})
    assert changed.status == 200, changed
    return changed.body


def test_customers_own_system_is_asked_and_the_second_factor_is_ours(
    inner: DastakProcess, system: PasswordSystem
) -> None:
    api, number = ApiClient(inner.url, inner.api_key), some_number()
    system.secret = told(inner, system.url)["check_secret"]
    shown = api.get(HOUSE).body
    with LoginClient(inner.url) as browser:
        wrong = browser.pass_password("Asha", "something else").status_code
        unknown = browser.pass_password("Ravi", PASSWORD).status_code
        first = browser.pass_password("Asha", PASSWORD)
        browser.add_number(api, number)
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password("asha ", PASSWORD)
        second = browser.pass_password("Asha", PASSWORD)
        browser.type_code(api.next_text(number)["code"])

        assert browser.is_in()
    assert (wrong, unknown) == (422, 422)
    assert first.headers["location"] == ACCOUNT
    assert second.headers["location"].endswith("/code")
    assert system.refused == 0
    assert shown["check_secret"] is None
    assert shown["check_url"] == system.url


def test_account_with_another_spelling_of_a_name_is_another_person(
    inner: DastakProcess, system: PasswordSystem
) -> None:
    api, number = ApiClient(inner.url, inner.api_key), some_number()
    system.passwords = {"Meera": PASSWORD, "meera": "of somebody else"}
    system.secret = told(inner, system.url)["check_secret"]
    with LoginClient(inner.url) as browser, LoginClient(inner.url) as other:
        browser.pass_password("Meera", PASSWORD)
        entered = [other.pass_password("meera", "of somebody else", path=AGAIN) for _ in range(2)]
        theirs = other.get(ACCOUNT).text
        browser.add_number(api, number)
        wrong = other.pass_password("Meera", "of somebody else", path=AGAIN).status_code
        other.pass_password("meera", "of somebody else", path=AGAIN)

        assert other.is_in()
        assert f"•••• {number[-2:]}" in browser.get(ACCOUNT).text
        assert "••••" not in other.get(ACCOUNT).text
    assert [one.headers["location"] for one in entered] == [ACCOUNT, ACCOUNT]
    assert "meera" in theirs
    assert wrong == 422


@pytest.mark.parametrize("status", [401, 403])
def test_passing_no_to_the_second_question_splits_no_person(
    inner: DastakProcess, system: PasswordSystem, status: int
) -> None:
    name = f"Zoya{status}"
    system.passwords = {name: PASSWORD, name.upper(): PASSWORD}
    system.secret = told(inner, system.url)["check_secret"]
    with LoginClient(inner.url) as browser:
        browser.pass_password(name, PASSWORD)
        system.throttled[name] = status
        passing = browser.pass_password(name.upper(), PASSWORD, path=AGAIN)
        refused = browser.pass_password(name, PASSWORD, path=AGAIN)
        system.throttled.clear()
        browser.pass_password(name.upper(), PASSWORD, path=AGAIN)
        account = browser.get(ACCOUNT).text

    assert (passing.status_code, refused.status_code) == (503, 422)
    assert name in account
    assert name.upper() not in account


def test_new_secret_is_good_at_once_and_the_old_one_for_a_day(
    inner: DastakProcess, system: PasswordSystem
) -> None:
    api = ApiClient(inner.url, inner.api_key)
    old = system.secret = told(inner, system.url)["check_secret"]
    made = api.post(f"{HOUSE}/rotate-check-secret", {})
    passed = []
    for secret in (old, made.body["check_secret"]):
        system.secret = secret
        with LoginClient(inner.url) as browser:
            passed.append(browser.pass_password("Asha", PASSWORD).status_code)
    leaked = api.post(f"{HOUSE}/rotate-check-secret", {"overlap_s": 0})
    with LoginClient(inner.url) as browser:
        refused = browser.pass_password("Asha", PASSWORD).status_code

    assert (made.status, passed) == (200, [303, 303])
    assert made.body["check_before_until"] is not None
    assert leaked.body["check_secret"] not in (old, made.body["check_secret"])
    assert (refused, system.refused) == (503, 1), "what is in wrong hands signs nothing any more"
    assert api.get(HOUSE).body["check_secret"] is None


def test_directory_of_our_own_has_no_secret_to_rotate(inner: DastakProcess) -> None:
    api = ApiClient(inner.url, inner.api_key)
    api.patch(HOUSE, {"check_url": ""})

    refused = api.post(f"{HOUSE}/rotate-check-secret", {})

    assert refused.status == 409


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (302, b""),
        (200, b"yes"),
        (200, b'{"valid": 1}'),
        (200, b'{"valid": "true"}'),
        (200, b'{"valid": true}' + b" " * 5000),
    ],
    ids=["broken", "elsewhere", "no json", "a number", "a text", "too long"],
)
def test_what_is_no_answer_lets_nobody_in_and_blames_nobody(
    inner: DastakProcess, system: PasswordSystem, answer: tuple[int, bytes]
) -> None:
    system.secret = told(inner, system.url)["check_secret"]
    system.answer = answer
    with LoginClient(inner.url) as browser:
        statuses = {browser.pass_password("Asha", PASSWORD).status_code for _ in range(12)}
        system.answer = None
        after = browser.pass_password("Asha", PASSWORD)

    assert statuses == {503}
    assert after.status_code == 303, "what was not looked at was given back"


def test_nobody_there_is_told_as_busy(inner: DastakProcess) -> None:
    told(inner, "http://127.0.0.1:1/check")
    with LoginClient(inner.url) as browser:
        assert browser.pass_password("Asha", PASSWORD).status_code == 503


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://localhost/", "https://127.1/", "https://2130706433/"),
        *("https://0x7f000001/", "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"),
        *("https://169.254.169.254/", "https://100.64.0.1/", "https://10.0.0.1/", "https://[fe80::1]/"),
        *("https://0.0.0.0/", "https://[64:ff9b::7f00:1]/", "https://localhost:8443/"),
    ],
)
def test_address_that_is_not_public_is_never_connected_to(public: DastakProcess, url: str) -> None:
    told(public, url)
    with LoginClient(public.url) as browser:
        answer = browser.pass_password("Asha", PASSWORD)

    assert answer.status_code == 503
    assert "Asha" not in public.log()
    assert PASSWORD not in public.log()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "gopher://x/",
        "https://a@127.0.0.1/",
        "https://１２７.0.0.1/",
        "https://8.8.8.8:22/",
    ],
)
def test_address_that_is_none_of_https_is_refused_when_it_is_set(public: DastakProcess, url: str) -> None:
    api = ApiClient(public.url, public.api_key)

    answer = api.patch(HOUSE, {"open_sign_up": False, "check_url": url})

    assert (answer.status, answer.body["field"]) == (422, "check_url")

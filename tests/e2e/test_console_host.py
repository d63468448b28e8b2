"""The console on a host of its own, and pages for people on every other one."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import PASSWORD, hidden_fields

PEOPLE, CONSOLE = "http://otp.example:80", "http://console.example:80"
OF_CONSOLE = ("/console", "/console/pages", "/login/operators/console")
OF_PEOPLE = ("/login/default/default", "/.well-known/openid-configuration")


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    environment = {"DASTAK__SERVER__PUBLIC_URL": PEOPLE, "DASTAK__SERVER__CONSOLE_URL": CONSOLE}
    with DastakProcess(tmp_path_factory.mktemp("apart") / "data", environment=environment) as process:
        yield process


@pytest.fixture
def browser(dastak: DastakProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dastak.url, timeout=30, trust_env=False) as client:
        yield client


def at(origin: str) -> dict[str, str]:
    return {"host": origin.removeprefix("http://"), "origin": origin}


@pytest.mark.parametrize("path", OF_CONSOLE)
def test_console_is_nowhere_but_at_its_host(browser: httpx.Client, path: str) -> None:
    inside, outside = browser.get(path, headers=at(CONSOLE)), browser.get(path, headers=at(PEOPLE))

    assert (inside.status_code in (200, 303), outside.status_code) == (True, 404)


@pytest.mark.parametrize("path", OF_PEOPLE)
def test_pages_for_people_are_not_at_the_consoles_host(browser: httpx.Client, path: str) -> None:
    inside, outside = browser.get(path, headers=at(PEOPLE)), browser.get(path, headers=at(CONSOLE))

    assert (inside.status_code, outside.status_code) == (200, 404)


def test_first_operator_comes_at_the_consoles_host_and_by_no_form_of_the_other(
    dastak: DastakProcess, browser: httpx.Client
) -> None:
    path = "/console/setup/" + dastak.setup_url.rpartition("/")[2]
    form = {**hidden_fields(browser.get(path, headers=at(CONSOLE)).text), "password": PASSWORD}
    foreign = browser.post(path, data=form, headers={**at(CONSOLE), "origin": PEOPLE})
    own = browser.post(path, data=form, headers=at(CONSOLE))

    assert dastak.setup_url.startswith(CONSOLE)
    assert (foreign.status_code, own.status_code) == (403, 303)


def test_styles_are_on_both(browser: httpx.Client) -> None:
    found = [browser.get("/favicon.ico", headers=at(origin)).status_code for origin in (PEOPLE, CONSOLE)]

    assert found == [200, 200]


def test_root_of_a_customers_host_leads_to_its_login_and_every_other_is_the_apis(
    dastak: DastakProcess, browser: httpx.Client
) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    service = "/v1/admin/tenants/default/services/default"
    assert api.patch(service, {"domains": ["login.acme.example", "otp.example"]}).status == 200

    own = browser.get("/", headers={"host": "login.acme.example"})
    others = [
        browser.get("/", headers=headers)
        for headers in (at(PEOPLE), at(CONSOLE), {"host": "acme.example"}, {"host": dastak.url[7:]})
    ]
    others += [browser.request(way, "/", headers={"host": "login.acme.example"}) for way in ("PUT", "POST")]

    assert (own.status_code, own.headers["location"]) == (303, "/login/default/default")
    assert [(one.status_code, one.json()["code"]) for one in others] == [(404, "no_such_path")] * len(others)

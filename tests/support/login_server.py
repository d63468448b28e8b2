"""A program for each module that signs people in: browsers seem to come from addresses of their own.

A module says `dastak = behind_proxy`, and has it in place of the one that all share.
"""

from collections.abc import Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import BEHIND_PROXY, PASSWORD, LoginClient, some_number

OPERATORS = "/account/operators/console"


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """Run the program, which believes a proxy where browsers come from."""
    with DastakProcess(tmp_path_factory.mktemp("dastak") / "data", environment=BEHIND_PROXY) as process:
        yield process


@pytest.fixture(scope="module")
def first_operator(dastak: DastakProcess) -> Iterator[LoginClient]:
    """Return the browser of the first operator, who has a phone of the box as second factor."""
    number, api = some_number(), ApiClient(dastak.url, dastak.api_key)
    with LoginClient(dastak.url) as browser:
        browser.send(dastak.setup_url.removeprefix(dastak.url), {"password": PASSWORD})
        browser.send(OPERATORS, {"do": "number", "msisdn": number})
        browser.send(f"{OPERATORS}/code", {"do": "check", "code": api.next_text(number)["code"]})
        yield browser

"""What many tests of the whole program share: its API, a person, and one browser for a module."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.api_client import ApiClient
from tests.support.browser import chromium
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import with_number


@pytest.fixture
def api(dastak: DastakProcess) -> ApiClient:
    """Its API, with the key of the first service."""
    return ApiClient(dastak.url, dastak.api_key)


@pytest.fixture
def person(dastak: DastakProcess, api: ApiClient) -> dict[str, Any]:
    """Somebody with a password, a number and recovery codes."""
    return with_number(dastak.url, api)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a module: to start one takes longer than any of them."""
    async with chromium() as running:
        yield running

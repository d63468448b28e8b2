"""A program for each module that signs people in: browsers seem to come from addresses of their own.

A module says `dastak = behind_proxy`, and has it in place of the one that all share.
"""

from collections.abc import Iterator

import pytest

from tests.support.dastak_process import DastakProcess
from tests.support.login_client import BEHIND_PROXY


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """Run the program, which believes a proxy where browsers come from."""
    with DastakProcess(tmp_path_factory.mktemp("dastak") / "data", environment=BEHIND_PROXY) as process:
        yield process

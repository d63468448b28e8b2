"""What holds for all tests, and the running program that outside tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.dastak_process import DastakProcess

# Other work runs on the same cores: how long an example took says nothing about the code.
settings.register_profile("dastak", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dastak")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no core waits for another's last file; else in random order."""
    items.sort(key=lambda item: (item.path.parent.name != "e2e", not item.path.name.startswith("test_call_")))


@pytest.fixture(scope="session")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """A `dastak dev` to send requests to; take a number of your own, since its limits are shared."""
    with DastakProcess(tmp_path_factory.mktemp("dastak") / "data") as process:
        yield process

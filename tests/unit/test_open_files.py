import logging

import pytest

from dastak.voice.engine import open_files
from dastak.voice.engine.open_files import FileLimit


class Limits:
    """A system in the hands of a test."""

    RLIMIT_NOFILE = 7
    RLIM_INFINITY = -1

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)

    def getrlimit(self, _which: int) -> tuple[int, int]:
        return self.now

    def setrlimit(self, _which: int, limits: tuple[int, int]) -> None:
        self.now = limits


@pytest.mark.parametrize(
    ("limits", "soft"),
    [((1_024, 4_096), 1_064), ((256, -1), 1_064), ((2_048, 4_096), 2_048), ((-1, 9), -1), ((256, 512), 512)],
)
def test_limit_is_raised_to_what_500_calls_need_and_never_lowered(
    limits: tuple[int, int], soft: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Limits(*limits)
    monkeypatch.setattr(open_files, "resource", system)

    FileLimit().want_calls(500)

    assert system.now == (soft, limits[1])


def test_limit_that_cannot_be_raised_is_told_once_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(open_files, "resource", Limits(256, 512))
    limit = FileLimit()
    with caplog.at_level(logging.WARNING):
        limit.want_calls(500)
        limit.want_calls(400)

    assert [record.getMessage() for record in caplog.records] == [
        "500 calls at once need 1064 open files and the system allows 512, so at most 224 can speak; "
        "raise LimitNOFILE of the service, or lower calls_max"
    ]

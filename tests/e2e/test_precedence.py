"""A program that goes first: its loop, commits and voices do, its lists and password hashes do not."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.processes import children
from dastak.precedence import follow, go_first
from tests.support.api_client import ApiClient
from tests.support.login_client import LoginClient, some_name
from tests.support.serve_installation import Installation

FIRST = os.SCHED_RR | os.SCHED_RESET_ON_FORK


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Installation]:
    """Run a program that is to go first, and that has written, listed and hashed."""
    house = Installation(
        tmp_path / "dastak", DASTAK__SERVER__REALTIME="true", DASTAK__SIMULATOR__ENABLED="true"
    )
    house.command("login", "set", "--open", "--mode", "test")
    key = house.command("keys", "create", "--mode", "test", "--name", "shop")["key"]
    with house, LoginClient(house.url) as browser:
        api = ApiClient(house.url, key)
        assert api.start("+919876543210").status == 201
        assert api.get("/v1/verifications").status == 200
        assert browser.sign_up(some_name()).status_code == 303
        yield house


def allowed() -> bool:
    """Say whether this system lets a thread go first; a thread of our own tries."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(go_first).result()


def of_children(pid: int) -> dict[str, int]:
    """Return how the programs that a process has started are scheduled."""
    commands = {child: Path(f"/proc/{child}/cmdline").read_text().split("\0") for child in children(pid)}
    return {command[command.index("-m") + 1]: os.sched_getscheduler(one) for one, command in commands.items()}


def test_loop_commits_and_voices_go_first_and_nothing_else_does(served: Installation) -> None:
    pid = served.program.pid
    threads = Counter(os.sched_getscheduler(int(task)) for task in os.listdir(f"/proc/{pid}/task"))

    may = allowed()
    first = FIRST if may else os.SCHED_OTHER
    assert os.sched_getscheduler(pid) == first
    assert of_children(pid) == {
        "dastak.voice_process": first,
        "dastak.tenancy.hashing_process": os.SCHED_OTHER,
    }
    # The list has a thread as well.
    assert may is (threads[FIRST] == 2)
    assert threads[os.SCHED_OTHER] >= 1
    assert may is ("server.realtime" not in served.program.log())


@pytest.mark.parametrize("asked", ["sched_setscheduler", "sched_getscheduler"])
def test_system_that_refuses_is_no_error(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_asked: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, asked, refuse)

    follow(os.getpid())
    assert not go_first()

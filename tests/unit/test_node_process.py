"""Whether a process that was a node on this machine is surely gone from it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dastak.store.postgres.postgres_nodes import is_gone, process_of


def test_process_is_gone_when_it_has_ended_and_not_before() -> None:
    with subprocess.Popen(["sleep", "600"]) as running:
        told = process_of(running.pid)
        assert not is_gone(told)
        running.kill()
        # Nobody has asked yet what it ended with, so the system still lists it.
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(told)
    assert is_gone(told)


def test_another_process_of_the_same_number_is_not_the_one_that_was_told_of() -> None:
    place, _, began = process_of(os.getpid()).rpartition(" ")
    assert is_gone(f"{place} {int(began) - 1}")
    assert not is_gone(f"{place} {began}")


def test_process_may_be_called_whatever_it_likes(tmp_path: Path) -> None:
    program = tmp_path / os.fsdecode(b"s\xff) Z 1 ")
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "600"]) as running:
        try:
            process = process_of(running.pid)
            assert process
            assert not is_gone(process)
        finally:
            running.kill()


@pytest.mark.parametrize("part", range(3), ids=["host", "boot", "namespace"])
def test_nothing_is_known_of_a_process_elsewhere(part: int) -> None:
    told = process_of(os.getpid()).split(" ")
    told[part] += "x"
    told[-1] = "1"
    assert not is_gone(" ".join(told))


def test_nothing_is_known_of_what_cannot_be_read() -> None:
    place = process_of(os.getpid()).rsplit(" ", 2)[0]
    for told in ("", "x", "a b c", f"{place} x 1", f"{place} {'9' * 20} 1"):
        assert not is_gone(told)

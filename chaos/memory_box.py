"""A box for the memory of one program, by the kernel's control groups: too small, and the kernel kills it."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chaos.watched_carrier import until

# Version 1 of control groups; in version 2 a limit has another name, and no thread moves alone.
GROUPS: Final = Path("/sys/fs/cgroup/memory")
UNLIMITED: Final = "-1"
NOTHING: Final = "0"
EMPTY_S_MAX: Final = 10.0


def can_be_made() -> bool:
    """Say whether this process may make such groups."""
    return (GROUPS / "tasks").exists() and os.access(GROUPS, os.W_OK)


class MemoryBox:
    """A group while the context lasts; what is still in it then must end."""

    def __init__(self) -> None:
        self._group = GROUPS / f"dastak{os.getpid()}"

    async def __aenter__(self) -> Self:
        self._group.mkdir()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await until(self._remove, within_s=EMPTY_S_MAX, what="the group of memory is empty")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Have what this thread starts be in the box, with as much memory as it wants."""
        self._write("memory.limit_in_bytes", UNLIMITED)
        thread = str(threading.get_native_id())
        self._write("tasks", thread)
        try:
            yield
        finally:
            (GROUPS / "tasks").write_text(thread)

    @property
    def kills(self) -> int:
        """How often the kernel has killed for want of memory."""
        told = dict(line.split() for line in (self._group / "memory.oom_control").read_text().splitlines())
        return int(told["oom_kill"])

    async def squeeze(self, *, within_s: float) -> None:
        """Leave no memory, until the kernel has killed. Raises: TimeoutError."""
        before = self.kills
        give_up_s = time.monotonic() + within_s
        while self.kills == before:
            if time.monotonic() >= give_up_s:
                raise TimeoutError(f"not killed for want of memory within {within_s} s")
            # This is refused, and frees all that can be freed, such as copies of files.
            with suppress(OSError):
                self._write("memory.limit_in_bytes", NOTHING)
            # What is used next has no room then.
            with suppress(OSError):
                self._write("memory.limit_in_bytes", (self._group / "memory.usage_in_bytes").read_text())
            await asyncio.sleep(0.05)

    def _remove(self) -> bool:
        with suppress(OSError):
            self._group.rmdir()
        return not self._group.exists()

    def _write(self, name: str, value: str) -> None:
        (self._group / name).write_text(value)

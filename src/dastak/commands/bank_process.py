"""The demo bank beside `dastak dev`: a process of its own that ends when this one does, however that is."""

import contextlib
import errno
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# A bank that is asked to end answers what it has begun; see `timeout_graceful_shutdown` there.
STOP_S_MAX: Final = 5
SERVICE: Final = "demo-bank"
BRAND: Final = "Kaveri Bank"
SENDER: Final = "KAVERI"
# Another host name than Dastak's own: browsers keep the cookies of the two apart, as of any two sites.
HOST: Final = "localhost"


class BankProcess:
    """The bank's process. Connections wait at its socket until it is told what it needs and serves.

    Args:
        port: Taken if it is free, else any other.
    """

    def __init__(self, port: int) -> None:
        with _listener(port) as listener:
            self.url: Final = f"http://{HOST}:{listener.getsockname()[1]}"
            file = listener.fileno()
            # Nothing but the pipe ties it to us: when this process is gone, the bank reads its end.
            command = [sys.executable, "-m", "dastak.demo_bank", str(file)]
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.PIPE, pass_fds=(file,)
            )

    def tell(self, *, dastak_url: str, people_url: str, key: str, phones_url: str | None, file: Path) -> None:
        """Tell it how to reach Dastak, after which it serves; a key is nothing for a command line.

        Args:
            dastak_url: For the bank's own requests.
            people_url: Where people reach Dastak's pages.
            key: Of the sandbox.
            phones_url: The virtual phones.
            file: Where the bank keeps its people.
        """
        told = {
            "dastak_url": dastak_url,
            "code_pages": people_url.rstrip("/"),
            "key": key,
            "service": SERVICE,
            "phones_url": phones_url,
            "file": str(file),
            "url": self.url,
        }
        pipe = self._process.stdin
        assert pipe is not None
        # A bank that died says so itself; Dastak goes on without it.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(json.dumps(told).encode() + b"\n")
            pipe.flush()

    def stop(self) -> None:
        """Have it end, and wait for that; twice is fine."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def bank_beside(port: int) -> Iterator[BankProcess]:
    """Run a bank as long as the context lasts."""
    bank = BankProcess(port)
    try:
        yield bank
    finally:
        bank.stop()


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return socket.create_server(("127.0.0.1", 0))

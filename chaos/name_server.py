"""A name server of one program alone: it can be ended, hang, and come back, and nobody else notices."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chaos.watched_carrier import until

# It listens at the port of name servers, at an address that no other one has.
ADDRESS: Final = "127.53.53.53"
PORT: Final = 53
NAME: Final = "carrier.example"
START_S_MAX: Final = 10.0
STOP_S_MAX: Final = 5


def can_be_made() -> bool:
    """Say whether this process may give a program another resolver file, and has a name server for it."""
    if shutil.which("dnsmasq") is None or shutil.which("unshare") is None:
        return False
    mounted = ["unshare", "--mount", "mount", "--bind", os.devnull, "/etc/resolv.conf"]
    return not subprocess.run(mounted, check=False, capture_output=True, timeout=STOP_S_MAX).returncode


class NameServer:
    """Knows one name, of this machine, while the context lasts.

    Args:
        directory: Made here.

    Attributes:
        asker: A command that becomes a program which asks this one.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._log = directory / "log"
        resolver = directory / "resolv.conf"
        resolver.write_text(f"nameserver {ADDRESS}\n")
        mounts = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        self.asker: Sequence[str] = ("unshare", "--mount", "sh", "-c", mounts, str(resolver))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    async def start(self) -> None:
        """Answer, from now on or again."""
        self._spawn()
        await until(self._listens, within_s=START_S_MAX, what="the name server listens")

    def _spawn(self) -> None:
        command = [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--bind-interfaces", f"--listen-address={ADDRESS}", "--user=", "--pid-file=",
            f"--host-record={NAME},127.0.0.1", "--local-ttl=1",
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """Be gone: who asks is told at once that nobody is here."""
        self._process.kill()
        self._process.wait(STOP_S_MAX)

    def hang(self) -> None:
        """Take questions and answer none."""
        self._process.send_signal(signal.SIGSTOP)

    def _listens(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex((ADDRESS, PORT)) == 0

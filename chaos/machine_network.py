"""Machines in a box: network namespaces with an address each, on a bridge, whose cables can be pulled out.

1. Whatever runs on a machine is found by its namespace and ended with it: nothing outlives the network.
2. Nothing outside is changed but for one interface of this machine, which goes with the network.
3. A cable that is pulled out, or that loses packets, refuses nothing: what is sent is gone.
"""

import asyncio
import ctypes
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chaos.watched_carrier import until

COMMAND_S_MAX: Final = 10
END_S_MAX: Final = 10.0
# 198.18.0.0/15 is for measurements between networks; nobody is reached by it.
NETWORK: Final = "198.18.{}."
HERE: Final = 254
SPACES: Final = Path("/run/netns")
CLONE_NEWNET: Final = 0x4000_0000
# Both directions of one cable, as its switch sees them: nobody who sends is told of what is lost.
LOSSES: Final = """
table netdev {name} {{
    chain sent {{
        type filter hook ingress device "{name}" priority 0
        ip saddr {address} numgen random mod 100 < {percent} counter drop
    }}
    chain received {{
        type filter hook ingress device "here" priority 0
        ip daddr {address} numgen random mod 100 < {percent} counter drop
    }}
}}
"""
LOST: Final = re.compile(r"counter packets (\d+)")
# Names of interfaces have fifteen letters at most.
_networks = count(os.getpid() % 200)


def can_be_made() -> bool:
    """Say whether this process may make network namespaces and bridges."""
    probe = f"probe{os.getpid()}"
    try:
        made = not _ip("netns", "add", probe, check=False)
        return made and not _ip("-n", probe, "link", "add", "br0", "type", "bridge", check=False)
    except FileNotFoundError:
        return False
    finally:
        with suppress(FileNotFoundError):
            _ip("netns", "del", probe, check=False)


class MachineNetwork:
    """A network while the context lasts, and this machine as one more in it.

    Args:
        names: Of the machines; the last part of their addresses counts up from `first`.
        first: Of the first machine.

    Attributes:
        prefix: Of all addresses, with its last dot.
        addresses: Of each machine.
    """

    def __init__(self, names: Sequence[str], *, first: int = 11) -> None:
        number = next(_networks)
        self.prefix = NETWORK.format(number % 250)
        self.addresses = {name: f"{self.prefix}{first + n}" for n, name in enumerate(names)}
        self._tag = f"dk{os.getpid()}n{number}"
        self._switch = f"{self._tag}sw"

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._make)
        except BaseException:
            await self._remove()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._remove()

    def on(self, name: str, *command: str, user: str | None = None) -> list[str]:
        """Return a command as it is run on a machine, by a user of it."""
        becomes = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return ["ip", "netns", "exec", self._space(name), *becomes, *command]

    def spawn(
        self,
        name: str,
        *command: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program on a machine."""
        with log.open("ab") as said:
            return subprocess.Popen(
                self.on(name, *command, user=user),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(environment or {})},
                cwd="/",
            )

    def cut(self, name: str) -> None:
        """Pull the cable of a machine out of the switch."""
        _ip("-n", self._switch, "link", "set", "dev", name, "nomaster")

    def mend(self, name: str) -> None:
        """Put it back."""
        _ip("-n", self._switch, "link", "set", "dev", name, "master", "br0")

    def lose(self, name: str, percent: int) -> None:
        """Lose so many of a hundred packets between a machine and this one, in each direction; 0 is none."""
        rules = f"table netdev {name} {{}}\ndelete table netdev {name}\n"
        if percent:
            rules += LOSSES.format(name=name, address=self.addresses[name], percent=percent)
        self._filter("-f", "-", rules=rules)

    def lost(self, name: str) -> int:
        """Return how many packets were lost since `lose` was called with more than none."""
        return sum(map(int, LOST.findall(self._filter("list", "table", "netdev", name))))

    def door(self, name: str) -> socket.socket:
        """Listen on a machine, from this process: a socket stays on the machine where it was made."""
        with ThreadPoolExecutor(1) as visitor:  # only this thread goes there, and it ends there
            return visitor.submit(self._open_door, name).result()

    def _open_door(self, name: str) -> socket.socket:
        with (SPACES / self._space(name)).open() as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {name}")
        return socket.create_server((self.addresses[name], 0))

    def _filter(self, *arguments: str, rules: str = "") -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self._switch, "nft", *arguments],
            input=rules,
            check=True,
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
        ).stdout

    def processes(self, name: str) -> set[int]:
        """Return what runs on a machine."""
        found = subprocess.run(
            ["ip", "netns", "pids", self._space(name)],
            capture_output=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        return {int(pid) for pid in found.stdout.split()}

    async def switch_off(self, name: str) -> None:
        """End everything on a machine at once, as a power cut does."""
        for pid in self.processes(name):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: not self._alive(name), within_s=END_S_MAX, what=f"{name} is off")

    def _alive(self, name: str) -> set[int]:
        """What ended and was not waited for yet has no namespace any more."""
        for pid in (alive := self.processes(name)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return alive

    def _space(self, name: str) -> str:
        return f"{self._tag}{name}"

    def _make(self) -> None:
        switch = self._switch
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        for name, address in self.addresses.items():
            space = self._space(name)
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", switch)
            _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", switch, "link", "set", "dev", name, "master", "br0", "up")
        _ip("link", "add", self._tag, "type", "veth", "peer", "name", "here", "netns", switch)
        _ip("addr", "add", f"{self.prefix}{HERE}/24", "dev", self._tag)
        _ip("link", "set", self._tag, "up")
        _ip("-n", switch, "link", "set", "dev", "here", "master", "br0", "up")

    async def _remove(self) -> None:
        for name in self.addresses:
            await self.switch_off(name)
        for space in (self._switch, *map(self._space, self.addresses)):
            # The interfaces go with the namespaces that they are in.
            await asyncio.to_thread(_ip, "netns", "del", space, check=False)


def _ip(*arguments: str, check: bool = True) -> int:
    return subprocess.run(
        ["ip", *arguments], check=check, capture_output=True, timeout=COMMAND_S_MAX
    ).returncode

"""HAProxy as shipped in deploy/, in a process of its own before nodes that a test has."""

import http.client
import os
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final, Self

from bench.processes import free_port
from tests.support.deployed import DEPLOY
from tests.support.needed import program
from tests.support.patience import until

CONFIGURATION: Final = DEPLOY / "haproxy" / "haproxy.cfg"
NOBODY: Final = "127.0.0.1:1"
# The file says five seconds; the rest is a loaded machine.
ANSWER_S_MAX: Final = 30


class Proxy:
    """A running HAProxy before two nodes, of which the other may be one that is not there.

    Attributes:
        address: Where it listens.
        ops_port: Where its figures are.
    """

    def __init__(
        self,
        node: str,
        log: Path,
        *,
        other: str = NOBODY,
        configuration: Path = CONFIGURATION,
        **environment: str,
    ) -> None:
        self.address, self.ops_port = f"127.0.0.1:{free_port()}", free_port()
        ports = addresses(self.address, node, other, ops_port=self.ops_port)
        self._environment = {**os.environ, **ports, **environment}
        self._log, self._configuration = log, configuration
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("haproxy"), "-db", "-f", str(self._configuration)],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._listens, within_s=ANSWER_S_MAX)
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(ANSWER_S_MAX)

    @property
    def pid(self) -> int:
        """Which process it is."""
        assert self._process is not None
        return self._process.pid

    def until_down(self, node: str) -> None:
        """Wait until a node that is not there was found out: nothing goes to it then."""
        downs = {f"Server {backend}/{node} is DOWN" for backend in ("api", "checks", "pages")}
        until(lambda: all(down in self.log() for down in downs), within_s=ANSWER_S_MAX)

    def until_serving(self, nodes: int) -> None:
        """Wait until it knows so many nodes of the API that serve."""
        until(lambda: self.figure("haproxy_backend_active_servers") == nodes, within_s=ANSWER_S_MAX)

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection of a customer."""
        return http.client.HTTPConnection(self.address, timeout=ANSWER_S_MAX)

    def raw(self, octets: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send these octets and no more, and return what is answered."""
        host, _, port = self.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=ANSWER_S_MAX) as sending:
            sending.sendall(octets)
            answer = http.client.HTTPResponse(sending)
            answer.begin()
            return answer.status, dict(answer.getheaders()), answer.read()

    def figure(self, sample: str) -> float:
        """Return a figure of the backend of the API."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.ops_port, timeout=ANSWER_S_MAX)) as asking:
            asking.request("GET", "/metrics")
            lines = asking.getresponse().read().decode().splitlines()
        [value] = [line.split()[1] for line in lines if line.startswith(f'{sample}{{proxy="api"}} ')]
        return float(value)

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        return True


def addresses(bind: str, node: str, other: str = NOBODY, *, ops_port: int = 9) -> dict[str, str]:
    """Return the environment in which the file is read."""
    ops = f"127.0.0.1:{ops_port}"
    return {"DASTAK_BIND": bind, "DASTAK_PROXY_OPS": ops, "DASTAK_NODE1": node, "DASTAK_NODE2": other}

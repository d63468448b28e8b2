"""HAProxy as it is shipped, before the program: what people and floods ask goes through it."""

import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.processes import LOAD_CORE, free_port
from chaos.patroni_cluster import path_of
from chaos.stage import CannotPlay, House
from chaos.watched_carrier import until

CONFIGURATION: Final = Path(__file__).resolve().parents[1] / "deploy" / "haproxy" / "haproxy.cfg"
# Of the two nodes that the file names there is one.
NOBODY: Final = "127.0.0.1:1"
READY_S_MAX: Final = 20.0
STOP_S_MAX: Final = 10.0


@asynccontextmanager
async def before(house: House) -> AsyncIterator[None]:
    """Have everything asked by way of the proxy, which runs on the core of the load.

    Raises:
        CannotPlay: It is not installed.
    """
    haproxy = path_of("haproxy")
    if haproxy is None:
        raise CannotPlay("HAProxy is not installed")
    port, log = free_port(), house.victim.directory / "haproxy.log"
    environment = {
        **os.environ,
        "DASTAK_BIND": f"127.0.0.1:{port}",
        "DASTAK_PROXY_OPS": f"127.0.0.1:{free_port()}",
        "DASTAK_NODE1": f"127.0.0.1:{house.victim.port}",
        "DASTAK_NODE2": NOBODY,
    }
    proxy = _start(haproxy, environment, log)
    try:
        await until(
            lambda: "pages/node2 is DOWN" in log.read_text(), within_s=READY_S_MAX, what="HAProxy has looked"
        )
        house.lines.port = port
        yield
    finally:
        house.lines.port = house.victim.port
        proxy.terminate()
        proxy.wait(STOP_S_MAX)


def _start(haproxy: str, environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as said:
        proxy = subprocess.Popen(
            [haproxy, "-db", "-f", str(CONFIGURATION)], env=environment, stdout=said, stderr=said
        )
    os.sched_setaffinity(proxy.pid, {LOAD_CORE})
    return proxy

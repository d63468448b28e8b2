"""Two nodes on one PostgreSQL behind the shipped HAProxy; one dies or restarts, and the other goes on."""

import http.client
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from chaos.clock_faults import FakedWall
from tests.support.api_client import ApiClient
from tests.support.front_proxy import Proxy
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.postgres_server import shared_server
from tests.support.program import Program, clean_environment
from tests.support.serve_installation import START_S_MAX

DASTAK: Final = (sys.executable, "-m", "dastak")


class Cluster:
    """Two programs on one database, and the proxy before them."""

    def __init__(self, folder: Path, stack: ExitStack, *ahead_s: int) -> None:
        """Begin; `ahead_s` is how far the machine of each node is ahead of the right time."""
        self.folder = folder
        self.environment = {
            "DASTAK_DATABASE_URL": shared_server().new_database(),
            "DASTAK__SIMULATOR__ENABLED": "true",
            **PLENTY,
        }
        self.command("init", "--yes", "--directory", ".")
        made = self.command("keys", "create", "--name", "shop", "--json")
        self.key = str(json.loads(made)["key"])
        self.ports = [free_port(), free_port()]
        self.nodes = [self._node(*node) for node in zip(self.ports, ahead_s or (0, 0), strict=True)]
        for node in self.nodes:
            stack.callback(node.kill)
            node.start()
        first, second = (f"127.0.0.1:{port}" for port in self.ports)
        self.proxy = stack.enter_context(Proxy(first, folder / "haproxy", other=second))
        for port in self.ports:
            until(lambda port=port: _ready(f"http://127.0.0.1:{port}"), within_s=START_S_MAX)

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [*DASTAK, *arguments], cwd=self.folder, env=clean_environment(self.environment),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _node(self, port: int, ahead_s: int) -> Program:
        log = self.folder / f"log.{port}"
        listen = f"127.0.0.1:{port}"
        environment = self.environment
        if ahead_s:
            wall = FakedWall(self.folder / f"wall.{port}")
            wall.step(ahead_s)
            environment = environment | wall.environment
        return Program("serve", "--listen", listen, cwd=self.folder, log_file=log, environment=environment)


def _ready(url: str) -> bool:
    try:
        return ApiClient(url, None).get("/readyz").status == 200
    except OSError:
        return False


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def test_code_of_one_node_is_known_to_the_other_and_a_dead_node_is_left_out(cluster: Cluster) -> None:
    people = ApiClient(f"http://{cluster.proxy.address}", cluster.key)
    direct = [ApiClient(f"http://127.0.0.1:{port}", cluster.key) for port in cluster.ports]
    until(lambda: people.get("/readyz").status == 200, within_s=START_S_MAX)
    started = direct[0].post("/v1/verifications", {"to": "+919811000002"})
    assert started.status == 201, started.body
    seen = direct[1].get(f"/v1/verifications/{started.body['id']}")

    cluster.nodes[0].kill()
    until(lambda: "Server pages/node1 is DOWN" in cluster.proxy.log(), within_s=START_S_MAX)
    after = [people.post("/v1/verifications", {"to": f"+91981100001{number}"}) for number in range(5)]
    kept = people.get(f"/v1/verifications/{started.body['id']}")

    assert (started.status, seen.status, kept.status) == (201, 200, 200)
    assert [answer.status for answer in after] == [201] * 5


def test_nodes_whose_machines_disagree_by_hours_judge_alike(tmp_path: Path) -> None:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, stack, 3_600, -3_600)
        nodes = [ApiClient(f"http://127.0.0.1:{port}", cluster.key) for port in cluster.ports]
        started = [node.post("/v1/verifications", {"to": f"+91981100030{n}"}) for n, node in enumerate(nodes)]
        checked = [node.check(one.body["id"], "000000").body for node in nodes for one in started]
        now = datetime.now(UTC)
        cluster.nodes[1].stop()
        cluster.nodes[1].start()
        until(lambda: _ready(nodes[1].url), within_s=START_S_MAX)

    created = [datetime.fromisoformat(one.body["created_at"]) for one in started]
    assert [abs((now - at).total_seconds()) < 60 for at in created] == [True, True]
    assert [verdict["approved"] for verdict in checked] == [False] * 4


def test_nodes_restart_one_after_the_other_and_no_caller_is_refused(cluster: Cluster) -> None:
    over, answers = threading.Event(), list[str]()
    numbers = itertools.count(919_811_100_000)
    cluster.proxy.until_serving(2)

    def call() -> None:
        people = ApiClient(f"http://{cluster.proxy.address}", cluster.key)
        while not over.is_set():
            try:
                answer = people.post("/v1/verifications", {"to": f"+{next(numbers)}"})
            except (OSError, http.client.HTTPException) as error:
                answers.append(repr(error))
            else:
                answers.append("started" if answer.status == 201 else f"{answer.status} {answer.body}")

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for node in cluster.nodes:
            node.stop()
            cluster.proxy.until_serving(1)
            node.start()
            cluster.proxy.until_serving(2)
    finally:
        over.set()
        for caller in callers:
            caller.join()

    assert set(answers) == {"started"}

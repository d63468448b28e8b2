"""Two nodes on one PostgreSQL behind the shipped HAProxy; one dies or restarts, and the other goes on."""

import asyncio
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
from typing import Any, Final

import httpx
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
from tests.support.voice_vendor import TwilioVoice, VoiceVendor

DASTAK: Final = (sys.executable, "-m", "dastak")
PUBLIC_URL: Final = "https://otp.example.in"


class Cluster:
    """Two programs on one database, and the proxy before them."""

    def __init__(self, folder: Path, stack: ExitStack, *ahead_s: int) -> None:
        """Begin; `ahead_s` is how far the machine of each node is ahead of the right time."""
        self.folder = folder
        self.environment = {
            "DASTAK_DATABASE_URL": shared_server().new_database(),
            "DASTAK__SIMULATOR__ENABLED": "true",
            "DASTAK__SERVER__PUBLIC_URL": PUBLIC_URL,
            **PLENTY,
        }
        self.command("init", "--yes", "--directory", ".")
        made = self.command("keys", "create", "--name", "shop", "--json")
        self.key = str(json.loads(made)["key"])
        self.ports = [free_port(), free_port()]
        named = zip(("node1", "node2"), self.ports, ahead_s or (0, 0), strict=True)
        self.nodes = [self._node(*node) for node in named]
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

    def _node(self, name: str, port: int, ahead_s: int) -> Program:
        log = self.folder / f"log.{port}"
        listen = f"127.0.0.1:{port}"
        environment = {**self.environment, "DASTAK__SERVER__NODE": name}
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


async def test_call_of_either_node_speaks_whichever_way_its_carrier_comes(cluster: Cluster) -> None:
    """The carrier knows one address, that of the proxy."""
    async with (
        httpx.AsyncClient(base_url=f"http://{cluster.proxy.address}", trust_env=False, timeout=15) as reach,
        VoiceVendor(TwilioVoice(), PUBLIC_URL, reach) as vendor,
    ):
        nodes = await asyncio.to_thread(_calling, cluster, vendor.settings())
        told = [await _called(vendor, node, n) for n, node in enumerate(nodes * 2)]

    assert [answers for answers, _, _ in told] == [[200] * 4] * 4
    assert [approved for _, approved, _ in told] == [True] * 4
    assert [evidence for _, _, evidence in told] == ["call:said"] * 4


def _calling(cluster: Cluster, settings: dict[str, Any]) -> list[ApiClient]:
    """Add a carrier of calls, and return a way to each node as soon as that can call."""
    cluster.proxy.until_serving(2)
    scopes = [word for scope in ("start", "check", "read", "operator") for word in ("--scope", scope)]
    made = cluster.command("keys", "create", "--name", "live", "--mode", "live", "--json", *scopes)
    nodes = [ApiClient(f"http://127.0.0.1:{port}", json.loads(made)["key"]) for port in cluster.ports]
    body = {"name": "call", "kind": "http_voice", "settings": settings}
    until(lambda: nodes[0].post("/v1/admin/carriers", body).status == 201)
    for node in nodes:
        until(lambda node=node: node.get("/v1/admin/carriers/call").body.get("available"))
    return nodes


async def _called(vendor: VoiceVendor, node: ApiClient, n: int) -> tuple[list[int], bool, str]:
    """Have a node call, hear the code, and return how it was answered, what the code did, what came of it."""
    vendor.api.answers = [vendor.shape.taken(f"CA0{n}")]
    started = await asyncio.to_thread(node.start, f"+91981100040{n}", channel="voice")
    assert started.status == 201, started.body
    call = await vendor.call()
    call.ref = f"CA0{n}"
    await call.rings()
    await call.answer()
    await call.press(call.gate)
    await call.press("")
    checked = await asyncio.to_thread(node.check, started.body["id"], call.code[:6])
    delivered = await asyncio.to_thread(
        until,
        lambda: [one for one in node.timeline(started.body["id"]) if one["type"] == "delivered"],
    )
    return call.answers, checked.body["approved"], delivered[0]["evidence"]

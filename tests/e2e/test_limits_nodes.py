"""Limits over two nodes on one PostgreSQL: never one more than one node alone would allow, whoever dies."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from datetime import datetime
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, Final

import pytest

from bench.processes import free_port
from chaos.counting_server import CountingServer, counting_program
from dastak.config_read import DATABASE_URL
from tests.support.api_client import Answer, ApiClient
from tests.support.needed import missing
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.postgres_server import PostgresServer, own_server
from tests.support.program import Program
from tests.support.serve_installation import START_S_MAX, Installation

AT_ONCE: Final = 100
NUMBER_PER_10_MIN: Final = 5
ADDRESS_PER_10_MIN: Final = 10
# Of test keys: so many calls of a number at once, and one more each second (guard/call_limits.py).
CALLS_AT_ONCE: Final = 10
CALL_EVERY_MS: Final = 1_000
PURPOSES: Final = ("login", "signup", "reset", "generic")
SERVICES: Final = ("one", "two", "three", "four")
WIDE: Final = {
    f"DASTAK__LIMITS__TEST__{limit}__{field}": "100000"
    for limit in ("NUMBER", "NUMBER_DAILY", "NUMBER_EVERYWHERE", "NUMBER_EVERYWHERE_DAILY")
    for field in ("COUNT", "BURST")
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    one = own_server()
    yield one
    one.remove()


class Nodes:
    """Two programs on one database, and a test key."""

    def __init__(self, home: Path, server: PostgresServer, stack: ExitStack, **settings: str) -> None:
        environment = {
            DATABASE_URL: server.new_database(),
            "DASTAK__SIMULATOR__ENABLED": "true",
            **PLENTY,
            **settings,
        }
        first = self.installation = Installation(home / "dastak", **environment)
        self.key = first.command("keys", "create", "--mode", "test", "--name", "t")["key"]
        self.ports = (free_port(), free_port())
        self.programs = [
            Program(
                *("serve", "--listen", f"127.0.0.1:{port}"),
                cwd=first.directory,
                log_file=first.directory / f"log{port}",
                environment=environment,
            )
            for port in self.ports
        ]
        for program in self.programs:
            stack.callback(program.kill)
            program.start()
        self.apis = [ApiClient(f"http://127.0.0.1:{port}", self.key) for port in self.ports]
        for api in self.apis:
            until(lambda api=api: ready(api), within_s=START_S_MAX)

    def turns(self, count: int) -> Iterator[tuple[int, ApiClient]]:
        """Return so many numbers, each with the node whose turn it is."""
        return enumerate(islice(cycle(self.apis), count))

    def code_of(self, number: str) -> str:
        """Return the code that came to a phone, at whichever node has it: each has phones of its own."""
        path = f"/sim/phones/{number.lstrip('+')}/messages/next?timeout_s=10"
        with ThreadPoolExecutor(len(self.apis)) as pool:
            asked = [pool.submit(api.get, path) for api in self.apis]
            for done in as_completed(asked):
                if done.result().status == 200:
                    return str(done.result().body["code"])
        raise AssertionError(f"no text came to {number}")

    def start_at_once(self, to: str, count: int = AT_ONCE) -> list[Answer]:
        """Start so many at once, by turns at both nodes."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda api: api.start(to), islice(cycle(self.apis), count)))

    def call_at_once(self, to: str) -> list[Answer]:
        """Ask for a call for each purpose of several services, by turns at both nodes."""
        keys = [self.key]
        for service in SERVICES:
            self.installation.command("services", "create", service, "--countries", "IN")
            made = self.installation.command(
                "keys", "create", "--mode", "test", "--name", service, "--service", service
            )
            keys.append(made["key"])
        until(
            lambda: all(
                ApiClient(api.url, keys[-1]).get("/v1/verifications").status == 200 for api in self.apis
            )
        )
        asked = list(product(keys, PURPOSES))
        with ThreadPoolExecutor(len(asked)) as pool:
            calls = [
                pool.submit(ApiClient(api.url, key).start, to, purpose=purpose, channel="voice")
                for (key, purpose), api in zip(asked, cycle(self.apis), strict=False)
            ]
            return [call.result() for call in calls]


def ready(api: ApiClient) -> bool:
    try:
        return api.get("/readyz").status == 200
    except OSError:
        return False


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def statuses(answers: list[Answer]) -> dict[int, int]:
    told = [answer.status for answer in answers]
    return {status: told.count(status) for status in sorted(set(told))}


def test_two_nodes_send_a_number_together_what_one_may_and_no_more_when_one_is_killed(
    tmp_path: Path, server: PostgresServer, stack: ExitStack
) -> None:
    nodes = Nodes(tmp_path, server, stack)

    first = nodes.start_at_once("+919876543210")
    nodes.programs[0].kill()
    alone = [nodes.apis[1].start("+919876543210") for _ in range(3)]
    nodes.programs[0].start()
    until(lambda: ready(nodes.apis[0]), within_s=START_S_MAX)
    again = nodes.start_at_once("+919876543210", 20)

    assert statuses(first) == {201: NUMBER_PER_10_MIN, 429: AT_ONCE - NUMBER_PER_10_MIN}
    assert statuses(alone) == {429: 3}
    assert statuses(again) == {429: 20}
    refused = [answer for answer in (*first, *alone, *again) if answer.status == 429]
    assert {answer.body["reason"] for answer in refused} == {"number"}
    # Five in ten minutes: the next one is allowed two minutes after the first, whom some came before.
    assert all(0 < int(answer.headers["retry-after"]) <= 121 for answer in refused)


def test_two_nodes_call_a_number_together_as_often_as_one_may(
    tmp_path: Path, server: PostgresServer, stack: ExitStack
) -> None:
    nodes = Nodes(tmp_path, server, stack, **WIDE)
    started = nodes.call_at_once("+919876543210")
    ids = [answer.body["id"] for answer in started if answer.status == 201]

    timelines = [until(lambda one=one: judged(nodes.apis[0].timeline(one)), within_s=60) for one in ids]
    offered = sorted(
        round(datetime.fromisoformat(event["at"]).timestamp() * 1_000)
        for told in timelines
        for event in told
        if is_offer(event)
    )
    dropped = [event["cause"] for told in timelines for event in told if event["type"] == "dropped"]

    assert len(ids) > CALLS_AT_ONCE, "both nodes took more than may be called"
    assert len(offered) + len(dropped) == len(ids)
    assert set(dropped) == {"call_limit"}
    # In any stretch of t no more than burst + floor(t / interval).
    for i, since_ms in enumerate(offered):
        for j in range(i, len(offered)):
            assert j - i + 1 <= CALLS_AT_ONCE + (offered[j] - since_ms) // CALL_EVERY_MS


def test_two_nodes_go_on_and_forget_no_wrong_code_when_their_shared_counts_are_lost(
    tmp_path: Path, server: PostgresServer, stack: ExitStack
) -> None:
    if counting_program() is None:
        missing("needs redis-server, which is not installed")
    counts = stack.enter_context(CountingServer(tmp_path / "counts"))
    nodes = Nodes(tmp_path, server, stack, DASTAK__LIMITS__VALKEY_URL=counts.url)
    together = [api.start(f"+9198{n:08d}", client_ip="203.0.113.7") for n, api in nodes.turns(24)]
    first, second = nodes.apis
    started = first.start("+919811111111").body["id"]
    code = nodes.code_of("+919811111111")
    wrong = f"{(int(code) + 1) % 10**6:06}"
    missed = [first.check(started, wrong)]
    counts.empty()
    missed.append(second.check(started, wrong))
    counts.freeze()
    missed.append(first.check(started, wrong))
    hung = [api.start(f"+9197{n:08d}") for n, api in nodes.turns(4)]
    counts.thaw()
    counts.kill()
    missed += [second.check(started, wrong), first.check(started, wrong)]
    late = [api.check(started, code) for api in nodes.apis]

    # On a busy machine an answer may be late; then each node counts by itself, and no more than that.
    passed = [one.status for one in together].count(201)
    assert ADDRESS_PER_10_MIN <= passed <= 2 * ADDRESS_PER_10_MIN
    assert {one.body["reason"] for one in together if one.status == 429} == {"client_ip"}
    assert [one.body["attempts_remaining"] for one in missed] == [4, 3, 2, 1, 0]
    assert [one.status for one in late] == [409, 409]
    assert statuses(hung) == {201: 4}


def judged(timeline: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return a timeline once its call was offered or dropped."""
    over = any(is_offer(event) or event["type"] == "dropped" for event in timeline)
    return timeline if over else None


def is_offer(event: dict[str, Any]) -> bool:
    return event["type"] == "call" and event.get("step") == "offered"

"""The whole program on PostgreSQL: codes are approved once, and survive what befalls nodes and server."""

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from bench.processes import free_port
from dastak.config_read import DATABASE_URL
from tests.support.api_client import Answer, ApiClient
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.postgres_server import PostgresServer, frozen, own_server
from tests.support.program import Program
from tests.support.serve_installation import Installation

PARALLEL = 50
CALLERS = 4
ENOUGH = 150


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    one = own_server()
    yield one
    one.remove()


class House:
    """An installation on a database of its own, and a test key."""

    def __init__(self, home: Path, server: PostgresServer) -> None:
        self.settings = {
            DATABASE_URL: server.new_database(),
            "DASTAK__SIMULATOR__ENABLED": "true",
            **PLENTY,
        }
        self.first = Installation(home / "dastak", **self.settings)
        self.key = self.first.command("keys", "create", "--mode", "test", "--name", "t")["key"]

    @property
    def api(self) -> ApiClient:
        return ApiClient(self.first.url, self.key)

    @contextmanager
    def second(self) -> Iterator[ApiClient]:
        """Run one more node on the same database."""
        port = free_port()
        program = Program(
            *("serve", "--listen", f"127.0.0.1:{port}"),
            cwd=self.first.directory,
            log_file=self.first.directory / "log2",
            environment=self.settings,
        )
        api = ApiClient(f"http://127.0.0.1:{port}", self.key)
        program.start()
        try:
            until(lambda: answers(api), within_s=60)
            yield api
        finally:
            program.kill()


@pytest.fixture
def house(tmp_path: Path, server: PostgresServer) -> House:
    return House(tmp_path, server)


def answers(api: ApiClient) -> bool:
    try:
        return api.get("/readyz").status == 200
    except OSError:
        return False


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def one_text(nodes: list[ApiClient], number: str) -> str:
    """Return the code that came to a phone, at whichever node has it: each has phones of its own."""
    path = f"/sim/phones/{number.lstrip('+')}/messages/next?timeout_s=10"
    with ThreadPoolExecutor(len(nodes)) as pool:
        asked = [pool.submit(node.get, path) for node in nodes]
        for done in as_completed(asked):
            if done.result().status == 200:
                return str(done.result().body["code"])
    raise AssertionError(f"no text came to {number}")


def test_one_of_many_parallel_checks_is_approved(house: House) -> None:
    with house.first:
        one = house.api.start("+919876543210").body["id"]
        code = house.api.next_text("+919876543210")["code"]
        with ThreadPoolExecutor(PARALLEL) as pool:
            told = list(pool.map(lambda _: house.api.check(one, code), range(PARALLEL)))

    assert sorted(answer.status for answer in told) == [200] + [409] * (PARALLEL - 1)
    assert [answer.body["approved"] for answer in told if answer.status == 200] == [True]


def test_what_was_answered_is_so_after_the_program_was_killed_under_load(house: House) -> None:
    numbers, started, codes = count(7_010_000_000), {}, {}
    approved: set[str] = set()

    def ask_until_it_dies() -> None:
        with ApiClient(house.first.url, house.key, kept=True) as api:
            try:
                for n in numbers:
                    one = api.post("/v1/verifications", {"to": f"+91{n}"}, idempotency_key=f"{n}")
                    started[n] = one.body["id"]
                    codes[n] = api.next_text(f"+91{n}")["code"]
                    if n % 2 and api.check(started[n], codes[n]).body["approved"]:
                        approved.add(started[n])
            except (OSError, http.client.HTTPException):
                return

    house.first.start()
    callers = [threading.Thread(target=ask_until_it_dies) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    until(lambda: len(codes) >= ENOUGH, within_s=120)
    house.first.program.kill()
    for caller in callers:
        caller.join()
    with house.first:
        again = {
            n: house.api.post("/v1/verifications", {"to": f"+91{n}"}, idempotency_key=f"{n}") for n in started
        }
        checks = {n: [house.api.check(started[n], codes[n]).status for _ in range(2)] for n in codes}
        states = [house.api.get(f"/v1/verifications/{started[n]}").body["state"] for n in codes]

    assert {n: (answer.status, answer.body["id"]) for n, answer in again.items()} == {
        n: (201, one) for n, one in started.items()
    }
    assert all("idempotency-replayed" in answer.headers for answer in again.values())
    assert all(first == 409 for n, (first, _) in checks.items() if started[n] in approved)
    assert all(second == 409 for _, second in checks.values())
    assert all(first == 200 for n, (first, _) in checks.items() if n % 2 == 0)
    assert set(states) == {"approved"}


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize("broken", [frozen, stopped])
def test_an_absent_database_is_told_and_the_service_recovers_by_itself(
    house: House, server: PostgresServer, broken: "Callable[[PostgresServer], AbstractContextManager[None]]"
) -> None:
    with house.first:
        one = house.api.start("+919876543210").body["id"]
        code = house.api.next_text("+919876543210")["code"]
        with broken(server), ThreadPoolExecutor(10) as pool:
            starts = list(pool.map(lambda n: house.api.start(f"+91987654{n:04}"), range(10)))
            checked = house.api.check(one, code)
        again = until(lambda: recovered(house.api), within_s=60)
        # Whether the check was kept is unknown to its caller, never whether it may be approved twice.
        later = [house.api.check(one, code) for _ in range(2)]

    assert {answer.status for answer in (*starts, checked)} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in (*starts, checked))
    assert again.status == 201
    assert [answer.status for answer in later] in ([200, 409], [409, 409])


@pytest.mark.parametrize("broken", [frozen, stopped])
def test_stop_ends_in_time_whatever_the_database_does(
    house: House, server: PostgresServer, broken: "Callable[[PostgresServer], AbstractContextManager[None]]"
) -> None:
    asked = threading.Event()
    with house.first, ThreadPoolExecutor(4) as pool:

        def start(n: int) -> None:
            with suppress(OSError, http.client.HTTPException):
                while house.api.start(f"+91987655{n:04}").status != 503:
                    pass
                asked.set()

        callers = [pool.submit(start, n) for n in range(4)]
        with broken(server):
            assert asked.wait(30)

            # It fails after five seconds, and when it ends with a fault.
            house.first.program.stop()
            for caller in callers:
                caller.result()


def recovered(api: ApiClient) -> Answer | None:
    answer = api.start("+919876540000")
    assert answer.status in (201, 503), answer
    return answer if answer.status == 201 else None


def test_two_nodes_share_answers_attempts_and_approvals(house: House) -> None:
    with house.first, house.second() as other:
        nodes = [house.api, other]
        body = {"to": "+919876543210"}
        first = house.api.post("/v1/verifications", body, idempotency_key="same")
        again = other.post("/v1/verifications", body, idempotency_key="same")
        code = one_text(nodes, "+919876543210")
        missed = [nodes[n % 2].check(first.body["id"], wrong(code)) for n in range(5)]
        late = [node.check(first.body["id"], code) for node in nodes]

        two = other.start("+919876543211").body["id"]
        code = one_text(nodes, "+919876543211")
        with ThreadPoolExecutor(PARALLEL) as pool:
            raced = list(pool.map(lambda n: nodes[n % 2].check(two, code), range(PARALLEL)))

    assert (again.status, again.body["id"]) == (201, first.body["id"])
    assert "idempotency-replayed" in again.headers
    assert [answer.status for answer in missed] == [200] * 5
    assert [answer.body["approved"] for answer in missed] == [False] * 5
    assert missed[-1].body["attempts_remaining"] == 0
    assert [answer.status for answer in late] == [409, 409]
    assert sorted(answer.status for answer in raced) == [200] + [409] * (PARALLEL - 1)

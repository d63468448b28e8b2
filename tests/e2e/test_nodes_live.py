"""Several nodes with roles on one database: one binds for all, and when it dies the others take over."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.loopback_carrier import Carrier
from bench.processes import free_port
from dastak.config_read import DATABASE_URL
from tests.support.api_client import Answer, ApiClient
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.postgres_server import PostgresServer, own_server
from tests.support.program import Program
from tests.support.serve_installation import Installation

MANY = 40
BINDS = 7
NEVER_S = 3600
FIRST_NUMBER = 7_020_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    one = own_server()
    yield one
    one.remove()


class Links(list[Any]):
    """The binds of a carrier, and how many there were at most."""

    most = 0

    def append(self, link: Any) -> None:
        super().append(link)
        self.most = max(self.most, len(self))


class CarrierThread:
    """A carrier with a loop and a thread of its own."""

    def __enter__(self) -> Carrier:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._carrier = carrier = Carrier()
        carrier.links = self.links = Links()
        self.port = asyncio.run_coroutine_threadsafe(carrier.listen(), self._loop).result(10)
        return carrier

    def __exit__(self, *_exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._carrier._server.close()
        while self.links:  # noqa: ASYNC110 - waited for once, and its nodes were killed
            await asyncio.sleep(0.02)


class Nodes:
    """An installation whose nodes each have a role and a port."""

    def __init__(
        self, home: Path, server: PostgresServer, carrier_port: int, binds: int, window: int = 10
    ) -> None:
        self.settings = {DATABASE_URL: server.new_database(), **PLENTY}
        self._home = Installation(home / "dastak", **self.settings)
        self._home.add_carrier(
            "north",
            host="127.0.0.1",
            port=carrier_port,
            system_id="us",
            password="tr0mbone",
            binds=binds,
            window=window,
        )
        self.key = self._home.command("keys", "create", "--mode", "live", "--name", "shop")["key"]

    def listed(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._home.command("nodes")
        return listed

    def binds(self) -> dict[str, int]:
        """Return how many binds each living node holds, by its role."""
        return {",".join(node["roles"]): node["binds"] for node in self.listed() if node["living"]}

    def shares(self) -> list[int]:
        """Return how many binds the living nodes hold, fewest first."""
        return sorted(node["binds"] for node in self.listed() if node["living"])

    @contextmanager
    def node(self, role: str, name: str = "") -> "Iterator[tuple[Program, ApiClient, str]]":
        """Run a node of a role; `listed` shows it by its port."""
        port = free_port()
        program = Program(
            *("serve", "--listen", f"127.0.0.1:{port}", "--role", role),
            cwd=self._home.directory,
            log_file=self._home.directory / f"log-{name or role}",
            environment={
                "DASTAK__ROUTING__PLAUSIBLE_RECEIPT_S": "0",
                "DASTAK__ROUTING__EXPLORATION": "0",
                **self.settings,
            },
        )
        api = ApiClient(f"http://127.0.0.1:{port}", self.key)
        program.start()
        try:
            until(lambda: _lives(api), within_s=60)
            yield program, api, f"127.0.0.1:{port}"
        finally:
            program.kill()

    def holder(self) -> str | None:
        """Return the address of the living node that holds binds, if one does."""
        return next((n["name"].split()[-1] for n in self.listed() if n["living"] and n["binds"]), None)


def _lives(api: ApiClient) -> bool:
    try:
        return api.get("/healthz").status == 200
    except OSError:
        return False


def start_all(api: ApiClient, numbers: range) -> list[str]:
    until(lambda: api.get("/readyz").status == 200, within_s=60)
    answers = [api.start(f"+91{n}") for n in numbers]
    assert {answer.status for answer in answers} == {201}
    return [answer.body["id"] for answer in answers]


def delivered(api: ApiClient, one: str) -> bool:
    return any(event["type"] == "delivered" for event in api.timeline(one))


def all_delivered(api: ApiClient, ids: list[str]) -> bool:
    return all(delivered(api, one) for one in ids)


def test_node_that_only_answers_has_the_one_that_binds_send(tmp_path: Path, server: PostgresServer) -> None:
    carrying = CarrierThread()
    with carrying as carrier:
        nodes = Nodes(tmp_path, server, carrying.port, binds=2)
        with nodes.node("api") as (_, api, _here), nodes.node("carrier") as (_, other, _there):
            ids = start_all(api, range(FIRST_NUMBER, FIRST_NUMBER + MANY))
            until(lambda: all_delivered(api, ids), within_s=60)
            binds, refused = nodes.binds(), other.start("+917020000000").status
            checked = api.check(ids[0], carrier.texts[f"91{FIRST_NUMBER}"].code)

    assert checked.body["approved"]
    assert binds == {"api": 0, "carrier": 2}
    assert carrying.links.most == 2
    assert carrier.submitted == MANY
    assert refused == 404


def test_what_the_killed_holder_of_the_binds_had_is_sent_by_another_node(
    tmp_path: Path, server: PostgresServer
) -> None:
    carrying = CarrierThread()
    with carrying as carrier:
        nodes = Nodes(tmp_path, server, carrying.port, binds=1)
        with (
            nodes.node("api") as (_, api, _),
            nodes.node("carrier", "one") as one,
            nodes.node("carrier", "two") as two,
        ):
            held_by = until(nodes.holder, within_s=60)
            ids = start_all(api, range(FIRST_NUMBER, FIRST_NUMBER + MANY))
            next(program for program, _, at in (one, two) if at == held_by).kill()
            ids += start_all(api, range(FIRST_NUMBER + MANY, FIRST_NUMBER + 2 * MANY))
            until(lambda: all_delivered(api, ids), within_s=90)
            now_held_by = nodes.holder()

    assert now_held_by in {at for _, _, at in (one, two)} - {held_by}
    assert set(carrier.texts) == {f"91{FIRST_NUMBER + n}" for n in range(2 * MANY)}
    assert carrying.links.most == 1


def test_node_that_was_stopped_for_longer_than_it_may_comes_back_and_changes_nothing(
    tmp_path: Path, server: PostgresServer
) -> None:
    carrying = CarrierThread()
    with carrying as carrier:
        nodes = Nodes(tmp_path, server, carrying.port, binds=1)
        with (
            nodes.node("api") as (_, api, _),
            nodes.node("carrier", "one") as one,
            nodes.node("carrier", "two") as two,
        ):
            until(nodes.holder, within_s=60)
            # What is answered has a receipt, which comes by a link that a stopped node does not read.
            carrier.answer_after_s = NEVER_S
            ids = start_all(api, range(FIRST_NUMBER, FIRST_NUMBER + MANY))
            until(lambda: carrier.submitted, within_s=60)
            # On a machine that stalls it need not be the one that held them first.
            held_by = until(nodes.holder, within_s=60)
            stopped = next(program for program, _, at in (one, two) if at == held_by)
            os.kill(stopped.pid, signal.SIGSTOP)
            # Of what came before it answers nothing; who takes over may be quicker than a look at the nodes.
            carrier.answer_after_s = 0
            until(lambda: len(nodes.shares()) == 2, within_s=60)
            ids += start_all(api, range(FIRST_NUMBER + MANY, FIRST_NUMBER + 2 * MANY))
            until(lambda: nodes.holder() not in (None, held_by), within_s=60)
            until(lambda: all_delivered(api, ids), within_s=90)
            before = [api.timeline(one) for one in ids]
            os.kill(stopped.pid, signal.SIGCONT)
            until(lambda: "took this one for dead" in stopped.log(), within_s=60)
            until(lambda: len(nodes.binds()) == 2 and len([n for n in nodes.listed() if n["living"]]) == 3)
            after = [api.timeline(one) for one in ids]

    assert after == before


def test_binds_are_shared_anew_when_nodes_come_stop_and_die_and_are_never_too_many(
    tmp_path: Path, server: PostgresServer
) -> None:
    carrying = CarrierThread()
    with carrying:
        nodes = Nodes(tmp_path, server, carrying.port, binds=BINDS)
        with nodes.node("all", "one") as (first, _, _):
            until(lambda: nodes.shares() == [BINDS] and len(carrying.links) == BINDS, within_s=60)
            with nodes.node("carrier", "two") as (second, _, _):
                until(lambda: nodes.shares() == [3, 4] and len(carrying.links) == BINDS, within_s=60)
                with nodes.node("carrier", "three"):
                    until(lambda: nodes.shares() == [2, 2, 3] and len(carrying.links) == BINDS, within_s=60)
                    first.stop()
                    until(lambda: nodes.shares() == [3, 4] and len(carrying.links) == BINDS, within_s=60)
                    second.kill()
                    until(lambda: nodes.shares() == [BINDS] and len(carrying.links) == BINDS, within_s=60)

    assert carrying.links.most == BINDS


def test_receipt_that_comes_to_another_node_finds_its_message_however_its_id_is_spelled(
    tmp_path: Path, server: PostgresServer
) -> None:
    carrying = CarrierThread()
    with carrying as carrier:
        carrier.crosswise = True
        # It counts down and reports in decimal: 16 was the id of an earlier text before it means the tenth.
        carrier.message_id = lambda n: f"{4 * MANY - n:x}"
        carrier.reports = lambda sm, message_id: (
            str(int(message_id, 16)),
            "stat:UNDELIV err:001" if lost(sm.destination_addr) else "stat:DELIVRD err:000",
        )
        nodes = Nodes(tmp_path, server, carrying.port, binds=2)
        with nodes.node("all", "one") as (_, api, _one), nodes.node("all", "two"):
            until(lambda: nodes.shares() == [1, 1] and len(carrying.links) == 2, within_s=60)
            ids = start_all(api, range(FIRST_NUMBER, FIRST_NUMBER + 2 * MANY))
            until(lambda: all(ended(api, one) for one in ids), within_s=90)
            arrived = [delivered(api, one) for one in ids]

    assert carrier.submitted == 2 * MANY
    assert arrived == [not lost(f"{FIRST_NUMBER + n}") for n in range(2 * MANY)]


def lost(number: str) -> bool:
    """Say of which numbers the carrier reports that they got nothing."""
    return int(number[-4:]) % 5 < 2


def ended(api: ApiClient, one: str) -> bool:
    """Say whether a receipt told the end of a text."""
    return any(event["type"].endswith("delivered") for event in api.timeline(one))


@pytest.mark.parametrize("roles", [("all",), ("api", "carrier")])
def test_start_is_refused_when_a_slow_carrier_could_not_be_handed_its_text_in_time(
    tmp_path: Path, server: PostgresServer, roles: tuple[str, ...]
) -> None:
    carrying = CarrierThread()
    with carrying as carrier, ExitStack() as stack:
        carrier.answer_after_s = 0.5
        nodes = Nodes(tmp_path, server, carrying.port, binds=1, window=1)
        [(_, api, _), *_] = [stack.enter_context(nodes.node(role)) for role in roles]
        until(lambda: api.get("/readyz").status == 200, within_s=60)
        # Four a second at most leave. Nobody knows how long that takes until it was seen.
        answers = [start_short(api, n) for n in range(6 * MANY)]
        refused = until(lambda: refusal(start_short(api, 6 * MANY)), within_s=60)
        checked = api.check(answers[0].body["id"], "000000")
        longer = api.start(f"+91{FIRST_NUMBER + 7 * MANY}")

    assert {answer.status for answer in answers} <= {201, 503}
    assert refused.body["code"] == "too_late"
    assert int(refused.headers["retry-after"]) >= 1
    assert checked.status == 200
    assert longer.status == 201


def start_short(api: ApiClient, n: int) -> Answer:
    """Start one whose code lives for a minute."""
    return api.post("/v1/verifications", {"to": f"+91{FIRST_NUMBER + n}", "policy": {"ttl_s": 60}})


def refusal(answer: Answer) -> Answer | None:
    return answer if answer.status == 503 else None


def test_role_on_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    home = Installation(tmp_path / "dastak")
    program = Program(
        "serve", "--role", "api", "--listen", f"127.0.0.1:{free_port()}",
        cwd=home.directory, log_file=home.directory / "log",
    )  # fmt: skip
    program.start()
    status = program.process.wait(60)
    program.kill()

    assert status == 3
    assert "needs PostgreSQL" in program.log()

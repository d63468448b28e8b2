"""An operator sees what was learned of routes, also after a restart, and asks what other rules would do."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dastak.delivery.breaker import ANSWERS_MIN
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.program import Program, typed
from tests.support.samples import some_msisdn
from tests.support.serve_installation import Installation

ROUTES = "/v1/admin/routes"
# A deadline is learned from twenty receipts, and the north has three texts of four only by chance.
TEXTS = 80


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Two carriers: of one account the receipts would come by either route."""
    with ExitStack() as stack:
        yield [stack.enter_context(smsc(tmp_path_factory.mktemp("smsc"))) for _ in range(2)]


@contextmanager
def smsc(directory: Path, *faults: str) -> Iterator[int]:
    directory.mkdir(exist_ok=True)
    script = directory / "faults.toml"
    script.write_text("\n".join(("[[faults]]", *faults)) if faults else "")
    run = ("sim", "run", str(script), "--json", "--listen", "127.0.0.1:0")
    program = Program(*run, cwd=directory, log_file=directory / "log")
    program.start()
    try:
        told = until(lambda: re.search(r"listens on [0-9.]+:(\d+);", program.log()), within_s=30)
        yield int(told[1])
    finally:
        program.stop()


class Operator:
    """An installation with two carriers and TEXTS texts behind it."""

    def __init__(self, directory: Path, ports: list[int]) -> None:
        self.ports = ports
        self.installation = Installation(directory, **PLENTY)
        made = self.installation.command(
            "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
        )
        self.key = made["key"]
        self.api = ApiClient(self.installation.url, self.key)
        self.shop = self.installation.live_client()

    def send(self) -> None:
        until(lambda: self.api.get(ROUTES).status == 200)
        for name, weight, port in zip(("north", "south"), (3, 1), self.ports, strict=True):
            self.add(name, port, weight=weight)
        until(lambda: all(route["available"] for route in self.routes()))
        started = [self.shop.start(some_msisdn(n)).body["id"] for n in range(TEXTS)]
        # All of them, for they go on being learned from.
        for verification in started:
            until(lambda of=verification: any(told["type"] == "delivered" for told in self.shop.timeline(of)))

    def add(self, name: str, port: int, **lane: Any) -> None:
        settings = {"host": "127.0.0.1", "port": port, "system_id": "sim", "password": "sim"}
        body = {"name": name, "settings": settings, "lane": lane}
        assert self.api.post("/v1/admin/carriers", body).status == 201

    def routes(self) -> list[dict[str, Any]]:
        answer = self.api.get(ROUTES)
        assert answer.status == 200, answer
        routes: list[dict[str, Any]] = answer.body["routes"]
        return routes

    def route(self, name: str) -> dict[str, Any]:
        return next((route for route in self.routes() if route["name"] == name), {"available": False})

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        asked = {"DASTAK_URL": self.installation.url, "DASTAK_API_KEY": self.key}
        return typed("route", *arguments, cwd=self.installation.directory, environment=asked)


def receipts_of(route: dict[str, Any]) -> float:
    return sum(place["receipts"] for place in route["places"] if not place["operator"])


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, ports: list[int]) -> Iterator[Operator]:
    made = Operator(tmp_path_factory.mktemp("routes") / "dastak", ports)
    with made.installation:
        made.send()
        yield made


def test_routes_are_shown_with_what_their_scores_are_made_of(operator: Operator) -> None:
    north = operator.api.get(f"{ROUTES}/north").body

    (india,) = (place for place in north["places"] if not place["operator"])
    product = 1.0
    for share in ("submitted", "unthrottled", "arrived", "prompt", "entered"):
        product *= india[share]
    assert (north["believed"], north["mark"], north["breaker"]["state"]) == (True, None, "closed")
    assert india["country"] == "IN"
    assert india["score"] == pytest.approx(product)
    assert 0.0 <= india["entered_low"] <= india["entered_high"] <= 1.0
    assert operator.api.get(f"{ROUTES}/nobody").status == 404


def test_what_was_learned_outlives_a_restart(operator: Operator) -> None:
    before = {route["name"]: route["places"] for route in operator.routes()}
    operator.installation.program.stop()
    operator.installation.start()
    after = {route["name"]: route["places"] for route in operator.routes()}

    def learned(places: list[dict[str, Any]]) -> list[list[Any]]:
        fields = ("deadline_s", "p50_s", "p95_s")
        return [[place["country"], *(round(place[field], 6) for field in fields)] for place in places]

    assert {name: learned(of) for name, of in after.items()} == {
        name: learned(of) for name, of in before.items()
    }
    # Twenty receipts within moments: the deadline is as short as it may be, and no more the first one of 8 s.
    assert max(place["deadline_s"] for place in before["north"]) == 6.0
    for name, places in after.items():
        assert [place["score"] for place in places] == pytest.approx(
            [place["score"] for place in before[name]], abs=0.02
        )


def test_what_if_is_answered_and_nothing_changes(operator: Operator) -> None:
    before = [(route["name"], route["state"], route["weight"]) for route in operator.routes()]

    asked = operator.api.post(f"{ROUTES}/what-if", {"lanes": {"north": {"state": "draining"}}})
    off = {"north": {"state": "off"}, "south": {"state": "off"}}
    nothing_left = operator.api.post(f"{ROUTES}/what-if", {"lanes": off, "hours": 1})
    unknown = operator.api.post(f"{ROUTES}/what-if", {"lanes": {"nobody": {"weight": 1}}})

    outlook = asked.body["outlook"]
    north, south = sorted(outlook["routes"], key=lambda route: str(route["route"]))
    assert (asked.status, asked.body["complete"], outlook["texts"]) == (200, True, TEXTS)
    assert north["took"] + south["took"] == TEXTS
    assert north["now"]["share"] > south["now"]["share"] > 0.0
    assert (north["then"]["share"], south["then"]["share"]) == (0.0, 1.0)
    assert nothing_left.body["outlook"]["without_route_then"] == TEXTS
    assert (unknown.status, unknown.body["code"]) == (422, "invalid_request")
    assert [(route["name"], route["state"], route["weight"]) for route in operator.routes()] == before


def test_only_an_operator_sees_routes(operator: Operator) -> None:
    assert operator.shop.get(ROUTES).status == 403
    assert operator.shop.post(f"{ROUTES}/what-if", {"lanes": {"north": {"weight": 1}}}).status == 403


def test_commands_show_routes_to_people(operator: Operator) -> None:
    listed = operator.command("list")
    shown = operator.command("show", "north")
    asked = operator.command("what-if", "--lane", "north:weight=0", "--lane", "south:weight=9")
    refused = operator.command("what-if", "--lane", "north=0")
    nobody = operator.command("show", "nobody")

    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["route", "north", "south"]
    assert re.search(r"^deadline_s +\d+\.\d+$", shown.stdout, re.MULTILINE)
    assert re.search(r"^south .* 100\.0% ", asked.stdout, re.MULTILINE)
    assert re.search(rf"^all +{TEXTS} ", asked.stdout, re.MULTILINE)
    assert "without a route: 0 now, 0 then" in asked.stderr
    assert (listed.returncode, shown.returncode, asked.returncode) == (0, 0, 0)
    assert (refused.returncode, nobody.returncode) == (2, 1)
    assert "north:weight=30" in refused.stderr


def test_command_tells_machines_the_same(operator: Operator) -> None:
    listed = operator.installation.command(
        "route", "list", "--url", operator.installation.url, "--key", operator.key
    )

    assert [route["name"] for route in listed["routes"]] == ["north", "south"]


def test_command_finds_the_server_that_its_settings_speak_of(operator: Operator) -> None:
    here = operator.installation
    address = here.url.removeprefix("http://")
    asked = {"DASTAK__SERVER__LISTEN": address, "DASTAK_API_KEY": operator.key}
    listed = typed("route", "list", "--json", cwd=here.directory, environment=asked)

    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)


def test_route_that_fails_is_left_and_its_history_says_who_and_why(tmp_path: Path) -> None:
    with smsc(tmp_path, "status = 8") as port, smsc(tmp_path / "well") as other:
        operator = Operator(tmp_path / "dastak", [])
        with operator.installation:
            until(lambda: operator.api.get(ROUTES).status == 200)
            # Alone at first: beside a better one its score may take its texts before the breaker does.
            operator.add("faulty", port, priority=1)
            until(lambda: operator.route("faulty")["available"])
            for n in range(ANSWERS_MIN + 5):
                assert operator.shop.start(some_msisdn(n)).status == 201
            (demoted,) = until(lambda: lines_of_health(operator))
            tripped = operator.api.get(f"{ROUTES}/faulty").body["breaker"]
            operator.add("well", other, priority=2)
            until(lambda: operator.route("well")["available"])
            assert operator.shop.start(some_msisdn(ANSWERS_MIN + 5)).status == 201
            until(lambda: receipts_of(operator.route("well")))
            operator.api.patch("/v1/admin/carriers/faulty", {"state": "draining", "why": "it fails"})
            recovered, *_ = until(lambda: len(lines := lines_of_health(operator)) > 1 and lines)

    assert tripped["state"] in {"open", "half_open"}
    assert (demoted["who"], demoted["what"]) == ("health", "demoted")
    assert re.fullmatch(r"breaker open: \d+ of \d+ messages failed in 30 s", demoted["why"])
    assert '"factor":0.0' in demoted["after"]
    assert (recovered["what"], recovered["why"]) == ("recovered", "breaker closed: it is not used any more")


def lines_of_health(operator: Operator) -> list[dict[str, Any]]:
    changes = operator.api.get("/v1/admin/carriers/faulty/history").body["changes"]
    return [change for change in changes if change["who"] == "health" and "breaker" in change["why"]]

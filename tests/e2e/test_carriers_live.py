"""Carriers come, change and go while the program runs: over HTTP and by command line, without a restart."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.carrier_process import CarrierProcess
from tests.support.patience import until
from tests.support.serve_installation import Installation

CARRIERS = "/v1/admin/carriers"
PASSWORD = "sim"
TO = "+919876543210"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "dastak") as running:
        yield running


@pytest.fixture
def operator(installation: Installation) -> ApiClient:
    made = installation.command(
        "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
    )
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[list[int]]:
    with ExitStack() as stack:
        yield [stack.enter_context(CarrierProcess(tmp_path / name)) for name in ("one", "two")]


def body(name: str, port: int, **lane: Any) -> dict[str, Any]:
    settings = {"host": "127.0.0.1", "port": port, "system_id": "sim", "password": PASSWORD}
    return {"name": name, "settings": settings, "lane": lane}


def add(operator: ApiClient, name: str, port: int, **lane: Any) -> None:
    answer = operator.post(CARRIERS, body(name, port, **lane))
    assert answer.status == 201, answer
    until(lambda: operator.get(f"{CARRIERS}/{name}").body["available"])


def route_taken(api: ApiClient) -> str:
    started = api.start(TO)
    assert started.status == 201, started

    def look() -> list[str]:
        events = api.timeline(started.body["id"])
        return [event["route"] for event in events if event["type"] == "submitted"]

    return until(look)[0]


def test_carrier_added_while_the_program_runs_carries_the_next_text(
    installation: Installation, operator: ApiClient, ports: list[int]
) -> None:
    api = installation.live_client()
    until(lambda: api.start(TO).status == 403)

    add(operator, "north", ports[0])

    assert route_taken(api) == "north"


def test_carrier_of_the_settings_file_has_its_binds_and_its_weight(tmp_path: Path, ports: list[int]) -> None:
    installation = Installation(tmp_path / "dastak")
    key = installation.command("keys", "create", "--name", "op", "--mode", "live", "--scope", "operator")
    shop = installation.live_client()
    account = {"host": "127.0.0.1", "system_id": "sim", "password": PASSWORD}
    installation.add_carrier("north", port=ports[0], binds=2, bind_kind="pair", weight=0, **account)
    installation.add_carrier("south", port=ports[1], binds=3, weight=30, **account)

    with installation:
        operator = ApiClient(installation.url, key["key"])

        def up() -> Any:
            found = {one["name"]: one for one in operator.get(CARRIERS).body["carriers"]}
            states = [bind["state"] for one in found.values() for bind in one["binds"]]
            return found if states == ["bound"] * 7 else None

        found = until(up)
        routes = {route_taken(shop) for _ in range(3)}
        tried = operator.post(f"{CARRIERS}/north/test", {})
        findings = installation.command("doctor")["checks"]

    assert {name: one["lane"]["weight"] for name, one in found.items()} == {"north": 0, "south": 30}
    assert routes == {"south"}
    assert (tried.status, tried.body["linked"]) == (200, True)
    assert {one["check"]: one["status"] for one in findings}["carriers.bind"] == "ok"


def test_outage_stands_in_the_history_and_what_if_gives_that_carrier_no_text_of_then(
    installation: Installation, operator: ApiClient, ports: list[int], tmp_path: Path
) -> None:
    shop = installation.live_client()
    with CarrierProcess(tmp_path / "gone") as port:
        add(operator, "north", port)
    add(operator, "south", ports[0])

    def told() -> Any:
        changes = operator.get(f"{CARRIERS}/north/history").body["changes"]
        return [(change["what"], change["why"]) for change in changes if change["who"] == "link"]

    outage = until(told, within_s=30)
    took = route_taken(shop)
    asked = operator.post("/v1/admin/routes/what-if", {"lanes": {"north": {"weight": 1000}}})

    found = {one["route"]: one for one in asked.body["outlook"]["routes"]}
    assert [what for what, _ in outage] == ["down"]
    assert took == "south"
    assert {name: one["down"] for name, one in found.items()} == {"north": 1, "south": 0}
    assert {name: one["then"]["texts"] for name, one in found.items()} == {"north": 0.0, "south": 1.0}


def test_order_and_drain_decide_who_is_asked_and_why_is_kept(
    installation: Installation, operator: ApiClient, ports: list[int]
) -> None:
    api = installation.live_client()
    add(operator, "north", ports[0], priority=10)
    add(operator, "south", ports[1], priority=20)
    taken = [route_taken(api)]

    operator.patch(f"{CARRIERS}/north", {"state": "draining", "why": "late receipts"})
    taken.append(route_taken(api))
    operator.patch(f"{CARRIERS}/north", {"state": "active", "why": "they are back"})
    taken.append(route_taken(api))

    history = operator.get(f"{CARRIERS}/north/history").body["changes"]
    assert taken == ["north", "south", "north"]
    assert [change["why"] for change in history] == ["they are back", "late receipts", "added"]
    assert operator.get(f"{CARRIERS}/north").body["reason"] == "they are back"


def test_command_line_reaches_the_running_program(
    installation: Installation, operator: ApiClient, ports: list[int]
) -> None:
    secret = installation.directory / "password"
    secret.write_text(PASSWORD)
    api = installation.live_client()

    installation.command(
        *("carrier", "add", "north", "--host", "127.0.0.1", "--port", str(ports[0])),
        *("--system-id", "sim", "--secret-file", f"password={secret}"),
    )
    until(lambda: operator.get(f"{CARRIERS}/north").status == 200)
    until(lambda: operator.get(f"{CARRIERS}/north").body["available"])
    assert route_taken(api) == "north"

    installation.command("carrier", "off", "north", "--why", "contract ended")

    shown = until(lambda: (view := operator.get(f"{CARRIERS}/north").body)["link"] == "it is off" and view)
    assert (shown["available"], shown["reason"]) == (False, "contract ended")


def test_wrong_password_is_told_and_mended_without_a_restart(operator: ApiClient, ports: list[int]) -> None:
    wanted = body("north", ports[0])
    wanted["settings"]["password"] = "wrong"
    operator.post(CARRIERS, wanted)
    until(lambda: "ESME_RINVPASWD" in operator.get(f"{CARRIERS}/north").body["link"])

    operator.patch(f"{CARRIERS}/north", {"settings": {"password": PASSWORD}, "why": "typing error"})

    until(lambda: operator.get(f"{CARRIERS}/north").body["available"])


def test_no_secret_is_shown_or_written(installation: Installation, operator: ApiClient) -> None:
    secret = "Zx9!secret"[:8]
    wanted = body("north", free_port())
    wanted["settings"]["password"] = secret
    operator.post(CARRIERS, wanted)
    operator.patch(f"{CARRIERS}/north", {"lane": {"weight": 5}, "why": "less"})

    shown = [
        repr(operator.get(path).body) for path in (CARRIERS, f"{CARRIERS}/north", f"{CARRIERS}/north/history")
    ]
    files = b"".join(path.read_bytes() for path in installation.directory.glob("dastak.db*"))

    assert not any(secret in text for text in (*shown, installation.program.log()))
    assert secret.encode() not in files


def test_carrier_is_refused_in_words(operator: ApiClient) -> None:
    unknown = operator.post(CARRIERS, {**body("north", 1), "settings": {"hots": "x"}})
    reserved = operator.post(CARRIERS, body("sim_1", 1))
    no_reason = operator.patch(f"{CARRIERS}/north", {"state": "off"})
    nobody = operator.get(f"{CARRIERS}/north")

    assert (unknown.status, unknown.body["code"]) == (422, "invalid_request")
    assert "`host`" in unknown.body["detail"]
    assert (reserved.status, no_reason.status, nobody.status) == (422, 422, 404)


def test_only_an_operator_sees_carriers(installation: Installation) -> None:
    admin = installation.command("keys", "create", "--name", "boss", "--mode", "live", "--scope", "admin")
    client = ApiClient(installation.url, admin["key"])
    until(lambda: client.get(CARRIERS).status == 403)

    assert client.post(CARRIERS, body("north", 1)).status == 403


def test_same_idempotency_key_adds_one_carrier(operator: ApiClient) -> None:
    answers = [operator.post(CARRIERS, body("north", 1), idempotency_key="one") for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert len(operator.get(CARRIERS).body["carriers"]) == 1

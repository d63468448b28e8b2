"""HAProxy as shipped, really run in front of a real Dastak: what stalls ends there, what works passes."""

import http.client
import json
import os
import pwd
import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.processes import free_port
from dastak.api.door import DoorSettings
from dastak.commands.explain_error import error_titles
from dastak.guard.shedding import RETRY_S_MAX, WINDOW_FIRST
from tests.support.authority import Authority
from tests.support.dastak_process import DastakProcess
from tests.support.deployed import DEPLOY, run
from tests.support.front_proxy import ANSWER_S_MAX, CONFIGURATION, NOBODY, Proxy, addresses
from tests.support.held_node import HeldNode
from tests.support.needed import missing, program
from tests.support.patience import until

WAY_TO_DATABASE = DEPLOY / "patroni" / "haproxy.cfg"


@pytest.fixture(scope="module")
def proxy(dastak: DastakProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    log = tmp_path_factory.mktemp("haproxy") / "log"
    with Proxy(urlsplit(dastak.url).netloc, log) as front:
        front.until_down("node2")
        yield front


def start(proxy: Proxy, dastak: DastakProcess, number: str, **headers: str) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {dastak.api_key}", "Content-Type": "application/json", **headers}
    with closing(proxy.connection()) as connection:
        connection.request("POST", "/v1/verifications", json.dumps({"to": number}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_haproxy_takes_the_file_without_a_warning() -> None:
    done = run(
        program("haproxy"), "-c", "-f", CONFIGURATION,
        env={**os.environ, **addresses("127.0.0.1:9", NOBODY)},
    )  # fmt: skip

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "Configuration file is valid", "")


@pytest.mark.parametrize("file", [CONFIGURATION, WAY_TO_DATABASE], ids=["front", "database"])
def test_service_of_the_system_is_root_only_until_it_listens(file: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("only root can become another user")
    text = file.read_text().replace("bind 127.0.0.1:5432", 'bind "${DASTAK_BIND}"')
    own = tmp_path / "haproxy.cfg"
    own.write_text(text)
    with Proxy(NOBODY, tmp_path / "log", configuration=own, NOTIFY_SOCKET=str(tmp_path / "notify")) as front:
        process = Path("/proc") / str(front.pid)
        status = (process / "status").read_text()
        root = (process / "root").readlink()

    haproxy = pwd.getpwnam("haproxy")
    for name, wanted in (("Uid", haproxy.pw_uid), ("Gid", haproxy.pw_gid)):
        assert re.search(rf"^{name}:(\t{wanted}){{4}}$", status, re.MULTILINE), status
    assert root == Path("/var/lib/haproxy")


def test_with_the_lines_for_a_certificate_people_come_by_https_alone(node: HeldNode, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("otp")
    (tmp_path / "otp.pem").write_text(authority.text("otp.pem") + authority.text("otp.key"))
    port = free_port()
    text = re.sub(r"^    #   (bind|http-re)", r"    \1", CONFIGURATION.read_text(), flags=re.MULTILINE)
    text = text.replace(":443 ", f"127.0.0.1:{port} ").replace("/etc/haproxy/otp.pem", f"{tmp_path}/otp.pem")
    (tmp_path / "haproxy.cfg").write_text(text)
    trusted = ssl.create_default_context(cafile=authority.path("ca.pem"))
    node.let_go()
    with Proxy(node.address, tmp_path / "log", configuration=tmp_path / "haproxy.cfg") as front:
        front.until_down("node2")
        status, headers, _ = front.raw(b"GET /v1/account?a=b HTTP/1.1\r\nHost: otp.example.in\r\n\r\n")
        with closing(http.client.HTTPSConnection("127.0.0.1", port, context=trusted)) as safe:
            safe.request("GET", "/v1/account")
            answer = safe.getresponse()
            answer.read()

    assert (status, headers["location"]) == (308, "https://otp.example.in/v1/account?a=b")
    assert (answer.status, answer.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")


def test_verification_starts_and_a_page_is_shown_through_it(proxy: Proxy, dastak: DastakProcess) -> None:
    status, started = start(proxy, dastak, "+919811000001")
    with closing(proxy.connection()) as connection:
        connection.request("GET", "/healthz")
        alive = connection.getresponse().read()

    assert (status, started["state"], alive) == (201, "pending", b"alive\n")


@pytest.mark.parametrize(
    "octets",
    [b"", b"POST /v1/verifications HTTP/1.1\r\nHost: a\r\nContent-Ty"],
    ids=["says-nothing", "half-a-head"],
)
def test_sender_that_stalls_before_its_body_is_told_408(proxy: Proxy, octets: bytes) -> None:
    status, _, _ = proxy.raw(octets)

    assert status == 408


@pytest.mark.parametrize("body", [b"", b'{"to": '], ids=["no-body", "half-a-body"])
def test_sender_that_stalls_in_its_body_is_told_408_in_our_words(proxy: Proxy, body: bytes) -> None:
    status, _, told = proxy.raw(
        b"POST /v1/verifications HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" + body
    )

    assert (status, json.loads(told)["code"]) == (408, "request_timeout")


def test_large_body_to_the_api_is_told_413_before_it_is_sent(proxy: Proxy) -> None:
    head = b"POST /v1/verifications HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"

    status, _, told = proxy.raw(head + b"x" * 40_000)

    assert (status, json.loads(told)["code"]) == (413, "body_too_large")


def test_many_at_once_are_all_answered(proxy: Proxy, dastak: DastakProcess) -> None:
    """To the node they all come from one address: neither the door nor the proxy takes that for an attack."""
    numbers = [f"+9198220{number:05}" for number in range(200)]

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda number: start(proxy, dastak, number), numbers))

    # The limits of a key, and what is too much for a machine that others use too, are no fault of the way.
    codes = {told.get("code", "") for status, told in answers if status != 201}
    assert codes <= {"rate_limited", "too_busy"}
    assert 201 in {status for status, _ in answers}


@pytest.fixture
def node() -> Iterator[HeldNode]:
    with HeldNode() as held:
        yield held


def ask(
    proxy: Proxy, key: str, path: str = "/v1/verifications", method: str = "POST"
) -> tuple[int, int, Any]:
    """Ask under a name that tells what is asked by whom; return status, `Retry-After` and body."""
    headers = {"Authorization": f"Bearer {key}", "Held-As": f"{key} {method} {path.rsplit('/', 1)[1]}"}
    with closing(proxy.connection()) as connection:
        connection.request(method, path, None if method == "GET" else "{}", headers)
        answer = connection.getresponse()
        told = answer.read()
        return answer.status, int(answer.headers["Retry-After"] or 0), json.loads(told) if told else None


def test_who_finds_no_place_is_told_at_once_when_to_come_again(node: HeldNode, tmp_path: Path) -> None:
    with Proxy(node.address, tmp_path / "log") as proxy, ThreadPoolExecutor(WINDOW_FIRST) as pool:
        proxy.until_down("node2")
        for _ in range(WINDOW_FIRST):
            pool.submit(ask, proxy, "shop")
        until(lambda: len(node.came) == WINDOW_FIRST, within_s=ANSWER_S_MAX)
        refusals = [ask(proxy, "shop") for _ in range(20)]
        counted = proxy.figure("haproxy_backend_connection_errors_total")
        node.let_go(WINDOW_FIRST)

    assert {(status, told["code"]) for status, _, told in refusals} == {(503, "too_busy")}
    assert all(1 <= again_s == told["retry_after_s"] <= RETRY_S_MAX for _, again_s, told in refusals)
    assert len({again_s for _, again_s, _ in refusals}) > 1
    assert (len(node.came), counted) == (WINDOW_FIRST, 20)


def test_check_finds_a_place_then_goes_who_asks_least_and_a_look_last(node: HeldNode, tmp_path: Path) -> None:
    patient = tmp_path / "patient.cfg"
    patient.write_text(CONFIGURATION.read_text().replace("timeout queue 30ms", "timeout queue 30s"))
    waiting = (
        ("stranger", "/v1/verifications", "POST"),
        ("small", "/v1/verifications", "GET"),
        ("large", "/v1/verifications", "POST"),
        ("small", "/v1/verifications", "POST"),
    )
    with (
        Proxy(node.address, tmp_path / "log", configuration=patient) as proxy,
        ThreadPoolExecutor(WINDOW_FIRST + len(waiting) + 1) as pool,
    ):
        proxy.until_down("node2")
        node.let_go(2)
        for key in ("large", "small"):
            ask(proxy, key)
        for _ in range(WINDOW_FIRST):
            pool.submit(ask, proxy, "large")
        until(lambda: len(node.came) == 2 + WINDOW_FIRST, within_s=ANSWER_S_MAX)
        for n, (key, path, method) in enumerate(waiting, 1):
            pool.submit(ask, proxy, key, path, method)
            until(lambda n=n: proxy.figure("haproxy_backend_current_queue") == n, within_s=ANSWER_S_MAX)
        pool.submit(ask, proxy, "large", "/v1/verifications/ver_1/check")
        for n in range(1 + len(waiting)):
            until(lambda n=n: len(node.came) == 2 + WINDOW_FIRST + n + 1, within_s=ANSWER_S_MAX)
            node.let_go()
        node.let_go(WINDOW_FIRST)

    assert node.came[2 + WINDOW_FIRST :] == [
        "large POST check",
        "small POST verifications",
        "large POST verifications",
        "stranger POST verifications",
        "small GET verifications",
    ]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/hooks/carriers/call/s3cr3t/calls/node1.t0ken/0", "node1"),
        ("/hooks/carriers/call/s3cr3t/calls/node2.t0ken/status", "node2"),
        ("/hooks/carriers/call/s3cr3t/text?CallSid=1&CustomField=node1.t0ken", "node1"),
        ("/hooks/carriers/call/s3cr3t/text?CallSid=1&CustomField=node2.t0ken", "node2"),
    ],
)
def test_what_is_fetched_of_a_call_goes_to_the_node_that_made_it(
    node: HeldNode, tmp_path: Path, path: str, asked: str
) -> None:
    with HeldNode() as other, Proxy(node.address, tmp_path / "log", other=other.address) as proxy:
        nodes = {"node1": node, "node2": other}
        proxy.until_serving(2)
        for held in nodes.values():
            held.let_go(6)
        for _ in range(6):
            with closing(proxy.connection()) as connection:
                connection.request("POST", path, "", {"Held-As": "carrier"})
                connection.getresponse().read()

    assert {name: len(held.came) for name, held in nodes.items()} == {"node1": 0, "node2": 0, asked: 6}


def test_what_is_told_of_a_call_of_a_node_that_is_gone_goes_to_another(
    node: HeldNode, tmp_path: Path
) -> None:
    node.let_go()
    with Proxy(node.address, tmp_path / "log") as proxy:
        proxy.until_down("node2")
        with closing(proxy.connection()) as connection:
            path = "/hooks/carriers/call/s3cr3t/calls/node2.t0ken/status"
            connection.request("POST", path, "", {"Held-As": "carrier"})
            status = connection.getresponse().status

    assert (status, node.came) == (200, ["carrier"])


@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/verifications/ver_1/check"])
def test_who_asked_a_node_that_ends_is_told_to_ask_the_same_again(
    node: HeldNode, tmp_path: Path, path: str
) -> None:
    node.hangs_up = True
    node.let_go()
    with Proxy(node.address, tmp_path / "log") as proxy:
        proxy.until_down("node2")
        status, again_s, told = ask(proxy, "shop", path)

    assert (status, again_s, told["status"], told["code"]) == (502, 1, 502, "overloaded")
    assert "Idempotency-Key" in told["detail"]
    # It was not sent a second time.
    assert len(node.came) == 1


def test_no_node_is_told_503_with_a_time_to_come_again(tmp_path: Path) -> None:
    with Proxy("127.0.0.1:2", tmp_path / "log") as alone:
        alone.until_down("node1")
        alone.until_down("node2")
        status, headers, told = alone.raw(b"GET /v1/verifications HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (status, headers["retry-after"], json.loads(told)["code"]) == (503, "2", "overloaded")


def test_proxy_says_what_dastak_would_say() -> None:
    text = CONFIGURATION.read_text()
    said = [line.split("'")[1] for line in text.splitlines() if "http-error" in line]
    problems = [json.loads(one.replace("%[var(txn.again)]", "1")) for one in said]

    assert len(problems) == 6
    for problem in problems:
        assert problem["code"] in error_titles()
        assert problem["type"] == f"urn:dastak:problem:{problem['code']}"


def test_proxy_opens_fewer_connections_than_the_door_allows_one_address() -> None:
    text = CONFIGURATION.read_text()
    most = [int(most) for most in re.findall(r"default-server maxconn (\d+)", text)]

    assert sum(most) < DoorSettings().connections_per_address_max
    # A node that has just started lets so many in, and refuses nobody whom the proxy sends.
    assert most[0] == WINDOW_FIRST
    assert f"req.body_size gt {DoorSettings().body_octets_max}" in text

"""HAProxy as shipped, really run in front of a real Dastak: what stalls ends there, what works passes."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dastak.api.door import DoorSettings
from dastak.commands.explain_error import error_titles
from tests.support.dastak_process import DastakProcess
from tests.support.deployed import run
from tests.support.front_proxy import ANSWER_S_MAX, CONFIGURATION, NOBODY, Proxy, addresses
from tests.support.needed import program
from tests.support.patience import until


@pytest.fixture(scope="module")
def proxy(dastak: DastakProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    log = tmp_path_factory.mktemp("haproxy") / "log"
    with Proxy(urlsplit(dastak.url).netloc, log) as front:
        # The node that is not there is found out by the check of /healthz, and nothing goes to it any more.
        until(lambda: "Server dastak/node2 is DOWN" in log.read_text(), within_s=ANSWER_S_MAX)
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


def test_no_node_is_told_503_with_a_time_to_come_again(tmp_path: Path) -> None:
    with Proxy("127.0.0.1:2", tmp_path / "log") as alone:
        status, headers, told = alone.raw(b"GET /v1/verifications HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (status, headers["retry-after"], json.loads(told)["code"]) == (503, "2", "overloaded")


def test_proxy_says_what_dastak_would_say() -> None:
    text = CONFIGURATION.read_text()
    problems = [json.loads(line.split("'")[1]) for line in text.splitlines() if "http-error" in line]

    assert len(problems) == 3
    for problem in problems:
        assert problem["code"] in error_titles()
        assert problem["type"] == f"urn:dastak:problem:{problem['code']}"


def test_proxy_opens_fewer_connections_than_the_door_allows_one_address() -> None:
    text = CONFIGURATION.read_text()
    [server] = [line for line in text.splitlines() if "default-server" in line]

    assert int(server.split("maxconn ")[1].split()[0]) < DoorSettings().connections_per_address_max
    assert f"req.body_size gt {DoorSettings().body_octets_max}" in text

"""What a stranger without a key finds: none of our pages, and a carrier that bears anything."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.serve_installation import Installation

BIND_TIMEOUT_S = 5.0
BIND_TRANSCEIVER = 0x09
COMMANDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0B, 0x15, 0x0102, 0x0103, 0x80000000, 0x80000004, 0x80000009, 0xDEAD)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("surface") / "dastak") as installation:
        yield installation


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/sim/phones",
            "/sim/phones.json",
            "/sim/faults",
            "/sim/links",
            "/sim/events",
            "/sim/pages/phone.js",
        ),
        *("/sim/phones/919876543210/messages", "/sim/phones/919876543210/messages/next", "/explorer"),
        *("/openapi.json", "/metrics", "/docs", "/redoc", "/debug", "/debug/pprof", "/admin"),
        *("/.env", "/.git/config", "/server-status", "/actuator", "/", "/v1", "/v1/"),
    ],
)
def test_nothing_but_the_api_is_on_the_public_port(public: Installation, path: str) -> None:
    stranger = ApiClient(public.url, None)

    for answer in (stranger.get(path), stranger.put(path, {}), stranger.post(path, {})):
        assert (answer.status, answer.body["code"]) == (404, "no_such_path")


def test_health_tells_strangers_no_details(public: Installation) -> None:
    stranger = ApiClient(public.url, None)

    assert stranger.get("/readyz").body == {"ready": True}
    assert stranger.get("/healthz").body == b"alive\n"


@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/admin/tenants", "/v1/admin/tenants/default/keys"])
def test_no_endpoint_answers_without_a_key(public: Installation, path: str) -> None:
    stranger = ApiClient(public.url, None)

    assert [stranger.get(path).status, stranger.post(path, {}).status] == [401, 401]


def test_answer_tells_neither_program_nor_version(public: Installation) -> None:
    for path in ("/", "/healthz", "/v1/verifications"):
        assert "server" not in ApiClient(public.url, None).get(path).headers


@pytest.fixture(scope="module")
def smpp_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, smpp_port: int) -> Iterator[DastakProcess]:
    settings = {"DASTAK__SIMULATOR__SMPP_LISTEN": f"127.0.0.1:{smpp_port}", "DASTAK__LOG__LEVEL": "info"}
    with DastakProcess(tmp_path_factory.mktemp("smpp") / "data", environment=settings) as process:
        yield process


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_header_of_a_stranger_is_no_client_address(process: DastakProcess, version: str) -> None:
    before = process.log_file.stat().st_size
    forged = "".join(f"{name}: 203.0.113.9\r\n" for name in ("x-forwarded-for", "x-real-ip", "forwarded"))
    place = urlsplit(process.url)

    with socket.create_connection((place.hostname, place.port), 10) as line:
        line.sendall(
            f"POST /v1/admin/tenants/default/services HTTP/{version}\r\nhost: x\r\nconnection: close\r\n"
            f"authorization: Bearer {process.api_key}\r\n{forged}content-length: 12\r\n\r\n"
            '{"name":"-"}'.encode()
        )
        while line.recv(4096):
            pass

    audited = process.log_file.read_text()[before:]
    assert '"peer": "127.0.0.1"' in audited
    assert "203.0.113.9" not in audited


def pdu(octets: int, command: int, body: bytes = b"", *, status: int = 0, sequence: int = 1) -> bytes:
    return struct.pack(">IIII", octets, command, status, sequence) + body


def end_of(smpp_port: int, octets: bytes) -> float:
    """Send octets and return after how many seconds the carrier hung up."""
    began_at = time.monotonic()
    with (
        socket.create_connection(("127.0.0.1", smpp_port), 2 * BIND_TIMEOUT_S) as line,
        suppress(ConnectionError),
    ):
        line.sendall(octets)
        while line.recv(4096):
            pass
    return time.monotonic() - began_at


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize("octets", [0, 15, 65_537, 2**31, 2**32 - 1])
def test_impossible_length_ends_the_connection_at_once(smpp_port: int, octets: int) -> None:
    assert end_of(smpp_port, pdu(octets, BIND_TRANSCEIVER, b"x" * 100)) < 1


@pytest.mark.usefixtures("process")
def test_who_does_not_bind_is_cut_off(smpp_port: int) -> None:
    silent = (b"", b"\0\0\0", pdu(40, BIND_TRANSCEIVER, b"abc"), pdu(16, 0x04), pdu(16, 0xDEAD))
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(("127.0.0.1", smpp_port), 10)) for _ in silent]
        began_at = time.monotonic()
        for line, octets in zip(lines, silent, strict=True):
            line.sendall(octets)
        for line in lines:
            while line.recv(4096):
                pass

    assert time.monotonic() - began_at < BIND_TIMEOUT_S + 1


def test_hundred_thousand_random_pdus_leave_it_serving(process: DastakProcess, smpp_port: int) -> None:
    chance = random.Random(7)
    for _ in range(500):
        with socket.create_connection(("127.0.0.1", smpp_port), 10) as line, suppress(ConnectionError):
            line.sendall(b"".join(random_pdu(chance) for _ in range(200)))

    api = ApiClient(process.url, process.api_key)
    verification = api.start("+917080000001").body["id"]
    code = api.next_text("+917080000001")["code"]
    assert api.check(verification, code).body["approved"] is True
    assert '"error"' not in process.log()


def random_pdu(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.choice((0, 1, 5, 20, 60)))
    octets = 16 + len(body) if chance.random() < 0.95 else chance.getrandbits(chance.choice((4, 8, 16, 32)))
    return pdu(octets, chance.choice(COMMANDS), body, sequence=chance.getrandbits(32))

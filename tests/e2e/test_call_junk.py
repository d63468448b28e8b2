"""Scanners at the SIP port of the running program: nothing is answered, everything is counted."""

import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import free_port
from dastak.voice.sip.sip_message import parse
from tests.support import sip_samples
from tests.support.calling_house import CallingHouse, calling_house
from tests.support.patience import until

ROUNDS = 50
METHODS = ("OPTIONS", "INVITE", "REGISTER", "BYE")
COUNTED = re.compile(r'^dastak_sip_junk_total\{reason="(\w+)",route="trunk"\} ([0-9.]+)$', re.MULTILINE)


@pytest.fixture
def ops() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def house(tmp_path: Path, ops: str) -> Iterator[CallingHouse]:
    with calling_house(tmp_path, DASTAK__SERVER__OPS_LISTEN=ops) as running:
        yield running


def bound(host: str) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((host, 0))
    one.settimeout(10)
    return one


def junk(ops: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{ops}/metrics") as answer:
        return {why: float(count) for why, count in COUNTED.findall(answer.read().decode())}


def test_scanners_are_counted_by_reason_and_hear_nothing(house: CallingHouse, ops: str) -> None:
    with bound("127.0.0.1") as trunk, bound("127.0.0.66") as scanner:
        house.add(trunk.getsockname()[1], probe_s=3600)
        options, ours = trunk.recvfrom(4096)
        trunk.sendto(sip_samples.reply(parse(options), 200), ours)
        house.until_available()

        for _ in range(ROUNDS):
            for method in METHODS:
                scanner.sendto(sip_samples.friendly_scanner(method), ours)
            scanner.sendto(os.urandom(200), ours)
        trunk.sendto(sip_samples.BUSY, ours)
        trunk.sendto(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ours)
        wanted = {"stranger": ROUNDS * len(METHODS), "unreadable": ROUNDS + 1, "stray": 1}
        until(lambda: junk(ops) == wanted)
        # Who belongs there is served meanwhile, and the scanner has heard nothing by then.
        trunk.sendto(sip_samples.friendly_scanner("OPTIONS"), ours)
        answer = parse(trunk.recv(4096))
        scanner.setblocking(False)
        with pytest.raises(BlockingIOError):
            scanner.recv(4096)

    assert (answer.status, answer.method) == (200, "OPTIONS")
    assert house.carrier()["available"] is True

"""SIGTERM under load: who asked before is answered, carriers are told, what is queued goes on later."""

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support import silent_numbers
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.npm_peer import NpmSmsc, npm_smsc
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.serve_installation import Installation

CALLERS = 4
PASSWORD = "s3cret-9"


class Caller(threading.Thread):
    """A customer's program that starts verifications until nobody answers.

    Attributes:
        started: The verification of each number that was answered 201.
        refused: Other answers.
        failed_at: When the request was sent that got no answer; infinite if it was never sent whole.
    """

    def __init__(self, process: DastakProcess, numbers: Iterator[int], *, kept: bool) -> None:
        super().__init__()
        self.started: dict[str, str] = {}
        self.refused: list[int] = []
        self.failed_at = 0.0
        self._api = ApiClient(process.url, process.api_key, kept=kept)
        self._numbers = numbers

    def run(self) -> None:
        with self._api:
            try:
                for n in self._numbers:
                    self._start(f"+91{n}")
            except (OSError, http.client.HTTPException):
                self.failed_at = self._api.sent_at

    def _start(self, number: str) -> None:
        answer = self._api.start(number)
        if answer.status == 201:
            self.started[number] = answer.body["id"]
        else:
            self.refused.append(answer.status)


def test_requests_before_sigterm_are_answered_and_queued_messages_go_on(tmp_path: Path) -> None:
    process = DastakProcess(tmp_path / "data", environment=PLENTY, port=free_port())
    process.start()
    try:
        assert ApiClient(process.url, None).put("/sim/faults", silent_numbers.FAULTS).status == 200
        numbers = iter(count(7_060_000_000))
        callers = [Caller(process, numbers, kept=bool(n % 2)) for n in range(CALLERS)]
        for caller in callers:
            caller.start()
        until(lambda: sum(len(caller.started) for caller in callers) > 200, within_s=30)
        asked_at = time.monotonic()
        process.stop()
        stopped_s = time.monotonic() - asked_at
        for caller in callers:
            caller.join()
        process.start()
        api = ApiClient(process.url, process.api_key)
        started = {number: id_ for caller in callers for number, id_ in caller.started.items()}
        states = {api.get(f"/v1/verifications/{id_}").body["state"] for id_ in started.values()}
        silent = {number: id_ for number, id_ in started.items() if number.endswith(silent_numbers.ENDS)}
        # On a busy machine the first ones had waited for long when the program stopped.
        queued = [number for number, id_ in silent.items() if not silent_numbers.is_followed(api, id_)]
        texts = [api.next_text(number, timeout_s=30) for number in queued]
    finally:
        process.kill()

    assert stopped_s < 5
    assert [caller.refused for caller in callers] == [[]] * CALLERS
    assert min(caller.failed_at for caller in callers) > asked_at
    assert states == {"pending"}
    assert len(texts) == len(queued) > 10


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "dastak")


async def texts_to(peer: NpmSmsc, numbers: set[str]) -> dict[str, str]:
    """Wait for a text to each of these numbers."""
    found: dict[str, str] = {}
    while set(found) != numbers:
        said = await peer.said()
        if said["command"] == "submit_sm":
            found["+" + said["destination_addr"]] = said["short_message"]
    return found


async def test_carrier_is_unbound_and_what_it_did_not_take_goes_out_after_the_next_start(
    installation: Installation,
) -> None:
    numbers = {f"+9170610000{n:02}" for n in range(5)}
    # The peer takes every text and says nothing.
    async with npm_smsc(password=PASSWORD, behaviour="03") as peer:
        installation.add_carrier(
            "acme", host="127.0.0.1", port=peer.port, system_id="sim_1", password=PASSWORD
        )
        api = installation.live_client()
        with installation:
            for number in numbers:
                assert api.start(number).status == 201
            before = await texts_to(peer, numbers)
        said = [await peer.said()]
        while said[-1]["command"] != "unbind":
            said.append(await peer.said())
        with installation:
            after = await texts_to(peer, numbers)

    assert after == before


async def test_stop_waits_for_no_carrier_that_has_fallen_silent(installation: Installation) -> None:
    async with npm_smsc(password=PASSWORD, behaviour="03") as peer:
        for name in ("acme", "other"):
            installation.add_carrier(
                name,
                host="127.0.0.1",
                port=peer.port,
                system_id="sim_1",
                password=PASSWORD,
                response_timeout_s=30,
                enquire_link_s=60,
            )
        api = installation.live_client()
        installation.start()
        until(lambda: installation.program.log().count("is bound") == 2)
        assert api.start("+917062000000").status == 201
        await peer.said()
        peer.send_signal(signal.SIGSTOP)

        try:
            # It fails after five seconds.
            installation.program.stop()
        finally:
            peer.send_signal(signal.SIGCONT)

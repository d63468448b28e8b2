"""Kill the program at any moment under load: what it answered is so, and nothing happens twice."""

import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.processes import free_port
from tests.support import silent_numbers
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.npm_peer import npm_smsc
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.serve_installation import Installation

KILLS = 3
CALLERS = 4


@dataclass
class Ledger:
    """What was answered, and what was asked and may have been done.

    Attributes:
        started: The verification of each number.
        missed: Wrong codes that were answered, by verification.
        codes: The codes that were read from phones, by verification.
        approved: How often each verification was answered with approved.
    """

    started: dict[str, str] = field(default_factory=dict)
    missed: Counter[str] = field(default_factory=Counter)
    codes: dict[str, str] = field(default_factory=dict)
    approved: Counter[str] = field(default_factory=Counter)
    answers: int = 0

    def check(self, api: ApiClient, verification: str, code: str) -> int:
        """Check a code, and write down what was answered."""
        answer = api.check(verification, code)
        self.answers += 1
        if answer.status == 200 and answer.body["approved"]:
            self.approved[verification] += 1
        elif answer.status == 200:
            self.missed[verification] += 1
        return answer.status


def start(api: ApiClient, number: str) -> tuple[str, bool]:
    """Start with the number as Idempotency-Key; return the verification, and whether it is a replay."""
    answer = api.post("/v1/verifications", {"to": number}, idempotency_key=number)
    assert answer.status == 201, answer
    return answer.body["id"], "idempotency-replayed" in answer.headers


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def ask_until_it_dies(process: DastakProcess, ledger: Ledger, numbers: Iterator[int]) -> None:
    """Do what customers do, until nobody answers."""
    with ApiClient(process.url, process.api_key, kept=True) as api:
        try:
            for n in numbers:
                ask(api, ledger, f"+91{n}")
        except (OSError, http.client.HTTPException):
            return


def ask(api: ApiClient, ledger: Ledger, number: str) -> None:
    verification, _ = start(api, number)
    ledger.started[number] = verification
    ledger.answers += 1
    if number.endswith(silent_numbers.ENDS):
        return
    ledger.codes[verification] = code = api.next_text(number)["code"]
    for _ in range(int(number) // 10 % 3):
        ledger.check(api, verification, wrong(code))
    ledger.check(api, verification, code)


@contextmanager
def under_load(process: DastakProcess, ledger: Ledger, numbers: Iterator[int]) -> Iterator[None]:
    callers = [
        threading.Thread(target=ask_until_it_dies, args=(process, ledger, numbers)) for _ in range(CALLERS)
    ]
    for caller in callers:
        caller.start()
    yield
    for caller in callers:
        caller.join()


def settle(process: DastakProcess, ledger: Ledger) -> int:
    """Finish everything that was answered before the kill; return how many texts came after it."""
    late = count()

    def finish(number: str, verification: str) -> None:
        api = ApiClient(process.url, process.api_key)
        assert start(api, number) == (verification, True)
        shown = api.get(f"/v1/verifications/{verification}").body
        if ledger.approved[verification]:
            assert shown["state"] == "approved"
        elif shown["state"] == "pending":
            # The wrong code that was on its way may have been counted, though nobody was told.
            assert 0 <= 5 - ledger.missed[verification] - shown["attempts_remaining"] <= 1
        if number.endswith(silent_numbers.ENDS) and not silent_numbers.is_followed(api, verification):
            ledger.codes[verification] = api.next_text(number)["code"]
            next(late)
        if verification in ledger.codes:
            first, again = (ledger.check(api, verification, ledger.codes[verification]) for _ in range(2))
            assert (first, again) in ((200, 409), (409, 409))
            assert api.get(f"/v1/verifications/{verification}").body["state"] == "approved"

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(finish, *zip(*ledger.started.items(), strict=True)))
    return next(late)


def test_answered_starts_go_on_and_nothing_is_approved_twice_over_kills(tmp_path: Path) -> None:
    chance = random.Random()
    numbers = iter(count(7_010_000_000))
    process = DastakProcess(tmp_path / "data", environment=PLENTY, port=free_port())
    process.start()
    approved: Counter[str] = Counter()
    try:
        for _ in range(KILLS):
            assert ApiClient(process.url, None).put("/sim/faults", silent_numbers.FAULTS).status == 200
            ledger, enough = Ledger(), chance.randrange(50, 500)
            with under_load(process, ledger, numbers):
                until(lambda ledger=ledger, enough=enough: ledger.answers >= enough, within_s=30)
                process.kill()
            process.start()
            assert settle(process, ledger) > 0
            approved += ledger.approved
    finally:
        process.kill()

    assert set(approved.values()) == {1}
    assert len(approved) > KILLS * 10


async def test_message_without_answer_is_sent_again_with_the_same_code_after_a_kill(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "dastak")
    # The peer takes every message and says nothing, so that all of them are still queued.
    async with npm_smsc(password="s3cret-9", behaviour="03") as peer:
        installation.add_carrier(
            "acme", host="127.0.0.1", port=peer.port, system_id="sim_1", password="s3cret-9"
        )
        api = installation.live_client()
        with installation:
            ids = {number: start(api, number)[0] for number in (f"+9170200000{n:02}" for n in range(5))}
            before = await texts(peer, set(ids))
            installation.program.kill()
            installation.start()
            after = await texts(peer, set(ids))
            checks = [api.check(ids[number], before[number].split()[0]) for number in ids]

    assert after == before
    assert len(set(before.values())) == len(ids)
    assert all(check.body["approved"] for check in checks)


async def texts(peer, wanted: set[str]) -> dict[str, str]:
    """Wait for a text to each of these numbers."""
    found: dict[str, str] = {}
    while set(found) != wanted:
        said = await peer.said()
        if said["command"] == "submit_sm":
            found["+" + said["destination_addr"]] = said["short_message"]
    return found

"""The program with two simulated carriers, the first of which does not answer, or answers late."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from dastak.simulator.faults import Fault
from dastak.simulator.smsc import Account
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.smpp_pair import Ends, smsc

TO = "+919876543210"
ACCOUNT = Account(system_id="sim_1", password="s3cret-9")
THINKS_S = 2.0
# What a person should wait for at most when the first carrier says nothing.
TO_PHONE_S_MAX = 3.0


class Seen:
    """What reached the phone by each carrier, and the program between."""

    def __init__(self, api: ApiClient, north: Ends, south: Ends) -> None:
        self.api, self.north, self.south = api, north, south

    def start(self) -> str:
        started = self.api.start(TO)
        assert started.status == 201, started
        return str(started.body["id"])

    def told(self, verification: str, kind: str, count: int) -> list[dict[str, Any]]:
        """Wait until the timeline tells so often of something, and return all of it."""

        def look() -> list[dict[str, Any]] | None:
            events = self.api.timeline(verification)
            return events if sum(event["type"] == kind for event in events) >= count else None

        return until(look)


async def play(directory: Path, fault: Fault, scene: Callable[[Seen], None]) -> None:
    """Play a scene with a faulty carrier first and a sound one second."""
    north, south = Ends(), Ends()
    installation = Installation(directory / "dastak")
    async with AsyncExitStack() as carriers:
        for priority, name, ends, faults in ((1, "north", north, (fault,)), (2, "south", south, ())):
            carrier = await carriers.enter_async_context(smsc(ends, *faults, accounts=[ACCOUNT]))
            installation.add_carrier(
                name,
                host="127.0.0.1",
                port=carrier.port,
                system_id="sim_1",
                password=ACCOUNT.password,
                priority=priority,
            )
        # The carriers live in the loop of this thread.
        await asyncio.to_thread(_run, installation, lambda api: scene(Seen(api, north, south)))


def _run(installation: Installation, scene: Callable[[ApiClient], None]) -> None:
    api = installation.live_client()
    with installation:
        until(lambda: installation.program.log().count("bind 1 is bound") >= 2)
        scene(api)


def code_in(ends: Ends) -> str:
    [message] = ends.shown
    return message.sm.short_message.decode("ascii").split()[0]


async def test_text_is_at_the_phone_by_the_second_carrier_while_the_first_is_a_blackhole(
    tmp_path: Path,
) -> None:
    def scene(seen: Seen) -> None:
        began_s = time.monotonic()
        verification = seen.start()
        until(lambda: seen.south.shown)
        took_s = time.monotonic() - began_s
        events = seen.told(verification, "delivered", 1)
        check = seen.api.check(verification, code_in(seen.south))

        assert took_s < TO_PHONE_S_MAX
        assert seen.north.shown == []
        assert check.body["approved"] is True
        assert [(event["type"], event.get("ordinal"), event.get("route")) for event in events] == [
            ("started", None, None),
            ("queued", 0, None),
            ("refused", 0, "north"),
            ("fallback", 0, None),
            ("queued", 1, None),
            ("submitted", 1, "south"),
            ("delivered", 1, None),
        ]
        assert (events[2]["status"], events[2]["outcome"]) == ("no_answer", "unknown")
        assert events[3]["why"].startswith(
            "no_answer: another route at once; 1 of 6 attempts, 1 other routes"
        )

    await play(tmp_path, Fault(blackhole=1.0), scene)


async def test_both_carry_the_same_code_when_the_first_is_slow_and_both_receipts_are_settled(
    tmp_path: Path,
) -> None:
    def scene(seen: Seen) -> None:
        verification = seen.start()
        events = seen.told(verification, "delivered", 2)
        check = seen.api.check(verification, code_in(seen.south))
        again = seen.api.check(verification, code_in(seen.north))

        assert code_in(seen.north) == code_in(seen.south)
        submitted = [event for event in events if event["type"] == "submitted"]
        assert [(event["ordinal"], event["route"]) for event in submitted] == [(1, "south"), (0, "north")]
        assert submitted[1]["latency_ms"] >= THINKS_S * 1000
        assert sorted(event["ordinal"] for event in events if event["type"] == "delivered") == [0, 1]
        assert check.body["approved"] is True
        assert again.body.get("approved") is not True

    await play(tmp_path, Fault(response=THINKS_S), scene)

"""A request with an Idempotency-Key is done once; what is kept of it is what its caller was answered."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import IdempotencyMismatch
from dastak.core.policy import Policy
from dastak.core.ports import Once, Replayed
from dastak.core.verification import Verification
from dastak.flows.cancel import cancel
from dastak.flows.check import Attempt, check
from dastak.flows.resend import resend
from dastak.flows.start import Ask, start
from tests.support.house import House, open_house
from tests.support.samples import MSISDN, some_msisdn, some_once

Doing = Callable[[House, Verification, Once], Awaitable[object]]

FLOWS: dict[str, Doing] = {
    "start": lambda house, _, once: start(house.ports, house.caller, Ask(to=MSISDN), once=once),
    "check": lambda house, known, once: check(
        house.ports, 1, known.id, Attempt(code=house.wrong(known)), once=once
    ),
    "check of the right code": lambda house, known, once: check(
        house.ports, 1, known.id, Attempt(code=house.code(known)), once=once
    ),
    "resend": lambda house, known, once: resend(house.ports, house.caller, known.id, once=once),
    "cancel": lambda house, known, once: cancel(house.ports, 1, known.id, once=once),
}


@pytest.mark.parametrize("flow", FLOWS)
async def test_repeated_request_changes_and_tells_nothing(tmp_path: Path, flow: str) -> None:
    async with open_house(tmp_path, policy=Policy(resend_waits_s=(0,))) as house:
        known = await house.start(some_msisdn(1))
        await FLOWS[flow](house, known, some_once())
        before = await house.all()
        house.told, house.handed = [], []

        again = await FLOWS[flow](house, known, some_once())

        assert again == Replayed(b"201 {}")
        assert await house.all() == before
        assert (house.told, house.handed) == ([], [])


@pytest.mark.parametrize("flow", FLOWS)
async def test_kept_answer_is_made_from_what_the_caller_is_answered(tmp_path: Path, flow: str) -> None:
    rendered = []

    def render(answer: object) -> bytes:
        rendered.append(answer)
        return b"201 {}"

    async with open_house(tmp_path, policy=Policy(resend_waits_s=(0,))) as house:
        known = await house.start(some_msisdn(1))

        answer = await FLOWS[flow](house, known, replace(some_once(), render=render))

        assert rendered == [answer]


@pytest.mark.parametrize("flow", FLOWS)
async def test_key_of_another_request_is_refused_and_nothing_done(tmp_path: Path, flow: str) -> None:
    async with open_house(tmp_path, policy=Policy(resend_waits_s=(0,))) as house:
        known = await house.start(some_msisdn(1), once=some_once(fingerprint="another"))
        house.told, house.handed = [], []

        with pytest.raises(IdempotencyMismatch):
            await FLOWS[flow](house, known, some_once())

        assert await house.all() == (known,)
        assert (house.told, house.handed) == ([], [])


async def test_answer_outlives_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.ask(once=some_once(answer=b"201 kept"))

    async with open_house(tmp_path, seed=1) as house:
        assert await house.ask(once=some_once(answer=b"201 other")) == Replayed(b"201 kept")

"""Our calling side through Kamailio: proof of a password, recorded route, UDP, TCP, TLS, registration."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from dastak.voice.sip.call_events import Answered, Ended
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_registration import Registered, Registrar
from tests.e2e.test_sip_sipp import ACCEPTED_AND_HUNG_UP, callee, events_of, line_to
from tests.support.authority import Authority
from tests.support.kamailio import kamailio
from tests.support.sipp import expect, sipp
from tests.support.smpp_pair import soon

ANSWERS = (expect("INVITE"), *ACCEPTED_AND_HUNG_UP)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("trunk")
    return authority


def trunk_files(authority: Authority) -> dict[str, str]:
    return {"key": authority.path("trunk.key"), "certificate": authority.path("trunk.pem")}


def over(transport: str, authority: Authority) -> dict[str, Any]:
    if transport != "TLS":
        return {"transport": transport}
    return {"transport": "TLS", "tls": ssl.create_default_context(cafile=authority.path("ca.pem"))}


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_call_is_proved_answered_and_hung_up_by_the_recorded_route(
    tmp_path: Path, authority: Authority, transport: str
) -> None:
    async with (
        sipp(*ANSWERS, directory=tmp_path) as phone,
        kamailio(tmp_path / "trunk", phone_port=phone.port, **trunk_files(authority)) as trunk,
    ):
        port = trunk.tls_port if transport == "TLS" else trunk.port
        async with line_to(port, **over(transport, authority)) as line:
            call = await line.call(callee(port))
            while not isinstance(await soon(call.events.get()), Answered):
                pass
            await asyncio.to_thread(trunk.daemon.until_said, f"within ACK over {transport.lower()}")
            call.hang_up(CallOutcome.COMPLETED)
            await phone.saw_everything()
            await asyncio.to_thread(trunk.daemon.until_said, f"within BYE over {transport.lower()}")

    assert call.events.get_nowait() == Ended(CallOutcome.COMPLETED, 200)


async def test_wrong_password_is_not_accepted(tmp_path: Path, authority: Authority) -> None:
    async with (
        kamailio(tmp_path / "trunk", phone_port=9, **trunk_files(authority)) as trunk,
        line_to(trunk.port, credentials=Credentials("shop", "guess")) as line,
    ):
        events = await events_of(await line.call(callee(trunk.port)))

    assert events[-1] == Ended(CallOutcome.AUTH_FAILED, 407)


@pytest.mark.parametrize("transport", ["UDP", "TLS"])
async def test_registration_is_granted_and_taken_back(
    tmp_path: Path, authority: Authority, transport: str
) -> None:
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example", expires_s=120)
    async with kamailio(tmp_path / "trunk", phone_port=9, **trunk_files(authority)) as trunk:
        port = trunk.tls_port if transport == "TLS" else trunk.port
        async with line_to(port, registrar=registrar, **over(transport, authority)) as line:
            granted = await soon(line.registration_settled())
            await asyncio.to_thread(trunk.daemon.until_said, "registered sip:shop@trunk.example until 120")
        await asyncio.to_thread(trunk.daemon.until_said, "registered sip:shop@trunk.example until 0")

    assert granted is Registered.YES


async def test_registration_with_a_wrong_password_is_refused(tmp_path: Path, authority: Authority) -> None:
    registrar = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example")
    guess = Credentials("shop", "guess")
    async with (
        kamailio(tmp_path / "trunk", phone_port=9, **trunk_files(authority)) as trunk,
        line_to(trunk.port, registrar=registrar, credentials=guess) as line,
    ):
        settled = await soon(line.registration_settled())

    assert settled is Registered.REFUSED

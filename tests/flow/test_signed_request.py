"""Where a signed request goes: to the address that was checked, and never to one of ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Barrier, Event

import httpx
import pytest

from dastak.core.errors import InvalidRequest
from dastak.tenancy import host_lookup
from dastak.tenancy.host_lookup import HostLookup
from dastak.tenancy.signed_request import GuardedSender, new_secret
from tests.support.house import FakeClock
from tests.support.lead_receiver import LeadReceiver, receiving

SECRET, SHOWN = new_secret(bytes)
PUBLIC, INNER = "93.184.216.34", "127.0.0.1"


@pytest.fixture
async def receiver() -> AsyncIterator[LeadReceiver]:
    async with receiving() as running:
        running.secret = SHOWN
        yield running


async def send(sender: GuardedSender, url: str) -> int:
    async with sender.post(url, [SECRET], "msg_1", b"{}", within_s=2.0) as answer:
        return answer.status_code


def sender_of(look: Callable[[str, int], list[str]], *, private: bool) -> GuardedSender:
    return GuardedSender(FakeClock(), private=private, lookup=HostLookup(look))


async def test_name_is_looked_up_once_and_that_address_is_used(receiver: LeadReceiver) -> None:
    asked: list[str] = []

    def look(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [INNER]

    url = receiver.url.replace(INNER, "hooks.example")
    status = await send(sender_of(look, private=True), url)

    assert (status, asked) == (200, ["hooks.example"])
    assert receiver.taken[0].headers["host"] == url.split("/")[2]


@pytest.mark.parametrize(
    "found",
    [
        [INNER], [PUBLIC, INNER], [INNER, PUBLIC], ["::1"], ["::ffff:127.0.0.1"], ["::ffff:a9fe:a9fe"],
        ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["169.254.169.254"], ["100.64.0.1"], ["fe80::1%eth0"], [],
    ],
)  # fmt: skip
async def test_host_with_any_inner_address_is_not_connected_to(
    receiver: LeadReceiver, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.url.split(":")[2].partition("/")[0])
    monkeypatch.setattr("dastak.tenancy.signed_request.PORTS", (port,))
    sender = sender_of(lambda _host, _port: found, private=False)

    with pytest.raises(InvalidRequest):
        await send(sender, f"https://hooks.example:{port}/leads")

    assert not receiver.came.is_set()


async def test_redirect_is_an_answer_and_no_way(receiver: LeadReceiver) -> None:
    async with receiving() as inner:
        receiver.statuses, receiver.headers = [302], f"location: {inner.url}\r\n"

        status = await send(GuardedSender(FakeClock(), private=True), receiver.url)

        assert (status, inner.came.is_set()) == (302, False)


async def test_proxy_of_the_environment_gets_nothing(
    receiver: LeadReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        assert await send(GuardedSender(FakeClock(), private=True), receiver.url) == 200
        assert not proxy.came.is_set()


async def test_names_that_nobody_answers_for_keep_no_other_sender_waiting(receiver: LeadReceiver) -> None:
    never, begun = Event(), Barrier(host_lookup.UNDER_WAY_MAX + 1)

    def hang(_host: str, _port: int) -> list[str]:
        begun.wait()
        never.wait()
        return [INNER]

    hanging = sender_of(hang, private=True)
    waiting = [
        asyncio.create_task(send(hanging, f"http://{n}.example/")) for n in range(host_lookup.UNDER_WAY_MAX)
    ]
    await asyncio.to_thread(begun.wait)

    with pytest.raises(OSError, match="too many names"):
        await send(hanging, "http://one-more.example/")
    status = await send(GuardedSender(FakeClock(), private=True), receiver.url)
    for one in waiting:
        one.cancel()
    never.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert status == 200
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)


async def test_name_that_is_none_is_an_error_of_its_sender() -> None:
    with pytest.raises((OSError, ValueError)):
        await HostLookup().addresses("a" * 64 + ".example", 443)
    with pytest.raises(httpx.HTTPError):
        await send(sender_of(lambda _host, _port: [INNER], private=True), "http://nobody.example:1/")

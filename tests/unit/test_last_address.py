"""A carrier is found by its name, and where it was last while no name server answers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dastak.sms.last_address import LastAddress
from dastak.sms.smpp_link import SmppLink
from dastak.sms.smpp_session import Role, SmppSession
from dastak.sms.smpp_settings import SmppSettings

NAME = "carrier.example"


class Names:
    """A name server of one loop: knows one name, until it fails."""

    def __init__(self, port: int) -> None:
        self.failure: int | None = None
        self._found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def getaddrinfo(self, host: str, *rest: Any, **more: Any) -> list[Any]:
        assert host == NAME
        if self.failure is not None:
            raise socket.gaierror(self.failure, "no answer")
        return self._found


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def names(port: int, monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names(port)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


@pytest.fixture
def carrier(port: int) -> LastAddress:
    return LastAddress(SmppSettings(host=NAME, port=port, system_id="esme", password="secret"))


def new_link() -> SmppLink:
    session = SmppSession(
        Role.ESME, window=1, inbound_max=1, bind_timeout_s=5, response_timeout_s=5, enquire_link_s=5, now=0
    )
    return SmppLink(session, on_event=lambda event: None)


async def test_carrier_is_where_it_was_last_when_no_name_server_answers(
    carrier: LastAddress, names: Names
) -> None:
    await carrier.connect(new_link)
    names.failure = socket.EAI_AGAIN
    link = await carrier.connect(new_link)

    assert isinstance(link, SmppLink)


async def test_name_that_is_no_more_is_believed(carrier: LastAddress, names: Names) -> None:
    await carrier.connect(new_link)
    names.failure = socket.EAI_NONAME

    with pytest.raises(socket.gaierror):
        await carrier.connect(new_link)


async def test_carrier_that_was_never_found_is_nowhere(carrier: LastAddress, names: Names) -> None:
    names.failure = socket.EAI_AGAIN

    with pytest.raises(socket.gaierror):
        await carrier.connect(new_link)

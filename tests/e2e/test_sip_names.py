"""Where a trunk's name leads, asked of a name server that nobody here wrote."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from dastak.voice.sip.sip_names import FOREVER, SYSTEM_TTL_S, TTL_S_MIN, Found, Names
from dastak.voice.sip.sip_sockets import TrunkUnreachable
from tests.support.dnsmasq import Dnsmasq, dnsmasq

RECORDS = (
    "srv-host=_sip._udp.trunk.example,backup.trunk.example,5090,20,1",
    "srv-host=_sip._udp.trunk.example,main.trunk.example,5070,10,1",
    "srv-host=_sip._tcp.trunk.example,main.trunk.example,5071,10,1",
    "srv-host=_sips._tcp.trunk.example,main.trunk.example,5443,10,1",
    "srv-host=_sip._udp.shared.example,main.trunk.example,1000,10,75",
    "srv-host=_sip._udp.shared.example,main.trunk.example,2000,10,25",
    "srv-host=_sip._udp.half.example,gone.trunk.example,5070,10,1",
    "srv-host=_sip._udp.half.example,backup.trunk.example,5090,20,1",
    "srv-host=_sip._udp.none.example",
    "srv-host=_sip._udp.lost.example,gone.trunk.example,5060,1,1",
    "host-record=trunk.example,192.0.2.9",
    "host-record=main.trunk.example,192.0.2.10,2001:db8::10",
    "host-record=backup.trunk.example,192.0.2.11",
    "host-record=plain.example,192.0.2.12",
    "host-record=plain.example,192.0.2.13",
    "cname=alias.example,plain.example",
    "host-record=brief.example,192.0.2.14,1",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dnsmasq]:
    with dnsmasq(tmp_path_factory.mktemp("names") / "dns", *RECORDS) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "port", "transport", "addresses"),
    [
        # Priorities before all; each server's addresses, of the old kind first.
        ("trunk.example", None, "UDP", [("192.0.2.10", 5070), ("2001:db8::10", 5070), ("192.0.2.11", 5090)]),
        ("trunk.example", None, "TCP", [("192.0.2.10", 5071), ("2001:db8::10", 5071)]),
        ("trunk.example", None, "TLS", [("192.0.2.10", 5443), ("2001:db8::10", 5443)]),
        # A port that is said: nobody is asked for SRV.
        ("trunk.example", 5080, "UDP", [("192.0.2.9", 5080)]),
        # No SRV records: the usual port.
        ("plain.example", None, "TLS", [("192.0.2.12", 5061), ("192.0.2.13", 5061)]),
        ("alias.example", None, "UDP", [("192.0.2.12", 5060), ("192.0.2.13", 5060)]),
        # A server whose name leads nowhere is passed over.
        ("half.example", None, "UDP", [("192.0.2.11", 5090)]),
    ],
)
async def test_name_leads_to_addresses_in_order(
    server: Dnsmasq, host: str, port: int | None, transport: str, addresses: list[tuple[str, int]]
) -> None:
    found = await Names(server.address).find(host, port, transport)

    assert found.ttl_s == 60.0
    assert sorted(found.addresses) == sorted(addresses)
    assert [one[1] for one in found.addresses] == [one[1] for one in addresses]


@pytest.mark.parametrize(("drawn", "first"), [(0.0, 2000), (0.24, 2000), (0.26, 1000), (0.99, 1000)])
async def test_weights_share_calls(server: Dnsmasq, drawn: float, first: int) -> None:
    found = await Names(server.address, chance=lambda: drawn).find("shared.example", None, "UDP")

    assert found.addresses[0][1] == first
    assert {port for _, port in found.addresses} == {1000, 2000}


async def test_short_life_is_believed_within_bounds(server: Dnsmasq) -> None:
    found = await Names(server.address).find("brief.example", 5060, "UDP")

    assert found.ttl_s == TTL_S_MIN


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("none.example", "says that it has no _sip._udp"),
        ("lost.example", "cannot be found"),
        ("missing.example", "cannot be found"),
    ],
)
async def test_name_that_leads_nowhere_is_told(server: Dnsmasq, host: str, reason: str) -> None:
    with pytest.raises(TrunkUnreachable, match=reason):
        await Names(server.address).find(host, None, "UDP")


async def test_address_in_digits_asks_nobody(server: Dnsmasq) -> None:
    asked_before = server.daemon.log()

    assert await Names(server.address).find("192.0.2.1", None, "TLS") == Found(
        (("192.0.2.1", 5061),), FOREVER
    )
    assert await Names(server.address).find("::1", 7, "UDP") == Found((("::1", 7),), FOREVER)
    assert server.daemon.log() == asked_before


async def test_name_of_one_word_is_the_system_s_to_know(server: Dnsmasq) -> None:
    found = await Names(server.address).find("localhost", 5060, "UDP")

    assert ("127.0.0.1", 5060) in found.addresses
    assert found.ttl_s == SYSTEM_TTL_S


def test_names_are_found_on_the_loop_of_the_server_too(server: Dnsmasq) -> None:
    found = uvloop.run(Names(server.address).find("trunk.example", None, "UDP"))

    assert found.addresses[0] == ("192.0.2.10", 5070)


async def test_many_names_are_asked_for_at_once(server: Dnsmasq) -> None:
    names = Names(server.address)

    found = await asyncio.gather(*(names.find("trunk.example", None, "UDP") for _ in range(50)))

    assert {one.addresses[0] for one in found} == {("192.0.2.10", 5070)}
